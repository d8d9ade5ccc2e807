"""One page of the site as a section of the printed book."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from lxml import html
from lxml.html import HtmlElement

from book.markdown.figures import image_size

SITE = "https://site.invalid/"
_DROPPED = (
    "headerlink", "md-content__button", "md-button", "twemoji", "md-source-file", "doc-symbol",
    "md-feedback", "md-tags", "no-print", "footnote-backref", "katex-mathml",
)  # fmt: skip
_LONG_BLOCK_LINES = 28
_COLUMNS = 90  # that a line of the book's code size holds
# Kinds of token that the style sheet tells apart; the rest would be thousands of idle elements.
_PRINTED_TOKENS = frozenset(
    ["hll", "k", "kn", "kd", "kc", "kr", "ow", "nf", "nc", "c", "c1", "cm", "sd", "filename"]
)
_ZERO_WIDTH = "\u200b"


@dataclass
class Page:
    """A page of the site: where it is, what it is called and what it says."""

    uri: str  # "theory/scaled-dot-product/"
    article: HtmlElement
    title: str = ""
    chapter: int | None = None
    figures: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The page's own anchor, and the prefix of every anchor on it."""
        return self.uri.strip("/").replace("/", "-") or "home"


def read(site: Path, uri: str) -> Page:
    """The article of the built page at `uri`, before anything is done to it."""
    file = site / uri / "index.html" if not uri.endswith(".html") else site / uri
    tree = html.parse(str(file), parser=html.HTMLParser(encoding="utf-8")).getroot()
    articles = tree.xpath("//article")
    if not articles:
        raise ValueError(f"{file}: no article")
    page = Page(uri, articles[0])
    heading = next(iter(page.article.iter("h1")), None)
    if heading is None:
        raise ValueError(f"{file}: no title")
    for link in of_class(heading, "headerlink"):
        remove(link)
    text = text_of(heading)
    numbered = re.match(r"(\d+)\.\s+(.*)", text)
    page.title = numbered[2] if numbered else text
    page.chapter = int(numbered[1]) if numbered else None
    return page


def clean(page: Page, site: Path) -> None:
    """Take what only a screen needs, and turn what folds and switches into what stands still."""
    article = page.article
    for element in list(article.iter("script", "style", "link", "nav", "button", "input", "hr")):
        remove(element)
    for name in _DROPPED:
        for element in of_class(article, name):
            remove(element)
    for element in article.iter(html.etree.Comment):
        remove(element)
    _formulas(article)
    _facts(article)
    for places in of_class(article, "cited-in"):
        for link in places.iter("a"):
            if link.get("aria-label"):  # "2", "3": in print, the page says which place it is
                link.text = None
                link.set("class", "again")
    _tabs(article)
    _sources(article)
    _images(page, site)
    _code(article)
    _tables(article)
    for label in of_class(article, "doc-section-title"):
        paragraph = label.getparent()
        if paragraph is not None:
            paragraph.set("class", "lead-in")
    _headings(page)
    for element in _elements(article):
        for name in ("title", "loading", "decoding", "data-search-exclude", "tabindex"):
            if name in element.attrib:
                del element.attrib[name]


def footnotes(article: HtmlElement) -> None:
    """Bring each note from the page's end to its mark, where the foot of that page takes it."""
    notes = {}
    for listing in of_class(article, "footnote"):
        if listing.tag == "div":
            notes = {item.get("id"): item for item in listing.iter("li")}
            remove(listing)
    for mark in list(article.iter("sup")):
        link = mark.find("a")
        note = notes.get((link.get("href") or "").lstrip("#")) if link is not None else None
        if note is None:
            continue
        inline = html.Element("span", {"class": "footnote"})
        for index, paragraph in enumerate(note.iter("p")):
            append_text(inline, (" " if index else "") + (paragraph.text or "").lstrip())
            for child in paragraph:
                copied = html.fromstring(html.tostring(child, with_tail=False, encoding="unicode"))
                if "id" in copied.attrib:
                    del copied.attrib["id"]
                inline.append(copied)
                copied.tail = child.tail
        replace(mark, inline)


def prefix_anchors(page: Page) -> None:
    """Give every anchor the page's name, so that no two pages of the book share one."""
    for element in page.article.iter():
        name = element.get("id")
        if name:
            element.set("id", f"{page.name}--{name}")


