"""Argument checks of the maps: every message names the argument and what was expected."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from attention_guide.plot.style import to_numpy
from attention_guide.plot.tokens import LONGEST, drawable, visible


def checked_weights(weights: npt.ArrayLike, vmin: float, vmax: float) -> npt.NDArray[np.float64]:
    """Take a `(T, S)` map without NaN and within its range, or say what is wrong with it."""
    values = to_numpy(weights, "weights")
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"weights: expected (T, S), neither of them 0, got {values.shape}")
    if np.isnan(values).any():
        row = int(np.isnan(values).any(axis=1).argmax())
        raise ValueError(f"weights: NaN in row {row}; a map can't show it")
    check_range(values, vmin, vmax)
    return values


def check_range(values: npt.NDArray[np.float64], vmin: float, vmax: float) -> None:
    """Refuse values of any shape that the colour bar doesn't reach."""
    if not vmin < vmax:
        raise ValueError(f"vmin: expected a number below vmax, {vmax:g}, got {vmin:g}")
    slack = 1e-5 * max(abs(vmin), abs(vmax), 1.0)
    if values.size and (values.min() < vmin - slack or values.max() > vmax + slack):
        raise ValueError(
            f"weights: expected values from {vmin:g} to {vmax:g}, got {values.min():g} to "
            f"{values.max():g}; pass vmin and vmax if these aren't attention weights"
        )


def checked_mask(
    mask: npt.ArrayLike | None, values: npt.NDArray[np.float64]
) -> npt.NDArray[np.bool_]:
    """Bring a bool mask to `(T, S)`; a forbidden cell that has weight is an error."""
    if mask is None:
        return np.ones(values.shape, dtype=np.bool_)
    detach = getattr(mask, "detach", None)
    allowed = np.asarray(detach().cpu() if detach is not None else mask)
    if allowed.dtype != np.bool_:
        raise TypeError(f"mask: expected bool with True = may attend, got {allowed.dtype}")
    while allowed.ndim > 2 and allowed.shape[0] == 1:
        allowed = allowed[0]
    try:
        allowed = np.broadcast_to(allowed, values.shape)
    except ValueError:
        raise ValueError(
            f"mask: expected a shape that broadcasts to (T, S) = {values.shape}, "
            f"got {np.shape(mask)}"
        ) from None
    leaks = ~allowed & (np.abs(values) > 1e-6)
    if leaks.any():
        t, s = (int(i) for i in np.argwhere(leaks)[0])
        raise ValueError(
            f"mask: query {t} may not attend to key {s}, but the weight there is "
            f"{values[t, s]:.3g}; hatching would hide a leak"
        )
    return allowed


def labels(
    tokens: Sequence[str] | None, count: int, name: str, axis: str, longest: int = LONGEST
) -> list[str]:
    """Take one label a row or column for a figure, numbers from 0 when there are none."""
    return drawable(plain_labels(tokens, count, name, axis), longest)


def plain_labels(tokens: Sequence[str] | None, count: int, name: str, axis: str) -> list[str]:
    """Take one label a row or column for text, in which white space can be seen."""
    if tokens is None:
        return [str(index) for index in range(count)]
    if len(tokens) != count:
        raise ValueError(f"{name}: expected {axis} = {count} labels, got {len(tokens)}")
    return [visible(token) for token in tokens]
