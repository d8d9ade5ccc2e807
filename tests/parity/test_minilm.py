"""A real pretrained BERT, all-MiniLM-L6-v2: tokens, vectors and attention maps as theirs."""

from __future__ import annotations

import json
import random
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from attention_guide import AttentionRecorder
from attention_guide.checkpoints import Pretrained, load, save_hugging_face
from attention_guide.checkpoints.pretrained import MINILM
from attention_guide.text.wordpiece import WordPiece

transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

SENTENCES = [
    "The animal didn't cross the street because it was too tired.",
    "A weary creature stayed on its side of the road.",
    "Interest rates rose by half a percentage point in March.",
    "Naïve café-goers paid 3,50 € for 北京 dumplings!",
]


@pytest.fixture(scope="module")
def theirs(pretrained: Pretrained) -> torch.nn.Module:
    return transformers.BertModel.from_pretrained(
        pretrained.folder, attn_implementation="eager", local_files_only=True
    ).eval()


@pytest.fixture(scope="module")
def their_tokenizer(pretrained: Pretrained) -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer.from_file(str(pretrained.folder / "tokenizer.json"))
    made.no_truncation()
    made.no_padding()
    return made


def test_vectors_and_attention_maps_of_real_sentences(
    pretrained: Pretrained, theirs: torch.nn.Module, parity_record: Callable[..., None]
) -> None:
    ids = torch.tensor(pretrained.tokenizer.batch(SENTENCES))
    real = ids != 0
    with torch.no_grad():
        expected = theirs(ids, attention_mask=real.long(), output_attentions=True)
        with AttentionRecorder(pretrained.model) as maps:
            got = pretrained.model(ids)
    reference = "transformers all-MiniLM-L6-v2"
    error = (got - expected.last_hidden_state)[real].abs().max().item()
    parity_record(reference, "hidden states", "float32", error, 1e-5)
    rows = real[:, None, :, None]
    assert len(maps) == 6
    error = max(
        ((a - b) * rows).abs().max().item()
        for a, b in zip(maps.values(), expected.attentions, strict=True)
    )
    parity_record(reference, "attention", "float32", error, 1e-5)
    weight = real[..., None].float()
    mean = (expected.last_hidden_state * weight).sum(1) / weight.sum(1)
    wanted = torch.nn.functional.normalize(mean, dim=-1)
    vectors = pretrained.embed(SENTENCES)
    parity_record(reference, "embeddings", "float32", (vectors - wanted).abs().max().item(), 1e-5)
    assert torch.allclose(vectors.norm(dim=-1), torch.ones(4))
    nearness = vectors @ vectors.T
    assert nearness[0, 1] > 0.4 > nearness[0, 2]  # it knows what is like what


def test_the_sizes_are_the_published_ones(pretrained: Pretrained) -> None:
    assert sum(p.numel() for p in pretrained.model.parameters()) == 22_713_216
    assert len(pretrained.tokenizer) == 30_522


def test_tokens_are_theirs_on_every_common_sign(
    pretrained: Pretrained, their_tokenizer: tokenizers.Tokenizer
) -> None:
    # Every assigned sign below U+0600, and every 41st above, between letters.
    signs = [*range(0x600), *range(0x600, 0x30000, 41)]
    texts = [f"a{chr(sign)}b" for sign in signs if unicodedata.category(chr(sign)) != "Cs"]
    expected = their_tokenizer.encode_batch(texts, add_special_tokens=False)
    differ = [
        text for text, e in zip(texts, expected, strict=True)
        if pretrained.tokenizer.tokenize(text) != e.tokens
    ]  # fmt: skip
    # Signs younger than the tables of theirs, which takes them for letters.
    assert len(differ) < 0.005 * len(texts)
    young = {"Mn", "Po", "Cf", "Ps", "Pe", "Pd", "So", "Mc"}
    assert {unicodedata.category(text[1]) for text in differ} <= young
    assert min(ord(text[1]) for text in differ) > 0x600


def test_tokens_are_theirs_on_texts(
    pretrained: Pretrained, their_tokenizer: tokenizers.Tokenizer
) -> None:
    letters = "abcdefghijklmnopqrstuvwxyzABCÉèñßΣσİıЖд北京 \t\n.,'-#[]!?0123456789"
    draw = random.Random(0)
    texts = ["".join(draw.choices(letters, k=draw.randrange(60))) for _ in range(300)]
    texts += [*SENTENCES, "", " ", "a [MASK] b[SEP]", "[mask]", "x" * 101, "ΑΣ", "##tion"]
    for text in texts:
        assert pretrained.tokenizer.encode(text) == their_tokenizer.encode(text).ids, repr(text)