def rewrite_links(page: Page, pages: dict[str, Page], site_url: str | None) -> None:
    """Links within the book lead to its anchors; to the site only where its address is known."""
    for link in list(page.article.iter("a")):
        href = link.get("href")
        if href is None:
            continue
        address = urlsplit(urljoin(SITE + page.uri, href))
        if f"{address.scheme}://{address.netloc}/" != SITE:
            link.set("class", f"{link.get('class', '')} external".strip())
            continue
        target = pages.get(_as_uri(address.path))
        if target is not None:
            anchor = unquote(address.fragment)
            link.set("href", f"#{target.name}--{anchor}" if anchor else f"#{target.name}")
            if target is not page and not _says_where(link):
                link.set("class", f"{link.get('class', '')} elsewhere".strip())
        elif site_url:
            link.set("href", urljoin(site_url.rstrip("/") + "/", address.path.lstrip("/")))
        else:
            link.drop_tag()


def _as_uri(path: str) -> str:
    return path.lstrip("/").removesuffix("index.html")


def _says_where(link: HtmlElement) -> bool:
    """A term, a citation or an object of the API is found by its name: no page number needed."""
    classes = set((link.get("class") or "").split())
    if classes & {"term", "autorefs"}:
        return True
    return any("citation" in (p.get("class") or "") for p in link.iterancestors("span"))


def _formulas(article: HtmlElement) -> None:
    """KaTeX's HTML without its MathML twin; its TeX is kept as what a screen reader is given."""
    for formula in of_class(article, "katex"):
        for cell in of_class(formula, "vlist-s"):
            cell.text = (cell.text or "").replace(_ZERO_WIDTH, "")
        for drawing in formula.iter("svg"):
            drawing.set("data-formula-part", "")


def keep_tex(article: HtmlElement) -> None:
    """Note each formula's TeX before its MathML is dropped."""
    for formula in of_class(article, "katex"):
        source = next(formula.iter("annotation"), None)
        if source is None or not source.text:
            raise ValueError(f"a formula without its TeX: {text_of(formula)[:60]}")
        formula.set("data-tex", source.text.strip())


def _facts(article: HtmlElement) -> None:
    """Of a chapter's facts, the links to its notebook and script stay on the site."""
    for facts in of_class(article, "chapter-facts"):
        for item in list(facts.iter("li")):
            if item.find("a") is not None:
                remove(item)
        if not len(facts):
            remove(facts)


def _tabs(article: HtmlElement) -> None:
    for tabs in of_class(article, "tabbed-set"):
        labels = [text_of(label) for label in tabs.iter("label")]
        for listing in of_class(tabs, "tabbed-labels"):
            remove(listing)
        for label, block in zip(labels, of_class(tabs, "tabbed-block"), strict=True):
            title = html.Element("p", {"class": "tab-title"})
            title.text = label
            block.insert(0, title)


def _sources(article: HtmlElement) -> None:
    """Source listings of the API stay on the site; other folds stand open."""
    for fold in list(article.iter("details")):
        classes = set((fold.get("class") or "").split())
        if classes & {"quote", "mkdocstrings-source"} and "doc" in _context(fold):
            remove(fold)


def _context(element: HtmlElement) -> set[str]:
    found: set[str] = set()
    for ancestor in element.iterancestors("div"):
        found.update((ancestor.get("class") or "").split())
    return found


def open_folds(article: HtmlElement) -> None:
    """Folds that nothing else has taken become boxes with their summary as title."""
    for fold in list(article.iter("details")):
        fold.tag = "div"
        fold.set("class", f"admonition fold {fold.get('class', '')}".strip())
        summary = fold.find("summary")
        if summary is not None:
            summary.tag = "p"
            summary.set("class", "admonition-title")


def _images(page: Page, site: Path) -> None:
    for image in page.article.iter("img"):
        source = urlsplit(urljoin(SITE + page.uri, image.get("src") or ""))
        if f"{source.scheme}://{source.netloc}/" != SITE:
            raise ValueError(f"{page.uri}: an image from elsewhere: {image.get('src')}")
        path = unquote(source.path).lstrip("/")
        file = site / path
        if not file.is_file():
            raise ValueError(f"{page.uri}: no image {path}")
        image.set("src", file.resolve().as_uri())
        page.figures.append(posixpath.basename(path))
        size = image_size(file.read_bytes())
        parent = image.getparent()
        if size and size[1] > 1.15 * size[0] and parent is not None and parent.tag == "figure":
            parent.set("class", "tall")
        for name in {"width", "height"} & set(image.attrib):
            del image.attrib[name]


