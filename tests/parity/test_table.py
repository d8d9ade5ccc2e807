"""The table in the book holds what this session measured; it runs after the other parity tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

TABLE = Path(__file__).resolve().parents[2] / "benchmarks" / "results" / "parity.json"
AGAIN = "make the table again: python -m benchmarks parity"

Rows = dict[tuple[str, str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def table() -> Rows:
    rows = json.loads(TABLE.read_text(encoding="utf-8"))["rows"]
    found = {(row["reference"], row["what"], row["dtype"]): row for row in rows}
    assert len(found) == len(rows), f"a comparison stands twice; {AGAIN}"
    return found


def test_no_error_in_the_table_is_over_its_bar(table: Rows) -> None:
    assert table
    # NaN is over every bar.
    over = [key for key, row in table.items() if not 0 <= row["error"] <= row["bound"]]
    assert not over


def test_what_was_measured_stands_in_the_table(table: Rows, parity_rows: Rows) -> None:
    missing = parity_rows.keys() - table.keys()
    assert not missing, f"{sorted(missing)}; {AGAIN}"
    bars = {key for key, row in parity_rows.items() if row["bound"] != table[key]["bound"]}
    assert not bars, f"another bar: {sorted(bars)}; {AGAIN}"


def test_what_stands_in_the_table_was_measured(
    table: Rows, parity_rows: Rows, request: pytest.FixtureRequest
) -> None:
    """Only a session that ran every parity test and saw none fail can tell."""
    here = Path(__file__).parent
    ran = {item.path for item in request.session.items}
    chosen = request.config.option.keyword or any("::" in arg for arg in request.config.args)
    whole = not chosen and set(here.glob("test_*.py")) <= ran and not request.session.testsfailed
    gone = table.keys() - parity_rows.keys() if whole else set()
    assert not gone, f"nothing measures {sorted(gone)} any more; {AGAIN}"
