"""MkDocs' warnings of links name a page; here they get the line as well."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from book.markdown.context import line_of
from book.markdown.errors import PageError

_ABOUT_A_LINK = (
    re.compile(r"Doc file '(?P<page>[^']+)' contains an? .*?link '(?P<needle>[^']+)'"),
    re.compile(
        r"(?P<page>[\w./-]+\.md): Could not find cross-reference target '(?P<needle>[^']+)'"
    ),
)


class NameLines(logging.Filter):
    """Begin each warning of a link with the page's path and the line where the link stands.

    Args:
        docs: The folder of the pages.
    """

    def __init__(self, docs: Path) -> None:
        super().__init__()
        self.docs = docs

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass; those about a link changed."""
        message = record.getMessage()
        for pattern in _ABOUT_A_LINK:
            found = pattern.search(message)
            if found is None or not (source := self.docs / found["page"]).is_file():
                continue
            page = f"{self.docs.name}/{found['page']}"
            if not message.startswith(page):  # or another handler's filter was here before
                line = line_of(source.read_text(encoding="utf-8"), found["needle"])
                record.msg, record.args = str(PageError(page, line, message)), ()
        return True


def install(docs: Path) -> None:
    """Have MkDocs' own handlers do so, once each."""
    for handler in logging.getLogger("mkdocs").handlers:
        if not any(isinstance(one, NameLines) for one in handler.filters):
            handler.addFilter(NameLines(docs))
