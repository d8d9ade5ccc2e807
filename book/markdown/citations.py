"""Citations: `[@key]`, `[@key, section 3]`, `[@a; @b]`, `[-@key]`, each a link to its entry."""

from __future__ import annotations

import re
import xml.etree.ElementTree as etree
from collections import Counter
from typing import Any

from markdown import Markdown
from markdown.inlinepatterns import InlineProcessor
from markdown.preprocessors import Preprocessor

from book.markdown import bibliography
from book.markdown.bibliography import Entry
from book.markdown.context import Page, page_of

CITATION = r"(?<![\]\\!])\[(?P<body>[^\[\]@]*(?<![\w.])-?@[^\[\]]*)\](?![\[(])"

_ITEM = re.compile(
    r"(?P<before>[^@]*?)(?P<bare>-?)@(?P<key>[A-Za-z0-9][\w:-]*)(?:,\s*(?P<where>.+))?", re.DOTALL
)
_FENCE = re.compile(
    r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})[^\n]*\n.*?^[ \t]*(?P=fence)[`~]*[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
_HIDDEN = (
    _FENCE,
    re.compile(r"^[ \t]*<!--.*?-->", re.MULTILINE | re.DOTALL),
    re.compile(r"(?<!`)(?P<ticks>`+)(?!`).+?(?<!`)(?P=ticks)(?!`)", re.DOTALL),
)


class Forget(Preprocessor):
    """Start the numbers of a page's citations anew."""

    def __init__(self, md: Markdown, citations: Citations) -> None:
        super().__init__(md)
        self.citations = citations

    def run(self, lines: list[str]) -> list[str]:
        self.citations.seen.clear()
        return lines


class Citations(InlineProcessor):
    """A bracket with keys becomes links; each place gets an anchor that its entry links back to."""

    def __init__(self, md: Markdown, config: dict[str, Any]) -> None:
        super().__init__(CITATION, md)
        self.config = config
        self.seen: Counter[str] = Counter()

    def handleMatch(self, match: re.Match[str], data: str) -> tuple[etree.Element, int, int]:
        page = page_of(self.md)
        group = etree.Element("span", {"class": "citation"})
        group.text = "("
        items = match["body"].split(";")
        for index, item in enumerate(items):
            parsed = _ITEM.fullmatch(item.strip())
            if parsed is None:
                raise page.error(f"can't read the citation [{match['body']}]", match[0])
            self._add(group, parsed, page, match[0])
            last = group[-1]
            last.tail = (last.tail or "") + ("; " if index < len(items) - 1 else ")")
        return group, match.start(0), match.end(0)

    def _add(self, group: etree.Element, item: re.Match[str], page: Page, source: str) -> None:
        key, before = item["key"], item["before"].strip()
        entry = entries(page, self.config).get(key)
        if entry is None:
            raise page.error(f"no entry {key!r} in {self.config['bibliography']}", f"@{key}")
        if before:
            previous = group[-1] if len(group) else None
            if previous is None:
                group.text = f"({before} "
            else:
                previous.tail = f"{previous.tail or ''}{before} "
        self.seen[key] += 1
        link = etree.SubElement(group, "a", {"title": entry.reference})
        link.set("href", f"{page.link(self.config['references'])}#{key}")
        if not page.docstring:
            link.set("id", anchor(key, self.seen[key]))
        link.text = entry.year if item["bare"] else f"{entry.names}, {entry.year}"
        link.tail = f", {item['where'].strip()}" if item["where"] else ""


def anchor(key: str, number: int) -> str:
    """The anchor of a page's n-th citation of a work."""
    return f"cite-{key}-{number}"


def entries(page: Page, config: dict[str, Any]) -> dict[str, Entry]:
    """The bibliography that a page cites from."""
    name = config["bibliography"]
    return bibliography.load(page.docs / name, f"docs/{name}")


def cited(source: str) -> Counter[str]:
    """How often a page's source cites each key, code and comments left out."""
    for pattern in _HIDDEN:
        source = pattern.sub(" ", source)
    keys: Counter[str] = Counter()
    for match in re.finditer(CITATION, source):
        found = [_ITEM.fullmatch(item.strip()) for item in match["body"].split(";")]
        keys.update(item["key"] for item in found if item)
    return keys


def register(md: Markdown, config: dict[str, Any]) -> None:
    """Before links (160) and short references (130), after code spans (190) and escapes (180)."""
    citations = Citations(md, config)
    md.inlinePatterns.register(citations, "book-citations", 169)
    md.preprocessors.register(Forget(md, citations), "book-citations-forget", 40)
