"""One public piece of the package as a single file that imports torch alone.

The piece's definition is followed to every definition that it uses; all of them are printed in
reading order, with the imports that they need. Shape annotations become plain `Tensor`; the shapes
stay in the docstrings.
"""

from __future__ import annotations

import ast
import functools
import importlib
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import ModuleType

import attention_guide

PACKAGE = Path(attention_guide.__file__).parent
PLACES = ("functional", "layers", "models", "explain", "cpu")
# Pieces that the reference shows and no place exports.
OTHERS = {
    "AttentionRecorder": "attention_guide.record",
    "merge_heads": "attention_guide.layers.heads",
    "split_heads": "attention_guide.layers.heads",
}

HEADER = '''"""{name}, copied from attention-guide {version}.

Copyright (c) 2026 The Attention Guide contributors. MIT License: permission is granted, free of
charge, to use, copy, modify and distribute this file, provided that this notice is kept. The
software is provided "as is", without warranty of any kind.
"""
'''


def copyable() -> dict[str, str]:
    """The name of every piece that can be copied, with the module where it is found.

    These are the functions, layers, models and explanations, the switch for fast products and the
    recorder. What reads files, draws, trains or checks (data, text, checkpoints, plots, training,
    conformance) isn't among them: it needs more than torch, or a package around it.

    Examples:
        >>> copyable()["causal_mask"], copyable()["Kernel"]
        ('attention_guide.functional', 'attention_guide.functional')
    """
    found: dict[str, str] = {}
    for place in PLACES:
        home = f"attention_guide.{place}"
        for name in importlib.import_module(home).__all__:
            found.setdefault(name, home)
    return found | OTHERS


def copy(name: str) -> str:
    """The source of one self-contained file that defines `name`.

    Args:
        name: One of `copyable`.

    Returns:
        Python source; it imports the standard library and torch, nothing else.

    Raises:
        ValueError: If there is no such piece, naming those whose names are near.

    Examples:
        >>> "def causal_mask(" in copy("causal_mask")
        True
    """
    pieces = copyable()
    if name not in pieces:
        near = [p for p in pieces if name.lower() in p.lower() or p.lower() in name.lower()]
        hint = f"; near it: {', '.join(near)}" if near else ""
        raise ValueError(f"name: there is no piece {name!r}{hint}")
    collector = _Collector()
    collector.add(pieces[name], name)
    return HEADER.format(name=name, version=metadata.version("attention-guide")) + collector.text()


@dataclass
class _Module:
    """A module's source, its top-level definitions and what each imported name stands for."""

    source: str
    definitions: dict[str, ast.stmt] = field(default_factory=dict)
    package_names: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    shape_types: set[str] = field(default_factory=set)


@functools.cache
def _read(name: str) -> _Module:
    parts = name.split(".")[1:]
    file = PACKAGE.joinpath(*parts)
    file = file / "__init__.py" if file.is_dir() else file.with_suffix(".py")
    module = _Module(file.read_text(encoding="utf-8"))
    for node in ast.parse(module.source).body:
        if isinstance(node, ast.ImportFrom | ast.Import):
            _note_import(module, node)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            module.definitions[node.name] = node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            module.definitions[node.target.id] = node
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name) and target.id != "__all__":
                    module.definitions[target.id] = node
    return module


def _note_import(module: _Module, node: ast.ImportFrom | ast.Import) -> None:
    for alias in node.names:
        bound = alias.asname or alias.name.split(".")[0]
        renamed = f" as {alias.asname}" if alias.asname else ""
        if isinstance(node, ast.Import):
            module.imports[bound] = f"import {alias.name}{renamed}"
        elif (node.module or "").startswith("attention_guide"):
            home = str(node.module)
            value = getattr(importlib.import_module(home), alias.name)
            is_module = isinstance(value, ModuleType)
            module.package_names[bound] = (
                (f"{home}.{alias.name}", None) if is_module else (home, alias.name)
            )
        elif node.module == "jaxtyping":
            module.shape_types.add(bound)
        elif node.module != "__future__":
            module.imports[bound] = f"from {node.module} import {alias.name}{renamed}"


