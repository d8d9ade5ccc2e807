"""What the site offers to take away: notebooks, scripts and the wheel they need."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from book import notebooks, press
from book.chapters import DOCS, ROOT, parse

OUT = ROOT / ".cache" / "downloads"
WHEEL_SOURCES = ("attention_guide", "pyproject.toml", "README.md", "LICENSE")


def make(
    results: dict[Path, press.PageResult], labs: dict[Path, Path], site_url: str
) -> dict[str, Path]:
    """Write every download; the name under `downloads/` with the file that holds it."""
    built = wheel()
    address = f"{site_url.rstrip('/')}/downloads/{built.name}" if site_url else ""
    found = {built.name: built}
    for path, result in results.items():
        chapter = parse(path)
        if path.is_relative_to(DOCS) and "chapter" in chapter.meta:
            for file in notebooks.write(chapter, result, OUT, address):
                found[file.relative_to(OUT).as_posix()] = file
    for path, executed in labs.items():
        name = path.relative_to(DOCS).as_posix()
        found[name] = notebooks.write_lab(executed, OUT / name, address)
    return found


def wheel() -> Path:
    """The project's wheel, rebuilt when a file that goes into it changed."""
    (ROOT / ".cache").mkdir(exist_ok=True)
    with FileLock(ROOT / ".cache" / "wheel.lock"):
        return _wheel()


def _wheel() -> Path:
    folder = ROOT / ".cache" / "wheel" / _sources_hash()
    found = list(folder.glob("*.whl"))
    if found:
        return found[0]
    for old in folder.parent.glob("*"):
        shutil.rmtree(old)
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(folder, ignore_errors=True)
        raise press.PageFailed(f"the wheel does not build\n{done.stdout}\n{done.stderr}")
    return next(folder.glob("*.whl"))


def _sources_hash() -> str:
    digest = hashlib.sha256()
    for name in WHEEL_SOURCES:
        base = ROOT / name
        files = sorted(base.rglob("*")) if base.is_dir() else [base]
        for file in files:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"\n{file.relative_to(ROOT).as_posix()}\n".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:20]
