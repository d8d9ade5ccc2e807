"""Figures and tables: captions, numbers, anchors, and sizes that spare a page its jumps."""

from __future__ import annotations

import re
import struct
import xml.etree.ElementTree as etree
from itertools import count, zip_longest
from pathlib import PurePosixPath
from typing import Any

from markdown import Markdown
from markdown.treeprocessors import Treeprocessor

from book.markdown.context import Page, page_of

_PIXELS = {"pt": 96 / 72, "px": 1.0, "": 1.0, "in": 96.0, "mm": 96 / 25.4, "cm": 96 / 2.54}
_LENGTH = re.compile(r"([\d.]+)\s*(pt|px|in|mm|cm|)")
_NUMBERED = re.compile(r"(?:fig|tab|eq)-")


class Figures(Treeprocessor):
    """Image and caption paragraphs become figures; caption and table become captioned tables."""

    def run(self, root: etree.Element) -> None:
        page = page_of(self.md)
        self.anchors: dict[str, str] = {}
        if not page.docstring:
            counters = {"Figure": count(1), "Table": count(1)}
            for parent in list(root.iter()):
                self._captions(parent, page, counters)
            self._check_numbers(root, page)
        for index, image in enumerate(root.iter("img")):
            _size(image, page, lazy=index > 0)

    def _captions(self, parent: etree.Element, page: Page, counters: dict[str, Any]) -> None:
        children = list(parent)
        for here, following in zip_longest(children, children[1:]):
            image = _only_image(here)
            if image is not None:
                if following is not None and _starts(following, "Figure: "):
                    self._figure(parent, here, following, image, page, counters["Figure"])
                elif _generated(image):
                    raise page.error(
                        "a figure without a caption: a paragraph `Figure: …` follows its image",
                        image.get("src"),
                    )
            elif _starts(here, "Table: "):
                if following is None or following.tag != "table":
                    raise page.error("`Table: …` is not followed by a table", _words(here))
                self._table(parent, here, following, page, counters["Table"])
            elif _starts(here, "Figure: ") and here in list(parent):
                raise page.error("`Figure: …` doesn't follow an image on its own", _words(here))
            elif here.tag == "p" and (image := _generated_child(here)) is not None:
                raise page.error("a figure's image is a paragraph of its own", image.get("src"))

    def _figure(
        self,
        parent: etree.Element,
        paragraph: etree.Element,
        caption: etree.Element,
        image: etree.Element,
        page: Page,
        counter: Any,
    ) -> None:
        if not (image.get("alt") or "").strip():
            raise page.error("a figure without a text for those who can't see it", image.get("src"))
        label = _label("Figure", page, next(counter))
        name = f"fig-{PurePosixPath(image.get('src') or '').stem}"
        if name in self.anchors:
            raise page.error(f"two figures with the name {name!r}", image.get("src"))
        self.anchors[name] = label
        paragraph.clear()
        paragraph.tag, paragraph.tail = "figure", "\n"
        paragraph.set("id", name)
        image.tail = None
        paragraph.append(image)
        paragraph.append(_caption("figcaption", label, caption, "Figure: "))
        parent.remove(caption)

    def _table(
        self,
        parent: etree.Element,
        paragraph: etree.Element,
        table: etree.Element,
        page: Page,
        counter: Any,
    ) -> None:
        label = _label("Table", page, next(counter))
        name = paragraph.get("id") or "tab-" + label.split()[1].replace(".", "-")
        self.anchors[name] = label
        table.set("id", name)
        table.insert(0, _caption("caption", label, paragraph, "Table: "))
        parent.remove(paragraph)

    def _check_numbers(self, root: etree.Element, page: Page) -> None:
        """A link that says "figure 3.2" must lead to figure 3.2, or to an equation so tagged."""
        for link in root.iter("a"):
            target = (link.get("href") or "").partition("#")[2]
            said = re.search(r"\d+(?:\.\d+)?", "".join(link.itertext()))
            if not said or not _NUMBERED.match(target):
                continue
            label = target[3:] if target.startswith("eq-") else self.anchors.get(target)
            if label is not None and said[0] != label.split()[-1]:
                raise page.error(
                    f"a link says {''.join(link.itertext())!r} and leads to {label}",
                    link.get("href"),
                )


def _label(kind: str, page: Page, number: int) -> str:
    return f"{kind} {number}" if page.chapter is None else f"{kind} {page.chapter}.{number}"


def _caption(tag: str, label: str, source: etree.Element, prefix: str) -> etree.Element:
    caption = etree.Element(tag)
    number = etree.SubElement(caption, "span", {"class": "caption-number"})
    number.text = f"{label}:"
    number.tail = " " + (source.text or "").lstrip().removeprefix(prefix.strip()).lstrip()
    caption.extend(list(source))
    caption.tail = "\n"
    return caption


def _only_image(element: etree.Element) -> etree.Element | None:
    if element.tag != "p" or len(element) != 1 or element[0].tag != "img":
        return None
    around = (element.text or "") + (element[0].tail or "")
    return None if around.strip() else element[0]


def _generated(image: etree.Element) -> bool:
    return (image.get("src") or "").startswith("figures/")


def _generated_child(element: etree.Element) -> etree.Element | None:
    return next((image for image in element.iter("img") if _generated(image)), None)


def _starts(element: etree.Element, prefix: str) -> bool:
    return element.tag == "p" and (element.text or "").lstrip().startswith(prefix)


def _words(element: etree.Element) -> str:
    return " ".join((element.text or "").split()[:8])


def _size(image: etree.Element, page: Page, lazy: bool) -> None:
    if lazy:
        image.attrib.setdefault("loading", "lazy")
    image.attrib.setdefault("decoding", "async")
    source = image.get("src") or ""
    if "width" in image.attrib or re.match(r"[a-z]+:", source):
        return
    content = page.read(source)
    size = image_size(content) if content else None
    if size:
        image.set("width", str(size[0]))
        image.set("height", str(size[1]))


def image_size(content: bytes) -> tuple[int, int] | None:
    """Width and height in CSS pixels of an SVG or PNG, or None where it doesn't say."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        width, height = struct.unpack(">II", content[16:24])
        return int(width), int(height)
    start = re.search(rb"<svg\b[^>]*>", content)
    if start is None:
        return None
    attributes = dict(re.findall(r'\b(width|height|viewBox)="([^"]*)"', start[0].decode()))
    lengths = [_LENGTH.fullmatch(attributes.get(name, "")) for name in ("width", "height")]
    if all(lengths):
        width, height = (float(m[1]) * _PIXELS[m[2]] for m in lengths if m)
        return round(width), round(height)
    box = attributes.get("viewBox", "").replace(",", " ").split()
    return (round(float(box[2])), round(float(box[3]))) if len(box) == 4 else None


def register(md: Markdown, _: dict[str, Any]) -> None:
    """After attribute lists (8), before the table of contents (5) and relative links (0)."""
    md.treeprocessors.register(Figures(md), "book-figures", 7.4)
