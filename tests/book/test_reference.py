"""The API reference is complete: every public module has its place, once."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from book import source_links
from book.chapters import DOCS, ROOT


def public_modules() -> set[str]:
    """Dotted names of all modules without an underscore, packages left out."""
    names = set()
    for path in (ROOT / "attention_guide").rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if not any(part.startswith("_") for part in parts):
            names.add(".".join(parts))
    return names


def test_every_public_module_is_documented_once() -> None:
    pages = (DOCS / "reference").glob("*.md")
    listed = Counter(
        name
        for page in pages
        for name in re.findall(r"^::: ([\w.]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert set(listed) == public_modules()
    assert not [name for name, times in listed.items() if times > 1]


def test_sources_link_to_their_lines_in_the_repository(built_site: Path) -> None:
    pages = list((built_site / "reference").rglob("index.html"))
    found = 0
    for page in pages:
        html = page.read_text(encoding="utf-8")
        linked = source_links.add(html, "https://code.example/book/", "0123abc")
        addresses = re.findall(
            r'<p><a href="https://code\.example/book/blob/0123abc/([^"#]+)#L(\d+)">', linked
        )
        assert len(addresses) == html.count('class="mkdocstrings-source"')
        for path, line in addresses:
            lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
            assert re.match(r" *(?:@|def |class |async def )", lines[int(line) - 1]), (path, line)
        found += len(addresses)
    assert found > 300
