"""Cards describe data, notice when it changes, and survive JSON; the catalogue holds them all."""

import warnings
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attention_guide.data.cards import Card, DataChangedWarning, checksum, installed
from attention_guide.data.catalogue import catalogue

DATA = {"train": [("ab", 1), ("c", 2)], "test": [("d", 3)]}


@pytest.fixture
def card():
    return Card("t", "Pairs.", "Here.", "CC0", {"train": 2, "test": 1}, checksum(DATA))


def test_the_checksum_is_the_same_on_every_machine():
    # Written down once: a change of the canonical form would invalidate every card.
    wanted = "5ef0"
    assert checksum({"a": [1, 1.5, "é", b"x", None, [True], {"k": 2}]})[:4] == wanted


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["ab", "c"], ["a", "bc"]),
        ([1], [True]),
        ([1], [1.0]),
        ([1], ["1"]),
        ([[1], [2]], [[1, 2]]),
        ([[], [1]], [[1], []]),
        ([np.zeros((2, 3))], [np.zeros((3, 2))]),
        ([np.zeros(2, np.float32)], [np.zeros(2, np.int32)]),
        (["a", "b"], ["b", "a"]),
    ],
)
def test_different_data_has_another_checksum(one, other):
    assert checksum({"all": one}) != checksum({"all": other})


def test_the_same_data_in_another_dress_has_the_same_checksum():
    @dataclass
    class Point:
        x: int

    pairs = [
        ((1, 2), [1, 2]),
        (torch.arange(6).reshape(2, 3), np.arange(6, dtype=">i8").reshape(2, 3)),
        ({"b", "a"}, {"a", "b"}),
        (Point(3), {"x": 3}),
        (torch.arange(6).reshape(2, 3).T, torch.arange(6).reshape(2, 3).T.contiguous()),
    ]
    for one, other in pairs:
        assert checksum({"all": [one]}) == checksum({"all": [other]})


@given(st.lists(st.text() | st.integers(), min_size=1), st.data())
def test_any_change_of_an_example_is_seen(examples, data):
    index = data.draw(st.integers(0, len(examples) - 1))
    changed = [*examples]
    changed[index] = data.draw((st.text() | st.integers()).filter(lambda v: v != examples[index]))
    assert checksum({"all": examples}) != checksum({"all": changed})


def test_what_cannot_be_read_is_refused():
    with pytest.raises(TypeError, match="don't know how to read a object"):
        checksum({"all": [object()]})
    with pytest.raises(TypeError, match="array of objects"):  # its bytes would be addresses
        checksum({"all": [np.array(["a", None], dtype=object)]})
    with pytest.raises(TypeError, match=r"a tensor of torch\.bfloat16"):
        checksum({"all": [torch.zeros(2, dtype=torch.bfloat16)]})
    with pytest.raises(TypeError, match="expected a set whose members can be sorted; got one of"):
        checksum({"all": [{1, "a"}]})


def test_order_counts_but_in_a_set():
    assert checksum({"a": [1], "b": [2]}) != checksum({"b": [2], "a": [1]})
    assert checksum({"a": [{"x": 1, "y": 2}]}) != checksum({"a": [{"y": 2, "x": 1}]})
    assert checksum({"a": [{2, 1}]}) == checksum({"a": [{1, 2}]})


def test_a_card_accepts_its_data_and_says_what_differs(card):
    card.verify(DATA)
    with pytest.raises(ValueError, match="expected examples"):
        card.verify({"train": DATA["train"]})
    with pytest.raises(ValueError, match=r"t: expected checksum .* got"):
        card.verify({**DATA, "test": [("d", 4)]})


def test_it_warns_when_a_checkpoint_saw_other_data(card):
    seen = replace(card, checksum="0" * 64, versions={"python": "3.9.1"})
    here = replace(card, versions={"python": "3.11.7"})
    with pytest.warns(DataChangedWarning, match=r"\(python 3.11.7\) here, 0+ \(python 3.9.1\)"):
        assert here.warn_if_changed(seen)
    assert not here.warn_if_changed(card)


def test_a_card_survives_json_and_prints(card):
    assert Card.from_json(card.to_json()) == card
    assert "| licence | CC0 |" in card.to_markdown()
    assert "train 2, test 1" in card.to_markdown()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"licence": ""}, "licence: expected a text"),
        ({"splits": {"train": -1}}, "expected counts"),
        ({"checksum": "abc"}, "64 hexadecimal digits"),
    ],
)
def test_a_card_that_says_nothing_is_refused(card, change, message):
    with pytest.raises(ValueError, match=message):
        replace(card, **change)


CATALOGUE = catalogue()


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_set_of_the_package_is_what_its_card_says(name):
    entry = CATALOGUE[name]
    assert entry.card.name == name
    assert entry.card.checksum
    with warnings.catch_warnings():
        # What another version of a library brings may be other data, and warns.
        if installed(*entry.card.versions) != entry.card.versions:
            warnings.simplefilter("ignore", DataChangedWarning)
        entry.load()
