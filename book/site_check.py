"""Check a built site as a reader's browser would meet it: `python -m book.site_check site`.

MkDocs' strict mode knows Markdown links alone. Here every link, anchor, image, script, style sheet,
font and download of every page is looked up in the folder, raw HTML and notebooks included; nothing
may come from another host; and a chapter may weigh 400 KB at most.
"""

from __future__ import annotations

import argparse
import gzip
import posixpath
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

import tinycss2
from lxml import html
from lxml.html import HtmlElement

from book.markdown.context import DOCS, line_of

WEIGHT_LIMIT = 400_000
COMPRESSED = {".html", ".css", ".js", ".json", ".svg", ".xml", ".txt"}

# What a browser fetches by itself, and what it fetches only when a reader asks.
FETCHED = {
    ("img", "src"), ("img", "srcset"), ("source", "src"), ("source", "srcset"), ("script", "src"),
    ("iframe", "src"), ("video", "src"), ("video", "poster"), ("audio", "src"), ("embed", "src"),
    ("object", "data"), ("track", "src"), ("input", "src"), ("image", "href"), ("use", "href"),
}  # fmt: skip
FOLLOWED = {("a", "href"), ("area", "href"), ("form", "action")}
LOADING_RELATIONS = {"stylesheet", "icon", "preload", "modulepreload", "prefetch", "manifest",
                     "preconnect", "dns-prefetch", "apple-touch-icon"}  # fmt: skip


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong with a built file."""

    page: str
    line: int | None
    reason: str

    def __str__(self) -> str:
        where = self.page if self.line is None else f"{self.page}:{self.line}"
        return f"{where}: {self.reason}"


@dataclass
class Document:
    """A built HTML page."""

    site: Path
    path: Path

    @cached_property
    def tree(self) -> HtmlElement:
        return html.document_fromstring(
            self.path.read_bytes(), parser=html.HTMLParser(encoding="utf-8")
        )

    @cached_property
    def anchors(self) -> Counter[str]:
        return Counter(str(i) for i in self.tree.xpath("//@id"))

    @property
    def name(self) -> str:
        return self.path.relative_to(self.site).as_posix()

    def problem(self, reason: str, needle: str) -> Problem:
        """Blame the Markdown source where it holds the link, the built page otherwise."""
        stem = self.name.removesuffix("/index.html").removesuffix(".html")
        for candidate in (f"{stem}.md", f"{stem}/index.md", "index.md"):
            source = DOCS / candidate
            if source.is_file() and (candidate != "index.md" or stem == "index"):
                line = line_of(source.read_text(encoding="utf-8"), needle)
                return Problem(f"docs/{candidate}", line, reason)
        return Problem(self.name, None, reason)


@dataclass
class Site:
    """A folder of built pages."""

    root: Path
    documents: dict[Path, Document] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.root = self.root.resolve()
        for path in sorted(self.root.rglob("*.html")):
            self.documents[path] = Document(self.root, path)

    def find(self, base: Path, reference: str) -> Path | None:
        """The file that a relative address on `base` leads to, as a static server finds it."""
        relative = unquote(urlsplit(reference).path)
        if relative.startswith("/"):
            start, relative = self.root, relative.lstrip("/")
        else:
            start = base.parent
        target = Path(posixpath.normpath(f"{start.as_posix()}/{relative}")) if relative else base
        if target.is_dir():
            target = target / "index.html"
        inside = target.is_relative_to(self.root)
        return target if inside and target.is_file() else None


def references(tree: HtmlElement) -> Iterator[tuple[str, bool]]:
    """Each address in a page, and whether the browser fetches it by itself."""
    for element in tree.iter():
        if not isinstance(element.tag, str):
            continue
        for attribute, value in element.attrib.items():
            pair = (element.tag, attribute.rpartition("}")[2].rpartition(":")[2])
            if attribute == "style":
                yield from ((url, True) for url in css_urls(value))
            elif element.tag == "link" and attribute == "href":
                relations = set((element.get("rel") or "").lower().split())
                yield value, bool(relations & LOADING_RELATIONS)
            elif pair in FETCHED:
                parts = value.split(",") if pair[1] == "srcset" else [value]
                yield from ((part.split()[0], True) for part in parts if part.strip())
            elif pair in FOLLOWED:
                yield value, False
        if element.tag == "style" and element.text:
            yield from ((url, True) for url in css_urls(element.text))


def css_urls(source: str) -> Iterator[str]:
    """The addresses in a style sheet; of a font's sources the first, which every browser takes."""
    yield from _token_urls(tinycss2.parse_component_value_list(source, skip_comments=True))


def _token_urls(tokens: list[tinycss2.ast.Node]) -> Iterator[str]:
    skipping = importing = False
    for token in tokens:
        if token.type == "at-keyword":
            importing = token.lower_value == "import"
        if token.type == "literal" and token.value == ";":
            skipping = importing = False
        url = _url(token)
        if url is not None:
            if not skipping:
                yield url
            skipping = True
        elif importing and token.type == "string":
            yield token.value
        elif token.type in ("{} block", "[] block", "() block"):
            yield from _token_urls(token.content)
            skipping = False


def _url(token: tinycss2.ast.Node) -> str | None:
    if token.type == "url":
        return str(token.value)
    if token.type == "function" and token.lower_name == "url":
        return "".join(str(part.value) for part in token.arguments if part.type == "string")
    return None


def is_external(reference: str) -> bool:
    """Whether an address leads off the site; `data:` and script addresses don't."""
    parts = urlsplit(reference)
    return bool(parts.netloc) or parts.scheme in ("http", "https", "ftp", "ws", "wss")


