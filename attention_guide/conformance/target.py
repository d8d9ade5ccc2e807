"""Find the reader's own attention by name: `package.module:name`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from attention_guide.conformance.adapter import Adapter, adapt


def load_target(target: str) -> Adapter:
    """The adapter of `package.module:name`, looked up from the current folder and `sys.path`.

    Args:
        target: Module and attribute, joined by a colon. The attribute is a callable, a module
            (`nn.Module`) or an `Adapter`.

    Returns:
        The adapter to hand to `check`.

    Raises:
        ValueError: If `target` is not `package.module:name`, or the module has no such attribute.
        ImportError: If the module can't be found, or raises anything while it is imported.
        TypeError: If the attribute is not callable, or is a class in place of an instance.

    Examples:
        >>> load_target("attention_guide.functional:attention").fn.__name__
        'attention'
    """
    module_name, separator, name = target.partition(":")
    if not (module_name and separator and name) or module_name.startswith("."):
        raise ValueError(f"target must be package.module:name; got {target!r}")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the reader's module may raise anything
        raise ImportError(
            f"target: importing {module_name} raised {type(error).__name__}: {error}"
        ) from error
    if not hasattr(module, name):
        raise ValueError(f"target: module {module_name} has no attribute {name!r}")
    try:
        return adapt(getattr(module, name))
    except TypeError as error:
        raise TypeError(f"target: {target}: {error}") from error
