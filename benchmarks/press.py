"""How long the press takes: all pages cold, warm, after one page's edit, after one package file's.

Works on a copy of the tracked files in a temporary folder; the checkout is not touched.
"""

from __future__ import annotations

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


def main() -> None:
    """Print one row a case: seconds, and as a ratio to the cold run."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        _copy_tracked(copy)
        cold = _run(copy)
        cases = {"cold: every page": cold, "warm: nothing changed": _run(copy)}
        _append(copy / PAGE, "\nOne more sentence.\n")
        cases["one page edited"] = _run(copy)
        _append(copy / MODULE, "\n# One more comment.\n")
        cases["one package file edited"] = _run(copy)
        for name, seconds in cases.items():
            print(f"{name:<28} {seconds:8.1f} s  {seconds / cold:6.2f} of cold")


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


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


if __name__ == "__main__":
    main()