def check_page(document: Document, site: Site) -> Iterator[Problem]:
    """Broken links and anchors, foreign resources, duplicate ids, images without text."""
    own_host = _canonical_host(document.tree)
    for anchor, times in document.anchors.items():
        if times > 1:
            yield document.problem(f"the id {anchor!r} stands {times} times", "")
    for image in document.tree.xpath("//img[not(@alt)]"):
        yield document.problem("an image without alt text", image.get("src") or "")
    for reference, fetched in references(document.tree):
        reference = reference.strip()
        if is_external(reference):
            if fetched and urlsplit(reference).netloc != own_host:
                yield document.problem(f"fetched from another host: {reference}", reference)
        elif urlsplit(reference).scheme:
            continue  # data:, mailto:
        else:
            yield from _check_internal(document, site, reference)


def _check_internal(document: Document, site: Site, reference: str) -> Iterator[Problem]:
    target = site.find(document.path, reference)
    anchor = unquote(urlsplit(reference).fragment)
    needle = f"#{anchor}" if anchor else posixpath.basename(urlsplit(reference).path) or reference
    if target is None:
        if document.name == "404.html" and reference.startswith("/"):
            return  # made for the address that the site will have
        yield document.problem(f"leads nowhere: {reference}", needle.strip("."))
    elif anchor and target in site.documents:
        aimed = site.documents[target]
        named = aimed.tree.xpath("//a/@name")
        if anchor not in aimed.anchors and anchor not in named and not anchor.startswith(":~:"):
            yield document.problem(f"no such anchor: {reference}", needle)


def _canonical_host(tree: HtmlElement) -> str:
    links = tree.xpath("//link[@rel='canonical']/@href")
    return urlsplit(str(links[0])).netloc if links else ""


def check_styles(site: Site) -> Iterator[Problem]:
    """Addresses in style sheets: inside the site, and there."""
    for path in sorted(site.root.rglob("*.css")):
        name = path.relative_to(site.root).as_posix()
        for url in css_urls(path.read_text(encoding="utf-8")):
            if is_external(url):
                yield Problem(name, None, f"fetched from another host: {url}")
            elif not url.startswith(("data:", "#")) and site.find(path, url) is None:
                yield Problem(name, None, f"leads nowhere: {url}")


def transfer_size(path: Path) -> int:
    """Bytes on the wire, compressed where servers compress."""
    content = path.read_bytes()
    return len(gzip.compress(content, 6)) if path.suffix in COMPRESSED else len(content)


def weight(document: Document, site: Site) -> int:
    """Upper bound of what a page transfers by itself: all figures and all fonts of its styles."""
    seen = {document.path}
    for reference, fetched in references(document.tree):
        target = site.find(document.path, reference) if fetched else None
        if target is not None and not is_external(reference):
            seen.add(target)
    for sheet in [path for path in seen if path.suffix == ".css"]:
        used = _fonts_of(document) if "katex" in sheet.name else None
        for url in css_urls(sheet.read_text(encoding="utf-8")):
            target = site.find(sheet, url) if not url.startswith("data:") else None
            if target is not None and (used is None or target.stem in used):
                seen.add(target)
    return sum(transfer_size(path) for path in seen)


# Which of KaTeX's fonts a formula needs, by the classes that it gives to letters.
_KATEX_FONTS = {
    "mathnormal": "Math-Italic", "boldsymbol": "Math-BoldItalic", "mathbf": "Main-Bold",
    "textbf": "Main-Bold", "textit": "Main-Italic", "mathit": "Main-Italic",
    "mathbb": "AMS-Regular", "amsrm": "AMS-Regular",
    "mathcal": "Caligraphic-Regular", "mathfrak": "Fraktur-Regular",
    "mathscr": "Script-Regular", "mathsf": "SansSerif-Regular", "textsf": "SansSerif-Regular",
    "mathtt": "Typewriter-Regular", "texttt": "Typewriter-Regular", "size1": "Size1-Regular",
    "size2": "Size2-Regular", "size3": "Size3-Regular", "size4": "Size4-Regular",
    "delim-size1": "Size1-Regular", "delim-size4": "Size4-Regular", "small-op": "Size1-Regular",
    "large-op": "Size2-Regular",
}  # fmt: skip


def _fonts_of(document: Document) -> set[str]:
    classes: set[str] = set()
    for value in document.tree.xpath("//*[@class='katex-html']//@class"):
        classes.update(str(value).split())
    fonts = {f"KaTeX_{font}" for name, font in _KATEX_FONTS.items() if name in classes}
    return fonts | ({"KaTeX_Main-Regular"} if classes else set())


def check(root: Path) -> list[Problem]:
    """Everything that is wrong with a built site."""
    site = Site(root)
    if not site.documents:
        return [Problem(str(root), None, "no page was built")]
    problems = list(check_styles(site))
    for document in site.documents.values():
        problems += check_page(document, site)
        if document.tree.xpath("//ul[@class='chapter-facts']"):
            size = weight(document, site)
            if size > WEIGHT_LIMIT:
                reason = f"weighs {size / 1000:.0f} KB; a chapter may weigh {WEIGHT_LIMIT // 1000}"
                problems.append(document.problem(reason, ""))
    return sorted(set(problems), key=lambda p: (p.page, p.line or 0, p.reason))


def main(arguments: list[str] | None = None) -> int:
    """Print what is wrong; 1 when something is."""
    parser = argparse.ArgumentParser(prog="python -m book.site_check", description=__doc__)
    parser.add_argument("site", type=Path, nargs="?", default=Path("site"))
    root = parser.parse_args(arguments).site
    problems = check(root)
    for problem in problems:
        print(problem, file=sys.stderr)
    pages = len(list(root.rglob("*.html")))
    print(f"site check: {pages} pages, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
