"""Snapshots of a training: round trip, refusals, and the file that ships."""

from dataclasses import replace

import pytest
import safetensors.torch
import torch

from attention_guide.checkpoints import rounded
from attention_guide.checkpoints.own import MAX_BYTES
from attention_guide.checkpoints.snapshots import SNAPSHOTS, load_snapshots, save_snapshots
from attention_guide.models import Llama, LlamaConfig
from attention_guide.models.rotary import Yarn
from attention_guide.text import Vocabulary

CONFIG = LlamaConfig(8, d_model=8, n_heads=2, d_ff=16, n_layers=1, max_len=9)
VOCABULARY = Vocabulary("abcde")


def two_states():
    torch.manual_seed(0)
    return {20: rounded(Llama(CONFIG)), 0: rounded(Llama(CONFIG))}


def test_what_is_saved_comes_back(tmp_path):
    states = two_states()
    notes = {"training": {"seed": 3}, "card": "# demo\n", "folder": tmp_path}
    save_snapshots("demo", CONFIG, states, VOCABULARY, **notes)
    kept = load_snapshots("demo", folder=tmp_path)
    assert (kept.steps, kept.config, kept.training) == ((0, 20), CONFIG, {"seed": 3})
    assert (kept.vocabulary, kept.card) == (VOCABULARY, "# demo\n")
    assert list(kept.states[0]) == list(kept.states[20])
    for step, state in states.items():
        model = kept.at(step)
        assert not model.training
        assert all(torch.equal(model.state_dict()[key], state[key].float()) for key in state)
    with pytest.raises(ValueError, match=r"step: expected one of \(0, 20\); got 7"):
        kept.at(7)


def test_unknown_names_foreign_files_and_wrong_sizes_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected one of \[\], got 'nothing'"):
        load_snapshots("nothing", folder=tmp_path)
    (tmp_path / "foreign.safetensors").write_bytes(safetensors.torch.save({"x": torch.zeros(1)}))
    with pytest.raises(ValueError, match="not a checkpoint of this book"):
        load_snapshots("foreign", folder=tmp_path)
    notes = {"training": {}, "card": "", "folder": tmp_path}
    with pytest.raises(ValueError, match="states: expected at least one step"):
        save_snapshots("demo", CONFIG, {}, VOCABULARY, **notes)
    with pytest.raises(ValueError, match="states: expected at most 2097152 bytes"):
        save_snapshots("demo", CONFIG, {0: {"x": torch.zeros(MAX_BYTES)}}, VOCABULARY, **notes)
    # A checkpoint of one step, as `save_own` writes them, has no steps in its names.
    save_snapshots("demo", CONFIG, {0: {"x": torch.zeros(1)}}, VOCABULARY, **notes)
    content = (tmp_path / "demo.safetensors").read_bytes().replace(b'"0/x"', b'"aax"')
    (tmp_path / "demo.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="not snapshots of this book: it has 'aax'"):
        load_snapshots("demo", folder=tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"tie_weights": True},
        {"yarn": Yarn(4.0, 8)},
        {"experts": (4, 2), "sinks": True},
    ],
    ids=str,
)
def test_every_kind_of_llama_comes_back(tmp_path, change):
    config = replace(CONFIG, **change)
    model = Llama(config).eval()
    states = {0: rounded(model, torch.float32)}
    seeded = torch.get_rng_state()
    save_snapshots("demo", config, states, VOCABULARY, training={}, card="", folder=str(tmp_path))
    assert torch.equal(torch.get_rng_state(), seeded)
    kept = load_snapshots("demo", folder=str(tmp_path))
    assert kept.config == config
    ids = torch.tensor([[1, 2, 3]])
    assert torch.equal(kept.at(0)(ids), model(ids))


def test_a_vocabulary_of_another_size_and_a_damaged_file_are_refused(tmp_path):
    notes = {"training": {}, "card": "", "folder": tmp_path}
    with pytest.raises(ValueError, match="vocabulary: expected vocab_size = 8 ids; got 4"):
        save_snapshots("demo", CONFIG, two_states(), Vocabulary("a"), **notes)
    path = save_snapshots("demo", CONFIG, two_states(), VOCABULARY, **notes)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"demo\.safetensors: expected safetensors"):
        load_snapshots("demo", folder=tmp_path)


def test_every_file_that_ships_is_small_and_has_a_card():
    files = sorted(SNAPSHOTS.glob("*.safetensors"))
    assert [file.stem for file in files] == ["induction"]
    for file in files:
        assert file.stat().st_size <= MAX_BYTES
        assert load_snapshots(file.stem).card.startswith(f"# {file.stem}\n")
