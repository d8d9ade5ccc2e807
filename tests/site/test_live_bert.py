"""The real BERT in a browser: fetched on click, kept, refused when damaged, used."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from attention_guide.recipes.minilm import read
from book.build import OFFLINE
from book.minilm import LIMIT_BYTES
from tests.site.browser import Visit, context
from tests.site.live import HOSTILE, flawless, phone, said, steady

FETCH = "Fetch the model (22.9 MB)"


def find(page: Page, address: str) -> Locator:
    """The figure on the page, its question passed."""
    page.goto(address)
    place = page.locator("[data-live=bert]")
    place.scroll_into_view_if_needed()
    place.locator(".live").wait_for()
    if (ask := place.get_by_role("button", name="Show me")).is_visible():
        ask.click()
    return place


def use(live: Locator) -> None:
    """Wait until the model is there and has read its first sentences."""
    live.get_by_label("First sentence", exact=True).wait_for(timeout=20_000)
    said(live)


@contextmanager
def opened(browser: Browser, base: str) -> Iterator[tuple[BrowserContext, Page, Locator]]:
    """A browser that keeps nothing yet; what it complains of is the test's business."""
    with browser.new_context(viewport={"width": 1280, "height": 900}) as fresh:
        page = fresh.new_page()
        yield fresh, page, find(page, f"{base}playground/")


@pytest.fixture(scope="module")
def page(browser: Browser, base: str) -> Iterator[Page]:
    """One page with the model loaded, for the tests that only use it."""
    seen = Visit("bert")
    with context(browser, seen) as fresh:
        page = fresh.new_page()
        live = find(page, f"{base}playground/")
        live.get_by_role("button", name=FETCH).click()
        use(live)
        yield page
    assert not seen.messages
    assert not [url for url in seen.requests if not url.startswith((base, "data:", "blob:"))]


@pytest.fixture
def live(page: Page) -> Locator:
    place = page.locator("[data-live=bert]")
    place.get_by_role("button", name="Reset").click()
    said(place)
    return place


def similarity(live: Locator) -> list[float]:
    said(live)
    return [float(text.replace("−", "-")) for text in live.locator("output").all_inner_texts()]


def test_fetched_on_click_and_kept_for_the_next_visit(browser: Browser, base: str) -> None:
    seen = Visit("visits")
    with context(browser, seen) as fresh:
        page = fresh.new_page()
        live = find(page, f"{base}playground/")
        # The still figure stands there until the model does.
        assert live.locator("img:visible").count() == 1
        expect(live.get_by_role("button", name=FETCH)).to_be_visible()
        assert not [url for url in seen.requests if url.endswith(".bin")]
        live.get_by_role("button", name=FETCH).click()
        use(live)
        # No promise of a page without a network: only the model is kept, not the page.
        expect(
            live.get_by_text("The model is kept in this browser: the next visit needn't fetch it.")
        ).to_be_visible()
        shards = page.evaluate("LiveBert.site.index.shards")
        fetched = [url.rpartition("/")[2] for url in seen.requests if url.endswith(".bin")]
        assert fetched == [shard["name"] for shard in shards]
        assert sum(shard["bytes"] for shard in shards) <= LIMIT_BYTES

        seen.requests.clear()
        live = find(page, f"{base}playground/")
        fresh.set_offline(True)
        live.get_by_role("button", name="Start the model (22.9 MB, kept in this browser)").click()
        use(live)
        assert similarity(live) == [0.97]
        fresh.set_offline(False)
        assert not [url for url in seen.requests if url.endswith(".bin")]

        # A kept part that has gone bad is fetched again, and no other.
        live = find(page, f"{base}playground/")
        page.evaluate(_SPOIL)
        live.get_by_role("button", name="Start the model").click()
        use(live)
        again = [url.rpartition("/")[2] for url in seen.requests if url.endswith(".bin")]
        assert again == [shards[1]["name"]]
        live.get_by_role("button", name="Forget the model").click()
        expect(live.get_by_role("button", name=FETCH)).to_be_visible()
        assert page.evaluate(_KEPT) == 0
    assert not seen.messages


_SPOIL = """async () => {
  const shelf = await caches.open((await caches.keys())[0]);
  const [, second] = await shelf.keys();
  await shelf.put(second, new Response("moths"));
}"""
_KEPT = """async () => {
  const shelves = await Promise.all((await caches.keys()).map(name => caches.open(name)));
  return (await Promise.all(shelves.map(shelf => shelf.keys()))).flat().length;
}"""


