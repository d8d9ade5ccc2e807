"""Comments: the press's markers become badges, everything else stays in the source."""

from __future__ import annotations

import re
from typing import Any

from markdown import Markdown
from markdown.preprocessors import Preprocessor
from markdown.util import STX

from book.markdown.context import Page, page_of

BIBLIOGRAPHY = f"{STX}bibliography"

_COMMENT = re.compile(r"^(?P<indent>[ \t]*)<!--(?P<body>.*?)-->[ \t]*$", re.MULTILINE | re.DOTALL)
_NEEDS = re.compile(r"(?P<what>gpu|network)(?:\s*;\s*twin:\s*(?P<twin>#[\w.-]+))?")
_BADGES = {
    "gpu": "**GPU** The build has none and leaves this block out.",
    "network": "**Network** The build has none and leaves this block out.",
}


class Comments(Preprocessor):
    """Turn `needs:` markers into badges, mark the bibliography's place, drop the rest.

    It runs after superfences has stashed the fences, so a comment that a page *shows* is safe.
    """

    def run(self, lines: list[str]) -> list[str]:
        page = page_of(self.md)
        text = "\n".join(lines)
        converted = _COMMENT.sub(lambda match: self._convert(match, text, page), text)
        opened = re.search(r"^[ \t]*<!--[^\n]*", converted, re.MULTILINE)
        if opened:
            raise page.error("a comment that is never closed", opened[0])
        return converted.split("\n")

    def _convert(self, match: re.Match[str], text: str, page: Page) -> str:
        body = match["body"].strip()
        kind, _, rest = body.partition(":")
        if body == "bibliography":
            return f"\n{BIBLIOGRAPHY}\n"
        if kind == "needs":
            self._require_fence(text[match.end() :], match[0], page)
            return _badge(rest.strip(), match, page)
        if kind == "invisible-code" and not re.match(r"[ \t]*python[ \t]*(\n|\Z)", rest):
            raise page.error("invisible code is Python: write `invisible-code: python`", match[0])
        return ""

    def _require_fence(self, after: str, marker: str, page: Page) -> None:
        following = after.lstrip("\n").split("\n", 1)[0].strip()
        if not following.startswith(STX):
            raise page.error("a `needs:` marker stands on the line before a fence", marker)


def _badge(rest: str, match: re.Match[str], page: Page) -> str:
    needs = _NEEDS.fullmatch(rest)
    if needs is None:
        raise page.error("a marker is `needs: gpu` or `needs: network`, with a twin", match[0])
    if needs["twin"] is None:
        raise page.error("a block that the build leaves out names its tested twin", match[0])
    indent = match["indent"]
    twin = f"[Its twin]({needs['twin']}) runs in every build."
    line = f"{indent}{_BADGES[needs['what']]} {twin}"
    return f"\n{line}\n{indent}{{: .needs .needs-{needs['what']} }}\n"


def register(md: Markdown, _: dict[str, Any]) -> None:
    """Between superfences (25) and raw HTML (20)."""
    md.preprocessors.register(Comments(md), "book-comments", 24.5)
