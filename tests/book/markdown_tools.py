"""A converter as `mkdocs.yml` configures it, over a little book in a temporary folder."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from lxml import html
from markdown import Markdown

from book.markdown.context import Page

EXTENSIONS = [
    "admonition", "attr_list", "def_list", "footnotes", "md_in_html", "tables", "toc",
    "pymdownx.arithmatex", "pymdownx.details", "pymdownx.highlight", "pymdownx.superfences",
    "pymdownx.tabbed", "book.markdown",
]  # fmt: skip
CONFIGS = {
    "pymdownx.arithmatex": {
        "generic": True,
        "block_syntax": ["dollar"],
        "inline_syntax": ["dollar"],
    },
    "pymdownx.highlight": {"pygments_lang_class": True},
    "pymdownx.tabbed": {"alternate_style": True},
}


class LittleBook:
    """Pages below a folder, converted one at a time."""

    def __init__(self, docs: Path) -> None:
        self.docs = docs

    def write(self, uri: str, text: str | bytes) -> None:
        path = self.docs / uri
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    def convert(self, uri: str) -> str:
        source = (self.docs / uri).read_text(encoding="utf-8")
        front = re.match(r"---\n(.*?)^---\n", source, re.MULTILINE | re.DOTALL)
        meta = yaml.safe_load(front[1]) if front else {}
        md = Markdown(extensions=EXTENSIONS, extension_configs=CONFIGS)
        md.book_page = Page(uri=uri, source=source, meta=meta, docs=self.docs)
        return md.convert(source[front.end() :] if front else source)

    def page(self, text: str, uri: str = "theory/page.md", chapter: int | None = 3) -> str:
        """Write and convert one page; of chapter 3 unless told otherwise."""
        front = "" if chapter is None else f"---\nchapter: {chapter}\n---\n"
        self.write(uri, front + text)
        return self.convert(uri)

    def tree(self, text: str, **where: object) -> html.HtmlElement:
        return html.fragment_fromstring(self.page(text, **where), create_parent="main")
