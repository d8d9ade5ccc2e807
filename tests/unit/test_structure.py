"""The package's floors, its light import, and what every public docstring owes its reader."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import attention_guide
from attention_guide import models

PACKAGE = Path(attention_guide.__file__).parent
# Each floor may import itself and the floors named here; what is not listed may import anything.
FLOORS = {
    "functional": {"cpu"},
    "layers": {"functional"},
    "models": {"functional", "layers"},
    "text": set(),
    "plot": set(),
}

# Plumbing and translations between libraries: no paper has them.
NO_PAPER_MODULES = {"blocked", "conventions", "polarity"}
NO_PAPER = {
    "combine", "convert_rope_weight", "document_mask", "generate", "greedy", "padding_mask",
    "position_mask", "relative_distance", "rope_tables", "sample", "temperature",
    "untiled_traffic",
}  # fmt: skip


def imported_floors(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("attention_guide."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("attention_guide."):
                    yield alias.name.split(".")[1]


@pytest.mark.parametrize("floor", FLOORS)
def test_a_floor_knows_nothing_above_it(floor: str) -> None:
    for file in (PACKAGE / floor).rglob("*.py"):
        above = set(imported_floors(file)) - FLOORS[floor] - {floor}
        assert not above, f"{file} imports {above}"


def test_a_family_has_one_frozen_config_of_fifteen_fields_at_most() -> None:
    configs = [kind for name, kind in vars(models).items() if name.endswith("Config")]
    assert len(configs) > 10
    for config in configs:
        assert config.__dataclass_params__.frozen, config
        assert len(dataclasses.fields(config)) <= 15, config


def test_import_is_light() -> None:
    code = (
        "import sys, attention_guide, attention_guide.functional, attention_guide.layers;"
        "print([m for m in ('matplotlib', 'transformers', 'num2words', 'sacrebleu')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_pytest_plug_in_loads_no_torch() -> None:
    code = "import sys, attention_guide.pytest_plugin; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def public_objects() -> list[tuple[str, object]]:
    """Every public function and class, where it is defined."""
    found = []
    for info in pkgutil.walk_packages([str(PACKAGE)], "attention_guide."):
        if any(part.startswith("_") for part in info.name.split(".")):
            continue
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            is_object = inspect.isfunction(value) or inspect.isclass(value)
            if is_object and not name.startswith("_") and value.__module__ == info.name:
                found.append((f"{info.name}.{name}", value))
    return found


PUBLIC = public_objects()


@pytest.mark.parametrize(("name", "value"), PUBLIC, ids=[n for n, _ in PUBLIC])
def test_public_objects_are_documented(name: str, value: object) -> None:
    doc = inspect.getdoc(value) or ""
    assert doc, f"{name} has no docstring"
    _, floor, *_, short = name.split(".")
    exported = short in getattr(importlib.import_module(f"attention_guide.{floor}"), "__all__", ())
    runs = inspect.isfunction(value) or issubclass(value, torch.nn.Module)
    if floor in {"functional", "layers"} and exported and runs:
        assert ">>>" in doc, f"{name} has no running example"
        module = name.split(".")[2]
        if floor == "functional" and module not in NO_PAPER_MODULES and short not in NO_PAPER:
            assert "Source:" in doc, f"{name} names no source"


def test_files_and_functions_stay_short() -> None:
    for file in PACKAGE.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert text.count("\n") <= 380, f"{file} has {text.count(chr(10))} lines"
