"""Every shape annotation is checked while the unit tests run, so that no signature can be false."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = [
    "tests/unit/explain",
    "tests/unit/functional",
    "tests/unit/layers",
    "tests/unit/models",
    "tests/unit/test_record.py",
    "tests/unit/text",
    # The rest of data/ and train/ has no shapes.
    "tests/unit/data/test_public.py",
    "tests/unit/train/test_calibration.py",
    "tests/unit/train/test_losses.py",
    "tests/unit/train/test_metrics.py",
]


def _under_the_checker(package: str, *arguments: str | Path) -> tuple[int, str]:
    """Exit code and output of pytest, with `package` imported through jaxtyping's hook.

    A process of its own: the hook must stand before the package is first imported, and this
    session's plug-ins have imported it already. For the same reason ours is off there.
    """
    command = [
        sys.executable, "-m", "pytest", "-q", "-p", "no:attention_guide", "-p", "no:cacheprovider",
        "-p", "tests.shapes.selection", f"--jaxtyping-packages={package},beartype.beartype",
        "-c", str(ROOT / "pyproject.toml"), *map(str, arguments),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTEST_XDIST_WORKER", None)  # a session of its own
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.timeout(600)
def test_every_annotation_holds_while_the_unit_tests_run() -> None:
    code, output = _under_the_checker("attention_guide", "tests/shapes/hooked.py", *FLOORS)
    assert code == 0, output[-8000:]
    passed = re.search(r"(\d+) passed", output)
    assert passed is not None, output[-2000:]
    # A selection that lets next to nothing through would pass in silence.
    assert int(passed[1]) >= 600, output[-2000:]


def test_a_false_annotation_fails(tmp_path: Path) -> None:
    package = tmp_path / "falsehood"
    package.mkdir()
    (package / "__init__.py").write_text(
        "from jaxtyping import Float\n"
        "from torch import Tensor\n\n"
        'def swap(x: Float[Tensor, "T K"]) -> Float[Tensor, "{shape}"]:\n'
        "    return x.transpose(0, 1)\n",
        encoding="utf-8",
    )
    test = tmp_path / "test_swap.py"
    test.write_text(
        "import sys\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import torch\nfrom falsehood import swap\n\n"
        "def test_swap():\n    assert swap(torch.ones(2, 3)).shape == (3, 2)\n",
        encoding="utf-8",
    )
    source = (package / "__init__.py").read_text(encoding="utf-8")
    for shape, expected in [("K T", 0), ("T K", 1)]:
        (package / "__init__.py").write_text(source.format(shape=shape), encoding="utf-8")
        code, output = _under_the_checker("falsehood", test)
        assert code == expected, output[-4000:]
        assert ("TypeCheckError" in output) == (expected == 1)
