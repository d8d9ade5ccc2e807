"""Errors against every reference, kept for the table in the book."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

HERE = Path(__file__).resolve().parent
LEDGER = Path(os.environ.get("ATTENTION_GUIDE_PARITY", HERE.parents[1] / ".cache" / "parity.json"))

Key = tuple[str, str, str]
Rows = dict[Key, dict[str, Any]]
Record = Callable[[str, str, str, float, float], None]


def key_of(row: dict[str, Any]) -> Key:
    """What makes two rows the same comparison."""
    return row["reference"], row["what"], row["dtype"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The table is looked at when everything has been measured: last of all."""
    items.sort(key=lambda item: item.path == HERE / "test_table.py")


@pytest.fixture(autouse=True)
def _same_numbers() -> None:
    """So that the table changes when the code does, not with every run."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def parity_rows() -> Iterator[Rows]:
    """The rows of this session's tests; written to the ledger at its end."""
    rows: Rows = {}
    yield rows
    if not rows:
        return
    # Rows of tests that this session didn't run stay, so that part of the tests can be run alone.
    if LEDGER.exists():
        for row in json.loads(LEDGER.read_text(encoding="utf-8")):
            rows.setdefault(key_of(row), row)
    LEDGER.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=LEDGER.parent, suffix=".json")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump([rows[key] for key in sorted(rows)], file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    Path(name).replace(LEDGER)


@pytest.fixture(scope="session")
def parity_record(parity_rows: Rows) -> Record:
    """`parity_record(reference, what, dtype, error, bound)` keeps the worst, demands the bound."""

    def record(reference: str, what: str, dtype: str, error: float, bound: float) -> None:
        key = (reference, what, dtype)
        worst = max(float(error), float(parity_rows.get(key, {}).get("error", 0.0)))
        # NaN compares false with everything, so the demand is written the way NaN fails.
        assert error <= bound, f"{what} against {reference} in {dtype}: {error:.3g} > {bound:.3g}"
        parity_rows[key] = {
            "reference": reference,
            "what": what,
            "dtype": dtype,
            "error": worst,
            "bound": float(bound),
        }

    return record
