"""The whole book as one HTML document: cover, contents, parts, appendices."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from lxml import html
from lxml.html import HtmlElement

from book.chapters import PARTS
from book.pdf import article, front, solutions
from book.pdf.article import SITE, Page, of_class

ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")
# Notebooks and the landing page are made for a screen.
LEFT_OUT = ("labs/",)
LAST = ("appendix/glossary/", "appendix/references/")
INNER_HEADINGS = ("h5", "h4", "h3", "h2")


@dataclass
class Part:
    """A part of the book: its title and its sections in order."""

    title: str
    number: str | None
    sections: list[HtmlElement] = field(default_factory=list)

    @property
    def name(self) -> str:
        return "part-" + re.sub(r"\W+", "-", self.title.lower())


@dataclass
class Book:
    """The assembled document and what must be found in the PDF made from it."""

    document: HtmlElement
    pages: list[Page]


def assemble(site: Path) -> Book:
    """Every page of the site, cleaned and linked, in the book's order."""
    about = front.About.of_site(site)
    pages = [article.read(site, uri) for uri in order(site)]
    by_uri = {page.uri: page for page in pages}
    article.walk(pages, lambda p: article.keep_tex(p.article))
    article.walk(pages, lambda p: article.clean(p, site))
    article.walk(pages, lambda p: article.footnotes(p.article))
    article.walk(pages, partial(article.rewrite_links, pages=by_uri, site_url=about.site_url))
    article.walk(pages, article.prefix_anchors)
    gathered: list[solutions.Gathered] = []
    article.walk(pages, lambda p: gathered.append(solutions.gather(p)))
    article.walk(pages, lambda p: article.open_folds(p.article))
    parts = _parts(pages, solutions.section(gathered))
    document = front.document(about, _cover_figure(site))
    body = document.find("body")
    body.append(front.contents([(p.title, p.number, p.name, p.sections) for p in parts]))
    for part in parts:
        body.append(_part(part))
    return Book(document, pages)


def order(site: Path) -> list[str]:
    """The pages in the order of the site's navigation."""
    tree = html.parse(str(site / "index.html"), html.HTMLParser(encoding="utf-8")).getroot()
    found: list[str] = []
    for link in of_class(tree, "md-nav__link"):
        href = link.get("href")
        if link.tag != "a" or not href or href.startswith("#"):
            continue
        address = urlsplit(urljoin(SITE, href))
        uri = unquote(address.path).lstrip("/").removesuffix("index.html")
        inside = f"{address.scheme}://{address.netloc}/" == SITE
        if inside and uri and not uri.startswith(LEFT_OUT) and uri not in found:
            found.append(uri)
    if not found:
        raise ValueError(f"{site / 'index.html'}: the navigation lists no pages")
    return found


def _parts(pages: list[Page], answers: HtmlElement | None) -> list[Part]:
    parts = [Part("Start", None)]
    parts += [Part(title, ROMAN[i]) for i, title in enumerate(PARTS.values())]
    by_folder = dict(zip(["start", *PARTS], parts, strict=True))
    appendix = Part("Appendices", None)
    for page in sorted(pages, key=lambda p: p.chapter or 0):
        if page.uri not in LAST and not page.uri.startswith("reference/"):
            part = by_folder.get(page.uri.split("/")[0], appendix)
            part.sections.append(_section(page))
    if answers is not None:
        appendix.sections.append(answers)
    by_uri = {page.uri: page for page in pages}
    appendix.sections += [_section(by_uri[uri]) for uri in LAST if uri in by_uri]
    api = Part("Appendix: the API", None)
    api.sections += [_section(p) for p in pages if p.uri.startswith("reference/")]
    return [part for part in [*parts, appendix, api] if part.sections]


def _section(page: Page) -> HtmlElement:
    kind = page.uri.split("/")[0]
    section = page.article
    section.tag = "section"
    section.set("class", f"chapter {kind} {page.name}")
    section.set("id", page.name)
    return section


def _part(part: Part) -> HtmlElement:
    whole = html.Element("section", {"class": "part", "id": part.name})
    cover = html.Element("div", {"class": "part-cover"})
    label = f"Part {part.number}: {part.title}" if part.number else part.title
    heading = html.Element("h1", {"class": "part-title", "data-label": label})
    if part.number:
        number = html.Element("span", {"class": "part-number"})
        number.text = f"Part {part.number}"
        heading.append(number)
        number.tail = part.title
    else:
        heading.text = part.title
    cover.append(heading)
    cover.append(front.listing(part.sections, deep=False))
    whole.append(cover)
    for section in part.sections:
        _deepen(section)
        whole.append(section)
    return whole


def _deepen(section: HtmlElement) -> None:
    """A chapter stands below its part: every heading goes one level down."""
    for tag in (*INNER_HEADINGS, "h1"):
        for heading in list(section.iter(tag)):
            heading.tag = f"h{int(tag[1]) + 1}"


def _cover_figure(site: Path) -> HtmlElement | None:
    page = article.read(site, "")
    for image in page.article.iter("img"):
        source = unquote(urlsplit(image.get("src") or "").path)
        if source.endswith(".svg") and "figures/" in source and image.get("alt"):
            picture = html.Element("img", {"class": "cover-figure", "alt": image.get("alt")})
            picture.set("src", (site / source).resolve().as_uri())
            return picture
    return None
