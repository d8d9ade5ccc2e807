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
        ("no_such_module:x", "No module named 'no_such_module'"),
    ],
)
def test_bad_targets(target: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["check", target])
    assert reason in capsys.readouterr().err


def test_the_plug_in_adds_a_test_for_each_property(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(BROKEN)
    (tmp_path / "test_nothing.py").write_text("def test_nothing(): pass\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "--rootdir", ".",
               "--check-attention", "mine:unscaled", "test_nothing.py"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "scores are divided by the square root of the head width" in done.stdout.lower()
    assert "3 failed" in done.stdout
