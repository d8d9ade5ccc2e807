"""Rotary positions for texts longer than trained: interpolation, NTK-aware bases, YaRN."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from attention_guide.functional import _checks
from attention_guide.functional.rope import rope_frequencies

__all__ = [
    "interpolate_frequencies",
    "ntk_base",
    "yarn_attention_factor",
    "yarn_frequencies",
]


def interpolate_frequencies(frequencies: Float[Tensor, " F"], factor: float) -> Float[Tensor, " F"]:
    r"""Position interpolation, $\theta_i / s$: squeeze a longer text into the trained positions.

    Args:
        frequencies: Frequencies, `(F,)`.
        factor: How many times longer the text is, $s$.

    Returns:
        Frequencies, `(F,)`.

    Raises:
        TypeError: The frequencies aren't floating point.
        ValueError: A shape is wrong, or the factor not above 0.

    Source:
        Chen et al. (2023), arXiv:2306.15595, equation 4, there written for the positions.

    Examples:
        >>> interpolate_frequencies(torch.tensor([1.0, 0.5]), 2.0)
        tensor([0.5000, 0.2500])
    """
    _checks.rank("frequencies", _checks.floating("frequencies", frequencies), "F")
    return frequencies / _checks.number("factor", factor, above=0)


def ntk_base(base: float, factor: float, width: int) -> float:
    r"""NTK-aware base, $b \, s^{R/(R-2)}$: the slowest pair is interpolated, the fastest isn't.

    Args:
        base: The trained base $b$.
        factor: How many times longer the text is, $s$.
        width: The rotated width `R`, above 2.

    Returns:
        The base to hand to `rope_frequencies`.

    Raises:
        TypeError: An argument isn't a number.
        ValueError: A number is out of range.

    Source:
        The formula as in Peng et al. (2023), arXiv:2309.00071, section 3.1.

    Examples:
        >>> slow = rope_frequencies(8, base=ntk_base(10_000.0, 4.0, 8))[-1]
        >>> torch.allclose(slow, rope_frequencies(8)[-1] / 4)
        True
    """
    _checks.number("base", base, above=0)
    _checks.number("factor", factor, above=0)
    _checks.integer("width", width, least=3)
    try:
        return _checks.number("base", base * factor ** (width / (width - 2)))
    except OverflowError:
        wanted = f"a power of {width} / {width - 2} that a float can hold"
        raise ValueError(f"factor: expected {wanted}; got {factor}") from None


def yarn_frequencies(
    width: int,
    factor: float,
    original_len: int,
    *,
    base: float = 10_000.0,
    fast: float = 32.0,
    slow: float = 1.0,
    ramp: Literal["rotations", "index"] = "rotations",
) -> Float[Tensor, " F"]:
    r"""YaRN: pairs that turn often keep their frequency, those that turn rarely are interpolated.

    With $r_i = L \theta_i / 2\pi$ rotations over the trained length and the ramp
    $\gamma_i = \mathrm{clip}((r_i - \text{slow}) / (\text{fast} - \text{slow}), 0, 1)$, the
    frequency is $(1 - \gamma_i)\, \theta_i / s + \gamma_i\, \theta_i$.

    Args:
        width: The rotated width `R`.
        factor: How many times longer the text is, $s$.
        original_len: The trained length $L$.
        base: The trained base.
        fast: Rotations from which a pair keeps its frequency; the paper's $\beta$.
        slow: Rotations up to which a pair is interpolated; the paper's $\alpha$.
        ramp: `"rotations"` is the paper's formula; `"index"` ramps over the index of the pair
            between rounded ends, as the authors' code and the models made with it do.

    Returns:
        Frequencies in float64, `(F,)` with F = R / 2. Hand `yarn_attention_factor` to
        `rope_tables`, too.

    Raises:
        TypeError: An argument isn't a number.
        ValueError: A number is out of range, or the ramp unknown.

    Source:
        Peng et al. (2023), arXiv:2309.00071, section 3.2. That code and paper differ:
        jquesnelle/yarn issue 60.

    Examples:
        >>> theta = rope_frequencies(8)
        >>> yarn_frequencies(8, 4.0, 512) / theta
        tensor([1.0000, 0.4230, 0.2500, 0.2500], dtype=torch.float64)
    """
    theta = rope_frequencies(width, base=base)
    _checks.number("factor", factor, above=0)
    length = _checks.integer("original_len", original_len, least=1)
    _checks.number("slow", slow, above=0)
    _checks.number("fast", fast, above=slow)
    if ramp == "rotations":
        keep = (length * theta / (2 * math.pi) - slow) / (fast - slow)
    elif ramp == "index":
        _checks.number("base", base, above=1)
        first, last = (_turning_index(n, width, base, length) for n in (fast, slow))
        low, high = max(math.floor(first), 0), min(math.ceil(last), width - 1)
        # One pair's width where both ends round to the same index, as in the authors' code.
        span = float(high - low) or 0.001
        keep = 1 - (torch.arange(len(theta), dtype=torch.float64) - low) / span
    else:
        raise ValueError(f"ramp: expected 'rotations' or 'index'; got {ramp!r}")
    keep = keep.clamp(0, 1)
    return (1 - keep) * theta / factor + keep * theta


def yarn_attention_factor(factor: float) -> float:
    r"""What YaRN multiplies queries and keys by, $0.1 \ln s + 1$ for $s > 1$.

    Args:
        factor: How many times longer the text is, $s$.

    Returns:
        The factor for `rope_tables`; the scores grow by its square.

    Raises:
        TypeError: The factor isn't a number.
        ValueError: The factor isn't above 0.

    Source:
        Peng et al. (2023), arXiv:2309.00071, section 3.4; the paper's $\sqrt{1/t}$.

    Examples:
        >>> round(yarn_attention_factor(4.0), 4)
        1.1386
    """
    return 0.1 * math.log(max(_checks.number("factor", factor, above=0), 1.0)) + 1.0


def _turning_index(rotations: float, width: int, base: float, length: int) -> float:
    return width * math.log(length / (rotations * 2 * math.pi)) / (2 * math.log(base))
