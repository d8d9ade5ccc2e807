"""The errors against every reference, by running `tests/parity`; the book prints what it writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks._results import write

TESTS = Path(__file__).resolve().parent.parent / "tests" / "parity"
LIBRARIES = ("onnx", "transformers", "x-transformers", "keras", "captum")


def main() -> None:
    """Run the tests; where they pass, write a row for each thing compared."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "parity.json"
        # The table is what is being made: comparing it with the run comes after.
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS)]
        done = subprocess.run(
            [*command, f"--ignore={TESTS / 'test_table.py'}"],
            cwd=TESTS.parents[1],
            env={**os.environ, "ATTENTION_GUIDE_PARITY": str(ledger)},
        )
        if done.returncode:
            sys.exit("the parity tests do not pass: the table stays as it was")
        rows = json.loads(ledger.read_text(encoding="utf-8"))
    for row in rows:
        # Two digits: what comes after them differs from run to run of some libraries.
        row["error"] = float(f"{row['error']:.1e}")
    write("parity", rows, *LIBRARIES)
    print(f"{len(rows)} rows against {len({row['reference'] for row in rows})} references")


if __name__ == "__main__":
    main()
