"""Third-party files are what their manifests say, to the byte."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from book.chapters import ROOT

FOLDERS = [ROOT / "docs/assets/vendor", ROOT / "tests/site/vendor"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.relative_to(ROOT).as_posix())
def test_every_vendored_file_has_its_hash_and_licence(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    expected: dict[str, str] = {}
    for package in manifest["packages"]:
        assert package["version"]
        assert package["licence"] in {"MIT", "OFL-1.1", "MPL-2.0"}
        assert f"{package['folder']}/LICENSE" in package["sha256"]
        expected |= package["sha256"]
    actual = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }
    assert actual == expected
