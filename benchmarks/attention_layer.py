"""The attention layer, forward and with backward, against the best of three peers.

A row's ratio is ours over the fastest peer of that row, round by round. In the second half
`fast_matmul` is on, where it stays on, but for the peers, who don't flip the switch. How one of
them does with it stands in the same row.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Any

import torch

from attention_guide.cpu import fast_matmul
from benchmarks._layers import layers, runner
from benchmarks._results import write
from benchmarks._rounds import ratio, seconds

SHAPES = ((8, 128, 256, 10), (2, 1024, 512, 1))  # B, T, D, calls a round
ROUNDS, SECONDS_A_ROW = 41, 14.0
BAR, FAST_BAR = 1.02, 0.70


def with_precision(run: Callable[[], None], precision: str) -> Callable[[], None]:
    """The call under a precision of its own; setting it takes a microsecond."""
    switch = torch.backends.mkldnn.matmul

    def switched() -> None:
        before = switch.fp32_precision
        switch.fp32_precision = precision
        run()
        switch.fp32_precision = before

    return switched


def measure(
    b: int, t: int, d: int, inner: int, causal: bool, backward: bool, peers_precision: str | None
) -> dict[str, Any]:
    """One row; where `fast_matmul` is on, `peers_precision` is what was set before."""
    fast = peers_precision is not None
    torch.manual_seed(0)
    x = torch.randn(b, t, d, requires_grad=backward)
    runs = {name: runner(layer, x, backward) for name, layer in layers(t, d, causal).items()}
    if peers_precision is not None:
        ours, quick_peer = runs.pop("ours"), runs["SDPA composed"]
        runs = {name: with_precision(run, peers_precision) for name, run in runs.items()}
        runs |= {"ours": ours, "SDPA composed, fast": quick_peer}
    times = seconds(runs, ROUNDS, inner, budget=SECONDS_A_ROW)
    peers = [name for name in times if name not in ("ours", "SDPA composed, fast")]
    best = min(peers, key=lambda name: statistics.median(times[name]))
    setting = f"B{b} T{t} d{d} {'causal' if causal else 'full'}"
    what = f"attention layer, {'forward+backward' if backward else 'forward'}"
    more: dict[str, Any] = {"against": best, "fast": fast}
    more["milliseconds"] = {
        name: float(f"{1000 * statistics.median(v) / inner:.3g}") for name, v in times.items()
    }
    if fast:
        more["over fast SDPA"] = round(ratio(times["ours"], times["SDPA composed, fast"]).median, 3)
    found = ratio(times["ours"], times[best])
    print(f"{what:33} {setting:24} {'fast ' if fast else '     '}{found}  best peer: {best}")
    return found.row(what, setting, "ratio", FAST_BAR if fast else BAR, **more)


def rows(peers_precision: str | None) -> list[dict[str, Any]]:
    """A row for each shape, mask and direction."""
    return [
        measure(b, t, d, inner, causal, backward, peers_precision)
        for b, t, d, inner in SHAPES
        for causal in (False, True)
        for backward in (False, True)
    ]


def main() -> None:
    """All rows in the default precision; then all of them with `fast_matmul`, if it stays on."""
    print(f"{torch.get_num_threads()} threads")
    found, before = rows(None), torch.backends.mkldnn.matmul.fp32_precision
    with fast_matmul() as report:
        print(f"fast_matmul: {report.reason}")
        if report.on:
            found += rows(before)
    write("attention_layer", found, "x-transformers", fast_matmul=report.reason)


if __name__ == "__main__":
    main()
