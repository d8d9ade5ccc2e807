"""Labs: mkdocs-jupyter's HTML without its inlined theme, scripts and foreign addresses.

Its template puts a style sheet of half a megabyte, a clipboard script and the address of MathJax
on another host in front of the notebook. The book has its own style; formulas are set here.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from typing import Any, cast

from lxml import etree, html
from lxml.html import HtmlElement

from book.markdown.errors import PageError
from book.markdown.maths import FormulaError, render

_WRAPPER = '<div class="jupyter-wrapper">'
_FORMULA = re.compile(
    r"(?<!\\)\$\$(?P<display>.+?)\$\$|(?<![\\$])\$(?!\s)(?P<inline>[^$\n]+?)(?<!\s)\$(?!\d)",
    re.DOTALL,
)
_NOISE = (
    ".//script | .//style | .//*[contains(@class, 'zeroclipboard-container')]"
    " | .//*[contains(@class, 'clipboard-copy-txt')] | .//*[contains(@class, 'jp-Collapser')]"
    " | .//a[contains(@class, 'anchor-link')]"
)
_NO_TEXT = "No description has been provided for this image"  # nbconvert's own
_CELL = "div[contains(concat(' ', @class, ' '), ' jp-Cell ')]"
_LITERAL = {"code", "pre", "script", "style", "math", "svg", "textarea"}


def clean(content: str, page: str) -> str:
    """The body of a rendered notebook, its formulas set, its images described.

    Args:
        content: What mkdocs-jupyter made of the notebook.
        page: The notebook's path, for errors.

    Raises:
        PageError: A formula that KaTeX rejects, or an image without a text, with its cell's
            number, the first cell's being 1.
    """
    start = content.find(_WRAPPER)
    if start < 0:
        raise PageError(page, None, "mkdocs-jupyter's template has changed: no wrapper found")
    root = next(e for e in html.fragments_fromstring(content[start:]) if e.tag == "div")
    root.tail = None
    for element in _select(root, _NOISE):
        element.drop_tree()
    for element in _select(root, ".//*[@tabindex]"):
        del element.attrib["tabindex"]
    for cell in _select(root, ".//div[contains(@class, 'highlight-ipynb')]"):
        _as_code(cell)
    for text, holder, after in list(_texts(root)):
        _set_formulas(text, holder, after, page)
    for image in root.iter("img"):
        if (image.get("alt") or "").strip() in ("", _NO_TEXT):
            image.set("alt", _label(image.get("src") or ""))
        if not image.get("alt"):
            raise _error(page, image, "a figure without `alt` in the metadata of its cell")
    return etree.tostring(root, encoding="unicode", method="html")


def _label(source: str) -> str:
    """The label inside an SVG, which nbconvert hides in a data address without `alt`."""
    kind, _, data = source.partition(";base64,")
    if kind != "data:image/svg+xml":
        return ""
    return etree.fromstring(b64decode(data)).get("aria-label") or ""


def _select(root: HtmlElement, path: str) -> list[Any]:
    """Elements by XPath; lxml types its answer as anything that XPath can say."""
    return list(cast("Iterable[Any]", root.xpath(path)))


def _as_code(cell: HtmlElement) -> None:
    """Give a code cell the structure of the book's other code, copy button included."""
    cell.set("class", "highlight")
    for pre in cell.iter("pre"):
        code = etree.Element("code")
        code.text, pre.text = pre.text, None
        code.extend(list(pre))
        pre.append(code)


def _texts(root: HtmlElement) -> Iterator[tuple[str, HtmlElement, bool]]:
    """Each text outside code, with the element that holds it and whether it follows that."""
    for cell in _select(root, ".//*[contains(@class, 'jp-MarkdownOutput')]"):
        for element in cell.iter():
            literal = any(a.tag in _LITERAL for a in (element, *element.iterancestors()))
            if element.text and not literal:
                yield element.text, element, False
            parent = element.getparent()
            outside = not any(a.tag in _LITERAL for a in (parent, *parent.iterancestors()))
            if element.tail and element is not cell and outside:
                yield element.tail, element, True


def _set_formulas(text: str, holder: HtmlElement, after: bool, page: str) -> None:
    pieces = list(_FORMULA.finditer(text))
    if not pieces:
        return
    parent = holder.getparent() if after else holder
    position = parent.index(holder) + 1 if after else 0
    lead = text[: pieces[0].start()]
    if after:
        holder.tail = lead
    else:
        holder.text = lead
    ends = [piece.start() for piece in pieces[1:]] + [len(text)]
    for offset, (piece, end) in enumerate(zip(pieces, ends, strict=True)):
        formula = _formula(piece, holder, page)
        formula.tail = text[piece.end() : end]
        parent.insert(position + offset, formula)


def _formula(match: re.Match[str], holder: HtmlElement, page: str) -> HtmlElement:
    display = match["display"] is not None
    tex = (match["display"] if display else match["inline"]).strip()
    try:
        markup = render(tex, display)
    except FormulaError as error:
        raise _error(page, holder, f"formula {tex!r}: {error}") from None
    name = "arithmatex equation" if display else "arithmatex"
    return html.fragment_fromstring(f'<span class="{name}" data-search-exclude="">{markup}</span>')


def _error(page: str, element: HtmlElement, reason: str) -> PageError:
    """The error of an element, with the number of the cell in which it stands."""
    # A code cell stands inside another element of its class: the outer ones are siblings.
    for cell in _select(element, f"(ancestor-or-self::{_CELL})[1]"):
        reason = f"cell {len(_select(cell, f'preceding-sibling::{_CELL}')) + 1}: {reason}"
    return PageError(page, None, reason)
