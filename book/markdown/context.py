"""What the extensions know of the page that is being converted."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markdown import Markdown

from book.markdown.errors import PageError

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


@dataclass(frozen=True)
class Page:
    """One page: its address below `docs/`, its text with front matter, and its surroundings."""

    uri: str = "<text>"
    source: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    docs: Path = DOCS
    files: Any = None  # the Files of a MkDocs build; None outside one
    docstring: bool = False

    @property
    def chapter(self) -> int | None:
        number = self.meta.get("chapter")
        return None if number is None or self.docstring else int(number)

    def error(self, reason: str, needle: str | None = None) -> PageError:
        """The error at the first place where `needle` stands in this page's source."""
        page, line = self._locate(needle) if needle else (self._path, None)
        return PageError(page, line, reason)

    def read(self, target: str) -> bytes | None:
        """The bytes of a file that this page links to relatively, or None where there is none."""
        uri = self.resolve(target)
        if self.files is not None:
            found = self.files.get_file_from_path(uri)
            return None if found is None else bytes(found.content_bytes)
        path = self.docs / uri
        return path.read_bytes() if path.is_file() else None

    def resolve(self, target: str) -> str:
        """The address below `docs/` of a relative link on this page."""
        return posixpath.normpath(posixpath.join(posixpath.dirname(self.uri), target))

    def link(self, uri: str) -> str:
        """The relative link from this page to another address below `docs/`."""
        return posixpath.relpath(uri, posixpath.dirname(self.uri) or ".")

    @property
    def _path(self) -> str:
        return self.uri if self.uri.startswith("<") else f"docs/{self.uri}"

    def _locate(self, needle: str) -> tuple[str, int | None]:
        line = line_of(self.source, needle)
        if line is None and self.docstring:
            for path in sorted((ROOT / "attention_guide").rglob("*.py")):
                line = line_of(path.read_text(encoding="utf-8"), needle)
                if line is not None:
                    return path.relative_to(ROOT).as_posix(), line
        return self._path, line


def page_of(md: Markdown) -> Page:
    """The page that `md` converts: MkDocs' own, the one a caller set as `md.book_page`, or none.

    MkDocs hands a page to extensions only through the tree processor that it registers for
    relative links; mkdocstrings passes that one on to the converter of its docstrings.
    """
    given = getattr(md, "book_page", None)
    if given is not None:
        return given  # type: ignore[no-any-return]
    if "relpath" not in md.treeprocessors:
        return Page()
    relpath: Any = md.treeprocessors["relpath"]
    file = relpath.file
    return Page(
        uri=file.src_uri,
        source=file.content_string,
        meta=getattr(file.page, "meta", None) or {},
        docs=Path(relpath.config.docs_dir),
        files=relpath.files,
        docstring="mkdocstrings_ids" in md.treeprocessors,
    )


def line_of(source: str, needle: str) -> int | None:
    """The 1-based line where `needle` first stands, whatever its white space and line breaks."""
    words = [re.escape(word) for word in needle.split()]
    found = re.search(r"\s+".join(words), source) if words else None
    return None if found is None else source.count("\n", 0, found.start()) + 1
