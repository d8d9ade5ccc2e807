"""Every page in a real browser: nothing foreign, no complaint, no barrier, no sideways scroll."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser

from book.chapters import numbered_chapters, parse
from book.site_check import WEIGHT_LIMIT, Document, Site, weight
from tests.site.browser import Visit, context


def test_no_page_asks_another_host(visits: list[Visit], base: str) -> None:
    own = (base, "data:", "blob:")
    foreign = {v.name: [u for u in v.requests if not u.startswith(own)] for v in visits}
    assert not {name: urls for name, urls in foreign.items() if urls}


def test_no_page_complains(visits: list[Visit]) -> None:
    assert not {v.name: v.messages for v in visits if v.messages}


def test_no_page_scrolls_sideways_at_360_pixels(visits: list[Visit]) -> None:
    assert not {v.name: v.widths[360] for v in visits if v.widths[360] > 360}


def test_both_schemes_are_there(visits: list[Visit]) -> None:
    assert all(v.backgrounds["light"] != v.backgrounds["dark"] for v in visits)


def test_axe_finds_nothing_in_either_scheme(visits: list[Visit]) -> None:
    found = [
        f"{visit.name} {scheme}: {violation}"
        for visit in visits
        for scheme, violations in visit.violations.items()
        for violation in violations
    ]
    assert not found, "\n".join(found[:60])


def test_the_page_for_missing_addresses_is_a_page_like_the_others(missing_page: Visit) -> None:
    assert not missing_page.messages
    assert missing_page.widths[360] <= 360
    assert missing_page.violations == {"light": [], "dark": []}


def test_chapters_weigh_less_than_400_kb(visits: list[Visit], built_site: Path) -> None:
    names = {f"{chapter.slug}/" for chapter in numbered_chapters()}
    chapters = {v.name: v.transferred for v in visits if v.name in names}
    assert set(chapters) == names
    assert all(50_000 < size < WEIGHT_LIMIT for size in chapters.values()), chapters
    # The static check counts every figure and font, so it can only be the stricter of the two.
    site = Site(built_site)
    for name, size in chapters.items():
        document = Document(site.root, site.root / name / "index.html")
        assert weight(document, site) > 0.95 * size, name


def test_the_search_index_waits_for_a_reader_who_searches(visits: list[Visit]) -> None:
    assert not [v.name for v in visits if any("search_index" in url for url in v.requests)]


def test_pages_read_without_scripts(browser: Browser, base: str, page_names: list[str]) -> None:
    seen = Visit("without scripts")
    with context(browser, seen, java_script_enabled=False) as opened:
        page = opened.new_page()
        for name in page_names:
            page.goto(base + name, wait_until="load")
            article = page.locator("article")
            assert len(article.inner_text().strip()) > 20, name
            box = article.bounding_box()
            assert box is not None, name
            assert box["height"] > 50, name
    assert not seen.messages


def test_formulas_figures_and_folds_work_without_scripts(browser: Browser, base: str) -> None:
    with context(browser, Visit("x"), java_script_enabled=False) as opened:
        page = opened.new_page()
        for chapter in numbered_chapters():
            page.goto(f"{base}{chapter.slug}/", wait_until="load")
            formulas = page.locator("article .katex-html")
            assert formulas.count() > 0, chapter.slug
            box = formulas.first.bounding_box()
            assert box is not None, chapter.slug
            assert box["width"] > 3, chapter.slug
            fold = page.locator("article details").first
            body = fold.locator("p").first
            assert not body.is_visible(), chapter.slug
            fold.locator("summary").click()
            assert body.is_visible(), chapter.slug


def test_titles_carry_the_number_and_the_tools_of_their_chapter(
    browser: Browser, base: str
) -> None:
    with context(browser, Visit("x")) as opened:
        page = opened.new_page()
        for chapter in numbered_chapters():
            page.goto(f"{base}{chapter.slug}/")
            title = page.locator("article h1").inner_text()
            assert title.startswith(f"{chapter.meta['chapter']}. "), chapter.slug
            links = page.locator(".chapter-facts a")
            assert [links.nth(i).inner_text() for i in range(2)] == ["notebook", "script"]


def test_every_figure_of_a_chapter_is_drawn(browser: Browser, base: str) -> None:
    with context(browser, Visit("x")) as opened:
        page = opened.new_page()
        for chapter in numbered_chapters():
            expected = [b.figure for b in parse(chapter.path).blocks if b.figure]
            page.goto(f"{base}{chapter.slug}/")
            images = page.locator("article figure img")
            for image in images.all():
                image.scroll_into_view_if_needed()
                image.evaluate("image => image.decode()")
                assert image.evaluate("image => image.naturalWidth") > 0
                assert image.get_attribute("width"), chapter.slug
            assert images.count() >= len(expected), chapter.slug


def test_print_shows_the_text_and_no_controls(browser: Browser, base: str) -> None:
    chapter = numbered_chapters()[0]
    with context(browser, Visit("x")) as opened:
        page = opened.new_page()
        page.goto(f"{base}{chapter.slug}/")
        page.emulate_media(media="print")
        for control in (".md-header", ".md-sidebar--primary", ".md-footer__inner"):
            assert not page.locator(control).first.is_visible(), control
        assert page.locator("article h1").is_visible()
