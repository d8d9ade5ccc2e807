"""Glossary: a link to a term shows its definition on hover."""

from __future__ import annotations

import re
import xml.etree.ElementTree as etree
from typing import Any

from markdown import Markdown
from markdown.treeprocessors import Treeprocessor

from book.markdown.context import Page, page_of
from book.markdown.errors import PageError
from book.markdown.maths import tex_to_text

_ENTRY = re.compile(
    r"^(?P<term>[^\s:#<>`~|-][^\n]*?)[ \t]*\{:?[ \t]*#(?P<slug>[\w-]+)[^}\n]*\}[ \t]*\n"
    r"(?:[ \t]*\n)?:[ \t]+(?P<text>[^\n]+(?:\n(?!\n|:[ \t])[^\n]+)*)",
    re.MULTILINE,
)


class Glossary(Treeprocessor):
    """Give links to `glossary.md#term` the definition as their title; an unknown term fails."""

    def __init__(self, md: Markdown, config: dict[str, Any]) -> None:
        super().__init__(md)
        self.config = config
        self._terms: dict[str, str] = {}

    def run(self, root: etree.Element) -> None:
        page = page_of(self.md)
        self._terms = {}
        if page.uri == self.config["glossary"]:
            terms(page.source, f"docs/{page.uri}")
            return
        for link in root.iter("a"):
            path, _, slug = (link.get("href") or "").partition("#")
            if path and ":" not in path and page.resolve(path) == self.config["glossary"]:
                self._define(link, slug, path, page)

    def _define(self, link: etree.Element, slug: str, path: str, page: Page) -> None:
        if not self._terms:
            content = page.read(path) or b""
            self._terms = terms(content.decode("utf-8"), f"docs/{self.config['glossary']}")
        if not slug:
            return
        if slug not in self._terms:
            raise page.error(f"no term {slug!r} in the glossary", f"glossary.md#{slug}")
        link.set("title", self._terms[slug])
        link.set("class", f"{link.get('class', '')} term".strip())


def terms(source: str, path: str) -> dict[str, str]:
    """Slug to "term: definition", as plain text; a term that stands twice fails."""
    found: dict[str, str] = {}
    for match in _ENTRY.finditer(source):
        slug = match["slug"]
        if slug in found:
            line = source.count("\n", 0, match.start()) + 1
            raise PageError(path, line, f"the term {slug!r} is defined twice")
        found[slug] = f"{_plain(match['term'])}: {_plain(match['text'])}"
    return found


def _plain(markdown: str) -> str:
    text = re.sub(r"\$([^$]+)\$", lambda m: tex_to_text(m[1]), markdown)
    text = re.sub(r"!?\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])", r"\1", text)
    text = re.sub(r"\s*\[-?@[^\]]*\]|\{:[^}]*\}", "", text)
    text = re.sub(r"(\*{1,3}|(?<!\w)_|_(?!\w)|`+)", "", text)
    return " ".join(text.split())


def register(md: Markdown, config: dict[str, Any]) -> None:
    """Before relative links are resolved (0)."""
    md.treeprocessors.register(Glossary(md, config), "book-glossary", 7.5)
