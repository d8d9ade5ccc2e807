"""Chapter numbers: the title of a numbered page starts with its number."""

from __future__ import annotations

import xml.etree.ElementTree as etree
from typing import Any

from markdown import Markdown
from markdown.extensions.toc import slugify
from markdown.treeprocessors import Treeprocessor

from book.markdown.context import page_of
from book.markdown.maths import plain_text


class ChapterNumber(Treeprocessor):
    """Prefix the first `h1`; its anchor stays that of the title alone."""

    def run(self, root: etree.Element) -> None:
        chapter = page_of(self.md).chapter
        title = next(root.iter("h1"), None)
        if chapter is None or title is None:
            return
        title.attrib.setdefault("id", slugify(plain_text(title), "-"))
        title.text = f"{chapter}. {title.text or ''}"


def register(md: Markdown, _: dict[str, Any]) -> None:
    """Number before the table of contents (5) reads the title."""
    md.treeprocessors.register(ChapterNumber(md), "book-chapter-number", 7.1)