class _Collector:
    """Definitions and imports, gathered from a piece outwards."""

    def __init__(self) -> None:
        self.chosen: dict[tuple[str, str], str] = {}
        self.imports: set[str] = set()
        self.locals: set[str] = set()

    def add(self, module_name: str, name: str) -> None:
        """Add a definition and all that it uses; a re-exported name is followed home."""
        module = _read(module_name)
        if name not in module.definitions:
            home, inner = module.package_names[name]
            self.add(home, inner or name)
            if inner not in (None, name):  # a renamed import: its uses keep their name
                self.chosen[module_name, name] = f"{name} = {inner}"
            return
        if (module_name, name) in self.chosen:
            return
        node = module.definitions[name]
        self.chosen[module_name, name] = ""  # marks it before the recursion
        outer, self.locals = self.locals, _local_names(node)
        visited = [self._visit(module_name, module, n) for n in ast.walk(node)]
        self.locals = outer
        edits = [edit for edit in visited if edit]
        self.chosen[module_name, name] = _edited(module.source, node, edits)

    def _visit(
        self, module_name: str, module: _Module, node: ast.AST
    ) -> tuple[ast.expr, str] | None:
        if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
            if node.value.id in module.shape_types:
                self.imports.add("from torch import Tensor")
                return node, "Tensor"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            home, inner = module.package_names.get(node.value.id, ("", ""))
            if home and inner is None:
                if node.attr in self.locals:
                    raise ValueError(f"{module_name}: a local name hides {node.attr}")
                self.add(home, node.attr)
                return node, node.attr
        elif isinstance(node, ast.Name):
            self._name(module_name, module, node.id)
        return None

    def _name(self, module_name: str, module: _Module, name: str) -> None:
        if name in module.definitions:
            self.add(module_name, name)
        elif name in module.package_names:
            if module.package_names[name][1] is not None:
                self.add(module_name, name)
        elif name in module.imports:
            self.imports.add(module.imports[name])

    def text(self) -> str:
        """The imports and the definitions, each after what it uses at import time."""
        names = [name for _, name in self.chosen]
        doubles = {name for name in names if names.count(name) > 1}
        if doubles:
            raise ValueError(f"two modules define {', '.join(sorted(doubles))}")
        plain = sorted(i for i in self.imports if i.startswith("import "))
        froms = sorted(i for i in self.imports if i.startswith("from "))
        head = ["from __future__ import annotations", *plain, *froms]
        return "\n".join(head) + "\n\n\n" + "\n\n\n".join(self._ordered()) + "\n"

    def _ordered(self) -> list[str]:
        order: list[tuple[str, str]] = []
        for key in self.chosen:
            self._place(key, order)
        seen: list[str] = []
        for key in order:
            text = self.chosen[key]
            if text not in seen:  # `a = b = 1` defines two names by one statement
                seen.append(text)
        return seen

    def _place(self, key: tuple[str, str], order: list[tuple[str, str]]) -> None:
        if key in order:
            return
        names = {name: (m, name) for m, name in self.chosen}
        module = _read(key[0])
        defined = module.definitions.get(key[1])
        imported = str(module.package_names.get(key[1], ("", ""))[1])
        for used in [imported] if defined is None else _used_at_import(defined):
            if used in names and names[used] != key:
                self._place(names[used], order)
        order.append(key)


def _local_names(node: ast.stmt) -> set[str]:
    """Parameters and assigned names: a prefix that falls off must not meet one of them."""
    arguments = {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
    stored = {n.id for n in ast.walk(node)
              if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}  # fmt: skip
    return arguments | stored


def _used_at_import(node: ast.stmt) -> list[str]:
    """Names that must exist when the statement runs: bases, decorators, defaults, values."""
    if isinstance(node, ast.FunctionDef):
        defaults = [d for d in node.args.kw_defaults if d is not None]
        roots: list[ast.AST] = [*node.decorator_list, *node.args.defaults, *defaults]
    elif isinstance(node, ast.ClassDef):
        roots = [*node.bases, *(k.value for k in node.keywords), *node.decorator_list]
        for inner in node.body:
            if isinstance(inner, ast.FunctionDef):
                return [*_names(roots), *(n for i in _functions(node) for n in _used_at_import(i)),
                        *(n for s in _statements(node) for n in _names([s]))]  # fmt: skip
        roots += node.body
    else:
        roots = [node]
    return _names(roots)


def _functions(node: ast.ClassDef) -> list[ast.FunctionDef]:
    return [n for n in node.body if isinstance(n, ast.FunctionDef)]


def _statements(node: ast.ClassDef) -> list[ast.stmt]:
    return [n for n in node.body if not isinstance(n, ast.FunctionDef)]


def _names(roots: list[ast.AST]) -> list[str]:
    return [n.id if isinstance(n, ast.Name) else n.attr for root in roots for n in ast.walk(root)
            if isinstance(n, ast.Name | ast.Attribute)]  # fmt: skip


def _edited(source: str, node: ast.stmt, edits: list[tuple[ast.expr, str]]) -> str:
    """The statement's own text, with the comments above it and with `edits` applied."""
    lines = source.splitlines(keepends=True)
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(d.lineno for d in decorators)])
    while first > 1 and lines[first - 2].startswith("#"):
        first -= 1
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    data = source.encode()
    begin, end = starts[first - 1], starts[(node.end_lineno or node.lineno) - 1]
    end += node.end_col_offset or 0
    text = data[begin:end]
    for expr, replacement in sorted(edits, key=lambda e: (-e[0].lineno, -e[0].col_offset)):
        low = starts[expr.lineno - 1] + expr.col_offset - begin
        high = starts[(expr.end_lineno or expr.lineno) - 1] + (expr.end_col_offset or 0) - begin
        text = text[:low] + replacement.encode() + text[high:]
    return text.decode()
