"""Interleaved rounds in one process: each round times every candidate once, in a random order."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Ratio:
    """The median of per-round ratios with its 95 % bootstrap interval."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.3f} [{self.low:.3f}, {self.high:.3f}]"


def seconds(
    candidates: dict[str, Callable[[], object]], rounds: int, inner: int, seed: int = 0
) -> dict[str, list[float]]:
    """Seconds of `inner` calls of each candidate in each round, after one uncounted round."""
    order = random.Random(seed)
    found: dict[str, list[float]] = {name: [] for name in candidates}
    for round_number in range(rounds + 1):
        for name in order.sample(list(candidates), len(candidates)):
            started = time.perf_counter()
            for _ in range(inner):
                candidates[name]()
            if round_number:
                found[name].append(time.perf_counter() - started)
    return found


def ratio(ours: list[float], theirs: list[float], seed: int = 0) -> Ratio:
    """Ours over theirs, round by round."""
    values = [a / b for a, b in zip(ours, theirs, strict=True)]
    draw = random.Random(seed)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(2000))
    return Ratio(statistics.median(values), medians[50], medians[-51])
