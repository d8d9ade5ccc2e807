"""Interleaved rounds in one process: each round times every candidate once, in a random order.

On a machine with a CUDA device the models stand there, and a round waits for it to finish.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
# Set by `python -m benchmarks --quick`: two rounds, to see that everything runs.
quick = False
LEAST = 9


@dataclass(frozen=True)
class Middle:
    """The median of what the rounds gave, with its 95 % bootstrap interval."""

    median: float
    low: float
    high: float
    rounds: int

    def __str__(self) -> str:
        return f"{self.median:.3f} [{self.low:.3f}, {self.high:.3f}]"

    def row(
        self, what: str, setting: str, unit: str, bar: float | None, **more: Any
    ) -> dict[str, Any]:
        """A row of a table: a bar is met when the interval reaches it."""
        found = {"value": self.median, "low": self.low, "high": self.high}
        digits = {name: float(f"{value:.4g}") for name, value in found.items()}
        met = None if bar is None else self.low <= bar
        return {"what": what, "setting": setting, "unit": unit, **digits, "rounds": self.rounds,
                "bar": bar, "met": met, **more}  # fmt: skip


def seconds(
    candidates: dict[str, Callable[[], object]],
    rounds: int,
    inner: int,
    seed: int = 0,
    budget: float = float("inf"),
) -> dict[str, list[float]]:
    """Seconds of `inner` calls of each candidate in each round, after one uncounted round.

    Once `budget` seconds are spent no round begins, but for the first nine.
    """
    order = random.Random(seed)
    found: dict[str, list[float]] = {name: [] for name in candidates}
    began = time.perf_counter()
    for number in range(1 + (2 if quick else rounds)):
        if number > LEAST and time.perf_counter() - began > budget:
            break
        for name in order.sample(list(candidates), len(candidates)):
            started = time.perf_counter()
            for _ in range(inner):
                candidates[name]()
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            if number:
                found[name].append(time.perf_counter() - started)
    return found


def middle(values: list[float], seed: int = 0) -> Middle:
    """The median and its interval, from 2,000 resamples."""
    draw = random.Random(seed)
    medians = sorted(statistics.median(draw.choices(values, k=len(values))) for _ in range(2000))
    return Middle(statistics.median(values), medians[50], medians[-51], len(values))


def ratio(ours: list[float], theirs: list[float], seed: int = 0) -> Middle:
    """Ours over theirs, round by round."""
    return middle([a / b for a, b in zip(ours, theirs, strict=True)], seed)
