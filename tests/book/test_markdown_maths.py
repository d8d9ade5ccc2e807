"""Formulas: set by KaTeX, anchored by their tags, and strict."""

from __future__ import annotations

from pathlib import Path

import pytest

from book.markdown import PageError
from book.markdown.maths import FormulaError, render, tex_to_text
from tests.book.markdown_tools import LittleBook


@pytest.fixture
def book(tmp_path: Path) -> LittleBook:
    return LittleBook(tmp_path)


PLACES = {
    "paragraph": "Width $d_k$ here.",
    "display": "$$\n\\sqrt{d_k}\n$$",
    "admonition": '!!! note "x"\n    $$\n    a < b\n    $$\n',
    "fold": '??? solution "Solution 3.1"\n    Inline $a \\& b$.\n',
    "tab": '=== "One"\n    $$\n    x\n    $$\n',
    "table": "| a | b |\n|---|---|\n| $x_1$ | 2 |\n",
    "list": "- one $x$\n\n    $$\n    y\n    $$\n",
    "footnote": "Text[^1].\n\n[^1]: With $x$.\n",
    "figure caption": "![alt](a.svg)\n\nFigure: Where $x$ is.",
}


@pytest.mark.parametrize("place", PLACES)
def test_formulas_are_set_wherever_they_stand(book: LittleBook, place: str) -> None:
    formulas = book.tree(PLACES[place]).xpath("//*[contains(@class, 'arithmatex')]")
    assert formulas
    for formula in formulas:
        assert formula.xpath(".//*[local-name()='math']")
        assert formula.xpath(".//*[@class='katex-html' and @aria-hidden='true']")
        assert "data-search-exclude" in formula.attrib


def test_a_tag_becomes_the_anchor_of_its_equation(book: LittleBook) -> None:
    tree = book.tree("$$\nx \\tag{3.1}\n$$\n\nSee [(3.1)](#eq-3.1).")
    assert [e.tag for e in tree.xpath("//*[@id='eq-3.1']")] == ["div"]


BROKEN = {
    "unbalanced": ("Text.\n\n$$\n\\frac{a\n$$", 7, "Unexpected end of input"),
    "unknown command": ("Text $\\nosuch{x}$.", 4, r"Undefined control sequence: \\nosuch"),
    "strict": ("Text.\n\nMore $é$.", 6, "unicodeTextInMathMode"),
    "twice on a page": ("$$\nx \\tag{3.1}\n$$\n\n$$\ny \\tag{3.1}\n$$", 9, "used twice"),
    "other chapter": ("$$\nx \\tag{2.1}\n$$", 5, r"tag \(2.1\) on a page of chapter 3"),
    "inside a paragraph": ("Text\n$$\nx\n$$\n", 5, "paragraph of its own"),
    "title": ("# The $x$ of it", 4, "title"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_bad_formula_fails_with_page_line_and_reason(book: LittleBook, case: str) -> None:
    text, line, reason = BROKEN[case]
    with pytest.raises(PageError, match=reason) as caught:
        book.page(text)
    assert (caught.value.page, caught.value.line) == ("docs/theory/page.md", line)


def test_a_tag_is_unique_in_the_whole_book(book: LittleBook) -> None:
    book.page("$$\nx \\tag{3.9}\n$$", uri="theory/one.md")
    book.page("$$\nx \\tag{3.9}\n$$", uri="theory/one.md")  # the same page again, as when serving
    with pytest.raises(PageError, match=r"already used in docs/theory/one\.md"):
        book.page("$$\nx \\tag{3.9}\n$$", uri="theory/two.md")
    book.page("no tag", uri="theory/one.md")
    book.page("$$\nx \\tag{3.9}\n$$", uri="theory/two.md")
    book.page("no tag", uri="theory/two.md")


def test_headings_give_the_contents_plain_text(book: LittleBook) -> None:
    heading = book.tree("## Why $\\sqrt{d_k}$").xpath("//h2")[0]
    assert heading.get("data-toc-label") is None  # the table of contents has consumed it
    assert heading.get("id") == "why-d_k"


def test_dollars_that_are_no_formula_stay(book: LittleBook) -> None:
    assert "costs $5 and $10" in book.page("It costs $5 and $10 a day; `$x$` is code.")
    assert "<code>$x$</code>" in book.page("It costs $5 and $10 a day; `$x$` is code.")


def test_rendering_is_the_same_from_any_thread() -> None:
    from concurrent.futures import ThreadPoolExecutor

    render.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        results = set(pool.map(lambda i: render(r"\sqrt{d_k}" + " " * i, True), range(8)))
    assert len({r.split("<annotation")[0] for r in results}) == 1
    with pytest.raises(FormulaError, match="KaTeX parse error"):
        render("{", False)


def test_formulas_as_plain_text() -> None:
    assert tex_to_text(r"\frac{QK^\top}{\sqrt{d_k}}") == "QK^ᵀ/√d_k"
    assert tex_to_text(r"\mathrm{softmax}(x) \le 1") == "softmax(x) ≤ 1"