def _code(article: HtmlElement) -> None:
    """Short blocks stay whole, with their output; only long ones may be split."""
    for listing in article.iter("pre"):
        for token in list(listing.iter("span")):
            if not _PRINTED_TOKENS & set((token.get("class") or "").split()):
                token.drop_tag()
    for block in [e for e in of_class(article, "highlight") if e.tag == "div"]:
        parent = block.getparent()
        if parent is None or "example" in (parent.get("class") or ""):
            continue
        following = block.getnext()
        parts = [block]
        if following is not None and "output" in (following.get("class") or "").split():
            parts.append(following)
        example = html.Element("div", {"class": "example"})
        tail, parts[-1].tail = parts[-1].tail, None
        parent.insert(parent.index(block), example)
        example.extend(parts)
        example.tail = tail
        lines = [line for part in parts for line in text_of(part, strip=False).splitlines()]
        whole = "whole" if len(lines) <= _LONG_BLOCK_LINES else ""
        tight = "tight" if max(map(len, lines), default=0) > _COLUMNS else ""
        example.set("class", " ".join(filter(None, ["example", whole, tight])))
        before = example.getprevious()
        if before is not None and before.tag == "p":
            before.set("class", f"{before.get('class') or ''} lead-in".strip())


def _tables(article: HtmlElement) -> None:
    for table in article.iter("table"):
        columns = max((len(row) for row in table.iter("tr")), default=0)
        rows = sum(1 for _ in table.iter("tr"))
        classes = [
            table.get("class") or "",
            "wide" if columns > 5 else "",
            "long" if rows > 18 else "",
        ]
        table.set("class", " ".join(filter(None, classes)))
        for head in table.iter("th"):
            in_body = any(True for _ in head.iterancestors("tbody"))
            head.set("scope", "row" if in_body else "col")


def _headings(page: Page) -> None:
    for heading in page.article.iter("h1", "h2", "h3", "h4", "h5", "h6"):
        heading.set("data-label", plain_label(heading))
        if heading.tag == "h1":
            if page.chapter is not None:
                number = html.Element("span", {"class": "chapter-number"})
                number.text = str(page.chapter)
                number.tail = re.sub(r"^\s*\d+\.\s+", "", heading.text or "")
                heading.text = None
                heading.insert(0, number)
            if "id" in heading.attrib:
                del heading.attrib["id"]  # the section carries the page's anchor


def plain_label(heading: HtmlElement) -> str:
    """A heading as one line of plain text: its formulas as text, not as their markup."""
    from book.markdown.maths import tex_to_text

    copied = html.fromstring(html.tostring(heading, with_tail=False, encoding="unicode"))
    for formula in of_class(copied, "katex"):
        span = html.Element("span")
        span.text = tex_to_text(formula.get("data-tex") or "")
        replace(formula, span)
    return text_of(copied)


def of_class(root: HtmlElement, name: str) -> list[HtmlElement]:
    """Every element below `root` that has the class."""
    return [e for e in _elements(root) if name in (e.get("class") or "").split()]


def _elements(root: HtmlElement) -> Iterator[HtmlElement]:
    for element in root.iter():
        if isinstance(element.tag, str):
            yield element


def text_of(element: HtmlElement, strip: bool = True) -> str:
    """All of an element's text, on one line unless told otherwise."""
    text = "".join(element.itertext())
    return " ".join(text.split()) if strip else text


def remove(element: HtmlElement) -> None:
    """Take an element out of the tree and leave the text after it."""
    if element.getparent() is not None:
        element.drop_tree()


def replace(old: HtmlElement, new: HtmlElement) -> None:
    """Put `new` where `old` stands."""
    new.tail = old.tail
    parent = old.getparent()
    if parent is not None:
        parent.replace(old, new)


def append_text(element: HtmlElement, text: str) -> None:
    """Add text at an element's end."""
    if len(element):
        element[-1].tail = (element[-1].tail or "") + text
    else:
        element.text = (element.text or "") + text


def walk(pages: list[Page], step: Callable[[Page], None]) -> None:
    """Do one step to every page, naming the page where it fails."""
    for page in pages:
        try:
            step(page)
        except ValueError as error:
            raise ValueError(f"{page.uri}: {error}") from error
