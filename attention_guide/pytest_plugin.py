"""pytest plug-in: `pytest --check-attention package.module:name` adds a test for each property."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from attention_guide.conformance.report import Outcome


class PropertyFailed(Exception):
    """A property of the reader's attention does not hold."""


class PropertyItem(pytest.Item):
    """One property of one attention function as a test."""

    outcome: Outcome

    def runtest(self) -> None:
        """Fail, skip or pass as the report says."""
        if self.outcome.status == "failed":
            raise PropertyFailed(self.outcome.detail)
        if self.outcome.status == "not applicable":
            pytest.skip(self.outcome.detail)

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None
    ) -> str:
        """The property's sentence and its minimal failing example."""
        if isinstance(excinfo.value, PropertyFailed):
            return self.outcome.text
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[str, None, str]:
        """Where pytest says that the test stands."""
        return self.name, None, self.name


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--check-attention`."""
    parser.addoption(
        "--check-attention",
        action="append",
        default=[],
        metavar="PACKAGE.MODULE:NAME",
        help="check the properties of an attention function or module (may be repeated)",
    )


def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add a test for each property of each named attention.

    Raises:
        pytest.UsageError: If a target can't be loaded.
    """
    targets = config.getoption("--check-attention")
    if not targets:
        return
    # Imported here: pytest loads this plug-in in every run, and torch takes seconds.
    from attention_guide.conformance.checking import check
    from attention_guide.conformance.target import load_target

    for target in targets:
        try:
            adapter = load_target(target)
        except (ImportError, TypeError, ValueError) as error:
            raise pytest.UsageError(f"--check-attention {target}: {error}") from error
        for outcome in check(adapter, name=target).outcomes:
            item = PropertyItem.from_parent(session, name=f"{target}[{outcome.name}]")
            item.outcome = outcome
            items.append(item)
