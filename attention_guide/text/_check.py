"""Argument checks of tokenizers and batches."""

from __future__ import annotations

import operator
from collections.abc import Iterable

from torch import Tensor


def integer(name: str, x: object) -> int:
    """Demand an integer, NumPy's or a tensor's too: `int()` would cut a fraction off."""
    try:
        return operator.index(x)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name}: expected an integer; got {type(x).__name__}: {x!r}") from None


def integers(name: str, values: Iterable[object] | Tensor) -> list[int]:
    """Demand a row of integers."""
    if isinstance(values, Tensor) and values.ndim != 1:
        raise ValueError(f"{name}: expected one row of integers; got {tuple(values.shape)}")
    found = values.tolist() if isinstance(values, Tensor) else values
    return [integer(name, x) for x in found]


def texts(given: Iterable[str]) -> Iterable[str]:
    """Demand several texts: a plain string would count as its characters."""
    if isinstance(given, str):
        raise TypeError(f"texts: expected several, such as [text]; got one string: {given[:20]!r}")
    return given
