"""Faithfulness: exact on additive scores, in order where the truth is known, and rank agreement."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from attention_guide.explain import (
    comprehensiveness,
    deletion_curve,
    insertion_curve,
    kendall_tau,
    most_important,
    spearman,
    sufficiency,
    top_k_overlap,
)

D = torch.float64
few = settings(max_examples=40, deadline=None, derandomize=True)


def additive(x):
    return x.flatten(1).sum(1)


@few
@given(st.integers(0, 10**6), st.integers(1, 8), st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_what_is_taken_and_what_is_left_add_up_where_the_score_does(seed, size, fractions):
    x = torch.randn(2, size, 3, dtype=D, generator=torch.Generator().manual_seed(seed))
    importance = x.sum(-1)
    lost = comprehensiveness(additive, x, importance, fractions=fractions)
    missing = sufficiency(additive, x, importance, fractions=fractions)
    torch.testing.assert_close(lost + missing, additive(x)[:, None].expand_as(lost))


@few
@given(st.integers(0, 10**6), st.integers(1, 8))
def test_curves_run_between_the_input_and_the_baseline_and_mirror_each_other(seed, size):
    x = torch.randn(2, size, 2, dtype=D, generator=torch.Generator().manual_seed(seed))
    importance = torch.randn(2, size, generator=torch.Generator().manual_seed(seed + 1))
    gone = deletion_curve(additive, x, importance)
    come = insertion_curve(additive, x, importance)
    torch.testing.assert_close(gone.score[:, 0], additive(x))
    torch.testing.assert_close(gone.score[:, -1], torch.zeros(2, dtype=D))
    torch.testing.assert_close(gone.score + come.score, additive(x)[:, None].expand_as(gone.score))
    torch.testing.assert_close(gone.area() + come.area(), additive(x))
    # Deleting in one order is inserting in the opposite one, read from its end (no ties here).
    backwards = insertion_curve(additive, x, -importance)
    torch.testing.assert_close(gone.score, backwards.score.flip(-1))


def test_the_true_importance_beats_every_other_order():
    x = torch.tensor([[3.0, 0.5, 2.0, 1.0]], dtype=D)
    true = deletion_curve(additive, x, x).area()
    for order in torch.cartesian_prod(*[torch.arange(4)] * 4):
        if len(set(order.tolist())) == 4:
            assert deletion_curve(additive, x, order[None].double()).area() >= true
    assert deletion_curve(additive, x, -x).area() > true


def test_a_share_is_rounded_up_but_not_by_rounding_error():
    importance = torch.arange(10.0)[None]
    counts = most_important(importance, [0.0, 0.01, 0.1, 0.3, 0.7, 1.0]).sum(-1)
    assert counts.tolist() == [[0, 1, 1, 3, 7, 10]]


def test_the_default_shares_are_the_paper_s():
    x = torch.ones(1, 100, dtype=D)
    assert comprehensiveness(additive, x, x).tolist() == [[1, 5, 10, 20, 50]]


def test_ids_are_replaced_by_the_id_that_is_named():
    ids = torch.tensor([[4, 7, 1]])
    lost = comprehensiveness(lambda i: (i == 7).double().sum(1), ids, ids, 0, fractions=[0.3])
    assert lost.tolist() == [[1.0]]
    with pytest.raises(ValueError, match="say which id"):
        sufficiency(additive, ids, ids)


@pytest.mark.parametrize(
    "measure", [comprehensiveness, sufficiency, deletion_curve, insertion_curve]
)
def test_measures_name_what_does_not_fit(measure):
    x = torch.ones(1, 3, 2)
    with pytest.raises(ValueError, match=r"importance: expected \(B, T\) = \(1, 3\)"):
        measure(additive, x, torch.ones(1, 3, 2))
    with pytest.raises(ValueError, match="importance: expected finite"):
        measure(additive, x, torch.tensor([[1.0, float("nan"), 2.0]]))
    with pytest.raises(TypeError, match="importance"):
        measure(additive, x, [[1.0, 2.0, 3.0]])
    with pytest.raises(TypeError, match="importance: expected real numbers"):
        measure(additive, x, torch.ones(1, 3) + 1j)
    with pytest.raises(ValueError, match=r"score\(x\): expected finite"):
        measure(lambda x: additive(x) / 0, x * 0, torch.ones(1, 3))
    with pytest.raises(ValueError, match="no axis 0"):
        measure(additive, x[:, :0], torch.ones(1, 0))
    for dtype in (torch.int64, torch.bool):
        with pytest.raises(TypeError, match=r"score\(x\): expected a floating-point tensor"):
            measure(lambda x, dtype=dtype: additive(x).to(dtype), x, torch.ones(1, 3))
    with pytest.raises(TypeError, match="score: expected a function"):
        measure(3, x, torch.ones(1, 3))
    with pytest.raises(ValueError, match="batch: expected"):
        measure(additive, x, torch.ones(1, 3), batch=0)


def test_fractions_are_checked():
    x = torch.ones(1, 3)
    for fractions in ([], [1.5], [-0.1], [math.nan]):
        with pytest.raises(ValueError, match="fractions"):
            comprehensiveness(additive, x, x, fractions=fractions)
    with pytest.raises(TypeError, match="fractions: expected a sequence"):
        comprehensiveness(additive, x, x, fractions=0.5)


def test_the_most_important_of_no_importances_is_refused():
    for importance, error, message in [
        (torch.tensor([[math.nan, 0.5, 0.1]]), ValueError, "importance: expected finite"),
        (torch.ones(3), ValueError, r"importance: expected \(B, T\)"),
        ([[0.1, 0.2]], TypeError, "importance: expected a torch.Tensor"),
        (torch.ones(1, 3) + 1j, TypeError, "importance: expected real numbers; got torch.complex"),
    ]:
        with pytest.raises(error, match=message):
            most_important(importance, [0.5])


numbers = st.integers(2, 12).flatmap(
    lambda n: st.tuples(*[st.lists(st.integers(-4, 4), min_size=n, max_size=n)] * 2)
)


@few
@given(numbers)
def test_rank_agreement_equals_scipy_with_ties(pair):
    a, b = (list(map(float, values)) for values in pair)
    if len(set(a)) == 1 or len(set(b)) == 1:
        assert math.isnan(kendall_tau(a, b))
        assert math.isnan(spearman(a, b))
        return
    assert kendall_tau(a, b) == pytest.approx(stats.kendalltau(a, b).statistic, abs=1e-12)
    assert spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic, abs=1e-12)


@few
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=12, unique=True))
def test_agreement_with_oneself_is_1_and_with_the_opposite_minus_1(values):
    a = list(map(float, values))
    opposite = [-value for value in a]
    assert kendall_tau(a, a) == pytest.approx(1)
    assert kendall_tau(a, opposite) == pytest.approx(-1)
    assert spearman(a, opposite) == pytest.approx(-1)
    assert top_k_overlap(a, a, 1) == 1
    assert top_k_overlap(a, opposite, len(a)) == 1
    assert top_k_overlap(a, opposite, 1) == 0


@pytest.mark.parametrize("measure", [kendall_tau, spearman, lambda a, b: top_k_overlap(a, b, 1)])
def test_agreement_names_what_does_not_fit(measure):
    for a, b, error, message in [
        ([], [], ValueError, "a: expected"),
        ([1.0], [1.0], ValueError, "at least 2"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], ValueError, "b: expected T = 2"),
        ([1.0, math.nan], [1.0, 2.0], ValueError, "a: expected numbers; got NaN"),
        (torch.ones(2, 2), torch.ones(2, 2), ValueError, "a: expected"),
        (["x", "y"], [1.0, 2.0], TypeError, "a: expected numbers"),
        (None, [1.0, 2.0], TypeError, "a: expected numbers"),
    ]:
        with pytest.raises(error, match=message):
            measure(a, b)
    with pytest.raises(ValueError, match="k: expected at most"):
        top_k_overlap([1.0, 2.0], [1.0, 2.0], 3)
