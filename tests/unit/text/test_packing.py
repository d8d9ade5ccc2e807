"""Packing: nothing lost, nothing mixed; a packed model computes what it computes row by row."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from attention_guide.functional import attention, causal_mask, combine, document_mask
from attention_guide.text import BucketBatches, PairBatches, next_tokens, pack, pack_stream, unpack

SEQUENCES = st.lists(st.lists(st.integers(1, 99), max_size=12), min_size=1, max_size=20)


@settings(max_examples=100, deadline=None)
@given(SEQUENCES, st.integers(12, 20))
def test_packing_loses_nothing(sequences, length):
    packed = pack(sequences, length)
    assert packed.ids.shape == packed.documents.shape == packed.positions.shape
    assert unpack(packed) == {i: s for i, s in enumerate(sequences) if s}
    assert torch.equal(packed.documents < 0, packed.ids == 0)


@settings(max_examples=100, deadline=None)
@given(SEQUENCES, st.integers(1, 7))
def test_cut_and_streamed_sequences_come_back_too(sequences, length):
    wanted = {i: s for i, s in enumerate(sequences) if s}
    assert unpack(pack(sequences, length, split=True)) == wanted
    if wanted:
        packed = pack_stream(sequences, length, drop_last=False)
        assert unpack(packed) == wanted
        assert bool((packed.ids[:-1] > 0).all())


def test_best_fit_finds_full_rows():
    packed = pack([[1] * n for n in (2, 7, 3, 8, 5, 5)], length=10)
    assert packed.ids.shape == (3, 10)
    assert (packed.ids > 0).all()


def test_attention_over_packed_rows_is_attention_over_each_sequence():
    sequences = [[5, 6, 7], [8], [9, 4, 3, 2], [1, 1]]
    packed = pack(sequences, length=6)
    table = torch.randn(10, 2, 4, dtype=torch.float64)  # (ids, heads, K): every id its vector
    x = table[packed.ids].transpose(1, 2)
    mask = combine(document_mask(packed.documents), causal_mask(6))
    out = attention(x, x, x, mask=mask).transpose(1, 2)
    for number, sequence in enumerate(sequences):
        alone = table[torch.tensor(sequence)].transpose(0, 1)[None]
        wanted = attention(alone, alone, alone, causal=True)[0].transpose(0, 1)
        torch.testing.assert_close(out[packed.documents == number], wanted, rtol=1e-12, atol=1e-12)


def test_targets_never_cross_from_one_sequence_to_the_next():
    packed = pack([[5, 6, 7], [8, 9], [4]], length=7)
    targets = next_tokens(packed, pad_id=-100)
    assert packed.ids.tolist() == [[5, 6, 7, 8, 9, 4, 0]]
    assert targets.tolist() == [[6, 7, -100, 9, -100, -100, -100]]


def test_a_stream_drops_what_does_not_fill_a_row():
    assert pack_stream([[1, 2, 3], [4, 5]], 2).ids.tolist() == [[1, 2], [3, 4]]
    assert pack_stream([[1, 2]], 2).ids.tolist() == [[1, 2]]
    assert pack_stream([[1, 2], [3]], 2, drop_last=False).ids.tolist() == [[1, 2], [3, 0]]
    with pytest.raises(ValueError, match="expected at least 4 ids for a row"):
        pack_stream([[1], [2]], 4)


def test_what_is_wrong_is_named():
    with pytest.raises(ValueError, match="expected at least 3, the length of sequence 1"):
        pack([[1], [1, 2, 3]], 2)
    with pytest.raises(ValueError, match="length: expected at least 1"):
        pack([[1]], 0)
    with pytest.raises(ValueError, match="sequences: expected at least one"):
        pack([], 4)


@pytest.mark.parametrize("ids", [[[1.5]], [["1"]], [torch.tensor([1.0])]])
def test_what_is_no_id_is_refused(ids):
    for packing in (pack, pack_stream):
        with pytest.raises(TypeError, match="sequences: expected an integer; got"):
            packing(ids, 1)


def test_a_padding_id_that_is_no_integer_is_refused():
    with pytest.raises(TypeError, match=r"pad_id: expected an integer; got float: 0\.5"):
        pack([[1]], 4, pad_id=0.5)
    with pytest.raises(TypeError, match=r"pad_id: expected an integer; got float: 0\.5"):
        next_tokens(pack([[1]], 4), pad_id=0.5)


PAIRS = st.lists(
    st.tuples(st.lists(st.integers(3, 9), min_size=1, max_size=9),
              st.lists(st.integers(3, 9), min_size=1, max_size=9)),
    min_size=1, max_size=30,
)  # fmt: skip


@settings(max_examples=80, deadline=None)
@given(PAIRS, st.integers(18, 60), st.integers(0, 3))
@example([([1] * 4, [1]), ([1] * 4, [2] * 4), ([1] * 4, [3])], 10, 4)  # lengths that tie
def test_buckets_hold_every_pair_once_and_keep_to_the_limit(pairs, limit, epoch):
    sources, targets = ([p[i] for p in pairs] for i in range(2))
    batches = BucketBatches(sources, targets, limit)
    plan = batches.plan(epoch)
    assert sorted(i for batch in plan for i in batch) == list(range(len(pairs)))
    sizes = [sorted(map(len, batches.plan(n))) for n in (0, epoch)]
    assert sizes[0] == sizes[1]
    assert len(plan) == len(batches)
    for source, target in batches:
        assert source.numel() + target.numel() <= limit


def test_buckets_pad_less_and_change_from_epoch_to_epoch():
    lengths = [1 + (7 * i) % 40 for i in range(200)]
    rows = [[3] * n for n in lengths]
    buckets = BucketBatches(rows, rows, 640)
    padded = sum(s.numel() + t.numel() for s, t in PairBatches(rows, rows, 16))
    share = 1 - 2 * sum(lengths) / padded
    assert buckets.padding_share() < 0.1 < 0.3 < share
    assert buckets.plan(0) != buckets.plan(1)
    assert buckets.plan(0) == BucketBatches(rows, rows, 640).plan(0)


def test_buckets_resume_and_refuse_what_does_not_fit():
    rows = [[3] * n for n in range(1, 20)]
    whole = BucketBatches(rows, rows, 60)
    stream = iter(whole)
    for _ in range(3):
        next(stream)
    resumed = BucketBatches(rows, rows, 60)
    resumed.load_state_dict(whole.state_dict())
    for ours, theirs in zip(resumed, stream, strict=True):
        assert torch.equal(ours[0], theirs[0])
    with pytest.raises(ValueError, match="max_tokens: expected at least 38"):
        BucketBatches(rows, rows, 37)
