"""What must hold of every tracked file: no registry host, one torch index, no invented address."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from book import setup
from book.chapters import ROOT

# What readers get, and the hosts that it may name: those that exist. Add another one only after
# you have been there.
READERS = ("attention_guide/", "docs/", "overrides/", "CHANGELOG.md", "CITATION.cff",
           "CONTRIBUTING.md", "LICENSE", "README.md", "mkdocs.yml", "pyproject.toml")  # fmt: skip
HOSTS = [
    "ai.stanford.edu",
    "blog.samaltman.com",
    "creativecommons.org",
    "dl.fbaipublicfiles.com",
    "github.com",
    "huggingface.co",
    "jfly.uni-koeln.de",
    "jmlr.org",
    "journal.uptimeinstitute.com",
    "mistral.ai",
    "proceedings.mlr.press",
    "raw.githubusercontent.com",
    "scripts.sil.org",
    "storage.googleapis.com",
    "transformer-circuits.pub",
    "www.cs.toronto.edu",
    "www.iea.org",
    "www.ipcc.ch",
    "www.jstor.org",
    "www.lesswrong.com",
    "www.sciencedirect.com",
    "www.w3.org",
]
# Names that no one can own, for examples.
RESERVED = re.compile(r"(.+\.)?example(\.org)?|localhost|127\.0\.0\.1")

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


def hosts(text: str) -> set[str]:
    """The host of every address in a text; patterns of addresses (`https://...`) have none."""
    found = re.findall(r"(?i)\bhttps?://([a-z0-9][a-z0-9.-]*)", text)
    return {host.lower().rstrip(".") for host in found}


def test_a_host_is_found_wherever_an_address_stands() -> None:
    text = "<https://A.example/x>, (http://b.example). `https://c.org:80`; url = {https://d.org}"
    assert hosts(text) == {"a.example", "b.example", "c.org", "d.org"}
    assert hosts("f'https://{host}', https://...") == set()


def test_no_address_is_invented(texts: dict[Path, str]) -> None:
    names = {path: path.relative_to(ROOT).as_posix() for path in texts}
    named = {
        (host, names[path])
        for path, text in texts.items()
        if names[path].startswith(READERS)
        for host in hosts(text)
        if not RESERVED.fullmatch(host)
    }
    assert sorted(HOSTS) == HOSTS
    assert sorted(entry for entry in named if entry[0] not in HOSTS) == []
    assert set(HOSTS) - {host for host, _ in named} == set()


def test_ci_calls_the_make_targets_and_nothing_else() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert re.search(r"^for target in lint test site pdf; do$", script, re.MULTILINE)
    commands = [line.split()[0] for line in script.splitlines() if line and line[0] != "#"]
    assert re.findall(r"(?m)^export (.*?)(?: #.*)?$", script) == ["CI=true"]
    known = {"set", "export", "cd", 'times=""', "for", "printf", "began=$SECONDS", "make"}
    assert set(commands) <= known | {'times+="$(printf', "done"}


def test_workflows_install_what_the_set_up_would_ask_for(texts: dict[Path, str]) -> None:
    """A runner isn't root: there the set-up names what is missing, and stops."""
    workflows = {p.name: text for p, text in texts.items() if p.parent.name == "workflows"}
    calls = {
        name: {word for line in re.findall(r"\bmake( [a-z ]+)", text) for word in line.split()}
        for name, text in workflows.items()
    }
    assert {name for name, targets in calls.items() if "test" in targets} == {
        "ci.yml", "release.yml"
    }  # fmt: skip
    assert "pdf" in calls["site.yml"]
    for name, targets in calls.items():
        needed = [*setup.PDF_LIBRARIES] if {"pdf", "test"} & targets else []
        needed += ["fontconfig", *setup.FONTS] if "test" in targets else []
        words = workflows[name].split()
        assert [package for package in needed if package not in words] == []


def test_the_windows_job_runs_every_test(texts: dict[Path, str]) -> None:
    """It has no make, and calls what `make test` calls."""
    workflow = texts[ROOT / ".github/workflows/ci.yml"]
    recipe = re.search(r"^test:.*\n((?:\t.*\n)+)", texts[ROOT / "Makefile"], re.MULTILINE)
    assert recipe
    steps = recipe[1].replace("@$(PYTHON)", "python").replace("@$(RUN)", ".venv/Scripts/python")
    windows = [line.replace("\\", "/") for line in re.findall(r"run: (.*)", workflow)]
    for step in steps.replace("$(ARGS)", "").splitlines():
        assert step.strip() in windows
