"""Hands the book's Sybil and the package's docstrings to pytest."""

from __future__ import annotations

import doctest
import os
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from sybil import Sybil
from sybil.evaluators.doctest import NUMBER
from sybil.parsers.rest import DocTestParser
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from book import press
from book.chapters import ROOT, SYBIL

DOCSTRINGS = Sybil(
    parsers=[DocTestParser(optionflags=doctest.ELLIPSIS | NUMBER)],
    path=str(ROOT),
    patterns=["attention_guide/**/*.py", "attention_guide/*.py"],
    name="docstrings",
)
pytest_collect_file = (SYBIL + DOCSTRINGS).pytest()


# Tests that share something costly run in one process; these are the longest, and go first.
TOGETHER = ("tests/site", "tests/shapes", "tests/book/test_notebooks.py", "tests/parity")
WORKER = "PYTEST_XDIST_WORKER" in os.environ

if WORKER:
    # Side by side, each process has one core; so have the programs that it starts.
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


class Together(LoadScopeScheduling):
    """Hands a process all the tests of a file, or of a group of `TOGETHER`."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid.partition("::")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    return Together(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side, begin with the longest."""
    if WORKER:
        order = {group: place for place, group in enumerate(TOGETHER)}
        items.sort(key=lambda item: order.get(_group(item.nodeid.partition("::")[0]), len(order)))


def _group(path: str) -> str:
    return next((g for g in TOGETHER if path == g or path.startswith(f"{g}/")), path)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Run the pages whose blocks are among the tests, side by side, before the tests ask."""
    if session.config.option.collectonly:
        return
    chosen = {item.path for item in session.items if item.path.suffix == ".md"}
    # Of several test processes one runs them, and the others read what it has left.
    press.CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(press.CACHE / "tests.lock"):
        press.run(sorted(Path(p) for p in chosen))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Under CI a skipped test, or file of tests, is a failure: nobody reads a green summary."""
    # Side by side, the reports come together where the terminal is.
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter and os.environ.get("CI") else []
    for report in skipped:
        reporter.write_line(f"\nskipped, and under CI nothing may be: {report.nodeid}", red=True)
    if skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Count the blocks that need what this machine lacks: they are marked, never hidden."""
    asked = {report.nodeid.partition("::")[0] for report in terminalreporter.getreports("passed")}
    pages = [path for name in sorted(asked) if (path := ROOT / name).suffix == ".md"]
    results = [r for r in press.run(pages, quiet=True).values() if r.blocks]
    if results:
        blocks = [b for r in results for b in r.blocks]
        gpu, network = (sum(b.skipped == kind for b in blocks) for kind in ("gpu", "network"))
        terminalreporter.write_line(
            f"book: {len(blocks) - gpu - network} blocks of {len(results)} pages run; "
            f"{gpu} need a GPU, {network} a network"
        )
