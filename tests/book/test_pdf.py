"""The PDF edition, read back: what it must hold, and what must make its build fail."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import html
from pypdf import PdfReader
from pypdf.generic import DictionaryObject, IndirectObject

from book import build, chapters, pdf
from book.markdown import bibliography
from book.pdf import article, assemble, formulas, front, render, solutions

CHAPTERS = chapters.numbered_chapters()
by_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda c: c.slug)


class Edition:
    """The built PDF, each expensive reading of it done once."""

    def __init__(self, path: Path) -> None:
        self.reader = PdfReader(path)
        self.texts = [" ".join(page.extract_text().split()) for page in self.reader.pages]
        self.text = " ".join(self.texts)
        self.page_of = {
            name: self.reader.get_destination_page_number(destination) or 0
            for name, destination in self.reader.named_destinations.items()
        }
        self.outline = list(_flatten(self.reader.outline, self.reader))
        self.tags = list(_walk(self.reader.trailer["/Root"]["/StructTreeRoot"]))
        self.links = list(self._links())

    def _links(self) -> Iterator[tuple[int, str]]:
        for number, page in enumerate(self.reader.pages):
            for reference in page.get("/Annots", []):
                annotation = reference.get_object()
                if annotation["/Subtype"] != "/Link":
                    continue
                if "/A" in annotation:
                    yield number, str(annotation["/A"]["/URI"])
                else:
                    yield number, f"#{annotation['/Dest']}"

    def lines(self, number: int) -> str:
        return self.reader.pages[number].extract_text()

    def pages_of(self, slug: str) -> str:
        """The text of a chapter: from its own first page to the next chapter's or part's."""
        starts = sorted(page for _, _, page in self.outline)
        first = self.page_of[slug.replace("/", "-")]
        level = next(lv for lv, _, page in self.outline if page == first and lv <= 2)
        ends = [p for lv, _, p in self.outline if p > first and lv <= level]
        assert first in starts
        return " ".join(self.texts[first : min(ends, default=len(self.texts))])


def _flatten(items: list[Any], reader: PdfReader, level: int = 1) -> Iterator[tuple[int, str, int]]:
    for item in items:
        if isinstance(item, list):
            yield from _flatten(item, reader, level + 1)
        else:
            yield level, str(item.title), reader.get_destination_page_number(item) or 0


def _walk(root: Any) -> Iterator[DictionaryObject]:
    """Every element of the tag tree (an explicit stack: formulas nest deeply)."""
    stack = [root]
    while stack:
        node = stack.pop()
        node = node.get_object() if isinstance(node, IndirectObject) else node
        if isinstance(node, list):
            stack.extend(reversed(node))
        elif isinstance(node, DictionaryObject):
            if "/S" in node:
                yield node
            if "/K" in node:
                stack.append(node["/K"])


@pytest.fixture(scope="session")
def edition(built_pdf: Path) -> Edition:
    return Edition(built_pdf)


def test_every_page_is_a4_and_the_book_has_a_size(edition: Edition) -> None:
    for page in edition.reader.pages:
        assert (round(float(page.mediabox.width)), round(float(page.mediabox.height))) == (595, 842)
    assert 80 <= len(edition.reader.pages) <= 600


def test_metadata_and_tags_say_pdf_ua(edition: Edition) -> None:
    root = edition.reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"].value is True
    assert root["/Lang"] == "en-GB"
    assert edition.reader.metadata is not None
    assert edition.reader.metadata.title == front.TITLE
    assert re.search(rb"pdfuaid:part(?:=\"1\"|>1<)", root["/Metadata"].get_object().get_data())
    kinds = Counter(str(tag["/S"]) for tag in edition.tags)
    assert all(kinds[k] for k in ("/H1", "/H2", "/H3", "/P", "/Figure", "/Table", "/TH", "/L"))


def test_figures_and_formulas_have_a_text(edition: Edition) -> None:
    silent = [t for t in edition.tags if t["/S"] in ("/Figure", "/Formula") and not t.get("/Alt")]
    assert not silent
    assert sum(t["/S"] == "/Formula" for t in edition.tags) > 100


@by_chapter
def test_chapter_stands_where_the_outline_and_the_contents_say(
    edition: Edition, chapter: chapters.Chapter
) -> None:
    title = _plain(chapter.title)
    label = f"{chapter.meta['chapter']}. {title}"
    found = [page for level, said, page in edition.outline if (level, said) == (2, label)]
    assert len(found) == 1
    page = found[0]
    assert page == edition.page_of[chapter.slug.replace("/", "-")]
    assert edition.texts[page].startswith(f"{chapter.meta['chapter']} {title}")
    contents = " ".join(edition.texts[2:8])
    assert re.search(rf"{re.escape(title)}[ .]+{page + 1}\b", contents)


def _plain(markdown: str) -> str:
    return re.sub(r"[*`]|\s*\{[^}]*\}", "", markdown).strip()


@by_chapter
def test_figures_tables_and_equations_are_there_in_order(
    edition: Edition, chapter: chapters.Chapter
) -> None:
    text = edition.pages_of(chapter.slug)
    body = re.sub(r"<!--.*?-->", "", chapter.text, flags=re.DOTALL)
    number = chapter.meta["chapter"]
    for kind in ("Figure", "Table"):
        count = len(re.findall(rf"^ *{kind}: ", body, re.MULTILINE))
        solved = Counter(re.findall(rf"{kind} {number}\.(\d+):", edition.text))
        assert set(solved) == {str(i) for i in range(1, count + 1)}, kind
    for tag in re.findall(r"\\tag\{([\d.]+)\}", body):
        assert f"({tag})" in edition.text
        assert f"{chapter.slug.replace('/', '-')}--eq-{tag}" in edition.page_of or (
            f"({tag})" in text
        )
    for heading in re.findall(r"^## ([^$`*\n]+?)(?: *\{.*)?$", body, re.MULTILINE):
        assert heading in text, heading


@by_chapter
def test_alt_texts_are_those_of_the_page(edition: Edition, chapter: chapters.Chapter) -> None:
    said = Counter(str(t.get("/Alt")) for t in edition.tags if t["/S"] == "/Figure")
    for block in chapter.blocks:
        if block.figure_span:
            link = re.match(r"\s*!\[([^\]]*)\]", chapter.text[slice(*block.figure_span)])
            assert link is not None
            assert said[" ".join(link[1].split())] >= 1 or said[link[1]] >= 1, link[1]


@by_chapter
def test_solutions_stand_at_the_end_linked_both_ways(
    edition: Edition, chapter: chapters.Chapter
) -> None:
    folds = re.findall(r'^\?\?\?\+? solution "([^"]+)"', chapter.text, re.MULTILINE)
    assert len(folds) >= 3
    name = chapter.slug.replace("/", "-")
    first = edition.page_of[name]
    for number, title in enumerate(folds, start=1):
        anchor = f"{name}--solution-{number}"
        page = edition.page_of[anchor]
        assert page >= edition.page_of["solutions"] > first
        assert _plain(title) in edition.texts[page]
        assert any(target == f"#{anchor}" and at < page for at, target in edition.links)
    back = [t for at, t in edition.links if at >= edition.page_of["solutions"]]
    assert sum(t.startswith(f"#{name}--exercise") for t in back) >= len(folds)


def test_every_link_resolves(edition: Edition) -> None:
    assert len(edition.links) > 300
    for page, target in edition.links:
        if target.startswith("#"):
            assert target[1:] in edition.page_of, f"page {page + 1}: {target}"
        else:
            assert re.match(r"https?://[\w.-]+", target), f"page {page + 1}: {target}"
            assert article.SITE not in target
    assert not re.search(r"\bpage 0\b", edition.text)
    for text in edition.texts[2:8]:
        assert not re.search(r"\. 0(?: |$)", text)


def test_printed_page_numbers_are_those_of_the_file(edition: Edition) -> None:
    cross = re.compile(r"\(page (\d+)\)")
    for page, text in enumerate(edition.texts):
        for number in cross.findall(text):
            assert 1 <= int(number) <= len(edition.texts), f"page {page + 1}"
        lines = [line.strip() for line in edition.lines(page).splitlines() if line.strip()]
        if str(page + 1) in lines:
            continue
        # Cover, imprint and the pages that open a part carry no number.
        parts = {p for level, _, p in edition.outline if level == 1}
        assert page in {0, 1} | parts, f"page {page + 1} has no number"


def test_bibliography_glossary_and_api_are_there(edition: Edition) -> None:
    file = chapters.DOCS / "appendix" / "references.bib"
    for key in bibliography.load(file, "references.bib"):
        assert f"appendix-references--{key}" in edition.page_of, key
    glossary = (chapters.DOCS / "appendix" / "glossary.md").read_text(encoding="utf-8")
    for slug in re.findall(r"\{: ?#([\w-]+) ?\}", glossary):
        assert f"appendix-glossary--{slug}" in edition.page_of, slug
    for name in ("functional.attention.attention", "functional.masks.causal_mask"):
        assert any(n.endswith(f"--attention_guide.{name}") for n in edition.page_of)


def test_fonts_are_embedded_and_the_repositorys_own(edition: Edition) -> None:
    names: set[str] = set()
    for page in edition.reader.pages:
        for font in page["/Resources"].get("/Font", {}).values():
            font = font.get_object()
            names.add(str(font["/BaseFont"]).split("+")[-1])
            for descendant in font.get("/DescendantFonts", [font]):
                descriptor = descendant.get_object()["/FontDescriptor"].get_object()
                assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor), names
            assert "/ToUnicode" in font
    assert all(n.startswith(("Book-", "KaTeX_")) for n in names), names


# What must fail, and what the pieces do, on documents of a few lines.


def _document(body: str) -> Any:
    root = html.fromstring(f"<html lang='en'><body>{body}</body></html>")
    root.insert(0, html.fragment_fromstring("<head><title>t</title></head>"))
    return root


ASSETS = chapters.DOCS / "assets"


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ("<p style='colour: red'>x</p>", "colour"),
        ("<p><a href='#nowhere'>x</a></p>", "nowhere"),
        ("<img src='missing.svg' alt='x'>", "missing.svg"),
        (f"<img src='{(ASSETS / 'images' / 'favicon.svg').as_uri()}'>", "alt"),
    ],
    ids=["unknown property", "no such anchor", "no such image", "no alt text"],
)
def test_any_complaint_of_the_renderer_fails(body: str, complaint: str) -> None:
    with pytest.raises(render.RendererWarning, match=complaint):
        render.render(_document(body), ASSETS)


def test_a_failed_build_leaves_the_last_good_pdf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "book.pdf"
    out.write_bytes(b"the last good one")

    def complain(*_: object) -> bytes:
        raise render.RendererWarning("something is off")

    monkeypatch.setattr(render, "render", complain)
    monkeypatch.setattr(assemble, "assemble", lambda *_: assemble.Book(_document("<p>x</p>"), []))
    with pytest.raises(build.BuildFailed, match="something is off"):
        pdf.build_pdf(tmp_path, out)
    assert out.read_bytes() == b"the last good one"
    assert list(tmp_path.iterdir()) == [out]


def _page(body: str, uri: str = "theory/x/") -> article.Page:
    return article.Page(uri, html.fromstring(f"<article><h1>3. X</h1>{body}</article>"), "X", 3)


def test_a_formula_that_is_too_wide_is_set_smaller_until_it_cannot_be_read() -> None:
    markup = "<span class='katex-display'><span class='katex' data-tex='a+b'></span></span>"
    page = _page(markup)
    display = article.of_class(page.article, "katex-display")
    formulas.fit(display, {0: (formulas.LINE - 1, 0.0)})
    assert display[0].get("style") is None
    formulas.fit(display, {0: (formulas.LINE / 0.8, 0.0)})
    assert display[0].get("style") == "font-size: 0.800em"
    with pytest.raises(formulas.TooWide, match=r"a\+b"):
        formulas.fit(display, {0: (formulas.LINE * 3, 0.0)})


def test_formulas_are_measured_as_they_are_set() -> None:
    from book.markdown import maths

    display = "".join(
        f"<div>{maths.render(tex, True)}</div>" for tex in ("a", r"\sum_{i=1}^n x_i \tag{3.1}")
    )
    page = _page(display)
    article.keep_tex(page.article)
    for twin in article.of_class(page.article, "katex-mathml"):
        article.remove(twin)
    sheet, found = formulas.sheet(page.article)
    measured = formulas.widths(render._html(sheet, ASSETS).pages)
    assert len(found) == 2
    assert 4 < measured[0][0] < 20 < measured[1][0] < 120
    assert measured[0][1] == 0 < measured[1][1] < 60


class Box:
    """As much of a laid-out box as `straighten` looks at."""

    def __init__(self, kind: str, y: float, position: str = "static", *children: Box) -> None:
        self.element = html.Element("span", {"class": kind})
        self.position_y, self.children = y, children
        self.style = {"position": position}

    def translate(self, dx: float, dy: float) -> None:
        self.position_y += dy


def test_a_surd_left_behind_is_put_back_and_any_other_part_is_a_complaint() -> None:
    surd, near = Box("surd", 1032.0, "absolute"), Box("surd", 95.0, "absolute")
    tag, brace = Box("katex-tag", 900.0, "absolute"), Box("brace-left", 900.0, "absolute")
    line = Box("hide-tail", 95.0, "static", surd, near)
    page = type("Page", (), {"_page_box": Box("", 95.0, "static", line, tag)})
    assert formulas.straighten([page]) == []
    assert (surd.position_y, near.position_y, tag.position_y) == (95.0, 95.0, 95.0)
    page = type("Page", (), {"_page_box": Box("", 95.0, "static", brace)})
    assert formulas.straighten([page]) == ["page 1: a part of a formula is out of place"]


def test_footnotes_come_to_their_mark() -> None:
    page = _page(
        "<p>A claim.<sup id='fnref:a'><a class='footnote-ref' href='#fn:a'>1</a></sup> On.</p>"
        "<div class='footnote'><ol><li id='fn:a'><p>A <em>note</em>.</p></li></ol></div>"
    )
    article.footnotes(page.article)
    text = html.tostring(page.article, encoding="unicode")
    assert 'A claim.<span class="footnote">A <em>note</em>.</span> On.' in text


def test_links_lead_into_the_book_or_to_a_known_address() -> None:
    page = _page(
        "<p><a href='../y/#z'>in</a> <a href='#here'>same</a> "
        "<a href='../../downloads/x.py'>file</a> <a href='https://doi.org/1'>out</a></p>"
    )
    other = _page("<p id='z'>z</p>", "theory/y/")
    pages = {p.uri: p for p in (page, other)}
    article.rewrite_links(page, pages, None)
    links = [(a.text, a.get("href")) for a in page.article.iter("a")]
    assert links == [
        ("in", "#theory-y--z"),
        ("same", "#theory-x--here"),
        ("out", "https://doi.org/1"),
    ]
    assert "file" in article.text_of(page.article)


def test_solutions_and_answers_are_gathered() -> None:
    page = _page(
        "<h3 id='theory-x--exercise-3-1'>Exercise 3.1</h3><p>Do.</p>"
        "<details class='solution'><summary>Solution 3.1</summary><p>Done.</p></details><p>On.</p>"
        "<p><strong>Why?</strong></p><details class='quiz'><summary>A. So.</summary><p>Right.</p>"
        "</details><details class='quiz'><summary>B. No.</summary><p>Wrong.</p></details>"
    )
    section = solutions.section([solutions.gather(page)])
    assert section is not None
    stayed, moved = article.text_of(page.article), article.text_of(section)
    assert "Done." not in stayed
    assert "Right." not in stayed
    assert "A. So." in stayed
    assert "On." in stayed
    assert "Done." in moved
    assert "Right." in moved
    targets = [a.get("href") for a in [*page.article.iter("a"), *section.iter("a")]]
    ids = {e.get("id") for tree in (page.article, section) for e in tree.iter()}
    assert len(targets) == 4
    assert all(str(t).lstrip("#") in ids for t in targets)


def test_an_exercise_without_an_anchor_fails() -> None:
    page = _page("<h3>Exercise</h3><details class='solution'><summary>S</summary></details>")
    with pytest.raises(ValueError, match="follows no exercise"):
        solutions.gather(page)


def test_fonts_of_the_pdf_are_those_of_their_manifest() -> None:
    folder = Path(pdf.__file__).parent / "fonts"
    packages = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["packages"]
    listed = {name: digest for package in packages for name, digest in package["sha256"].items()}
    found = {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
        if file.name != "manifest.json"
    }
    assert listed == found


def test_ink_is_dark_enough_in_grey() -> None:
    css = (Path(pdf.__file__).parent / "book.css").read_text(encoding="utf-8")
    paper = [_luminance(c) for c in re.findall(r"background: (#[0-9a-f]{3,6})", css)] + [1.0]
    inks = [_luminance(c) for c in re.findall(r"[ {;]color: (#[0-9a-f]{3,6})", css)]
    assert inks
    for ink in inks:
        assert (min(paper) + 0.05) / (ink + 0.05) >= 4.5


def _luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(d * 2 for d in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
