"""Errors against every reference, kept for the table in the book."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

LEDGER = Path(__file__).resolve().parents[2] / ".cache" / "parity.json"

Record = Callable[[str, str, str, float, float], None]


@pytest.fixture(scope="session")
def _parity_rows() -> Iterator[dict[tuple[str, str, str], dict[str, object]]]:
    rows: dict[tuple[str, str, str], dict[str, object]] = {}
    yield rows
    if not rows:
        return
    # Rows of tests that this session didn't run stay, so that part of the tests can be run alone.
    if LEDGER.exists():
        for row in json.loads(LEDGER.read_text(encoding="utf-8")):
            rows.setdefault((row["reference"], row["what"], row["dtype"]), row)
    LEDGER.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=LEDGER.parent, suffix=".json")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump([rows[key] for key in sorted(rows)], file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(LEDGER)


@pytest.fixture(scope="session")
def parity_record(
    _parity_rows: dict[tuple[str, str, str], dict[str, object]],
) -> Record:
    """`parity_record(reference, what, dtype, error, bound)` keeps the worst, demands the bound."""

    def record(reference: str, what: str, dtype: str, error: float, bound: float) -> None:
        key = (reference, what, dtype)
        worst = max(float(error), float(_parity_rows.get(key, {}).get("error", 0.0)))  # type: ignore[arg-type]
        # NaN compares false with everything, so the demand is written the way NaN fails.
        assert error <= bound, f"{what} against {reference} in {dtype}: {error:.3g} > {bound:.3g}"
        _parity_rows[key] = {
            "reference": reference,
            "what": what,
            "dtype": dtype,
            "error": worst,
            "bound": float(bound),
        }

    return record
