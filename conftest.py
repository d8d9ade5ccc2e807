"""Hands the book's Sybil and the package's docstrings to pytest."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.evaluators.doctest import NUMBER
from sybil.parsers.rest import DocTestParser

from book import press
from book.chapters import ROOT, SYBIL

DOCSTRINGS = Sybil(
    parsers=[DocTestParser(optionflags=doctest.ELLIPSIS | NUMBER)],
    path=str(ROOT),
    patterns=["attention_guide/**/*.py", "attention_guide/*.py"],
    name="docstrings",
)
pytest_collect_file = (SYBIL + DOCSTRINGS).pytest()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Run the pages whose blocks are among the tests, side by side, before the tests ask."""
    if session.config.option.collectonly:
        return
    chosen = {item.path for item in session.items if item.path.suffix == ".md"}
    press.run(sorted(Path(p) for p in chosen))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the blocks that need what this machine lacks: they are marked, never hidden."""
    results = [r for r in press.session_results() if r.blocks]
    if results:
        blocks = [b for r in results for b in r.blocks]
        gpu, network = (sum(b.skipped == kind for b in blocks) for kind in ("gpu", "network"))
        terminalreporter.write_line(
            f"book: {len(blocks) - gpu - network} blocks of {len(results)} pages run; "
            f"{gpu} need a GPU, {network} a network"
        )
