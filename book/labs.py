"""The labs (`docs/labs/*.ipynb`): executed by the press when stale, rendered by mkdocs-jupyter."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from book import notebooks, press
from book.chapters import DOCS, ROOT

CACHE = ROOT / ".cache" / "labs"
RUNTIME = (*press.RUNTIME, "book/labs.py", "book/notebooks.py")


def labs() -> list[Path]:
    """The source notebooks, without outputs."""
    return sorted((DOCS / "labs").glob("*.ipynb"))


def run(path: Path) -> Path:
    """The executed notebook, from the record if nothing that it depends on has changed.

    A lab's cells run in a kernel, whose imports the press can't see: its key holds the whole
    package.

    Raises:
        press.PageFailed: A cell raises, or draws a figure without a text; the message names the
            notebook and the cell.
    """
    folder = CACHE / path.stem
    executed = folder / _key(path) / "docs" / "labs" / path.name
    if not executed.exists():
        shutil.rmtree(folder, ignore_errors=True)
        try:
            notebooks.execute_lab(path, executed)
        except Exception as error:  # a cell's failure, or a file that is no notebook
            raise press.PageFailed(f"{path.relative_to(ROOT)}: {error}") from error
    return executed


def _key(path: Path) -> str:
    digest = hashlib.sha256(press.environment().encode())
    package = sorted((ROOT / "attention_guide").rglob("*"))
    for file in [path, *(ROOT / name for name in RUNTIME), *package]:
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(f"\n{file.relative_to(ROOT).as_posix()}\n".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:20]
