"""What AttentionRecorder costs, off and on one layer of six; and what the import costs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import torch

from attention_guide import AttentionRecorder
from attention_guide.models import Transformer, TransformerConfig
from benchmarks import _rounds
from benchmarks._results import write
from benchmarks._rounds import middle, ratio, seconds

BARS = {"off": 1.01, "one layer of six": 1.40}
IMPORT_ROUNDS = 15
IMPORTS: dict[str, float | None] = {"attention_guide": 50.0, "attention_guide.functional": None}
# In the same process and after torch: the difference of two processes would be torch's noise.
TIMED = """
import time, torch
started = time.perf_counter()
import {name}
print(1000 * (time.perf_counter() - started))
"""


def recorder_rows() -> list[dict[str, Any]]:
    """A six-layer encoder: never watched, watched before, and with one layer watched now."""
    torch.manual_seed(0)
    config = TransformerConfig(100, 100, d_model=192, n_heads=6, d_ff=768, n_layers=6, dropout=0.0)
    never, model = Transformer(config).eval(), Transformer(config).eval()
    source = torch.randint(3, 100, (4, 128))

    @torch.no_grad()
    def recorded() -> None:
        with AttentionRecorder(model, match="encoder.blocks.0.*"):
            model.encode(source)

    recorded()
    runs = {
        "never": torch.no_grad()(lambda: never.encode(source)),
        "off": torch.no_grad()(lambda: model.encode(source)),
        "one layer of six": recorded,
    }
    times = seconds(runs, 61, 3, budget=25.0)
    setting = "encoder, B4 T128 d192, 6 layers"
    return [
        ratio(times[name], times["never"]).row(
            f"recorder, {name}", setting, "ratio", bar, against="never recorded"
        )
        for name, bar in BARS.items()
    ]


def import_rows() -> list[dict[str, Any]]:
    """Milliseconds that our import takes after torch's, each in a new process."""
    found: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(1 + (2 if _rounds.quick else IMPORT_ROUNDS)):
        for name, values in found.items():
            code = TIMED.format(name=name)
            done = subprocess.run(
                [sys.executable, "-c", code], check=True, capture_output=True, text=True
            )
            values.append(float(done.stdout))
    # The first round writes the byte code.
    return [
        middle(found[name][1:]).row(
            f"import {name}", "new process", "ms", bar, against="after import torch"
        )
        for name, bar in IMPORTS.items()
    ]


def main() -> None:
    """Print and write the ratios, and the milliseconds of the import after torch's."""
    rows = recorder_rows() + import_rows()
    for row in rows:
        interval = f"[{row['low']:.4g}, {row['high']:.4g}]"
        print(f"{row['what']:36} {row['value']:.4g} {row['unit']} {interval}")
    write("recorder", rows)


if __name__ == "__main__":
    main()
