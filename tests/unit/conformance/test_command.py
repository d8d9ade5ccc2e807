"""The same checks from the command line and as a pytest plug-in."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from attention_guide.__main__ import main

BROKEN = """
import torch

def unscaled(q, k, v, mask=None):
    scores = q @ k.transpose(-2, -1)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return torch.softmax(scores, -1).nan_to_num() @ v
"""


def test_check_from_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "attention_guide.functional:attention"]) == 0
    assert "parity with the reference" in capsys.readouterr().out
    target = "attention_guide.conformance.museum:model_width"
    assert main(["check", target, "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["subject"] == target
    failed = [o["name"] for o in report["outcomes"] if o["status"] == "failed"]
    assert "scale by head width" in failed


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("attention", "must be package.module:name"),
        ("attention_guide.functional:nothing", "has no attribute 'nothing'"),
        ("no_such_module:x", "target: importing no_such_module raised ModuleNotFoundError"),
        (".relative:x", "must be package.module:name; got '.relative:x'"),
        ("torch.nn:MultiheadAttention", "an instance; got the class MultiheadAttention"),
        ("torch:__version__", "target: torch:__version__: fn must be callable"),
        ("does_not_parse:x", "target: importing does_not_parse raised SyntaxError"),
        ("raises:x", "target: importing raises raised ZeroDivisionError: division by zero"),
    ],
)
def test_bad_targets(
    target: str,
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "does_not_parse.py").write_text("def (")
    (tmp_path / "raises.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["check", target])
    assert ended.value.code == 2
    assert reason in capsys.readouterr().err


def test_copying_a_piece_without_a_name_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["copy", ""])
    assert ended.value.code == 2
    assert "name: there is no piece ''" in capsys.readouterr().err


def run_pytest(folder: Path, target: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_nothing.py").write_text("def test_nothing(): pass\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "--rootdir", ".",
               "--check-attention", target, "test_nothing.py"]  # fmt: skip
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_plug_in_adds_a_test_for_each_property(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BROKEN)
    done = run_pytest(tmp_path, "mine:unscaled")
    assert done.returncode == 1
    assert "scores are divided by the square root of the head width" in done.stdout.lower()
    assert "3 failed" in done.stdout


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("nope:x", "importing nope raised ModuleNotFoundError"),
        ("mine", "must be package.module:name; got 'mine'"),
        ("mine:nothing", "has no attribute 'nothing'"),
    ],
)
def test_the_plug_in_calls_a_bad_target_a_wrong_use(
    target: str, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text(BROKEN)
    done = run_pytest(tmp_path, target)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"ERROR: --check-attention {target}: target" in done.stderr
    assert reason in done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr
