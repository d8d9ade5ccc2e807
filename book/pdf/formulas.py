"""Display formulas that are wider than the line are set smaller, to the size that fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lxml import html
from lxml.html import HtmlElement

from book.pdf.article import of_class

MM = 96 / 25.4  # CSS pixels
LINE = 156 * MM
INDENT = 7 * MM  # of a list, a box or a quotation
TAG_GAP = 3 * MM
SMALLEST = 0.62
FAR = 60 * MM  # taller than any formula

_FORMULA_PARTS = frozenset(("katex-inner", "brace-left", "brace-center", "brace-right"))

Measure = dict[int, tuple[float, float]]  # formula -> widths of the formula and of its tag


class TooWide(ValueError):
    """A formula would have to be set too small to be read."""


def sheet(document: HtmlElement) -> tuple[HtmlElement, list[HtmlElement]]:
    """A document that holds a copy of every display formula on a line without end."""
    formulas = of_class(document, "katex-display")
    root = html.Element("html", {"lang": "en"})
    body = html.etree.SubElement(root, "body")
    for number, formula in enumerate(formulas):
        copied = html.fromstring(html.tostring(formula, with_tail=False, encoding="unicode"))
        copied.set("data-measure", str(number))
        body.append(copied)
    return root, formulas


def widths(pages: list[Any]) -> Measure:
    """The widths that the formulas of a laid-out `sheet` take."""
    found: Measure = {}
    for page in pages:
        for box in _boxes(page._page_box):
            element = getattr(box, "element", None)
            number = element.get("data-measure") if element is not None else None
            if number is not None:
                found[int(number)] = _width(box)
    return found


def fit(formulas: list[HtmlElement], measured: Measure) -> None:
    """Give each formula that is too wide for its place the font size that makes it fit."""
    for number, formula in enumerate(formulas):
        width, tag = measured[number]
        wanted = width + (2 * (tag + TAG_GAP) if tag else 0)
        room = LINE - INDENT * _depth(formula)
        if wanted <= room:
            continue
        scale = room / wanted
        if scale < SMALLEST:
            tex = of_class(formula, "katex")[0].get("data-tex")
            raise TooWide(f"a formula is {wanted / room:.1f} times as wide as the page: {tex}")
        formula.set("style", f"font-size: {scale:.3f}em")


def _depth(formula: HtmlElement) -> int:
    boxes = ("admonition", "solution-body", "choice-body", "doc-contents")
    return sum(
        parent.tag in ("li", "blockquote", "dd")
        or any(name in (parent.get("class") or "").split() for name in boxes)
        for parent in formula.iterancestors()
    )


def _width(display: Any) -> tuple[float, float]:
    """From the left edge of the first part to the right edge of the last; and of the tag."""
    edges, tag = [], 0.0
    for box in _boxes(display):
        classes = _classes(box)
        if "katex-tag" in classes:
            tag = max(tag, box.width)
        elif "katex-base" in classes:
            edges.append((box.position_x, box.position_x + box.margin_width()))
    if not edges:
        return 0.0, tag
    return max(e[1] for e in edges) - min(e[0] for e in edges), tag


def _classes(box: Any) -> list[str]:
    element = getattr(box, "element", None)
    return (element.get("class") or "").split() if element is not None else []


def _boxes(box: Any) -> Iterator[Any]:
    box = getattr(box, "_box", box)
    yield box
    for child in getattr(box, "children", ()):
        yield from _boxes(child)


def straighten(pages: list[Any]) -> list[str]:
    """Put parts of formulas that stand far from the box that holds them where they belong.

    WeasyPrint can leave an absolutely positioned part where a first attempt at the page had it.
    The style sheet puts surds and tags at the top of their box, so their place is known; any
    other part that is far away is a complaint.
    """
    complaints = []
    for number, page in enumerate(pages, start=1):
        for parent in _boxes(page._page_box):
            for child in getattr(parent, "children", ()):
                part = getattr(child, "_box", child)
                element = getattr(part, "element", None)
                if element is None or part.style["position"] != "absolute":
                    continue
                distance = parent.position_y - part.position_y
                if abs(distance) <= FAR:
                    continue
                if "hide-tail" in _classes(parent) or "katex-tag" in _classes(part):
                    part.translate(0, distance)
                elif _FORMULA_PARTS & set(_classes(part)) or "data-formula-part" in element.attrib:
                    complaints.append(f"page {number}: a part of a formula is out of place")
    return complaints