def test_cancelling_keeps_what_has_come(browser: Browser, base: str) -> None:
    with opened(browser, base) as (fresh, page, live):
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url.rpartition("/")[2][:2]))
        fresh.route("**/2-*.bin", lambda route: None)  # the third part never comes
        live.get_by_role("button", name=FETCH).click()
        expect(live.get_by_text("6.0 of 22.9 MB")).to_be_visible()
        assert live.get_by_role("progressbar").get_attribute("value") == "6000000"
        cancel = live.get_by_role("button", name="Cancel")
        expect(cancel).to_be_focused()
        cancel.press("Enter")
        expect(live.get_by_text("Cancelled. Parts that came whole are kept.")).to_be_visible()
        fresh.unroute("**/2-*.bin")
        asked.clear()
        live.get_by_role("button", name="Fetch the model (16.9 MB)").click()
        use(live)
        assert asked == ["2-", "3-", "4-", "5-", "6-", "7-"]


def test_kept_parts_can_be_forgotten_without_the_rest(browser: Browser, base: str) -> None:
    with opened(browser, base) as (fresh, page, live):
        drop = live.get_by_role("button", name="Forget what is kept")
        expect(drop).to_be_hidden()
        fresh.route("**/2-*.bin", lambda route: None)
        live.get_by_role("button", name=FETCH).click()
        expect(live.get_by_text("6.0 of 22.9 MB")).to_be_visible()
        expect(drop).to_be_hidden()
        live.get_by_role("button", name="Cancel").click()
        expect(live.get_by_role("button", name="Fetch the model (16.9 MB)")).to_be_focused()
        # Another tab forgets them, too: this one says so when the reader is back.
        page.evaluate("LiveShards.forget()")
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(live.get_by_role("button", name=FETCH)).to_be_visible()
        expect(drop).to_be_hidden()
        live.get_by_role("button", name=FETCH).click()
        expect(live.get_by_text("6.0 of 22.9 MB")).to_be_visible()
        live.get_by_role("button", name="Cancel").click()
        drop.click()
        expect(live.get_by_role("button", name=FETCH)).to_be_focused()
        expect(live.get_by_text("Forgotten.")).to_be_visible()
        expect(drop).to_be_hidden()
        assert page.evaluate(_KEPT) == 0


def test_a_forgotten_model_reads_nothing_more(browser: Browser, base: str) -> None:
    with opened(browser, base) as (_, page, live):
        live.get_by_role("button", name=FETCH).press("Enter")
        use(live)
        expect(live.get_by_label("Example", exact=True)).to_be_focused()
        page.evaluate("""() => {
          window.passes = 0;
          const { read } = LiveBert.Bert.prototype;
          LiveBert.Bert.prototype.read = function (...all) {
            window.passes++;
            return read.apply(this, all);
          };
        }""")
        live.get_by_role("button", name="layer 1, head 1", exact=True).click()
        live.get_by_role("button", name="Reset").click()
        page.wait_for_function("passes > 0")
        said(live)
        live.get_by_role("button", name="Forget the model").press("Enter")
        expect(live.get_by_role("button", name=FETCH)).to_be_focused()
        before = page.evaluate("passes")
        live.get_by_role("button", name="Reset").click()
        page.evaluate("new Promise(resolve => setTimeout(resolve, 300))")
        assert page.evaluate("passes") == before


def test_parts_that_are_missing_or_damaged(browser: Browser, base: str) -> None:
    with opened(browser, base) as (fresh, _, live):
        problem = live.locator(".live-problem")
        bad = {
            "is missing on the site (404)": {"status": 404, "body": "not here"},
            "arrived damaged; nothing of it was kept": {"body": b"x" * 3_000_000},
            "damaged; nothing of it was kept. Press": {"body": "<!doctype html>"},
            "of it was kept. Press the button to go on.": {"body": b"x" * 3_000_001},
        }
        for words, answer in bad.items():
            fresh.route("**/1-*.bin", lambda route, _, answer=answer: route.fulfill(**answer))
            live.get_by_role("button", name="Fetch the model").click()
            expect(problem).to_contain_text("The model can't be loaded: part 2 of 8 ")
            expect(problem).to_contain_text(words)
            fresh.unroute("**/1-*.bin")
        fresh.route("**/1-*.bin", lambda route: route.abort())
        live.get_by_role("button", name="Fetch the model (19.9 MB)").click()
        expect(problem).to_contain_text("could not be fetched: the site doesn't answer")
        fresh.unroute("**/1-*.bin")
        fresh.set_offline(True)
        live.get_by_role("button", name="Fetch the model").click()
        expect(problem).to_contain_text("could not be fetched: there is no network")
        fresh.set_offline(False)
        live.get_by_role("button", name="Fetch the model").click()
        use(live)


