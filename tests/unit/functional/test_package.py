"""The package itself: light to import, typed, one name for each thing; the fast product."""

from __future__ import annotations

import itertools
import subprocess
import sys
from importlib import resources
from typing import Any

import pytest
import torch

import attention_guide
from attention_guide import cpu, functional
from attention_guide.cpu import fast_matmul, fast_matmul_is_on, fast_matmul_off


def test_import_is_light() -> None:
    code = (
        "import sys, torch; before = set(sys.modules); import attention_guide; "
        "print(sorted(m for m in set(sys.modules) - before))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "['attention_guide']"


def test_functional_needs_torch_and_jaxtyping_alone() -> None:
    code = (
        "import sys, torch, jaxtyping; before = set(sys.modules); "
        "import attention_guide.functional; "
        "print(sorted({m.split('.')[0] for m in set(sys.modules) - before}))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"matplotlib", "transformers", "onnx"} & set(eval(out.stdout))
    assert "attention_guide" in out.stdout


def test_version_and_unknown_names() -> None:
    assert attention_guide.__version__
    assert "__version__" in dir(attention_guide)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        attention_guide.nonsense  # noqa: B018


def test_types_are_shipped() -> None:
    assert resources.files("attention_guide").joinpath("py.typed").is_file()


def test_every_public_function_is_documented_and_reexported() -> None:
    for name in functional.__all__:
        thing = getattr(functional, name)
        if not callable(thing) or getattr(thing, "__module__", "") == "typing":
            continue
        text = thing.__doc__ or ""
        assert text, name
        if not isinstance(thing, type):
            for part in ("Args:", "Returns:", "Examples:"):
                assert part in text or (part == "Args:" and name == "mask_table"), (name, part)


class Switch:
    fp32_precision = "none"


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Any:
    fake = Switch()
    monkeypatch.setattr(cpu, "_switch", lambda: fake)
    monkeypatch.setitem(cpu._state, "before", None)
    return fake


def seconds(monkeypatch: pytest.MonkeyPatch, *times: float) -> None:
    turns = itertools.cycle(times)
    monkeypatch.setattr(cpu, "_seconds", lambda a, b: next(turns))


def test_fast_product_stays_on_where_it_is_faster_and_exact(
    switch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds(monkeypatch, 2.0, 1.0)
    with fast_matmul() as report:
        assert report.on
        assert fast_matmul_is_on()
        assert switch.fp32_precision == "bf16"
        assert report.gain == 2.0
        assert fast_matmul().reason == "it was on already"
    assert not fast_matmul_is_on()
    assert switch.fp32_precision == "none"


@pytest.mark.parametrize(
    ("error", "times", "reason"),
    [(1e-3, (2.0, 1.0), "an error of 1.0e-03"), (0.0, (1.0, 1.0), "a gain of only 1.00")],
)
def test_fast_product_is_taken_back_otherwise(
    switch: Any,
    monkeypatch: pytest.MonkeyPatch,
    error: float,
    times: tuple[float, float],
    reason: str,
) -> None:
    seconds(monkeypatch, *times)
    monkeypatch.setattr(cpu, "_error", lambda: error)
    report = fast_matmul()
    assert not report.on
    assert reason in report.reason
    assert switch.fp32_precision == "none"
    assert not fast_matmul_is_on()


def test_fast_product_without_the_switch_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "_switch", lambda: None)
    report = fast_matmul()
    assert not report.on
    assert "no such switch" in report.reason
    fast_matmul_off()


def test_fast_product_on_this_machine_is_exact_or_off() -> None:
    try:
        report = fast_matmul()
        a, b = torch.randn(64, 64), torch.randn(64, 64)
        error = (a @ b - a.double() @ b.double()).norm() / (a.double() @ b.double()).norm()
        assert error < 1e-6
        assert report.on == fast_matmul_is_on()
    finally:
        fast_matmul_off()
