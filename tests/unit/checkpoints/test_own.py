"""The book's own weights: round trips, refusals, and models as good as their cards say."""

from dataclasses import replace
from functools import partial

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from torch import nn

from attention_guide.checkpoints import load_own, own_names, rounded, save_own, write_atomically
from attention_guide.checkpoints.own import MAX_BYTES, WEIGHTS
from attention_guide.data.numbers import DIRECTIONS, draw_numbers, number_pairs
from attention_guide.layers import FeedForward, GatedFeedForward
from attention_guide.models import Llama, LlamaConfig, Transformer, TransformerConfig
from attention_guide.models.gpt2 import GPT2, GPT2Config
from attention_guide.models.rnn import RecurrentConfig, RecurrentSeq2Seq
from attention_guide.models.rotary import Yarn
from attention_guide.recipes import read_ledger
from attention_guide.recipes.number_words import SETTINGS, draw_from, training_numbers
from attention_guide.recipes.translation import score
from attention_guide.text import ByteBPE, Vocabulary


def models():
    torch.manual_seed(0)
    yield Transformer(TransformerConfig(8, 8, d_model=8, n_heads=2, d_ff=16, n_layers=1))
    yield RecurrentSeq2Seq(RecurrentConfig(8, 8, d_model=8))


def test_a_language_model_comes_back_with_its_tokenizer(tmp_path):
    torch.manual_seed(0)
    bpe = ByteBPE.train(["low lower lowest"] * 2, 262, specials=("<eos>",))
    config = GPT2Config(len(bpe), d_model=8, n_heads=2, n_layers=1, max_len=8)
    save_own("demo", GPT2(config), bpe, training={}, card="# demo\n", folder=tmp_path)
    own = load_own("demo", folder=tmp_path)
    assert own.model.config == config
    assert own.model.output_proj.weight is own.model.embedding.weight
    text = "slower, naïve 🎈"
    assert own.vocabulary.encode(text, eos=True) == bpe.encode(text, eos=True)
    assert own.vocabulary.decode(own.vocabulary.encode(text)) == text
    with pytest.raises(TypeError, match="vocabulary: expected a ByteBPE"):
        save_own("demo", GPT2(config), Vocabulary("a"), training={}, card="", folder=tmp_path)


