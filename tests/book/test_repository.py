"""What must hold of every tracked file: no registry host, one torch index, no invented address."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from book import setup
from book.chapters import ROOT

# Spelled in parts, so that this file doesn't hold them.
REGISTRIES = [
    ".".join(parts)
    for parts in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("registry", "npmjs", "org"),
    ]
]


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return [ROOT / name for name in listed.split("\0") if name]


def text_of(path: Path) -> str:
    data = path.read_bytes()
    return "" if b"\0" in data[:4096] else data.decode("utf-8")


@pytest.fixture(scope="module")
def texts() -> dict[Path, str]:
    return {path: text_of(path) for path in tracked() if path.is_file()}


def test_no_registry_host_stands_in_a_file(texts: dict[Path, str]) -> None:
    found = [(p, host) for p, text in texts.items() for host in REGISTRIES if host in text]
    assert not found


def test_the_torch_index_stands_in_one_place(texts: dict[Path, str]) -> None:
    index = "/".join(["download.pytorch.org", "whl", "cpu"])
    found = [(p.relative_to(ROOT).as_posix(), text.count(index)) for p, text in texts.items()]
    assert [entry for entry in found if entry[1]] == [("book/setup.py", 1)]


def test_workflows_call_the_make_targets_and_name_no_address(texts: dict[Path, str]) -> None:
    for path, text in texts.items():
        if path.parent.name == "workflows":
            assert "make " in text
            assert not re.search(r"https?://", text), path


def test_ci_calls_the_make_targets_and_nothing_else() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"^for target in lint test site pdf; do$", script, re.MULTILINE)
    commands = [line.split()[0] for line in script.splitlines() if line and line[0] != "#"]
    assert set(commands) <= {"set", "cd", "times=\"\"", "for", "printf", "began=$SECONDS", "make",
                             "times+=\"$(printf", "done"}  # fmt: skip


def test_the_tests_workflow_installs_what_the_set_up_would_ask_for(texts: dict[Path, str]) -> None:
    """A runner isn't root: there the set-up names what is missing, and stops."""
    workflow = texts[ROOT / ".github/workflows/ci.yml"]
    for package in (*setup.PDF_LIBRARIES, "fontconfig", *setup.FONTS):
        assert f" {package}" in workflow, package
