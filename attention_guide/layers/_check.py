"""Argument checks that the layers share: our own error, with axis letters, before torch's."""

from torch import Tensor

from attention_guide.functional import _checks


def check_width(name: str, x: Tensor, width: int) -> None:
    """Demand a floating-point `(..., D)` with D = `width`."""
    _checks.floating(name, x)
    if x.ndim == 0 or x.shape[-1] != width:
        raise ValueError(f"{name}: expected (..., D) with D = {width}; got {_checks.shape(x)}")


def check_sequence(name: str, x: Tensor, width: int, letters: str = "B T D") -> None:
    """Demand a floating-point `(B, T, D)` with D = `width`."""
    _checks.floating(name, x)
    if x.ndim != 3 or x.shape[-1] != width:
        form = f"({', '.join(letters.split())}) with {letters[-1]} = {width}"
        raise ValueError(f"{name}: expected {form}; got {_checks.shape(x)}")


def check_ids(name: str, ids: Tensor, letters: str = "B T") -> None:
    """Demand integers `(B, T)`."""
    _checks.integral(name, ids)
    _checks.rank(name, ids, letters)
