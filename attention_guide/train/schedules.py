"""Learning-rate schedules: from the step, counted from 1, to a factor of the peak rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

Schedule: TypeAlias = Callable[[int], float]
Decay: TypeAlias = Literal["linear", "sqrt", "cosine"]

# What is left of the peak when a part `p` of the decay is done.
_DECAYS: Final[dict[str, Callable[[float], float]]] = {
    "linear": lambda p: 1.0 - p,
    "sqrt": lambda p: 1.0 - math.sqrt(p),
    "cosine": lambda p: 0.5 * (1.0 + math.cos(math.pi * p)),
}


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


def wsd(
    warmup: int, total: int, decay: int, *, floor: float = 0.0, shape: Decay = "linear"
) -> Schedule:
    """`1` until `total - decay`, then down to `floor` at `total`: warm-up, stable, decay.

    The stable part needs no end: any of its checkpoints can be decayed into a finished model,
    and the run goes on from there as if it hadn't been.

    Args:
        warmup: Steps until the peak; 0 for none.
        total: The step at which the floor is reached; it stays there afterwards.
        decay: Steps of the last part, at least 1.
        floor: The last factor, as a part of the peak.
        shape: `"linear"`; `"sqrt"` for `1 - √p`, which falls fast at first; `"cosine"`.

    Returns:
        The schedule.

    Raises:
        ValueError: `warmup` is negative, `decay` less than 1, both together more than `total`,
            `floor` outside 0 to 1, or the shape unknown.

    Source:
        Hu et al. (2024), "MiniCPM", arXiv:2404.06395, section 4, with an exponential decay;
        linear and `1 - √p` are compared by Hägele et al. (2024), arXiv:2405.18392.

    Examples:
        >>> rate = wsd(warmup=10, total=100, decay=20)
        >>> [rate(step) for step in (5, 10, 80, 90, 100, 500)]
        [0.5, 1.0, 1.0, 0.5, 0.0, 0.0]
    """
    _check_warmup(warmup)
    if decay < 1 or warmup + decay > total:
        raise ValueError(
            f"decay: expected 1 to total - warmup = {total - warmup} steps, got {decay}"
        )
    if not 0.0 <= floor <= 1.0:
        raise ValueError(f"floor: expected 0 to 1, got {floor}")
    if shape not in _DECAYS:
        raise ValueError(f"shape: expected one of {', '.join(_DECAYS)}, got {shape!r}")
    left = _DECAYS[shape]

    def factor(step: int) -> float:
        if step < warmup:
            return _rise(step, warmup)
        progress = min(1.0, max(0.0, (step - (total - decay)) / decay))
        return floor + (1.0 - floor) * left(progress)

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
