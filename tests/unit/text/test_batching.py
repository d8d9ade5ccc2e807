"""Padding and batches: nothing lost, nothing doubled, the same order for the same seed."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attention_guide.text import PairBatches, lengths_of, pad_batch

sequences = st.lists(st.lists(st.integers(1, 50), max_size=6), min_size=1, max_size=6)


@given(sequences=sequences, side=st.sampled_from(["left", "right"]), extra=st.integers(0, 3))
def test_padding_adds_only_padding(sequences, side, extra):
    width = max(map(len, sequences)) + extra
    batch = pad_batch(sequences, length=width, side=side)
    assert batch.shape == (len(sequences), width)
    assert batch.dtype == torch.int64
    assert lengths_of(batch).tolist() == [len(sequence) for sequence in sequences]
    for row, sequence in zip(batch.tolist(), sequences, strict=True):
        start = width - len(sequence) if side == "left" else 0
        assert row[start : start + len(sequence)] == sequence


def test_another_padding_id():
    assert pad_batch([[1, 2], []], pad_id=-1).tolist() == [[1, 2], [-1, -1]]
    assert lengths_of(pad_batch([[1, 2], []], pad_id=-1), pad_id=-1).tolist() == [2, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sequences": []}, "sequences: expected at least one"),
        ({"sequences": [[1]], "side": "top"}, "side: expected 'left' or 'right', got 'top'"),
        ({"sequences": [[1, 2]], "length": 1}, "length: expected at least 2"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        pad_batch(**options)


@pytest.mark.parametrize(
    ("sequences", "options", "message"),
    [
        ([[1.7, 2], [3]], {}, "sequences: expected integers; got a float"),
        ([torch.tensor([1.0])], {}, "sequences: expected integers; got a float"),
        ([[1, 2], [3]], {"pad_id": 0.5}, "pad_id: expected an integer; got float: 0.5"),
    ],
)
def test_a_fraction_is_not_cut_off(sequences, options, message):
    with pytest.raises(TypeError, match=message):
        pad_batch(sequences, **options)


@pytest.mark.parametrize("kind", [torch.tensor, np.array, lambda row: np.array(row, np.int32)])
def test_ids_may_be_tensors_or_numpys(kind):
    assert pad_batch([kind([1, 2]), kind([3])], pad_id=4).tolist() == [[1, 2], [3, 4]]


def test_lengths_of_wants_a_batch():
    with pytest.raises(ValueError, match=r"ids: expected shape \(B, T\), got \(3,\)"):
        lengths_of(torch.ones(3, dtype=torch.long))


def pairs(n):
    return [[i + 1] * (i % 3 + 1) for i in range(n)], [[i + 100] for i in range(n)]


@given(n=st.integers(1, 17), batch_size=st.integers(1, 6), shuffle=st.booleans())
def test_an_epoch_has_every_pair_once_and_keeps_pairs_together(n, batch_size, shuffle):
    batches = PairBatches(*pairs(n), batch_size, shuffle=shuffle)
    seen = []
    for src, tgt in batches:
        assert len(src) == len(tgt) <= batch_size
        assert (src[:, 0] - 1 == tgt[:, 0] - 100).all()
        seen += tgt[:, 0].tolist()
    assert sorted(seen) == list(range(100, 100 + n))
    assert len(batches) == -(-n // batch_size)
    if not shuffle:
        assert seen == sorted(seen)


def order(batches):
    return [i for _, tgt in batches for i in tgt[:, 0].tolist()]


def test_epochs_differ_and_seeds_repeat():
    one, two = PairBatches(*pairs(40), 8, seed=3), PairBatches(*pairs(40), 8, seed=3)
    first = order(one)
    assert first == order(two)
    assert first != order(one)
    assert first != order(PairBatches(*pairs(40), 8, seed=4))
    two.epoch = 0
    assert first == order(two)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[1]], [], 2), "targets: expected one for each of the 1 sources, got 0"),
        (([], [], 2), "sources: expected at least one"),
        (([[1]], [[1]], 0), "batch_size: expected at least 1, got 0"),
    ],
)
def test_batches_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        PairBatches(*arguments)
