"""A page's Markdown as pieces that a notebook shows: page-only syntax becomes plain Markdown."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from textwrap import dedent

from book.chapters import Chapter
from book.markdown.citations import CITATION

# A reference's label parts and address: ("Vaswani et al.", "2017", "https://…").
Cite = Callable[[str], tuple[str, str, str]]

_MARK = "\x00"
_HEADER = re.compile(
    r'^(?P<indent> *)(?P<sign>!!!|\?\?\?\+?|===)(?P<kind>[^"\n]*)(?:"(?P<title>.*)")?\s*$'
)
_FENCE = re.compile(r"^\s*(?P<fence>`{3,}|~{3,})")
_ITEM = re.compile(r"([^@]*?)(-?)@([A-Za-z0-9][\w:-]*)(?:,\s*(.+))?", re.DOTALL)
_HEADING = re.compile(r"^(#{1,6}) ", re.MULTILINE)


@dataclass(frozen=True)
class Piece:
    """Markdown between blocks, or (where `block` is set) the place of one block."""

    text: str = ""
    block: int | None = None
    folded: bool = False  # inside a fold of the page
    opens: bool = False  # the heading of such a fold


@dataclass
class _Box:
    """An admonition, a fold or a tab with its body."""

    sign: str
    title: str
    body: list[_Node]

    def holds_block(self) -> bool:
        return any(
            isinstance(n, int) or (isinstance(n, _Box) and n.holds_block()) for n in self.body
        )


_Node = str | int | _Box


def pieces(chapter: Chapter, cite: Cite, site_url: str | None = None) -> list[Piece]:
    """The page in source order, its front matter, outputs and figure links left out."""
    inline = Inline(chapter, cite, site_url)
    text = inline(_with_marks(chapter))
    writer = _Writer()
    writer.render(_parse(text.splitlines()))
    writer.flush()
    return writer.pieces


def _with_marks(chapter: Chapter) -> str:
    """The page's text with each block replaced by a mark and its shown results removed."""
    text = chapter.text
    spans: list[tuple[int, int, str]] = []
    for number, block in enumerate(chapter.blocks):
        spans.append((block.start, block.end, f"{_MARK}{number}{_MARK}"))
        spans += [(*span, "") for span in (block.output_span, block.figure_span) if span]
    for start, end, mark in sorted(spans, reverse=True):
        line_start = text.rfind("\n", 0, start) + 1
        newline = text.find("\n", max(start, end - 1))
        line_end = len(text) if newline < 0 else newline
        before = text[line_start:]
        indent = before[: len(before) - len(before.lstrip(" \t"))] if mark else ""
        text = text[:line_start] + indent + mark + text[line_end:]
    return re.sub(r"\A---\n.*?^---\n", "", text, flags=re.MULTILINE | re.DOTALL)


def _parse(lines: list[str]) -> list[_Node]:
    nodes: list[_Node] = []
    fence: str | None = None
    position = 0
    while position < len(lines):
        line = lines[position]
        position += 1
        opening = _FENCE.match(line)
        if fence or opening:
            nodes.append(line)
            if fence and line.strip() == fence:
                fence = None
            elif not fence and opening:
                fence = opening["fence"]
            continue
        if line.strip().startswith(_MARK):
            nodes.append(int(line.strip().strip(_MARK)))
            continue
        header = _HEADER.match(line)
        if not header or (header["sign"] == "===" and not header["title"]):  # a setext heading
            nodes.append(line)
            continue
        inner = " " * (len(header["indent"]) + 4)
        body_start = position
        while position < len(lines) and (
            not lines[position].strip() or lines[position].startswith(inner)
        ):
            position += 1
        body = [part[len(inner) :] for part in lines[body_start:position]]
        title = header["title"] or header["kind"].strip(" +").split(" ")[0].capitalize()
        nodes.append(_Box(header["sign"][:3], title, _parse(body)))
    return nodes


@dataclass
class _Writer:
    """Flattens nodes into pieces; boxes that hold code become headings of their own."""

    pieces: list[Piece] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    level: int = 1
    folded: bool = False

    def flush(self) -> None:
        text = _tidy("\n".join(self.lines))
        self.lines.clear()
        if text:
            self.pieces.append(Piece(text, folded=self.folded))

    def render(self, nodes: list[_Node]) -> None:
        for node in nodes:
            if isinstance(node, str):
                heading = _HEADING.match(node)
                self.level = len(heading[1]) if heading and not self.folded else self.level
                self.lines.append(node)
            elif isinstance(node, int):
                self.flush()
                self.pieces.append(Piece(block=node, folded=self.folded))
            elif not node.holds_block():
                self.lines += ["", _quoted(node), ""]
            elif node.sign == "???":
                self._fold(node)
            else:
                self.lines += ["", f"**{node.title}**", ""]
                self.render(node.body)

    def _fold(self, box: _Box) -> None:
        self.flush()
        outer, self.folded = self.folded, True
        level = min(self.level + 1, 6)
        self.pieces.append(Piece(f"{'#' * level} {box.title}", folded=True, opens=True))
        self.render(box.body)
        self.flush()
        self.folded = outer


