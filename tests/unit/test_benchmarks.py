"""The measuring itself: rounds are interleaved, ratios paired, bars met by the interval."""

from __future__ import annotations

import math

import pytest

from benchmarks import _rounds
from benchmarks._rounds import LEAST, Middle, middle, ratio, seconds


def test_every_round_times_every_candidate_in_an_order_of_its_own() -> None:
    calls: list[str] = []
    candidates = {name: (lambda n=name: calls.append(n)) for name in "abc"}
    times = seconds(candidates, rounds=20, inner=2)
    assert {name: len(t) for name, t in times.items()} == dict.fromkeys("abc", 20)
    rounds = ["".join(calls[i : i + 6]) for i in range(0, len(calls), 6)]
    assert len(rounds) == 21  # the first is not counted
    assert all(sorted(r) == list("aabbcc") for r in rounds)
    assert len(set(rounds)) > 2


def test_a_budget_ends_the_rounds_but_the_first_nine() -> None:
    assert len(seconds({"a": lambda: None}, 100, 1, budget=0.0)["a"]) == LEAST


def test_quick_takes_two_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rounds, "quick", True)
    assert len(seconds({"a": lambda: None}, 100, 1)["a"]) == 2


def test_ratios_are_paired_by_round() -> None:
    slow_machine = [1.0, 10.0, 1.0, 10.0, 1.0]
    found = ratio([2 * x for x in slow_machine], slow_machine)
    assert (found.low, found.median, found.high) == (2.0, 2.0, 2.0)


def test_the_interval_holds_the_median_and_narrows() -> None:
    few = middle([math.sin(i) for i in range(9)])
    many = middle([math.sin(i) for i in range(900)])
    assert few.low <= few.median <= few.high
    assert many.high - many.low < few.high - few.low


@pytest.mark.parametrize(
    ("low", "bar", "met"),
    [(0.9, 1.0, True), (1.0, 1.0, True), (1.1, 1.0, False), (1.1, None, None)],
)
def test_a_bar_is_met_when_the_interval_reaches_it(
    low: float, bar: float | None, met: bool | None
) -> None:
    row = Middle(1.2, low, 1.3, 9).row("what", "where", "ratio", bar, against="peer")
    assert row["met"] is met
    assert row["against"] == "peer"
