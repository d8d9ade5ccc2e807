"""Schedules: the formulas of the papers, their peaks and their ends."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_guide.train import constant, cosine, inverse_sqrt, vaswani_rate, wsd


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


def test_wsd_rises_stays_and_falls():
    rate = wsd(warmup=4, total=20, decay=8, floor=0.1)
    assert [rate(step) for step in (1, 4, 12)] == [0.25, 1.0, 1.0]
    assert rate(16) == pytest.approx(0.55)
    assert rate(20) == rate(99) == pytest.approx(0.1)


def test_wsds_stable_part_does_not_know_the_end():
    short, long = wsd(10, 100, 20), wsd(10, 1000, 20)
    assert [short(step) for step in range(1, 81)] == [long(step) for step in range(1, 81)]


@pytest.mark.parametrize("shape", ["linear", "sqrt", "cosine"])
def test_every_decay_falls_from_the_peak_to_the_floor(shape):
    rate = wsd(0, 50, 50, floor=0.2, shape=shape)
    values = [rate(step) for step in range(51)]
    assert values == sorted(values, reverse=True)
    assert (values[0], values[-1]) == pytest.approx((1.0, 0.2))


def test_the_sqrt_decay_is_one_minus_the_root():
    assert wsd(0, 100, 100, shape="sqrt")(25) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((-1, 10, 2), {}, "warmup: expected 0 or more"),
        ((5, 10, 0), {}, "decay: expected 1 to total - warmup = 5 steps, got 0"),
        ((5, 10, 6), {}, "decay: expected 1 to total - warmup = 5 steps, got 6"),
        ((5, 10, 2), {"floor": 2.0}, "floor: expected 0 to 1"),
        ((5, 10, 2), {"shape": "step"}, "shape: expected one of linear, sqrt, cosine, got 'step'"),
    ],
)
def test_wsd_names_what_is_wrong(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        wsd(*arguments, **options)
