"""WeasyPrint, with its warnings as failures and formulas tagged with their TeX."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydyf  # type: ignore[import-untyped]
from lxml import html
from lxml.html import HtmlElement

from book.pdf import formulas

HERE = Path(__file__).resolve().parent
# What browsers need and a PDF doesn't; the vendored file itself stays as it was published.
_FOR_BROWSERS = re.compile(
    r"(?<=[{;])(?:-ms-|-webkit-|-moz-|clip-path|text-rendering|fill|stroke)[^;}]*;?"
)
_WEBKIT_VALUE = re.compile(r"(?<=[{;])[\w-]+:(?:-webkit-|-moz-|min-content)[^;}]*;?")
_FONT_FALLBACKS = re.compile(r"src:url\(([^)]+\.woff2)\)[^;}]*")


class RendererWarning(Exception):
    """WeasyPrint or the font tools complained; the message lists every complaint."""


def render(document: HtmlElement, assets: Path) -> bytes:
    """The PDF of an assembled document.

    Raises:
        RendererWarning: anything at all was logged as a warning or an error.
    """
    with _complaints() as found, _tagged_formulas(), _pages_named_once():
        sheet, wide = formulas.sheet(document)
        sheet_size = "@page { size: 3000mm 297mm } html { font-size: 10.5pt }"
        formulas.fit(wide, formulas.widths(_html(sheet, assets, sheet_size).pages))
        book = _html(document, assets)
        found += formulas.straighten(book.pages)
        pdf: bytes = book.write_pdf(pdf_variant="pdf/ua-1")
    if found:
        raise RendererWarning("\n".join(dict.fromkeys(found)))
    return pdf


def _html(document: HtmlElement, assets: Path, extra: str = "") -> Any:
    """A document laid out with KaTeX's style sheet and the book's."""
    from weasyprint import CSS, HTML
    from weasyprint.text.fonts import FontConfiguration

    fonts = FontConfiguration()
    vendor = assets / "vendor"
    sheets = [
        CSS(string=katex_css(assets), base_url=_base(vendor / "katex"), font_config=fonts),
        CSS(string=book_css() + extra, base_url=_base(vendor), font_config=fonts),
    ]
    text = "<!doctype html>\n" + html.tostring(document, encoding="unicode")
    laid_out = HTML(string=text, base_url=_base(assets))
    return laid_out.render(stylesheets=sheets, font_config=fonts, pdf_tags=True)


def katex_css(assets: Path) -> str:
    """KaTeX's style sheet without what only browsers understand."""
    text = (assets / "vendor" / "katex" / "katex.min.css").read_text(encoding="utf-8")
    text = _FONT_FALLBACKS.sub(r"src:url(\1)", text)
    return _WEBKIT_VALUE.sub("", _FOR_BROWSERS.sub("", text))


def book_css() -> str:
    """The book's own style sheet, with the address of the fonts that only the PDF uses."""
    text = (HERE / "book.css").read_text(encoding="utf-8")
    return text.replace("pdf-fonts:", (HERE / "fonts").as_uri() + "/")


def _base(folder: Path) -> str:
    return folder.resolve().as_uri() + "/"


@contextmanager
def _complaints() -> Iterator[list[str]]:
    found: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(f"{record.name}: {record.getMessage()}")

    listener = Listener(logging.WARNING)
    loggers = [logging.getLogger(name) for name in ("weasyprint", "fontTools")]
    kept = [list(logger.handlers) for logger in loggers]
    for logger in loggers:
        logger.handlers = [listener]
    try:
        yield found
    finally:
        for logger, handlers in zip(loggers, kept, strict=True):
            logger.handlers = handlers


@contextmanager
def _tagged_formulas() -> Iterator[None]:
    """Tag formulas as such, with their TeX as alternative text.

    WeasyPrint tags by element name and knows none for mathematics, so a formula would be read
    out as loose letters. Its own builder makes the tag; only the tag's kind and text change here.
    """
    from weasyprint.pdf import tags

    build: Callable[..., Iterator[Any]] = tags._build_box_tree

    def with_formulas(box: Any, *arguments: Any) -> Iterator[Any]:
        element = box.element
        own = element is not None and getattr(box, "pseudo_type", None) is None
        for tag in build(box, *arguments):
            if own and "data-tex" in element.attrib and tag["S"] == "/Span":
                tag["S"] = "/Formula"
                tag["Alt"] = pydyf.String(element.attrib["data-tex"])
            elif own and "data-formula-part" in element.attrib:
                tag["S"] = "/Span"
            yield tag

    tags._build_box_tree = with_formulas
    try:
        yield
    finally:
        tags._build_box_tree = build


@contextmanager
def _pages_named_once() -> Iterator[None]:
    """Keep the references of the pages, which pydyf writes anew for each tag: pages times tags."""
    plain: Any = pydyf.PDF.page_references
    kept: dict[tuple[int, int], tuple[bytes, ...]] = {}

    def references(pdf: Any) -> tuple[bytes, ...]:
        key = (id(pdf), pdf.pages["Count"])
        if key not in kept:
            kept[key] = plain.fget(pdf)
        return kept[key]

    pydyf.PDF.page_references = property(references)
    try:
        yield
    finally:
        pydyf.PDF.page_references = plain
