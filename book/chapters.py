"""A page's text as executable blocks: the one Sybil that tests, site, PDF and notebooks share."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml
from sybil import Document, Example, Region, Sybil
from sybil.parsers.markdown.lexers import RawFencedCodeBlockLexer

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

PARTS = {
    "theory": "Theory",
    "implementation": "Implementation",
    "applications": "Applications",
    "ethics": "Ethics",
}

_PYTHON_INFO = re.compile(r"[ \t]*(?P<language>python3?|py|pycon)\b(?P<options>[^\n]*)\n", re.I)
_INVISIBLE = re.compile(
    r"^(?P<indent>[ \t]*)<!--[ \t]*invisible-code:[ \t]*python[ \t]*\n(?P<source>.*?)^[ \t]*-->",
    re.MULTILINE | re.DOTALL,
)
_NEEDS = re.compile(
    r"^[ \t]*<!--[ \t]*needs:[ \t]*(?P<needs>gpu|network)"
    r"(?:;[ \t]*twin:[ \t]*(?P<twin>#[\w-]+))?[ \t]*-->[ \t]*\n[ \t]*\Z",
    re.MULTILINE,
)
_OUTPUT = re.compile(
    r"\s*\n(?P<block>(?P<indent>[ \t]*)(?P<fence>`{3,})text \{\.output\}[ \t]*\n"
    r"(?P<text>.*?)^[ \t]*(?P=fence)[ \t]*$)",
    re.MULTILINE | re.DOTALL,
)
_FIGURE = re.compile(
    r"\s*\n(?P<link>[ \t]*!\[(?P<alt>[^\]]*)\]\((?P<target>figures/[\w.-]+\.svg)\))[ \t]*$",
    re.MULTILINE,
)
_FRONT_MATTER = re.compile(r"\A---\n(?P<yaml>.*?)^---\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One executable piece of a page, with what the page shows of its result."""

    kind: str  # "python", "doctest" or "invisible"
    line: int  # 1-based line of its fence or comment
    start: int
    end: int
    code: str
    code_line: int  # 1-based line of the first line of `code`
    indent: str
    needs: str | None = None
    twin: str | None = None
    expected: str | None = None
    output_span: tuple[int, int] | None = None
    figure: str | None = None
    figure_span: tuple[int, int] | None = None


@dataclass(frozen=True)
class Chapter:
    """A parsed page."""

    path: Path
    slug: str
    text: str
    meta: dict[str, Any]
    title: str
    blocks: tuple[Block, ...]


def parse_blocks(document: Document) -> Iterator[Region]:
    """Sybil parser: a region for every Python fence and invisible assertion of the page."""
    lexer = RawFencedCodeBlockLexer(_PYTHON_INFO)
    for region in lexer(document):
        yield _with_block(document, region.start, region.end, str(region.lexemes["source"]), True)
    for match in _INVISIBLE.finditer(document.text):
        yield _with_block(
            document, match.start(), match.end(), dedent(match["source"]), visible=False
        )


def _with_block(document: Document, start: int, end: int, code: str, visible: bool) -> Region:
    text = document.text
    line = text.count("\n", 0, start) + 1
    indent = re.match(r"[ \t]*", text[start:end])
    fields: dict[str, Any] = {}
    if visible:
        needs = _NEEDS.search(text, 0, start)
        if needs:
            fields |= {"needs": needs["needs"], "twin": needs["twin"]}
        position = end
        output = _OUTPUT.match(text, position)
        if output:
            shown = _without_indent(output["text"], output["indent"])
            fields |= {"expected": shown, "output_span": output.span("block")}
            position = output.end()
        figure = _FIGURE.match(text, position)
        if figure:
            fields |= {"figure": figure["target"], "figure_span": figure.span("link")}
    kind = "invisible" if not visible else "doctest" if code.startswith(">>>") else "python"
    block = Block(
        kind=kind,
        line=line,
        start=start,
        end=end,
        code=code,
        code_line=line + 1,
        indent=indent[0] if indent else "",
        **fields,
    )
    return Region(start, end, parsed=block, evaluator=execute)


def _without_indent(text: str, indent: str) -> str:
    # Not `dedent`: an output may begin with spaces of its own.
    return "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))


# The press sets this in the process that runs a page; elsewhere a page's recorded run answers.
executor: Callable[[Example], str | None] | None = None


def execute(example: Example) -> str | None:
    """Evaluate one block: for real in a press worker, from the page's recorded run elsewhere."""
    if executor is not None:
        return executor(example)
    from book import press

    return press.replay(Path(example.path), example.parsed.line)


SYBIL = Sybil(
    parsers=[parse_blocks],
    path=str(ROOT),
    patterns=["docs/**/*.md", "docs/*.md", "README.md"],
    name="book",
)


def pages() -> list[Path]:
    """Every Markdown page that can hold blocks: the README and all of `docs/`, in a fixed order."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def parse(path: Path, text: str | None = None) -> Chapter:
    """Parse a page (or `text` in its place) into its front matter, title and blocks."""
    path = path.resolve()
    text = path.read_text(encoding="utf-8") if text is None else text
    document = Document(text, str(path))
    for region in parse_blocks(document):
        document.add(region)
    front = _FRONT_MATTER.match(text)
    meta = yaml.safe_load(front["yaml"]) if front else {}
    title = re.search(r"^# (.+)$", text, re.MULTILINE)
    return Chapter(
        path=path,
        slug=slug(path),
        text=text,
        meta=meta or {},
        title=title[1].strip() if title else path.stem,
        blocks=tuple(example.parsed for example in document.examples()),
    )


def slug(path: Path) -> str:
    """`docs/theory/x.md` is `theory/x`; a page outside `docs/` keeps its path from the root."""
    base = DOCS if path.is_relative_to(DOCS) else ROOT
    return path.relative_to(base).with_suffix("").as_posix()


def numbered_chapters() -> list[Chapter]:
    """The chapters (pages with a number in their front matter), in the order of the book."""
    found = [parse(p) for part in PARTS for p in sorted((DOCS / part).glob("*.md"))]
    return sorted((c for c in found if "chapter" in c.meta), key=lambda c: int(c.meta["chapter"]))