@pytest.mark.parametrize("index", range(2))
def test_what_is_saved_comes_back(tmp_path, index):
    model = list(models())[index].eval()
    vocabulary = Vocabulary("abcde")
    save_own("demo", model, vocabulary, training={"seed": 3}, card="# demo\n", folder=tmp_path)
    own = load_own("demo", folder=tmp_path)
    assert own.vocabulary == vocabulary
    assert (own.training, own.card, own.model.training) == ({"seed": 3}, "# demo\n", False)
    assert own.model.config == model.config
    model.load_state_dict({key: value.float() for key, value in rounded(model).items()})
    src, tgt = torch.tensor([[3, 4, 2]]), torch.tensor([[1, 5]])
    assert torch.equal(own.model(src, tgt), model(src, tgt))
    assert own_names(tmp_path) == ["demo"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.md", "demo.safetensors"]


def test_unknown_names_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected one of \[\]"):
        load_own("nothing", folder=tmp_path)
    (tmp_path / "foreign.safetensors").write_bytes(safetensors.torch.save({"x": torch.zeros(1)}))
    (tmp_path / "torn.safetensors").write_bytes(b"\x10")
    for name in ("foreign", "torn"):
        with pytest.raises(ValueError, match="not a checkpoint of this book"):
            load_own(name, folder=tmp_path)


def test_only_small_models_of_known_families_are_saved(tmp_path):
    notes = {"training": {}, "card": "", "folder": tmp_path}
    with pytest.raises(TypeError, match="expected one of transformer, recurrent"):
        save_own("demo", nn.Linear(1, 1), Vocabulary("a"), **notes)
    big = RecurrentSeq2Seq(RecurrentConfig(8, 8, d_model=512))
    with pytest.raises(ValueError, match="expected at most 2097152 bytes"):
        save_own("demo", big, Vocabulary("a"), **notes)
    assert list(tmp_path.iterdir()) == []


LLAMA = LlamaConfig(8, d_model=8, n_heads=2, d_ff=16, n_layers=1, max_len=9)
TINY = TransformerConfig(8, 8, d_model=8, n_heads=2, d_ff=16, n_layers=1)


@pytest.mark.parametrize("change", [{"tie_weights": True}, {"yarn": Yarn(4.0, 8)},
                                    {"experts": (4, 2)}], ids=str)  # fmt: skip
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_kind_of_llama_comes_back(tmp_path, change, dtype):
    config = replace(LLAMA, **change)
    model = Llama(config).to(dtype)
    notes = {"training": {}, "card": "", "folder": str(tmp_path), "dtype": dtype}
    seeded = torch.get_rng_state()
    path = save_own("demo", model, Vocabulary("abcde"), **notes)
    assert torch.equal(torch.get_rng_state(), seeded)
    own = load_own("demo", folder=str(tmp_path))
    assert (own.model.config, own_names(str(tmp_path))) == (config, ["demo"])
    state = own.model.state_dict()
    assert all(torch.equal(x.float(), state[key]) for key, x in model.state_dict().items())
    assert ("output_proj.weight" in safetensors.torch.load_file(path)) is not config.tie_weights


def test_what_the_configuration_does_not_tell_is_refused(tmp_path):
    notes = {"training": {}, "card": "", "folder": tmp_path}
    gelu = Transformer(TINY, feed_forward=partial(FeedForward, activation=F.gelu))
    with pytest.raises(ValueError, match="model: expected one that TransformerConfig tells whole"):
        save_own("demo", gelu, Vocabulary("abcde"), **notes)
    wider = Transformer(TINY, feed_forward=partial(GatedFeedForward, activation=F.gelu))
    with pytest.raises(ValueError, match="its weights are others"):
        save_own("demo", wider, Vocabulary("abcde"), **notes)
    with pytest.raises(ValueError, match="vocabulary: expected src_vocab_size = 8 ids; got 4"):
        save_own("demo", Transformer(TINY), Vocabulary("a"), **notes)
    assert list(tmp_path.iterdir()) == []


def test_no_number_is_lost_to_a_dtype():
    layer = nn.Linear(1, 1)
    nn.init.constant_(layer.weight, 1e5)
    with pytest.raises(ValueError, match=r"dtype: expected one that holds 100000, as weight has"):
        rounded(layer)
    assert rounded(layer, torch.bfloat16)["weight"].isfinite().all()
    nn.init.constant_(layer.weight, float("inf"))
    assert rounded(layer)["weight"].isinf().all()
    with pytest.raises(TypeError, match=r"dtype: expected a floating-point dtype .* torch\.int8"):
        rounded(layer, torch.int8)


def test_a_damaged_file_is_named(tmp_path):
    path = save_own("demo", Transformer(TINY), Vocabulary("abcde"), training={}, card="",
                    folder=tmp_path)  # fmt: skip
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"demo\.safetensors: expected safetensors"):
        load_own("demo", folder=tmp_path)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_every_checkpoint_is_small_and_has_a_card():
    assert own_names() != []
    for name in own_names():
        own = load_own(name)
        assert (WEIGHTS / f"{name}.safetensors").stat().st_size <= MAX_BYTES
        assert own.card.startswith(f"# {name}\n")
    # All that the wheel brings of it, the snapshots among them.
    files = [path for path in WEIGHTS.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} == {"weights", "snapshots"}
    assert sum(path.stat().st_size for path in files) <= 20 * 1024**2


# The Transformer trained without extra gaps isn't here: its first seed has 99.2 % from French to
# English, as its card and the chapter say.
@pytest.mark.parametrize("row", ["transformer-gaps", "gru"])
def test_held_out_numbers_are_translated_in_every_direction(row):
    setting = SETTINGS[row]
    own = load_own(setting.checkpoint)
    seen = training_numbers(setting, own.training["seed"])
    # Another draw than the recipe's own test numbers.
    numbers = draw_numbers(250, seed=77, exclude=seen)
    scores = score(own.model, own.vocabulary, number_pairs(numbers), with_bleu=False)
    for source, target in DIRECTIONS:
        assert scores[f"exact match/{source}-{target}"] >= 0.995


@pytest.mark.parametrize("row", ["transformer", "transformer-below"])
def test_other_checkpoints_do_what_the_ledger_says(row):
    setting = SETTINGS[row]
    own = load_own(setting.checkpoint)
    recorded = read_ledger("number-words")[row].metrics["exact match"].values[0]
    exclude = training_numbers(setting, own.training["seed"])
    numbers = draw_from(setting.train, setting.n_test, seed=1000, exclude=exclude)
    scores = score(own.model, own.vocabulary, number_pairs(numbers), with_bleu=False)
    # The same numbers as the recipe's; a near tie of two logits may fall the other way elsewhere.
    assert scores["exact match"] == pytest.approx(recorded, abs=0.002)
