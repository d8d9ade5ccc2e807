"""Learning-rate schedules: from the step, counted from 1, to a factor of the peak rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

Schedule: TypeAlias = Callable[[int], float]


def constant(warmup: int = 0) -> Schedule:
    """`min(1, step / warmup)`: rise linearly, then stay.

    Args:
        warmup: Steps until the peak; 0 for none.

    Returns:
        The schedule.

    Raises:
        ValueError: `warmup` is negative.

    Examples:
        >>> rate = constant(warmup=4)
        >>> [rate(step) for step in (1, 2, 4, 100)]
        [0.25, 0.5, 1.0, 1.0]
    """
    _check_warmup(warmup)
    return lambda step: _rise(step, warmup)


def inverse_sqrt(warmup: int) -> Schedule:
    """`min(step / warmup, sqrt(warmup / step))`: rise linearly, then fall with the root.

    The shape of the 2017 Transformer's schedule, scaled to a peak of 1. Multiply by
    `vaswani_rate(d_model, warmup)` for the paper's own rate.

    Args:
        warmup: Steps until the peak, at least 1.

    Returns:
        The schedule.

    Raises:
        ValueError: `warmup` is less than 1.

    Source:
        Vaswani et al. (2017), equation 3.

    Examples:
        >>> rate = inverse_sqrt(warmup=100)
        >>> [rate(step) for step in (1, 50, 100, 400)]
        [0.01, 0.5, 1.0, 0.5]
    """
    if warmup < 1:
        raise ValueError(f"warmup: expected at least 1, got {warmup}")
    return lambda step: min(_rise(step, warmup), math.sqrt(warmup / step))


def cosine(warmup: int, total: int, *, floor: float = 0.0) -> Schedule:
    """`floor + (1 - floor) (1 + cos(π p)) / 2`, `p` the progress after a linear rise.

    Args:
        warmup: Steps until the peak; 0 for none.
        total: The step at which the floor is reached; it stays there afterwards.
        floor: The last factor, as a part of the peak.

    Returns:
        The schedule.

    Raises:
        ValueError: `warmup` is negative, `total` not above it, or `floor` outside 0 to 1.

    Source:
        Loshchilov and Hutter (2017), equation 5, without restarts.

    Examples:
        >>> rate = cosine(warmup=10, total=110, floor=0.1)
        >>> [round(rate(step), 3) for step in (5, 10, 60, 110, 500)]
        [0.5, 1.0, 0.55, 0.1, 0.1]
    """
    _check_warmup(warmup)
    if total <= warmup:
        raise ValueError(f"total: expected more than warmup = {warmup}, got {total}")
    if not 0.0 <= floor <= 1.0:
        raise ValueError(f"floor: expected 0 to 1, got {floor}")

    def factor(step: int) -> float:
        if step < warmup:
            return _rise(step, warmup)
        progress = min(1.0, (step - warmup) / (total - warmup))
        return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))

    return factor


def vaswani_rate(d_model: int, warmup: int) -> float:
    """`1 / sqrt(d_model · warmup)`: the peak rate of the 2017 Transformer.

    Args:
        d_model: Model width.
        warmup: Steps until the peak.

    Returns:
        The peak learning rate.

    Raises:
        ValueError: An argument is less than 1.

    Source:
        Vaswani et al. (2017), equation 3 at `step = warmup`.

    Examples:
        >>> f"{vaswani_rate(d_model=512, warmup=4000):.1e}"
        '7.0e-04'
    """
    if d_model < 1 or warmup < 1:
        raise ValueError(f"d_model, warmup: expected at least 1, got {d_model}, {warmup}")
    return 1.0 / math.sqrt(d_model * warmup)


def _rise(step: int, warmup: int) -> float:
    return min(1.0, step / warmup) if warmup else 1.0


def _check_warmup(warmup: int) -> None:
    if warmup < 0:
        raise ValueError(f"warmup: expected 0 or more, got {warmup}")
