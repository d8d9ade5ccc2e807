"""The page of references: every entry with its address and the places that cite it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as etree
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from markdown import Markdown
from markdown.treeprocessors import Treeprocessor

from book.markdown.bibliography import Entry
from book.markdown.citations import anchor, cited, entries
from book.markdown.comments import BIBLIOGRAPHY
from book.markdown.context import Page, page_of
from book.markdown.errors import PageError

_FRONT_MATTER = re.compile(r"\A---\n(.*?)^---\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Place:
    """A page that cites a work, and how often."""

    uri: str
    title: str
    chapter: int | None
    times: int


class References(Treeprocessor):
    """Replace the paragraph that `<!-- bibliography -->` left by the list of references."""

    def __init__(self, md: Markdown, config: dict[str, Any]) -> None:
        super().__init__(md)
        self.config = config

    def run(self, root: etree.Element) -> None:
        for parent in list(root.iter()):
            for index, child in enumerate(list(parent)):
                if child.tag == "p" and (child.text or "").strip() == BIBLIOGRAPHY:
                    page = page_of(self.md)
                    parent[index] = self._list(page)

    def _list(self, page: Page) -> etree.Element:
        works = entries(page, self.config)
        places: dict[str, list[Place]] = defaultdict(list)
        for key, place in _places(page):
            places[key].append(place)
        for key, entry in works.items():
            if key not in places:
                name = f"docs/{self.config['bibliography']}"
                raise PageError(name, entry.line, f"entry {key!r} is never cited")
        listing = etree.Element("ul", {"class": "references"})
        for key, entry in works.items():
            item = etree.SubElement(listing, "li", {"id": key})
            _describe(item, entry)
            _link_back(item, key, places[key], page)
        listing.tail = "\n"
        return listing


def _describe(item: etree.Element, entry: Entry) -> None:
    item.text = f"{entry.authors} ({entry.year}). "
    title = etree.SubElement(item, "span", {"class": "reference-title"})
    title.text = entry.title
    title.tail = " " if entry.title.endswith((".", "?", "!")) else ". "
    if entry.venue:
        venue = etree.SubElement(item, "em")
        venue.text, venue.tail = entry.venue, ". "
    link = etree.SubElement(item, "a", {"href": entry.link})
    link.text, link.tail = entry.link_text, " "


def _link_back(item: etree.Element, key: str, places: list[Place], page: Page) -> None:
    back = etree.SubElement(item, "span", {"class": "cited-in"})
    back.text = "Cited in "
    for index, place in enumerate(places):
        title = place.title if place.chapter is None else f"{place.chapter}. {place.title}"
        target = page.link(place.uri)
        link = etree.SubElement(back, "a", {"href": f"{target}#{anchor(key, 1)}"})
        link.text = title
        for number in range(2, place.times + 1):
            link.tail = ", "
            link = etree.SubElement(back, "a", {"href": f"{target}#{anchor(key, number)}"})
            link.set("aria-label", f"{title}, place {number}")
            link.text = str(number)
        link.tail = "; " if index < len(places) - 1 else "."


def _places(page: Page) -> Iterator[tuple[str, Place]]:
    """Each work that a page of the book cites, chapters first and in their order."""
    found = []
    for uri, source in _sources(page):
        front = _FRONT_MATTER.match(source)
        meta = (yaml.safe_load(front[1]) if front else None) or {}
        body = source[front.end() :] if front else source
        heading = re.search(r"^# (.+?)(?:\s*\{:?.*\})?\s*$", body, re.MULTILINE)
        title = str(meta.get("title") or (heading[1] if heading else uri))
        chapter = meta.get("chapter")
        for key, times in cited(body).items():
            found.append((key, Place(uri, title, None if chapter is None else int(chapter), times)))
    return iter(sorted(found, key=lambda f: (f[1].chapter is None, f[1].chapter or 0, f[1].uri)))


def _sources(page: Page) -> Iterator[tuple[str, str]]:
    if page.files is not None:
        for file in page.files.documentation_pages():
            if file.src_uri.endswith(".md"):
                yield file.src_uri, file.content_string
        return
    for path in sorted(page.docs.rglob("*.md")):
        yield path.relative_to(page.docs).as_posix(), path.read_text(encoding="utf-8")


def register(md: Markdown, config: dict[str, Any]) -> None:
    """Before anchors are collected (5) and relative links are resolved (0)."""
    md.treeprocessors.register(References(md, config), "book-references", 7.6)
