"""How the time and the memory of `generate` grow with the length of the text.

With a cache, a token costs one pass and a look at what stands before it: for texts like these time
grows nearly as the length does, and memory exactly. Without one, every token reads the whole text
again. What is written down is the exponent p of a growth as length to the power p, between the
shortest and the longest text; 1 is linear, 2 is quadratic.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable

import torch

from attention_guide.models import GPT2, GPT2Config, generate
from benchmarks import _rounds
from benchmarks._results import write
from benchmarks._rounds import Middle, middle, seconds
from benchmarks.memory import can_measure, elsewhere, peak

LENGTHS = (128, 256, 512)
MEMORY_LENGTHS = (256, 512, 1024)
BATCH = 16
ROUNDS, BUDGET, MEMORY_ROUNDS = 11, 60.0, 3
# Linear, with room for what attention itself adds at these lengths.
BARS = {"time": 1.2, "memory": 1.1}
SIZES = {"d_model": 128, "n_heads": 4, "n_layers": 4, "max_len": max(MEMORY_LENGTHS) + 1}


def writer(batch: int, new: int, *, cached: bool) -> Callable[[], object]:
    """A call that writes `new` tokens after one, for each row of a batch."""
    torch.manual_seed(0)
    model = GPT2(GPT2Config(256, **SIZES)).eval()
    prompt = torch.ones(batch, 1, dtype=torch.long)

    @torch.no_grad()
    def run() -> object:
        return generate(model, prompt, new, cached=cached)

    return run


def exponents(measured: dict[int, list[float]]) -> Middle:
    """The exponent between the shortest and the longest text, round by round."""
    short, long = min(measured), max(measured)
    return middle([
        math.log(b / a) / math.log(long / short)
        for a, b in zip(measured[short], measured[long], strict=True)
    ])  # fmt: skip


def main() -> None:
    """Time with and without a cache, memory with."""
    cases = {
        (new, cached): writer(1, new, cached=cached) for new in LENGTHS for cached in (True, False)
    }
    times = seconds({f"{n} {c}": run for (n, c), run in cases.items()}, ROUNDS, 1, budget=BUDGET)
    rows = []
    for cached, bar in ((True, BARS["time"]), (False, None)):
        measured = {n: times[f"{n} {cached}"] for n in LENGTHS}
        how = "with a cache" if cached else "without"
        rows.append(exponents(measured).row(
            f"time, {how}", f"B1, {LENGTHS[0]} to {LENGTHS[-1]} tokens", "exponent", bar,
            measured={n: float(f"{middle(t).median:.3g}") for n, t in measured.items()},
            measured_in="s",
        ))  # fmt: skip
    if can_measure():
        peaks = {
            n: [elsewhere("benchmarks.generation", n) for _ in range(_memory_rounds())]
            for n in MEMORY_LENGTHS
        }
        rows.append(exponents(peaks).row(
            "memory, with a cache", f"B{BATCH}, {MEMORY_LENGTHS[0]} to {MEMORY_LENGTHS[-1]} tokens",
            "exponent", BARS["memory"],
            measured={n: middle(megabytes).median for n, megabytes in peaks.items()},
            measured_in="MB",
        ))  # fmt: skip
    for row in rows:
        print(f"{row['what']:22} {row['setting']:26} {row['value']} [{row['low']}, {row['high']}]  "
              f"{row['measured']} {row['measured_in']}")  # fmt: skip
    write("generation", rows)


def _memory_rounds() -> int:
    return 1 if _rounds.quick else MEMORY_ROUNDS


def here(new: int) -> None:
    """In the measured process: print the megabytes that writing so many tokens adds."""
    writer(BATCH, 8, cached=True)()
    print(json.dumps(peak(writer(BATCH, new, cached=True))))


if __name__ == "__main__":
    main()
