"""Formulas set by KaTeX when the page is built, so that reading them needs no script."""

from __future__ import annotations

import html
import json
import re
import threading
import xml.etree.ElementTree as etree
from functools import lru_cache
from typing import Any

import quickjs
from markdown import Markdown
from markdown.extensions.toc import slugify
from markdown.treeprocessors import Treeprocessor

from book.markdown.context import ROOT, Page, page_of

KATEX = ROOT / "docs/assets/vendor/katex/katex.min.js"
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")

# The result goes through JSON because the engine hands a concatenated string ("rope") to Python
# only when something has flattened it.
_RENDER = """(tex, display) => JSON.stringify(katex.renderToString(tex, {
    displayMode: display, throwOnError: true, strict: "error", output: "htmlAndMathml"}))"""

_TAG = re.compile(r"\\tag\*?\{([^{}]*)\}")
_local = threading.local()  # an engine belongs to the thread that made it
_tags: dict[str, str] = {}  # tag -> the page that uses it, over the whole book


class FormulaError(ValueError):
    """KaTeX rejects a formula; the message is KaTeX's own."""


@lru_cache(maxsize=4096)
def render(tex: str, display: bool) -> str:
    """HTML and MathML of a formula.

    Raises:
        FormulaError: KaTeX, in strict mode, does not accept it.
    """
    if not hasattr(_local, "render"):
        context = quickjs.Context()
        context.eval(KATEX.read_text(encoding="utf-8"))
        _local.context, _local.render = context, context.eval(_RENDER)
    try:
        return str(json.loads(_local.render(tex, display)))
    except quickjs.JSException as error:
        reason = str(error).split("\n    at ")[0].strip()
        raise FormulaError(re.sub("\u0332", "", reason.removeprefix("ParseError: "))) from None


class Formulas(Treeprocessor):
    """Replace what arithmatex marked by what KaTeX sets, and give tagged equations an anchor."""

    def run(self, root: etree.Element) -> None:
        page = page_of(self.md)
        own_tags: set[str] = set()
        if not page.docstring:
            for tag in [tag for tag, where in _tags.items() if where == page.uri]:
                del _tags[tag]
        _label_headings(root, page)
        for element in root.iter():
            if element.get("class") == "arithmatex":
                self._set(element, page, own_tags)
            elif element.tag not in ("code", "pre"):
                _refuse_leftovers(element, page)

    def _set(self, element: etree.Element, page: Page, own_tags: set[str]) -> None:
        tex, display = _formula(element)
        tag = _TAG.search(tex)
        if tag:
            _check_tag(tag[1], tex, page, own_tags)
            element.set("id", f"eq-{tag[1]}")
        try:
            markup = render(tex, display)
        except FormulaError as error:
            raise page.error(f"formula: {error}", tex) from None
        # KaTeX writes a formula thrice (MathML, TeX, HTML): none of them belongs in the index.
        element.set("data-search-exclude", "")
        element.set("class", "arithmatex equation" if display else "arithmatex")
        element.text = self.md.htmlStash.store(markup)


def _formula(element: etree.Element) -> tuple[str, bool]:
    text = element.text or ""
    display = element.tag == "div"
    # arithmatex escapes display formulas itself and leaves inline ones to the serialiser.
    return (html.unescape(text[2:-2]) if display else text[2:-2]).strip(), display


def _check_tag(tag: str, tex: str, page: Page, own_tags: set[str]) -> None:
    if page.chapter is not None and not tag.startswith(f"{page.chapter}."):
        raise page.error(f"equation tag ({tag}) on a page of chapter {page.chapter}", tex)
    if tag in own_tags:
        raise page.error(f"equation tag ({tag}) is used twice on this page", tex)
    if _tags.get(tag, page.uri) != page.uri:
        raise page.error(f"equation tag ({tag}) is already used in docs/{_tags[tag]}", tex)
    own_tags.add(tag)
    if not page.docstring:
        _tags[tag] = page.uri


def _refuse_leftovers(element: etree.Element, page: Page) -> None:
    for text in (element.text, *(child.tail for child in element)):
        if text and "$$" in text:
            needle = text[text.index("$$") :].strip()[:60]
            raise page.error(
                "a display formula is a paragraph of its own: blank lines around $$ … $$, "
                "none inside",
                needle,
            )


def _label_headings(root: etree.Element, page: Page) -> None:
    """The table of contents and the anchor of a heading take its formulas as plain text."""
    for heading in root.iter():
        formulas = [e for e in heading.iter() if e.get("class") == "arithmatex"]
        if heading.tag not in HEADINGS or not formulas:
            continue
        if heading.tag == "h1":
            tex = _formula(formulas[0])[0]
            raise page.error("the title of a page can't hold a formula; write it in words", tex)
        label = plain_text(heading)
        heading.attrib.setdefault("data-toc-label", label)
        heading.attrib.setdefault("id", slugify(label, "-"))


def plain_text(element: etree.Element) -> str:
    """The text of an element with its formulas as plain text, before they are set."""
    if element.get("class") == "arithmatex":
        return tex_to_text(_formula(element)[0])
    parts = [element.text or ""]
    for child in element:
        parts += [plain_text(child), child.tail or ""]
    return "".join(parts)


_SYMBOLS = {
    r"\alpha": "α", r"\beta": "β", r"\gamma": "γ", r"\delta": "δ", r"\epsilon": "ε",
    r"\varepsilon": "ε", r"\theta": "θ", r"\lambda": "λ", r"\mu": "μ", r"\pi": "π",
    r"\sigma": "σ", r"\tau": "τ", r"\phi": "φ", r"\omega": "ω", r"\Sigma": "Σ", r"\sum": "Σ",
    r"\times": "×", r"\cdot": "·", r"\le": "≤", r"\leq": "≤", r"\ge": "≥", r"\geq": "≥",
    r"\neq": "≠", r"\approx": "≈", r"\infty": "∞", r"\in": "∈", r"\to": "→", r"\top": "ᵀ",
    r"\ldots": "…", r"\dots": "…", r"\pm": "±", r"\partial": "∂", r"\nabla": "∇",
}  # fmt: skip


def tex_to_text(tex: str) -> str:
    """A formula as one line of plain text, for tooltips and tables of contents."""
    text = re.sub(r"\\(?:text|mathrm|mathbf|mathbb|operatorname|mathit)\{([^{}]*)\}", r"\1", tex)
    text = re.sub(r"\\sqrt\{([^{}]*)\}", r"√\1", text)
    text = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"\1/\2", text)
    text = re.sub(r"\\[A-Za-z]+", lambda m: _SYMBOLS.get(m[0], m[0][1:]), text)
    text = re.sub(r"[_^]\{([^{}]*)\}", lambda m: m[0][0] + m[1], text)
    return re.sub(r"[{}]|\\[,;:! ]", "", text).strip()


def register(md: Markdown, _: dict[str, Any]) -> None:
    """Set formulas after attribute lists (8) and before the table of contents (5)."""
    md.treeprocessors.register(Formulas(md), "book-formulas", 7.9)
