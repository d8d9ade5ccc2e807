"""One runnable file for each trained result in the book, and the ledger of what came out."""

from attention_guide.recipes.ledger import (
    Ledger,
    Row,
    Run,
    Spread,
    describe_machine,
    ledger_names,
    make_row,
    read_ledger,
    write_row,
)

__all__ = [
    "Ledger",
    "Row",
    "Run",
    "Spread",
    "describe_machine",
    "ledger_names",
    "make_row",
    "read_ledger",
    "write_row",
]
