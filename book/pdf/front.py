"""Cover, imprint and contents."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from lxml import html
from lxml.html import HtmlElement

from book.pdf.article import text_of

TITLE = "The Attention Guide"
SUBTITLE = "Attention and transformers, with its code run and its figures computed"


@dataclass(frozen=True)
class About:
    """The facts that the cover and the imprint state."""

    version: str
    facts: str
    site_url: str | None

    @classmethod
    def of_site(cls, site: Path) -> About:
        """What the built site says in its footer: the PDF is made of the site's pages."""
        tree = html.parse(str(site / "index.html"), html.HTMLParser(encoding="utf-8")).getroot()
        footer = tree.find(".//span[@class='book-facts']")
        if footer is None:
            raise ValueError(f"{site / 'index.html'}: the footer names no version and no commit")
        return cls(
            version=metadata.version("attention-guide"),
            facts=" ".join(footer.text_content().split()),
            site_url=os.environ.get("ATTENTION_GUIDE_SITE_URL") or None,
        )


def document(about: About, figure: HtmlElement | None) -> HtmlElement:
    """An HTML document with its metadata, cover and imprint."""
    root = html.Element("html", {"lang": "en-GB"})
    head = html.etree.SubElement(root, "head")
    html.etree.SubElement(head, "meta", {"charset": "utf-8"})
    html.etree.SubElement(head, "title").text = TITLE
    for name, content in {
        "author": "The Attention Guide contributors",
        "description": SUBTITLE,
        "keywords": "attention, transformer, deep learning, PyTorch",
        "generator": "The Attention Guide's press",
    }.items():
        html.etree.SubElement(head, "meta", {"name": name, "content": content})
    body = html.etree.SubElement(root, "body")
    body.append(_cover(about, figure))
    body.append(_imprint(about))
    return root


def _cover(about: About, figure: HtmlElement | None) -> HtmlElement:
    cover = html.Element("section", {"class": "cover"})
    html.etree.SubElement(cover, "p", {"class": "cover-title"}).text = TITLE
    html.etree.SubElement(cover, "p", {"class": "cover-subtitle"}).text = SUBTITLE
    if figure is not None:
        cover.append(figure)
    html.etree.SubElement(cover, "p", {"class": "cover-edition"}).text = f"Edition {about.version}"
    return cover


def _imprint(about: About) -> HtmlElement:
    imprint = html.Element("section", {"class": "imprint"})
    where = f" ({about.site_url})" if about.site_url else ""
    for text in (
        f"{TITLE}. {about.facts}",
        "The Python blocks in this book were run, each page's from top to bottom: outputs and "
        "figures are those of the run. The one that needs a GPU says so.",
        f"The site{where} has the same text with the notebook and the script of each chapter, "
        "the labs, and the source code of the package. Solutions to the exercises and answers "
        "to the quizzes stand at the end of this edition.",
        "Text and figures: Creative Commons Attribution 4.0 International (CC BY 4.0). "
        "Code: MIT licence.",
        "Set in Source Serif 4, Source Sans 3 and Source Code Pro; formulas by KaTeX.",
    ):
        html.etree.SubElement(imprint, "p").text = text
    return imprint


def contents(parts: list[tuple[str, str | None, str, list[HtmlElement]]]) -> HtmlElement:
    """The table of contents: parts, chapters and their sections, each with its page."""
    whole = html.Element("section", {"class": "contents", "id": "contents"})
    html.etree.SubElement(whole, "h1", {"data-label": "Contents"}).text = "Contents"
    for title, number, name, sections in parts:
        line = html.etree.SubElement(whole, "p", {"class": "contents-part"})
        link = html.etree.SubElement(line, "a", {"href": f"#{name}"})
        link.text = f"Part {number}: {title}" if number else title
        whole.append(listing(sections, deep=True))
    return whole


def listing(sections: list[HtmlElement], *, deep: bool) -> HtmlElement:
    """Chapters as a list of links; `deep` adds the sections of each."""
    chapters = html.Element("ul", {"class": "contents-chapters"})
    for section in sections:
        item = html.etree.SubElement(chapters, "li")
        heading = next(section.iter("h1"))
        item.append(_line(section.get("id") or "", heading))
        inner = [h for h in section.iter("h2") if h.get("id") or _section_id(h)]
        if deep and inner and "reference" not in (section.get("class") or "").split():
            below = html.etree.SubElement(item, "ul", {"class": "contents-sections"})
            for h2 in inner:
                entry = html.etree.SubElement(below, "li")
                entry.append(_line(h2.get("id") or _section_id(h2), h2))
    return chapters


def _section_id(heading: HtmlElement) -> str:
    parent = heading.getparent()
    return (parent.get("id") or "") if parent is not None and parent.tag == "section" else ""


def _line(anchor: str, heading: HtmlElement) -> HtmlElement:
    link = html.Element("a", {"href": f"#{anchor}"})
    number = heading.find("span[@class='chapter-number']")
    label = heading.get("data-label") or text_of(heading)
    if number is not None and number.text:
        mark = html.etree.SubElement(link, "span", {"class": "contents-number"})
        mark.text = number.text
        mark.tail = label.removeprefix(f"{number.text}. ").removeprefix(number.text).strip()
    else:
        link.text = label
    return link
