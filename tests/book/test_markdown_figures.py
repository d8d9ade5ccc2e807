"""Figures, tables and chapter titles: numbered, captioned, sized."""

from __future__ import annotations

from pathlib import Path

import pytest

from book.markdown import PageError
from book.markdown.figures import image_size
from tests.book.markdown_tools import LittleBook

SVG = (
    '<?xml version="1.0"?>\n'
    '<svg xmlns:xlink="x" width="504pt" height="252pt" viewBox="0 0 504 252">'
)


@pytest.fixture
def book(tmp_path: Path) -> LittleBook:
    book = LittleBook(tmp_path)
    for name in ("a", "b"):
        book.write(f"theory/figures/{name}.svg", SVG)
    return book


FIGURES = """# A title

![What a shows](figures/a.svg)

Figure: Look at *this*.

!!! note
    ![What b shows](figures/b.svg)

    Figure: And at that, [figure 3.2](#fig-b).
"""


def test_figures_are_numbered_captioned_and_sized(book: LittleBook) -> None:
    first, second = book.tree(FIGURES).xpath("//figure")
    assert [first.get("id"), second.get("id")] == ["fig-a", "fig-b"]
    assert first.xpath("figcaption")[0].text_content() == "Figure 3.1: Look at this."
    assert second.text_content().strip().startswith("Figure 3.2: And at that")
    image = first.xpath("img")[0]
    assert (image.get("width"), image.get("height")) == ("672", "336")
    assert image.get("loading") is None
    assert second.xpath("img")[0].get("loading") == "lazy"


def test_pages_without_a_chapter_number_from_one(book: LittleBook) -> None:
    tree = book.tree("# T\n\n![a](figures/a.svg)\n\nFigure: C.", uri="start/x.md", chapter=None)
    assert tree.text_content().split("\n", 1)[1].strip() == "Figure 1: C."


def test_tables_take_their_caption(book: LittleBook) -> None:
    source = "Table: What *it* says.\n{: #tab-one }\n\n| a |\n|---|\n| 1 |\n\n| b |\n|---|\n| 2 |\n"
    tables = book.tree(source).xpath("//table")
    assert tables[0].get("id") == "tab-one"
    assert tables[0].xpath("caption")[0].text_content() == "Table 3.1: What it says."
    assert not tables[1].xpath("caption")
    assert not book.tree(source).xpath("//p")


def test_chapter_titles_carry_their_number(book: LittleBook) -> None:
    title = book.tree("# Many heads\n\n## One").xpath("//h1")[0]
    assert (title.text_content(), title.get("id")) == ("3. Many heads", "many-heads")
    assert book.tree("# Glossary", chapter=None).xpath("//h1")[0].text == "Glossary"


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("![a](figures/a.svg)\n\nText.", 4, "without a caption"),
        ("Text.\n\n![](figures/a.svg)\n\nFigure: C.", 6, "can't see it"),
        ("Text ![a](figures/a.svg) inside.", 4, "paragraph of its own"),
        ("![a](figures/a.svg)\nFigure: C.", 4, "paragraph of its own"),
        ("Text.\n\nFigure: C without image.", 6, "doesn't follow an image"),
        ("Table: C.\n\nText.", 4, "not followed by a table"),
        ("![a](figures/a.svg)\n\nFigure: C.\n\n[figure 3.2](#fig-a)", 8, "leads to Figure 3.1"),
        ("$$\nx \\tag{3.1}\n$$\n\n[(3.2)](#eq-3.1)", 8, "leads to 3.1"),
        ("![a](figures/a.svg)\n\nFigure: C.\n\n![a](figures/a.svg)\n\nFigure: D.", 4, "two fig"),
    ],
)
def test_mistakes_fail_with_page_and_line(
    book: LittleBook, text: str, line: int, reason: str
) -> None:
    with pytest.raises(PageError, match=reason) as caught:
        book.page(text)
    assert (caught.value.page, caught.value.line) == ("docs/theory/page.md", line)


def test_image_sizes() -> None:
    png = b"\x89PNG\r\n\x1a\n" + b"\0" * 8 + (30).to_bytes(4, "big") + (20).to_bytes(4, "big")
    assert image_size(png) == (30, 20)
    assert image_size(b'<svg viewBox="0 0 12.4 7">') == (12, 7)
    assert image_size(b'<svg width="2in" height="10mm">') == (192, 38)
    assert image_size(b"<svg>") is None
    assert image_size(b"GIF89a") is None