def _quoted(box: _Box) -> str:
    """A box without code: a block quote, a `<details>` or (a tab) a labelled paragraph."""
    inner = _Writer()
    inner.render(box.body)
    body = _tidy("\n".join(inner.lines))
    if box.sign == "???":
        return f"<details>\n<summary>{_html(box.title)}</summary>\n\n{body}\n\n</details>"
    text = f"**{box.title}**\n\n{body}" if box.title else body
    if box.sign == "===":
        return text
    return "\n".join(f"> {line}".rstrip() for line in text.splitlines())


def _html(text: str) -> str:
    """A summary is HTML, in which Markdown is not read."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", text)


def _tidy(text: str) -> str:
    """At most one blank line in a row; a cell that begins indented (in a list) is dedented."""
    text = re.sub(r"\n{3,}", "\n\n", text).strip("\n")
    return dedent(text).strip("\n") if text.startswith((" ", "\t")) else text


class Inline:
    """Citations, links, captions, attribute lists and comments as plain Markdown."""

    _LITERAL = re.compile(
        r"^[ ]*(?P<f>`{3,}|~{3,})[^\n]*\n.*?^[ ]*(?P=f)[ ]*$|(?P<c>`+).+?(?P=c)"
        r"|\$\$.+?\$\$|(?<!\\)\$[^$\n]+?\$",
        re.MULTILINE | re.DOTALL,
    )
    _MASK = re.compile("\x01(\\d+)\x01")

    def __init__(self, chapter: Chapter, cite: Cite, site_url: str | None) -> None:
        self._chapter = chapter
        self._cite = cite
        self._site = site_url.rstrip("/") + "/" if site_url else None
        self._counts = {"Figure": 0, "Table": 0}
        self._notes: dict[str, int] = {}

    def __call__(self, text: str) -> str:
        kept: list[str] = []

        def mask(match: re.Match[str]) -> str:
            kept.append(match[0])
            return f"\x01{len(kept) - 1}\x01"

        text = self._LITERAL.sub(mask, text)
        for pattern, replace in self._rules():
            text = pattern.sub(replace, text)
        return self._MASK.sub(lambda m: kept[int(m[1])], text)

    def _rules(self) -> list[tuple[re.Pattern[str], Callable[[re.Match[str]], str]]]:
        def rule(pattern: str) -> re.Pattern[str]:
            return re.compile(pattern, re.MULTILINE)

        return [
            (re.compile(r"[ ]*<!--.*?-->\n?", re.DOTALL), lambda m: ""),
            (rule(r"^# (.+)$"), self._title),
            (rule(r"[ ]*(?<!\\)\{:?[ ]*[.#][^{}\n]*\}"), lambda m: ""),
            (re.compile(CITATION), self._citation),
            (rule(r"^\[\^([\w-]+)\]:[ ]*"), lambda m: f"<sup>{self._note(m[1])}</sup> "),
            (rule(r"\[\^([\w-]+)\]"), lambda m: f"<sup>{self._note(m[1])}</sup>"),
            (rule(r":(?:material|octicons|fontawesome|simple)-[\w-]+:[ ]?"), lambda m: ""),
            (rule(r"!\[([^\]]*)\]\(([^)\s]+)[^)]*\)"), self._image),
            (rule(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])+)\]\(([^)\s]+)(?: \"[^\"]*\")?\)"), self._link),
            (rule(r"(?<!!)\[([^\[\]]+)\]\[[\w.]*\]"), lambda m: m[1]),
            (rule(r"^([ ]*)(Figure|Table): "), self._caption),
        ]

    def _title(self, match: re.Match[str]) -> str:
        number = self._chapter.meta.get("chapter")
        return f"# {number}. {match[1]}" if number is not None else match[0]

    def _citation(self, match: re.Match[str]) -> str:
        parts = []
        for item in match["body"].split(";"):
            before, bare, key, where = _ITEM.match(item.strip()).groups()  # type: ignore[union-attr]
            names, year, url = self._cite(key)
            label = year if bare else f"{names}, {year}"
            parts.append(f"{before}[{label}]({url})" + (f", {where.strip()}" if where else ""))
        return f"({'; '.join(parts)})"

    def _note(self, name: str) -> int:
        return self._notes.setdefault(name, len(self._notes) + 1)

    def _address(self, target: str) -> str | None:
        """A link's address from anywhere, or None where the site's own isn't known."""
        if re.match(r"[a-z]+:", target):
            return target
        if self._site is None:
            return None
        path, _, anchor = target.partition("#")
        folder = posixpath.dirname(self._chapter.slug)
        page = posixpath.normpath(posixpath.join(folder, path)) if path else self._chapter.slug
        page = re.sub(r"(^|/)index$", r"\1", page.removesuffix(".md"))
        is_page = (not path or path.endswith((".md", "/"))) and page and not page.endswith("/")
        page = page + "/" if is_page else page
        return self._site + page.removeprefix("./") + (f"#{anchor}" if anchor else "")

    def _link(self, match: re.Match[str]) -> str:
        address = self._address(match[2])
        return f"[{match[1]}]({address})" if address else match[1]

    def _image(self, match: re.Match[str]) -> str:
        address = self._address(match[2])
        return f"![{match[1]}]({address})" if address else f"*({match[1]})*"

    def _caption(self, match: re.Match[str]) -> str:
        kind = match[2]
        self._counts[kind] += 1
        number = self._chapter.meta.get("chapter")
        label = f"{number}.{self._counts[kind]}" if number is not None else self._counts[kind]
        return f"{match[1]}**{kind} {label}:** "