def test_pairs_and_their_truncation_are_theirs(
    pretrained: Pretrained, their_tokenizer: tokenizers.Tokenizer
) -> None:
    pairs = [("a b c", "d"), ("a b c d e", "f g h i j"), ("a b", "c d e f g h"), ("a b c d e", "f")]
    for pair in [*pairs, *((b, a) for a, b in pairs)]:
        for room in (3, 4, 5, 6, 7, 8, 9, 50):
            their_tokenizer.enable_truncation(room, strategy="longest_first")
            expected = their_tokenizer.encode(*pair)
            assert pretrained.tokenizer.encode(*pair, max_len=room) == expected.ids, (pair, room)
            assert pretrained.tokenizer.segments(*pair, max_len=room) == expected.type_ids
    their_tokenizer.no_truncation()


def test_decoding_joins_what_was_cut(
    pretrained: Pretrained, their_tokenizer: tokenizers.Tokenizer
) -> None:
    their_tokenizer.decoder = tokenizers.decoders.WordPiece(cleanup=False)
    for text in SENTENCES:
        ids = pretrained.tokenizer.encode(text)
        assert pretrained.tokenizer.decode(ids) == their_tokenizer.decode(ids)


def test_the_tokenizer_of_a_folder_without_vocab_txt(
    pretrained: Pretrained, tmp_path: Path
) -> None:
    (tmp_path / "tokenizer.json").write_bytes((pretrained.folder / "tokenizer.json").read_bytes())
    assert WordPiece.from_folder(tmp_path).tokens == pretrained.tokenizer.tokens


def test_the_folder_of_the_variable_comes_before_the_laid_one(
    pretrained: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sentence-transformers").mkdir()
    (tmp_path / MINILM).symlink_to(pretrained.folder)
    monkeypatch.setenv("ATTENTION_GUIDE_WEIGHTS", str(tmp_path))
    found = load(MINILM)
    assert found.folder == tmp_path / MINILM
    assert torch.equal(found.embed(SENTENCES[:1]), pretrained.embed(SENTENCES[:1]))


def test_weights_that_were_altered_are_refused(
    pretrained: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_hugging_face(pretrained.model, tmp_path / MINILM)
    (folder / "vocab.txt").write_bytes((pretrained.folder / "vocab.txt").read_bytes())
    monkeypatch.setenv("ATTENTION_GUIDE_WEIGHTS", str(tmp_path))
    with pytest.raises(ValueError, match=r"model\.safetensors: expected sha256 53aa51172d14"):
        load(MINILM)
    with pytest.raises(ValueError, match="expected sha256 53aa51172d14"):
        load(folder)
    folder = folder.rename(tmp_path / "mine")  # a folder of one's own has no published hash
    again = load(folder)
    assert torch.equal(again.embed(SENTENCES[:1]), pretrained.embed(SENTENCES[:1]))
    with pytest.raises(ValueError, match="expected sha256 00"):
        load(folder, sha256="00")
    with pytest.raises(ValueError, match="texts: expected at least one"):
        again.embed([])
    with pytest.raises(TypeError, match="texts: expected a list of texts; got one str"):
        again.embed("hello")


@pytest.mark.parametrize(
    ("file", "setting"),
    [
        ("config.json", {"num_attention_heads": 6}),
        ("config.json", {"layer_norm_eps": 1e-5}),
        ("tokenizer_config.json", {"do_lower_case": False}),
    ],
    ids=str,
)
def test_settings_that_were_altered_are_refused(
    pretrained: Pretrained, tmp_path: Path, file: str, setting: dict[str, object]
) -> None:
    folder = tmp_path / MINILM
    folder.mkdir(parents=True)
    for path in pretrained.folder.iterdir():
        (folder / path.name).symlink_to(path)
    settings = json.loads((folder / file).read_bytes())
    (folder / file).unlink()
    # Lines that decide nothing may differ, as they do on the hub.
    (folder / file).write_text(json.dumps(settings | {"transformers_version": "5"}))
    assert load(folder).folder == folder
    (folder / file).write_text(json.dumps(settings | setting))
    with pytest.raises(ValueError, match=rf"{file}: expected .* as it was published"):
        load(folder)
