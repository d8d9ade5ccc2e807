"""Bare `mkdocs serve`, with the book's own hook, shows a page as it is after each edit."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from book import press
from book.chapters import ROOT

CONFIG = """
site_name: A book of one page
hooks: [hook.py]
theme: {name: material, font: false}
plugins: [search]
"""
# The real hook; only what counts as the book is another, before any module has read it.
HOOK = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from book import chapters
chapters.DOCS = Path(__file__).parent / "docs"
chapters.pages = lambda: [chapters.DOCS / "test-serve.md"]
from book.hooks import *
"""
PAGE = """# A page

About the {bird}.

```python
print("{bird}" * 2)
```

```text {{.output}}
{bird}{bird}
```
"""
PATIENCE_SECONDS = 120


@pytest.fixture
def folder() -> Iterator[Path]:
    """Inside the repository, as the press wants its pages; nothing is remembered of them."""
    folder = ROOT / "build" / "test-serve"
    for old in (folder, press.CACHE / "test-serve"):
        shutil.rmtree(old, ignore_errors=True)
    (folder / "docs").mkdir(parents=True)
    (folder / "mkdocs.yml").write_text(CONFIG, encoding="utf-8")
    (folder / "hook.py").write_text(HOOK, encoding="utf-8")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def read(address: str, needle: str, server: subprocess.Popen[bytes]) -> str:
    """The page, as soon as it holds `needle`."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    page = ""
    while needle not in page:
        assert server.poll() is None, "the server has ended"
        assert time.monotonic() < deadline, f"{needle!r} was never served; the last page: {page}"
        time.sleep(0.1)
        try:
            with urllib.request.urlopen(address, timeout=PATIENCE_SECONDS) as answer:
                page = answer.read().decode()
        except (urllib.error.URLError, ConnectionError):
            pass  # it hasn't begun to listen
    return page


def test_an_edit_is_run_and_served(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    page = folder / "docs" / "test-serve.md"  # a name of its own in the press's records, too
    page.write_text(PAGE.format(bird="robin"), encoding="utf-8")
    command = [sys.executable, "-m", "mkdocs", "serve", "-a", address]
    # It is killed in the end, and what it keeps in its temporary folder has to go as well.
    settings = {"TMPDIR": str(folder), "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=log, env={**os.environ, **settings}
        )
        try:
            first = read(f"http://{address}/test-serve/", "About the robin.", server)
            assert "robinrobin" in first
            assert "livereload(" in first
            page.write_text(PAGE.format(bird="wren"), encoding="utf-8")
            second = read(f"http://{address}/test-serve/", "About the wren.", server)
            assert "wrenwren" in second
            assert "robin" not in second
        except BaseException:
            print((folder / "log").read_text(encoding="utf-8", errors="replace"))
            raise
        finally:
            server.kill()
            server.wait()
    said = (folder / "log").read_text(encoding="utf-8", errors="replace")
    assert said.count("running 1 of 1 pages") == 2
