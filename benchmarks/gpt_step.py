"""A GPT's training step (forward, loss, backward, AdamW) against three peers of the same shape.

First all at equal settings; then ours alone with what the chip gains by (fast float32 products,
bfloat16, bfloat16 compiled), over the plain GPT in float32. On a CUDA device also the share of its
peak that a step of GPT-2's size reaches; the peak is what one large product reaches.
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
from attention_guide.models import forward_flops
from benchmarks._gpts import candidates, ours
from benchmarks._results import write
from benchmarks._rounds import DEVICE, middle, ratio, seconds

VOCAB, WIDTH, HEADS, DEPTH, LENGTH, BATCH = 256, 192, 6, 6, 256, 16
SETTING = f"L{DEPTH} d{WIDTH} T{LENGTH} B{BATCH}"
ROUNDS, BUDGET = 21, 100.0
LARGE = (50_304, 768, 12, 12, 1024)  # GPT-2, its vocabulary rounded up
BARS = {"fast fp32": 0.70, "bf16": 0.48, "bf16 compiled": 0.42}


def step(
    model: nn.Module, call: Callable[[Tensor], Tensor], ids: Tensor, *, bf16: bool = False
) -> Callable[[], None]:
    """A whole training step of a model, as a call without arguments."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def run() -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(DEVICE.type, torch.bfloat16) if bf16 else nullcontext():
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


def share_of_peak() -> dict[str, Any]:
    """FLOPs a second of a bfloat16 step at GPT-2's size, over those of one large product."""
    model = ours(*LARGE).to(DEVICE)
    ids = torch.randint(LARGE[0], (BATCH, LARGE[-1] + 1), device=DEVICE)
    a = torch.randn(8192, 8192, device=DEVICE, dtype=torch.bfloat16)
    runs = {"step": step(model, torch.compile(model), ids, bf16=True), "product": lambda: a @ a}
    times = seconds(runs, ROUNDS, 5, budget=BUDGET)
    flops = 3 * forward_flops(model, BATCH, LARGE[-1]) / (2 * 8192**3)
    pairs = zip(times["step"], times["product"], strict=True)
    shares = [flops * product / whole for whole, product in pairs]
    setting = f"L{LARGE[3]} d{LARGE[1]} T{LARGE[4]} B{BATCH}"
    return middle(shares).row("GPT training step, share of the peak", setting, "share", None)


def main() -> None:
    """A row for equal settings, then one for each of ours that the chip gains by."""
    report = fast_matmul()
    precision = torch.backends.mkldnn.matmul.fp32_precision
    fast_matmul_off()
    torch.manual_seed(0)
    ids = torch.randint(VOCAB, (BATCH, LENGTH + 1), device=DEVICE)
    models = candidates(VOCAB, WIDTH, HEADS, DEPTH, LENGTH)
    runs = {name: step(model.to(DEVICE), call, ids) for name, (model, call) in models.items()}
    more = dict[str, Callable[[], None]]()
    model, call = models["ours"]
    if report.on and DEVICE.type == "cpu":
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
    if DEVICE.type == "cuda":
        rows.append(share_of_peak())
    for row in rows:
        against = row.get("against", "")
        print(f"{row['what']:36} {row['value']} [{row['low']}, {row['high']}] {against}")
    print(milliseconds)
    libraries = "transformers", "x-transformers"
    write("gpt_step", rows, *libraries, device=DEVICE.type, fast_matmul=report.reason)


if __name__ == "__main__":
    main()
