"""What the attention layer adds to the process's memory at its peak, beside its peers.

Each measurement is a process of its own. Before the call the kernel is told to forget the highest
memory so far, so that what is read after it is the call's; that is a file of Linux, and elsewhere
nothing is measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks._results import write
from benchmarks._rounds import middle, quick

T, D = 4096, 512
BARS = {"forward": 50.0, "forward+backward": 100.0}
ROUNDS = 3
# Large blocks come from the system and go back to it: none is there from before the call.
MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "262144"}
FORGET = Path("/proc/self/clear_refs")


def main() -> None:
    """A row for each layer and direction; the bar is ours."""
    if not can_measure():
        print("memory: this system keeps no resettable peak; nothing was measured")
        return
    names = ("ours", "SDPA composed", "nn.MultiheadAttention", "x-transformers")
    rows = []
    for direction, bar in BARS.items():
        for name in names:
            # The bar is ours: the peers are there to compare with.
            rounds = ROUNDS if name == "ours" and not quick else 1
            found = middle([elsewhere("benchmarks.memory", name, direction) for _ in range(rounds)])
            what = f"extra peak memory, {direction}, {name}"
            print(f"{what:55} {found.median:7.1f} MB")
            ours = bar if name == "ours" else None
            rows.append(found.row(what, f"B1 T{T} d{D} causal", "MB", ours, against=None))
    write("memory", rows, "x-transformers")


def can_measure() -> bool:
    """Whether this system tells a process its own peak, and forgets it when asked."""
    return FORGET.exists()


def elsewhere(module: str, *arguments: object) -> float:
    """What `here(*arguments)` of a module prints, in a process of its own."""
    code = f"from {module} import here; here(*{arguments!r})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).resolve().parents[1],
        env={**os.environ, **MALLOC}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(json.loads(done.stdout))


def peak(call: Callable[[], object]) -> float:
    """Megabytes between before a call and its peak."""
    before = _status("VmRSS")
    FORGET.write_text("5", encoding="ascii")
    call()
    return round((_status("VmHWM") - before) / 1e6, 1)


def here(name: str, direction: str) -> None:
    """In the measured process: print the megabytes between before the call and its peak."""
    import torch

    from benchmarks._layers import layers, runner

    backward = direction == "forward+backward"
    layer = layers(T, D, causal=True)[name]
    # nn.MultiheadAttention has its mask for one length; the others warm up on a short text.
    warm = torch.randn(1, T if name == "nn.MultiheadAttention" else 128, D, requires_grad=backward)
    x = torch.randn(1, T, D, requires_grad=backward)
    runner(layer, warm, backward)()
    print(json.dumps(peak(runner(layer, x, backward))))


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    raise LookupError(field)


if __name__ == "__main__":
    main()
