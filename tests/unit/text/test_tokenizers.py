"""Character and word tokenizers: what they know comes back, what they don't is `<unk>`."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_guide.text import CharacterTokenizer, WordTokenizer

KINDS = [CharacterTokenizer, WordTokenizer]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_text_that_was_seen_comes_back(kind, text):
    tokenizer = kind.train([text])
    assert tokenizer.decode(tokenizer.encode(text)) == text
    assert "".join(tokenizer.pieces(text)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_ends_are_marked_and_cut_off_again(kind):
    tokenizer = kind.train(["ab cd"])
    ids = tokenizer.encode("ab cd", bos=True, eos=True)
    assert (ids[0], ids[-1]) == (1, 2)
    assert tokenizer.decode(torch.tensor([*ids, 0, 0])) == "ab cd"
    assert tokenizer.decode(ids, specials=True) == "<bos>ab cd<eos>"


def test_the_unseen_is_unknown():
    tokenizer = WordTokenizer.train(["the cat"])
    assert tokenizer.pieces("the dog") == ["the", "<unk>"]
    assert tokenizer.encode("the dog")[1] == tokenizer.vocabulary.unk_id == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_special_written_in_a_text_is_not_that_special(kind):
    tokenizer = kind.train(["<eos> <pad> a"])
    ids = tokenizer.encode("<eos>")
    assert 2 not in ids
    assert 0 not in ids


@pytest.mark.parametrize("word", ["नमस्ते", "cafe\u0301", "e\u0301te\u0301", "ด้วย", "שָׁלוֹם"])
def test_combining_marks_stay_with_their_word(word):
    assert WordTokenizer.split(f"{word} {word}!") == [word, f" {word}", "!"]


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs", "Mn", "Mc", "Me"])))
def test_words_without_combining_marks_are_cut_as_ever(text):
    assert WordTokenizer.split(text) == re.findall(r" ?\w+| ?[^\w\s]+|\s", text)


@pytest.mark.parametrize("kind", KINDS)
def test_one_string_is_not_several_texts(kind):
    with pytest.raises(TypeError, match="texts: expected several"):
        kind.train("banana")


def test_the_most_frequent_pieces_are_kept():
    tokenizer = CharacterTokenizer.train(["aaabbc"], max_size=6)
    assert tokenizer.vocabulary.tokens == ["a", "b"]
    assert len(tokenizer) == 6
    assert CharacterTokenizer.train(["aaabbc"], min_count=3).vocabulary.tokens == ["a"]
    with pytest.raises(ValueError, match="max_size: expected at least 4"):
        CharacterTokenizer.train(["a"], max_size=3)


@pytest.mark.parametrize("kind", KINDS)
def test_json_gives_the_tokenizer_back(kind):
    tokenizer = kind.train(["Größe, 你好"])
    again = kind.from_json(tokenizer.to_json())
    assert again.vocabulary == tokenizer.vocabulary
    other = KINDS[1 - KINDS.index(kind)]
    with pytest.raises(ValueError, match="kind: expected"):
        other.from_json(tokenizer.to_json())
