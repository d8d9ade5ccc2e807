"""What the repository's own `conftest.py` makes of a test run."""

from __future__ import annotations

import pytest

from book.chapters import ROOT

pytest_plugins = ["pytester"]

TESTS = """
import pytest

def test_runs():
    pass

@pytest.mark.xfail
def test_known():
    assert False
"""
SKIPPED = """
@pytest.mark.parametrize("font", ["Thai"])
def test_left_out(font):
    pytest.skip("no font")
"""
NAMES = ["test_none.py", "test_some.py::test_left_out[Thai]"]


@pytest.mark.parametrize(
    ("ci", "skipped", "workers", "named"),
    [
        ("true", True, "0", NAMES),
        ("true", True, "1", NAMES),
        ("true", False, "0", []),
        ("", True, "0", []),
    ],
)
def test_under_ci_a_skipped_test_fails_the_run_and_is_named(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config,
    ci: str, skipped: bool, workers: str, named: list[str],
) -> None:  # fmt: skip
    conftest = pytestconfig.pluginmanager.get_plugin(str(ROOT / "conftest.py"))

    class Guard:
        pytest_sessionfinish = staticmethod(conftest.pytest_sessionfinish)

    monkeypatch.setenv("CI", ci)
    pytester.makepyfile(test_some=TESTS + SKIPPED * skipped)
    if skipped:
        pytester.makepyfile(test_none="import pytest; pytest.importorskip('no_such_module')")
    done = pytester.runpytest_inprocess("-n", workers, plugins=[Guard()])
    assert done.ret == (pytest.ExitCode.TESTS_FAILED if named else pytest.ExitCode.OK)
    said = [line for line in done.outlines if line.startswith("skipped, and under CI")]
    assert sorted(line.split(": ")[1] for line in said) == named
