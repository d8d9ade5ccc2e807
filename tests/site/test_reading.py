"""What a reader does with the book: start, search, copy, take it offline."""

from __future__ import annotations

import json
import os
import re
import string
import zipfile
from pathlib import Path

import pytest
from lxml import html
from playwright.sync_api import Browser, Page, expect

from book.build import OFFLINE, commit
from book.chapters import numbered_chapters
from tests.site.browser import Visit, context


def test_the_landing_page_shows_the_book_in_one_screen(browser: Browser, base: str) -> None:
    with context(browser, Visit("x")) as opened:
        page = opened.new_page()
        page.goto(base)
        assert page.locator(".parts > div").count() == 4
        for part in (".hero h1", ".hero-figure img", ".downloads", ".parts"):
            box = page.locator(part).bounding_box()
            assert box is not None, part
            assert box["y"] + box["height"] <= 900, part
        facts = page.locator(".book-facts").inner_text()
        for word in ("Version", f"commit {commit()}", "The pages were run", "torch", "numpy"):
            assert word in facts
        days = page.locator(".book-facts time").all_inner_texts()
        assert 1 <= len(days) <= 2
        assert days == sorted(set(days))
        assert all(re.fullmatch(r"20\d\d-\d\d-\d\d", day) for day in days)


def test_the_wheel_is_there_and_everything_that_needs_it_names_it(built_site: Path) -> None:
    (wheel,) = (built_site / "downloads").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert "attention_guide/__init__.py" in archive.namelist()
    setup = built_site / "start" / "setup" / "index.html"
    article = html.fromstring(setup.read_text(encoding="utf-8")).find(".//article")
    assert wheel in [(setup.parent / link).resolve() for link in article.xpath(".//a/@href")]
    assert set(re.findall(r"[\w.+-]+\.whl", article.text_content())) == {wheel.name}
    # A notebook can fetch the wheel only where the site has an address.
    named = {wheel.name} if os.environ.get("ATTENTION_GUIDE_SITE_URL") else set()
    notebooks = list((built_site / "downloads").rglob("*.ipynb"))
    assert len(notebooks) > len(numbered_chapters())
    for notebook in notebooks:
        install = json.loads(notebook.read_text(encoding="utf-8"))["cells"][1]["source"]
        assert "attention_guide" in "".join(install)
        assert set(re.findall(r"[\w.+-]+\.whl", "".join(install))) == named


def search(page: Page, query: str) -> None:
    page.locator("[data-md-component='search-query']").click()
    page.keyboard.type(query, delay=20)
    expect(page.locator(".md-search-result__link").first).to_be_visible(timeout=15_000)


def test_search_finds_a_chapter(browser: Browser, base: str) -> None:
    seen = Visit("search")
    with context(browser, seen) as opened:
        page = opened.new_page()
        page.goto(base)
        search(page, "softmax")
        link = page.locator(".md-search-result__link").first.get_attribute("href")
        assert link is not None
        assert link.startswith(base)
    assert not seen.messages  # a letter typed before the index is there isn't lost, nor warned of


def test_every_first_letter_can_be_searched(browser: Browser, base: str) -> None:
    seen = Visit("letters")
    with context(browser, seen) as opened:
        page = opened.new_page()
        page.goto(base)
        search(page, "attention")
        for letter in string.ascii_lowercase + string.digits:
            page.keyboard.press("Control+A")
            page.keyboard.type(letter)
            page.wait_for_timeout(100)
    assert not seen.messages


def test_formulas_are_not_in_the_search_index(built_site: Path) -> None:
    index = (built_site / "search/search_index.json").read_text(encoding="utf-8")
    # Counted: a failing "not in" would compare a megabyte of text letter by letter.
    assert [index.count(word) for word in ("\\\\operatorname", "\\\\frac")] == [0, 0]
    assert "annotation" not in index.split("docs")[0]


def test_copying_takes_the_code_and_nothing_else(browser: Browser, base: str) -> None:
    chapter = numbered_chapters()[0]
    code = [b for b in chapter.blocks if b.kind == "python" and b.indent == ""]
    with context(browser, Visit("x"), permissions=["clipboard-read", "clipboard-write"]) as opened:
        page = opened.new_page()
        page.goto(f"{base}{chapter.slug}/")
        page.wait_for_selector("article .highlight:not(.output) .md-code__button")
        assert page.locator("article .output").count() > 0
        assert page.locator("article .output .md-code__button").count() == 0
        buttons = page.locator("article > .highlight:not(.output) .md-code__button")
        for number in range(min(3, len(code))):
            buttons.nth(number).click()
            copied = page.evaluate("navigator.clipboard.readText()")
            assert copied.strip() == code[number].code.strip()


def test_copying_an_example_leaves_out_prompts_and_results(browser: Browser, base: str) -> None:
    with context(browser, Visit("x"), permissions=["clipboard-read", "clipboard-write"]) as opened:
        page = opened.new_page()
        page.goto(f"{base}reference/functional/")
        example = page.locator(".language-pycon").first
        example.locator(".md-code__button").click()
        copied = page.evaluate("navigator.clipboard.readText()")
        prompts = example.locator(".gp").count()
        assert prompts > 0
        assert ">>>" not in copied
        assert len(copied.strip().splitlines()) >= 1


@pytest.fixture(scope="module")
def unzipped(built_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The offline edition as a reader unzips it."""
    assert built_site.is_dir()  # the build that makes the site makes the zip
    folder = tmp_path_factory.mktemp("offline edition")
    with zipfile.ZipFile(OFFLINE) as archive:
        archive.extractall(folder)
    return folder / "attention-guide"


def test_the_offline_edition_reads_and_searches_from_disk(browser: Browser, unzipped: Path) -> None:
    seen = Visit("offline")
    chapter = numbered_chapters()[0]
    with context(browser, seen) as opened:
        page = opened.new_page()
        page.goto((unzipped / "index.html").as_uri())
        expect(page.locator("article h1")).to_be_visible()
        page.locator(f".parts a[href$='{chapter.slug}.html']").click()
        expect(page.locator("article h1")).to_contain_text(f"{chapter.meta['chapter']}. ")
        image = page.locator("article figure img").first
        image.scroll_into_view_if_needed()
        image.evaluate("image => image.decode()")
        search(page, "softmax")
        page.locator(".md-search-result__link").first.click()
        expect(page.locator("article h1")).to_be_visible()
        assert page.url.startswith("file:")
    assert not [url for url in seen.requests if not url.startswith(("file:", "data:", "blob:"))]
    assert not seen.messages


def test_the_offline_edition_opens_every_page_from_disk(browser: Browser, unzipped: Path) -> None:
    seen = Visit("offline")
    with context(browser, seen) as opened:
        page = opened.new_page()
        for path in sorted(unzipped.rglob("*.html")):
            if path.name != "404.html":
                page.goto(path.as_uri(), wait_until="load")
                expect(page.locator("article")).to_be_visible()
    assert not [url for url in seen.requests if not url.startswith(("file:", "data:", "blob:"))]
    assert not seen.messages


def test_the_scheme_follows_the_system_until_a_reader_chooses(browser: Browser, base: str) -> None:
    with context(browser, Visit("x"), color_scheme="dark") as opened:
        page = opened.new_page()
        page.goto(base)
        expect(page.locator("body")).to_have_attribute("data-md-color-scheme", "slate")
        page.locator("[data-md-component='palette'] label:visible").click()
        page.goto(base + "appendix/glossary/")
        expect(page.locator("body")).to_have_attribute("data-md-color-scheme", "default")
