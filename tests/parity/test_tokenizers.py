"""Byte-level BPE against Hugging Face's `tokenizers` and the `regex` package."""

from __future__ import annotations

import pydoc_data.topics
import unicodedata

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from attention_guide.text import ByteBPE, pretokens
from attention_guide.text.bpe import BYTE_TO_CHAR

GPT2 = regex.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")
TEXTS = [
    *sorted(pydoc_data.topics.topics.values())[:12],
    "Größe, naïveté, 你好世界, नमस्ते, 🙂🙃 we'll she'd it's 12 ½ ⅷ ٣٤   three  spaces\t\n",
]
# Where the two sides have the same Unicode tables: assigned in Python's.
ASSIGNED = st.characters(exclude_categories=["Cs", "Cn", "Co"])
TEXT = st.text(ASSIGNED | st.sampled_from(" '\t\n\x1c\x85\u3000abst½一ⅷ"), max_size=40)


def hugging_face(vocab=None, merges=None):
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


@pytest.fixture(scope="module")
def pair():
    ours = ByteBPE.train(TEXTS, 700, specials=())
    vocab = {written(piece): index for piece, index in ours.vocab.items()}
    merges = [(written(a), written(b)) for a, b in ours.merges]
    return ours, hugging_face(vocab, merges)


def written(piece):
    return "".join(BYTE_TO_CHAR[byte] for byte in piece)


@settings(max_examples=300, deadline=None)
@given(TEXT)
@example("'s 't 'S don't  \x1c x\x85\u00a0 y ")
@example("一二三 ½ ⅷ ٣")
def test_the_cut_is_that_of_the_regex_package(text):
    # The two Unicode tables can differ by age: only characters both know alike are compared.
    for char in set(text):
        kind = unicodedata.category(char)[0]
        if bool(regex.match(r"\p{L}", char)) != (kind == "L"):
            return
    assert pretokens(text) == GPT2.findall(text)


@settings(max_examples=300, deadline=None)
@given(TEXT)
@example("a" * 300)
@example("low lower lowest   newest  ")
def test_ids_and_text_equal_hugging_faces_on_the_same_merges(pair, text):
    ours, theirs = pair
    ids = ours.encode(text)
    assert ids == theirs.encode(text).ids
    assert ours.decode(ids) == theirs.decode(ids) == text


def test_ids_equal_on_whole_pages(pair):
    ours, theirs = pair
    for text in pydoc_data.topics.topics.values():
        assert ours.encode(text) == theirs.encode(text).ids


def test_ids_equal_under_merges_that_no_training_would_give(pair):
    # Out of order: "abc" can be made before its half, and by two different pairs.
    merges = [(b"b", b"c"), (b"a", b"b"), (b"a", b"bc"), (b"ab", b"c"), (b"abc", b"abc")]
    base = ByteBPE.train([], 256, specials=()).vocab
    vocab = dict(base)
    for a, b in merges:
        vocab.setdefault(a + b, len(vocab))
    for order in (merges, [merges[1], merges[0], *merges[2:]]):
        ours = ByteBPE(vocab, order)
        names = {written(piece): index for piece, index in vocab.items()}
        theirs = hugging_face(names, [(written(a), written(b)) for a, b in order])
        for text in ("abc", "abcabc", "ababcbc", "aabbcc", "abcabcabc"):
            assert ours.encode(text) == theirs.encode(text).ids


@pytest.mark.parametrize(("size", "min_count"), [(400, 2), (900, 2), (600, 5)])
def test_training_finds_the_same_merges_and_ids(size, min_count):
    ours = ByteBPE.train(TEXTS, size, specials=("<pad>",), min_count=min_count)
    theirs = hugging_face()
    trainer = trainers.BpeTrainer(
        vocab_size=size, min_frequency=min_count, special_tokens=["<pad>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    theirs.train_from_iterator(TEXTS, trainer)
    vocab = {written(piece): index for piece, index in ours.vocab.items()} | ours.specials
    assert vocab == theirs.get_vocab()


def test_saved_files_load_into_hugging_faces(pair, tmp_path):
    ours, theirs = pair
    ours.save(tmp_path)
    model = models.BPE.from_file(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    again = Tokenizer(model)
    again.pre_tokenizer = theirs.pre_tokenizer
    assert again.encode(TEXTS[-1]).ids == ours.encode(TEXTS[-1])


def test_files_saved_by_hugging_face_load_into_ours(pair, tmp_path):
    ours, theirs = pair
    theirs.model.save(str(tmp_path))
    assert ByteBPE.load(tmp_path).encode(TEXTS[-1]) == ours.encode(TEXTS[-1])
