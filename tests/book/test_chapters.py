"""The parser finds every Python fence of every page, wherever it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from book import chapters
from book.chapters import parse

PAGE = chapters.DOCS / "page.md"
PLAIN_FENCE = re.compile(
    r"^[ \t>]*(?:(?:[-*+]|\d+[.)])[ \t]+)?(?:`{3,}|~{3,})"
    r"[ \t]*(?:\{[^}\n\"]*?)?\.?(?:python3?|py|pycon)\b",
    re.M | re.I,
)


@pytest.mark.parametrize("path", chapters.pages(), ids=chapters.slug)
def test_every_python_fence_is_a_block(path: Path) -> None:
    blocks = parse(path).blocks
    visible = [b for b in blocks if b.kind != "invisible"]
    assert len(PLAIN_FENCE.findall(path.read_text(encoding="utf-8"))) == len(visible)


@pytest.mark.parametrize("fence", [
    "```python", "~~~ py", "> ```pycon", "- ```python3", "1. ```python", "```{.python}",
    '``` { .python title="x" }', "```{ .annotate .py }",
])  # fmt: skip
def test_the_plain_regex_sees_each_way_to_write_a_fence(fence: str) -> None:
    assert len(PLAIN_FENCE.findall(f"text\n\n{fence}\n1 / 0\n")) == 1
    for other in ("```text {.output}", '```{.yaml title="a.py"}', "```pytest", "`python`"):
        assert not PLAIN_FENCE.findall(f"{other}\n")


@pytest.mark.parametrize(
    "info",
    ["python", 'python title="a.py"', " python", "py", "pycon", "python3", 'python hl_lines="1"'],
)
def test_no_info_string_hides_a_fence(info: str) -> None:
    (block,) = parse(PAGE, f"text\n\n```{info}\nx = 1\n```\n").blocks
    assert (block.code, block.line, block.code_line) == ("x = 1\n", 3, 4)


@pytest.mark.parametrize("indent", ["", "    ", "        ", "\t"])
def test_blocks_in_admonitions_and_tabs_are_dedented(indent: str) -> None:
    body = "```python\nif True:\n    x = 1\n```\n\n```text {.output}\n1\n```\n"
    text = "??? note\n\n" + "".join(
        f"{indent}{line}\n" if line else "\n" for line in body.split("\n")
    )
    (block,) = parse(PAGE, text).blocks
    assert block.code == "if True:\n    x = 1\n"
    assert block.expected == "1\n"
    assert block.indent == indent


def test_output_belongs_to_the_block_right_before_it() -> None:
    text = "```python\nprint(1)\n```\n\nprose\n\n```text {.output}\n1\n```\n"
    assert parse(PAGE, text).blocks[0].expected is None


def test_figure_follows_the_output() -> None:
    text = (
        "```python\nprint(1)\n```\n\n```text {.output}\n1\n```\n\n![alt](figures/a-b.svg)\n\n"
        "```python\nx = 1\n```\n"
    )
    first, second = parse(PAGE, text).blocks
    assert first.figure == "figures/a-b.svg"
    assert second.figure is None


def test_invisible_code_and_needs() -> None:
    text = (
        "<!-- invisible-code: python\nassert True\n-->\n\n"
        "<!-- needs: gpu; twin: #cpu -->\n```python\nx = 1\n```\n"
    )
    hidden, marked = parse(PAGE, text).blocks
    assert (hidden.kind, hidden.code) == ("invisible", "assert True\n")
    assert (marked.needs, marked.twin) == ("gpu", "#cpu")


def test_doctest_blocks_are_told_from_plain_ones() -> None:
    assert parse(PAGE, "```python\n>>> 1 + 1\n2\n```\n").blocks[0].kind == "doctest"


def test_front_matter_and_title() -> None:
    chapter = parse(PAGE, "---\nchapter: 3\n---\n\n# A title\n\n```python\nx = 1\n```\n")
    assert (chapter.meta["chapter"], chapter.title, chapter.slug) == (3, "A title", "page")
    assert chapter.blocks[0].line == 7
