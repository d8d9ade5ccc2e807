"""The one exception of the book's Markdown: where it is wrong, and why."""

from __future__ import annotations

from mkdocs.exceptions import BuildError


class PageError(BuildError):
    """A page that can't be built: its path, the line where known, and the reason.

    It is a MkDocs `BuildError`, so that a build ends with the message and no traceback.
    """

    def __init__(self, page: str, line: int | None, reason: str) -> None:
        self.page = page
        self.line = line
        self.reason = reason
        where = page if line is None else f"{page}:{line}"
        super().__init__(f"{where}: {reason}")
