"""The API reference is complete: every public module has its place, once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import griffe

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


def modules(module: griffe.Module) -> Iterator[griffe.Module]:
    """A package and all that is in it."""
    yield module
    for inner in module.modules.values():
        if not inner.is_alias:  # an imported module is not in the package
            yield from modules(inner)


def places(named: griffe.Object | griffe.Alias) -> Iterator[str]:
    """Where an object may be documented: under its name here, or where it was imported from."""
    yield named.path
    while isinstance(named, griffe.Alias):
        named = named.target
        yield named.path
    if named.is_module:  # which a function of the same name stands before
        yield f"{named.path}.{named.name}"


def test_every_exported_name_is_documented(built_site: Path) -> None:
    pages = [p.read_text(encoding="utf-8") for p in (built_site / "reference").rglob("index.html")]
    anchors = {
        name for page in pages for name in re.findall(r'id="(attention_guide\.[^"]+)"', page)
    }
    package = griffe.load("attention_guide", search_paths=[str(ROOT)], resolve_aliases=True)
    assert isinstance(package, griffe.Module)
    exported = [
        module[str(name)]
        for module in modules(package)
        for name in module.exports or ()
        if not str(name).startswith("_")
    ]
    assert len(exported) > 400
    assert [named.path for named in exported if anchors.isdisjoint(places(named))] == []


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
