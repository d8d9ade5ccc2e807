"""Vocabularies: what goes in comes out, ids are stable, mistakes are named."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attention_guide.text import Vocabulary, characters, words

tokens = st.lists(st.text(min_size=1, max_size=4), unique=True, max_size=12).filter(
    lambda found: not {"<pad>", "<bos>", "<eos>", "<unk>"} & set(found)
)


@given(tokens=tokens, data=st.data())
def test_decode_inverts_encode(tokens, data):
    vocabulary = Vocabulary(tokens)
    text = data.draw(st.lists(st.sampled_from(tokens), max_size=8)) if tokens else []
    ids = vocabulary.encode(text, bos=True, eos=True)
    assert vocabulary.decode(ids) == text
    assert ids[0] == vocabulary.bos_id
    assert ids[-1] == vocabulary.eos_id
    assert max(ids) < len(vocabulary) == len(tokens) + 3


@given(tokens=tokens, unknown=st.booleans())
def test_json_keeps_every_id(tokens, unknown):
    vocabulary = Vocabulary(tokens, unknown=unknown)
    again = Vocabulary.from_json(vocabulary.to_json())
    assert again == vocabulary
    assert hash(again) == hash(vocabulary)
    assert again.unk_id == vocabulary.unk_id


def test_the_specials_have_fixed_ids_and_the_rest_their_order():
    vocabulary = Vocabulary("ba")
    assert (vocabulary.pad_id, vocabulary.bos_id, vocabulary.eos_id) == (0, 1, 2)
    assert vocabulary.encode("ab") == [4, 3]
    assert vocabulary.tokens == ["b", "a"]
    assert [vocabulary.token_of(i) for i in range(5)] == ["<pad>", "<bos>", "<eos>", "b", "a"]


def test_decode_stops_at_the_end_and_drops_specials():
    vocabulary = Vocabulary("ab")
    ids = torch.tensor([1, 3, 0, 4, 2, 3, 0])
    assert vocabulary.decode(ids) == ["a", "b"]
    assert len(vocabulary.decode(ids, specials=True)) == 7


def test_unknown_tokens_raise_or_become_unk():
    with pytest.raises(KeyError, match="'z' is not in this vocabulary of 5 ids"):
        Vocabulary("ab").encode("az")
    assert Vocabulary("ab", unknown=True).encode("az") == [4, 3]


@pytest.mark.parametrize("index", [-1, 5])
def test_ids_outside_raise_and_do_not_count_from_the_end(index):
    with pytest.raises(IndexError, match="expected 0 ≤ id < 5"):
        Vocabulary("ab").decode([index])


def test_what_is_no_id_or_no_list_of_texts_is_refused():
    with pytest.raises(TypeError, match=r"ids: expected an integer; got float: 3\.9"):
        Vocabulary("ab").decode([3.9])
    with pytest.raises(TypeError, match="ids: expected an integer; got float"):
        Vocabulary("ab").decode(torch.tensor([3.0]))
    with pytest.raises(ValueError, match=r"ids: expected one row of integers; got \(1, 2\)"):
        Vocabulary("ab").decode(torch.tensor([[3, 4]]))
    with pytest.raises(TypeError, match="texts: expected several"):
        Vocabulary.from_texts("hello")


@pytest.mark.parametrize("wrong", [["a", "a"], ["<pad>"], ["<eos>", "a"]])
def test_repeated_and_reserved_tokens_are_refused(wrong):
    with pytest.raises(ValueError, match="is a special or is listed twice"):
        Vocabulary(wrong)


def test_tokens_must_be_strings():
    with pytest.raises(TypeError, match="tokens: expected strings, got int: 3"):
        Vocabulary([3])


def test_from_texts_does_not_depend_on_their_order():
    one = Vocabulary.from_texts(["ab", "ca"])
    assert one == Vocabulary.from_texts(["ca", "ab"])
    assert one.tokens == list("abc")
    assert Vocabulary.from_texts(["a b", "b c"], split=words).tokens == ["a", "b", "c"]


def test_equality_membership_and_repr():
    assert Vocabulary("ab") != Vocabulary("ba")
    assert Vocabulary("ab") != "ab"
    assert "a" in Vocabulary("ab")
    assert "z" not in Vocabulary("ab")
    assert repr(Vocabulary("abcdef")) == "Vocabulary(9 ids: 'a', 'b', 'c', 'd', …)"
    assert characters("ab") == ["a", "b"]
