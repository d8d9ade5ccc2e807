"""A GPT's training step (forward, loss, backward, AdamW) against three peers of the same shape.

First all at equal settings; then ours alone with what the chip gains by (fast float32 products,
bfloat16, bfloat16 compiled), over the plain GPT in float32.
"""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention_guide.cpu import fast_matmul, fast_matmul_off
from benchmarks._gpts import candidates
from benchmarks._results import write
from benchmarks._rounds import ratio, seconds

VOCAB, WIDTH, HEADS, DEPTH, LENGTH, BATCH = 256, 192, 6, 6, 256, 16
SETTING = f"L{DEPTH} d{WIDTH} T{LENGTH} B{BATCH}"
ROUNDS, BUDGET = 21, 100.0
BARS = {"fast fp32": 0.70, "bf16": 0.48, "bf16 compiled": 0.42}


def step(
    model: nn.Module, call: Callable[[Tensor], Tensor], ids: Tensor, *, bf16: bool = False
) -> Callable[[], None]:
    """A whole training step of a model, as a call without arguments."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16) if bf16 else nullcontext():
            logits = call(ids[:, :-1])
            loss = F.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        optimizer.step()

    return run


def with_fast(run: Callable[[], None], precision: str) -> Callable[[], None]:
    """The call with the switch of `fast_matmul` on: it takes a microsecond to flip."""

    def switched() -> None:
        before = torch.backends.mkldnn.matmul.fp32_precision
        torch.backends.mkldnn.matmul.fp32_precision = precision
        run()
        torch.backends.mkldnn.matmul.fp32_precision = before

    return switched


def main() -> None:
    """A row for equal settings, then one for each of ours that the chip gains by."""
    report = fast_matmul()
    precision = torch.backends.mkldnn.matmul.fp32_precision
    fast_matmul_off()
    torch.manual_seed(0)
    ids = torch.randint(VOCAB, (BATCH, LENGTH + 1))
    models = candidates(VOCAB, WIDTH, HEADS, DEPTH, LENGTH)
    runs = {name: step(model, call, ids) for name, (model, call) in models.items()}
    more = dict[str, Callable[[], None]]()
    model, call = models["ours"]
    if report.on:
        more["fast fp32"] = with_fast(step(model, call, ids), precision)
    more["bf16"] = step(model, call, ids, bf16=True)
    if shutil.which("g++"):
        more["bf16 compiled"] = step(model, torch.compile(model), ids, bf16=True)
    times = seconds({**runs, **more}, ROUNDS, 1, budget=BUDGET)
    milliseconds = {n: float(f"{1000 * statistics.median(v):.4g}") for n, v in times.items()}
    best = min((n for n in runs if n != "ours"), key=lambda n: statistics.median(times[n]))
    rows: list[dict[str, Any]] = [
        ratio(times["ours"], times[best]).row(
            "GPT training step, equal settings", SETTING, "ratio", 1.00,
            against=best, milliseconds=milliseconds,
        )
    ]  # fmt: skip
    rows += [
        ratio(times[name], times["plain GPT"]).row(
            f"GPT training step, {name}", SETTING, "ratio", BARS[name], against="plain GPT, fp32"
        )
        for name in more
    ]
    for row in rows:
        print(f"{row['what']:36} {row['value']} [{row['low']}, {row['high']}] of {row['against']}")
    print(milliseconds)
    write("gpt_step", rows, "transformers", "x-transformers", fast_matmul=report.reason)


if __name__ == "__main__":
    main()