def test_a_browser_that_keeps_nothing(browser: Browser, base: str) -> None:
    with browser.new_context() as fresh:
        fresh.add_init_script("""Object.defineProperty(globalThis, "caches", {
          get() { throw new DOMException("forbidden", "SecurityError"); } });""")
        page = fresh.new_page()
        live = find(page, f"{base}playground/")
        live.get_by_role("button", name=FETCH).click()
        use(live)
        expect(live.get_by_text("This browser couldn't keep the model")).to_be_visible()
        live.get_by_role("button", name="Forget the model").click()
        expect(live.get_by_role("button", name=FETCH)).to_be_visible()


def test_words_left_out_change_the_similarity(live: Locator) -> None:
    pairs = read()["pairs"]
    assert similarity(live) == [round(pairs[0]["similarity"], 2)]
    words = live.get_by_role("group", name="First sentence")
    dog = words.get_by_role("button", name="dog")
    dog.focus()
    dog.press("Enter")
    assert similarity(live) == [round(pair["similarity"], 2) for pair in pairs[:2]]
    gone = words.get_by_role("button", name="✕ dog")
    expect(gone).to_be_focused()
    assert gone.get_attribute("aria-pressed") == "true"
    gone.press("Enter")
    assert similarity(live) == [round(pairs[0]["similarity"], 2)]
    live.get_by_label("First sentence", exact=True).fill("The film was not good.")
    live.get_by_label("Second sentence", exact=True).fill("The film was bad.")
    assert similarity(live) == [round(pairs[3]["similarity"], 2)]


def test_the_box_names_the_example_that_is_shown(live: Locator) -> None:
    said(live)
    box = live.get_by_label("Example", exact=True)
    first = live.get_by_label("First sentence", exact=True)
    expect(box).to_have_js_property("selectedIndex", 1)
    first.fill("The film was not good.")
    expect(box).to_have_js_property("selectedIndex", 0)
    live.get_by_label("Second sentence", exact=True).fill("The film was bad.")
    expect(box).to_have_js_property("selectedIndex", 3)
    live.get_by_role("button", name="Reset").click()
    expect(box).to_have_js_property("selectedIndex", 1)


def test_every_head_is_there_and_one_is_large(live: Locator) -> None:
    live.get_by_label("Example", exact=True).select_option(index=2)
    said(live)
    heads = live.locator(".live-heads button")
    assert heads.count() == 72
    assert (
        live.get_by_role("button", name="layer 4, head 2").get_attribute("aria-pressed") == "true"
    )
    fold = live.get_by_text("Layer 4, head 2 as a table")
    fold.focus()
    fold.press("Enter")
    rows = live.locator("details tbody tr")
    kept = read()
    expect(rows).to_have_count(16)
    assert rows.locator("th").all_inner_texts() == kept["tokens"]
    shown = [[float(x) for x in row.locator("td").all_inner_texts()] for row in rows.all()]
    for row, weights in zip(shown, kept["weights"], strict=True):
        assert row == pytest.approx(weights, abs=0.05)  # what the rounding to int8 costs
    fold.press("Enter")  # it would stay open for the tests after this one
    # A word that is left out is no key for anybody, and says so in more than colour.
    live.get_by_role("group", name="First sentence").get_by_role("button", name="animal").click()
    said(live)
    assert live.locator("svg rect[fill^=url]").count() >= 1
    assert live.locator("svg text", has_text="✕ animal").count() == 2
    # Arrows go from head to head.
    chosen = live.get_by_role("button", name="layer 4, head 2")
    chosen.focus()
    chosen.press("ArrowDown")
    live.page.keyboard.press("ArrowRight")
    live.page.keyboard.press("Enter")
    expect(live.get_by_text("Layer 5, head 3 as a table")).to_be_visible()
    pixels = "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.join()"
    assert len({canvas.evaluate(pixels) for canvas in live.locator("canvas").all()}) == 72


def test_whatever_is_typed(page: Page, live: Locator) -> None:
    text = live.get_by_label("First sentence", exact=True)
    for words in [*HOSTILE, "[MASK] [PAD]", "北京 " * 200, "a " * 200]:
        text.fill("")
        page.keyboard.insert_text(words)
        assert len(similarity(live)) == 1, words
        assert len(text.input_value()) <= 300
    expect(live.get_by_text("First sentence: only 64 tokens are read.")).to_be_visible()
    assert page.evaluate("document.querySelector('.live img, .live b') === null")
    text.fill("")
    text.press_sequentially("A dog bit the man.")
    assert similarity(live) == [0.97]


