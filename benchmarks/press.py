"""How long the press takes: all pages cold, warm, after one page's edit, after one package file's.

And how long a reader of each page waits for its slowest block, the training that it does live.

Works on a copy of the tracked files in a temporary folder; the checkout is not touched.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = "docs/theory/scaled-dot-product.md"
MODULE = "attention_guide/functional/attention.py"
LIVE_SECONDS = 15
LIVE_SECONDS_OF = {"implementation/transformer": 60}  # the page trains until all is right


def main() -> None:
    """Print one row a case: seconds, and as a ratio to the cold run."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        _copy_tracked(copy)
        cold = _run(copy)
        slowest = _slowest(copy)
        cases = {"cold: every page": cold, "warm: nothing changed": _run(copy)}
        _append(copy / PAGE, "\nOne more sentence.\n")
        cases["one page edited"] = _run(copy)
        _append(copy / MODULE, "\n# One more comment.\n")
        cases["one package file edited"] = _run(copy)
        for name, seconds in cases.items():
            print(f"{name:<28} {seconds:8.1f} s  {seconds / cold:6.2f} of cold")
    print("\nthe slowest block of each page, beside others")
    for page, (line, seconds) in sorted(slowest.items()):
        bar = LIVE_SECONDS_OF.get(page, LIVE_SECONDS)
        met = "met" if seconds <= bar else "NOT MET"
        print(f"{page:<28} {seconds:8.1f} s  line {line:<5} ≤ {bar} {met}")


def _copy_tracked(target: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)


def _run(copy: Path) -> float:
    # The real BERT's weights are laid in the checkout, and not tracked.
    weights = os.environ.get("ATTENTION_GUIDE_WEIGHTS", str(ROOT / ".cache" / "weights"))
    paths = {"PYTHONPATH": str(copy), "ATTENTION_GUIDE_WEIGHTS": weights}
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "book", "run"],
        cwd=copy, env={**os.environ, **paths}, check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - started


def _slowest(copy: Path) -> dict[str, tuple[int, float]]:
    """Line and seconds of the slowest block of every page that the last run wrote down."""
    cache = copy / ".cache" / "press"
    found = {}
    for record in cache.rglob("record.json"):
        blocks = json.loads(record.read_text(encoding="utf-8"))["blocks"]
        page = record.parent.parent.relative_to(cache).as_posix()
        if blocks:
            found[page] = max(((b["line"], b["seconds"]) for b in blocks), key=lambda b: b[1])
    return found


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


if __name__ == "__main__":
    main()
