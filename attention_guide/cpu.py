"""A faster matrix product on some processors: measured first, taken back on request."""

import statistics
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

__all__ = ["FastMatmul", "fast_matmul", "fast_matmul_is_on", "fast_matmul_off"]

# Rounds of one slow and one fast product: whatever else the machine does, it does to both.
ROUNDS = 15
_state: dict[str, Any] = {"before": None}


@dataclass(frozen=True)
class FastMatmul:
    """What `fast_matmul` found and did; usable as `with fast_matmul():`, which takes it back.

    Attributes:
        on: Whether the switch is on now because of this call.
        reason: Why, in words.
        error: Relative error of a float32 product against float64 with the switch on.
        gain: How many times faster the product was.

    Examples:
        >>> with fast_matmul() as report:
        ...     report.on == fast_matmul_is_on()
        True
        >>> fast_matmul_is_on()
        False
    """

    on: bool
    reason: str
    error: float | None = None
    gain: float | None = None

    def __enter__(self) -> "FastMatmul":
        return self

    def __exit__(self, *_: object) -> None:
        fast_matmul_off()


def fast_matmul(*, max_error: float = 1e-6, min_gain: float = 1.5) -> FastMatmul:
    """Send float32 products to oneDNN where that is faster and just as exact.

    On processors where torch's default library is slow, `fp32_precision = "bf16"` hands float32
    products to oneDNN, which on a chip without bf16 matrix units computes them in full float32.
    On a chip that has such units it would round to bf16. So the error is measured, and the gain,
    and the switch stays on only when both are good. Nothing is changed at import.

    Args:
        max_error: Relative error against float64 that is accepted.
        min_gain: Speed-up that is worth it. Small products lose by the switch what large ones
            gain: where large ones took 1/1.3 of the time, a layer on short texts took 1.3 of it.

    Returns:
        What was found and done.

    Examples:
        >>> report = fast_matmul()
        >>> report.on == fast_matmul_is_on()
        True
        >>> fast_matmul_off()
        >>> fast_matmul_is_on()
        False
    """
    switch = _switch()
    if switch is None:
        return FastMatmul(False, "this torch has no such switch; nothing was changed")
    if fast_matmul_is_on():
        return FastMatmul(True, "it was on already")
    before = switch.fp32_precision
    try:
        gain = _gain(switch, before)
        error = _error()
    except BaseException:
        switch.fp32_precision = before
        raise
    if error > max_error or gain < min_gain:
        switch.fp32_precision = before
        why = f"an error of {error:.1e}" if error > max_error else f"a gain of only {gain:.2f}"
        return FastMatmul(False, f"{why} on this processor; it was taken back", error, gain)
    _state["before"] = before
    reason = f"{gain:.2f} times as fast with an error of {error:.1e}"
    return FastMatmul(True, reason, error, gain)


def fast_matmul_off() -> None:
    """Take the switch back to what it was; does nothing when it isn't on.

    Examples:
        >>> _ = fast_matmul()
        >>> fast_matmul_off()
        >>> fast_matmul_is_on()
        False
    """
    switch = _switch()
    if switch is not None and _state["before"] is not None:
        switch.fp32_precision = _state["before"]
    _state["before"] = None


def fast_matmul_is_on() -> bool:
    """Whether `fast_matmul` has turned the switch on.

    Examples:
        >>> with fast_matmul(min_gain=float("inf")) as report:
        ...     report.on, fast_matmul_is_on()
        (False, False)
    """
    return _state["before"] is not None


def _switch() -> Any | None:
    backend = getattr(torch.backends.mkldnn, "matmul", None)
    built = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return backend if built and hasattr(backend, "fp32_precision") else None


def _operands() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(512, 512, generator=generator, dtype=torch.float32) for _ in range(2))
    return a, b


def _error() -> float:
    a, b = _operands()
    exact = a.double() @ b.double()
    return float((a @ b - exact).norm() / exact.norm())


def _gain(switch: Any, before: str) -> float:
    """Slow over fast, product by product in turn, and leave the switch on."""
    a, b = _operands()
    gains = []
    for _ in range(1 + ROUNDS):
        switch.fp32_precision = before
        slow = _seconds(a, b)
        switch.fp32_precision = "bf16"
        gains.append(slow / _seconds(a, b))
    return statistics.median(gains[1:])  # the first round wakes both libraries


def _seconds(a: Tensor, b: Tensor) -> float:
    start = time.perf_counter()
    _ = a @ b
    return time.perf_counter() - start
