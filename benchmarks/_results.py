"""What a measurement leaves behind: `benchmarks/results/NAME.json`, with where it comes from."""

from __future__ import annotations

import datetime
import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from attention_guide.recipes import describe_machine
from benchmarks import _rounds

FOLDER = Path(__file__).resolve().parent / "results"


def write(
    name: str, rows: list[dict[str, Any]], *libraries: str, device: str = "cpu", **facts: Any
) -> None:
    """Write `rows` with machine, date, threads and the versions of `libraries`; atomically.

    What a CUDA device gave stands in a file of its own, so that it never replaces the CPU's.
    """
    if _rounds.quick:
        print(f"--quick: {len(rows)} rows, not written")
        return
    card, suffix = "", ""
    if device == "cuda":
        card, suffix = f", {torch.cuda.get_device_name()}", "_cuda"
    found = {
        "command": f"python -m benchmarks {name}",
        "machine": f"{describe_machine()}, {os.cpu_count()} cores{card}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "threads": torch.get_num_threads(),
        "versions": {
            "Python": platform.python_version(),
            "torch": torch.__version__,
            **{library: version(library) for library in libraries},
        },
        **facts,
        "rows": rows,
    }
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}{suffix}.json"
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(found, file, indent=1, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    print(f"written: {path}")