def test_a_link_carries_the_state_and_reset_drops_it(page: Page, live: Locator) -> None:
    fresh = said(live)
    live.get_by_label("Second sentence", exact=True).fill("Dogs bite.")
    live.get_by_role("button", name="layer 6, head 12").click()
    said(live)
    live.get_by_role("group", name="First sentence").get_by_role("button", name="bit").click()
    changed = said(live)
    assert changed != fresh
    live.get_by_role("button", name="Link to this state").click()
    link = live.get_by_label("Link to this state").last.input_value()
    nonsense = {"texts": ["x", 7], "out": [[-1, 99, "1"], 3], "layer": 1e9, "head": "2"}
    page.goto("about:blank")
    for address, wanted in (
        (link, changed),
        (re.sub(r"bert=.*", f"bert={json.dumps(nonsense)}", link), None),
    ):
        live = find(page, address)
        live.get_by_role("button", name="Start the model").click()
        use(live)
        assert wanted is None or said(live) == wanted
    assert live.get_by_label("First sentence", exact=True).input_value() == "x"
    live.get_by_role("button", name="Reset").click()
    assert said(live) == fresh


def test_axe_finds_nothing_once_it_lives(page: Page, live: Locator) -> None:
    live.get_by_label("Example", exact=True).select_option(index=2)
    said(live)
    live.get_by_role("group", name="First sentence").get_by_role("button", name="animal").click()
    said(live)
    flawless(page, live.locator(".live"), "bert-loaded")
    box = live.get_by_role("button", name="layer 1, head 1", exact=True).bounding_box()
    assert box is not None
    assert min(box["width"], box["height"]) >= 24  # WCAG 2.2, 2.5.8
    page.set_viewport_size({"width": 1280, "height": 900})


def test_an_opened_table_stays_open_and_keeps_up(live: Locator) -> None:
    live.get_by_text("Layer 3, head 8 as a table").click()
    table = live.get_by_role("region", name="Layer 3, head 8", exact=True).get_by_role("table")
    expect(table).to_be_visible()
    live.get_by_role("button", name="layer 1, head 3", exact=True).click()
    other = live.get_by_role("region", name="Layer 1, head 3", exact=True).get_by_role("table")
    expect(other).to_be_visible()
    live.get_by_role("group", name="First sentence").get_by_role("button", name="dog").click()
    said(live)
    expect(other).to_be_visible()
    expect(other.get_by_role("rowheader", name="✕ dog")).to_be_visible()
    live.get_by_text("Layer 1, head 3 as a table").click()


def test_touched_at_360_pixels(browser: Browser, base: str) -> None:
    with phone(browser) as page:
        live = find(page, f"{base}playground/")
        live.get_by_role("button", name=FETCH).tap()
        use(live)
        before = similarity(live)
        live.get_by_role("group", name="First sentence").get_by_role("button", name="dog").tap()
        said(live)
        assert similarity(live) != before
        live.get_by_role("button", name="layer 1, head 3", exact=True).tap()
        expect(live.get_by_text("Layer 1, head 3 as a table")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_unzipped_edition_says_where_the_model_is(
    browser: Browser, built_site: Path, tmp_path: Path
) -> None:
    assert built_site.is_dir()  # the build that makes the site makes the zip
    with zipfile.ZipFile(OFFLINE) as archive:
        names = archive.namelist()
        assert not [name for name in names if name.endswith(".bin")]
        wanted = ("attention-guide/playground", "attention-guide/assets", "attention-guide/figures")
        archive.extractall(tmp_path, [name for name in names if name.startswith(wanted)])
    with browser.new_context() as fresh:
        page = fresh.new_page()
        live = find(page, (tmp_path / "attention-guide/playground.html").as_uri())
        expect(live.locator(".live-warning")).to_contain_text(
            "it is on the site that readers visit"
        )
        still = live.locator(".live-body img")
        expect(still).to_be_visible()
        assert still.evaluate("image => image.naturalWidth") > 0


def test_a_site_that_was_built_without_the_weights(browser: Browser, base: str) -> None:
    with browser.new_context() as fresh:
        script = 'LiveBert.site.missing = "This site was built without the model’s weights.";'
        fresh.route("**/minilm/index.js", lambda route: route.fulfill(body=script))
        live = find(fresh.new_page(), f"{base}playground/")
        expect(live.locator(".live-warning")).to_contain_text("built without the model")
        expect(live.locator(".live-body img")).to_be_visible()


def test_memory_is_steady(page: Page, live: Locator) -> None:
    steady(page, live)
