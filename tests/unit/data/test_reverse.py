"""The reversal task: right answers, no leak from training to held-out, the same for a seed."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_guide.data import reversal_pairs, split_reversal


@settings(deadline=None)
@given(n=st.integers(0, 60), low=st.integers(2, 4), extra=st.integers(0, 4), seed=st.integers(0, 9))
def test_every_pair_is_a_reversal_and_none_repeats(n, low, extra, seed):
    found = reversal_pairs(n, min_length=low, max_length=low + extra, seed=seed)
    assert len(dict(found)) == len(found) == n
    assert all(target == source[::-1] for source, target in found)
    assert all(low <= len(source) <= low + extra for source, _ in found)


def test_a_seed_gives_the_same_strings_everywhere():
    # Python promises that random() and choices() repeat across versions; so do these.
    assert reversal_pairs(50, seed=1) == reversal_pairs(50, seed=1)
    assert reversal_pairs(50, seed=1) != reversal_pairs(50, seed=2)


def test_training_and_held_out_share_nothing_and_look_alike():
    train, test = split_reversal(3000, 500, min_length=2, max_length=4, seed=0)
    assert (len(train), len(test)) == (3000, 500)
    assert not set(train) & set(test)
    shares = [sum(len(source) == 2 for source, _ in part) / len(part) for part in (train, test)]
    assert abs(shares[0] - shares[1]) < 0.06


def test_the_alphabet_is_respected():
    letters = {letter for source, _ in reversal_pairs(20, alphabet="xyz") for letter in source}
    assert letters <= set("xyz")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 1, "min_length": 0}, "expected 1 ≤ min ≤ max, got 0, 10"),
        ({"n": 1, "min_length": 5, "max_length": 4}, "expected 1 ≤ min ≤ max, got 5, 4"),
        ({"n": -1}, "n: expected 0 to"),
        ({"n": 4, "min_length": 1, "max_length": 2, "alphabet": "ab"}, "n: expected 0 to 3"),
    ],
)
def test_impossible_draws_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        reversal_pairs(**options)


@pytest.mark.parametrize(("counts", "name"), [((10, -5), "n_test"), ((-1, 10), "n_train")])
def test_each_split_has_at_least_no_pairs(counts, name):
    with pytest.raises(ValueError, match=f"{name}: expected an int of at least 0"):
        split_reversal(*counts)
