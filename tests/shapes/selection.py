"""pytest plug-in of the shape check: leaves out the tests that the checker must not see.

jaxtyping's checker raises before our own validation does, and its wrappers break
`torch.compile(fullgraph=True)` and stand between a warning and its caller. So tests of errors, of
compilation and of a warning's place stay with the ordinary run.
"""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FOREIGN = ("pytest.raises", "torch.compile", "fullgraph", "subprocess", ".filename ==")


def _seen(item: pytest.Item) -> bool:
    function = getattr(item, "function", None)
    if function is None or item.path.parent == HERE:
        return function is not None
    return not any(word in inspect.getsource(function) for word in FOREIGN)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests that call the package as it is meant to be called."""
    left_out = [item for item in items if not _seen(item)]
    items[:] = [item for item in items if _seen(item)]
    config.hook.pytest_deselected(items=left_out)
