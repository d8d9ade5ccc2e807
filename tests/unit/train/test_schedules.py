"""Schedules: the formulas of the papers, their peaks and their ends."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_guide.train import constant, cosine, inverse_sqrt, vaswani_rate


@given(step=st.integers(1, 10**6), warmup=st.integers(1, 10**4), d_model=st.integers(1, 4096))
def test_inverse_sqrt_is_equation_3_of_the_paper(step, warmup, d_model):
    paper = d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)
    ours = vaswani_rate(d_model, warmup) * inverse_sqrt(warmup)(step)
    assert ours == pytest.approx(paper, rel=1e-12)


@pytest.mark.parametrize(
    "schedule", [constant(20), inverse_sqrt(20), cosine(20, 100), cosine(20, 100, floor=0.3)]
)
def test_rises_linearly_to_a_peak_of_one_and_never_above(schedule):
    assert [schedule(step) for step in (1, 10, 20)] == pytest.approx([0.05, 0.5, 1.0])
    assert max(schedule(step) for step in range(1, 400)) == pytest.approx(1.0)
    falling = [schedule(step) for step in range(20, 400)]
    assert falling == sorted(falling, reverse=True)


def test_cosine_is_half_way_down_half_way_through_and_stays_at_its_floor():
    rate = cosine(10, 110, floor=0.2)
    assert rate(60) == pytest.approx(0.6)
    assert rate(110) == pytest.approx(0.2)
    assert rate(10_000) == pytest.approx(0.2)
    assert rate(35) == pytest.approx(0.2 + 0.8 * (1 + math.cos(math.pi / 4)) / 2)


def test_without_warmup_the_first_step_is_at_the_peak():
    assert constant()(1) == 1.0
    assert cosine(0, 50)(0) == 1.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: constant(-1), "warmup: expected 0 or more"),
        (lambda: inverse_sqrt(0), "warmup: expected at least 1"),
        (lambda: cosine(-1, 10), "warmup: expected 0 or more"),
        (lambda: cosine(10, 10), "total: expected more than warmup = 10"),
        (lambda: cosine(1, 10, floor=1.5), "floor: expected 0 to 1"),
        (lambda: vaswani_rate(0, 5), "expected at least 1"),
    ],
)
def test_arguments_that_make_no_schedule_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
