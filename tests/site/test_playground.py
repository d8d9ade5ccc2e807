"""The live figures in a real browser, driven as a person would."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Locator, expect

from book.chapters import DOCS, ROOT
from book.playground import FOLDER
from tests.playground.reference import write_references
from tests.site.browser import Visit, context
from tests.site.live import HOSTILE, figure, flawless, phone, said, steady

FIGURES = ["calculator", "masks", "translator", "positions", "gpt", "learning", "bert"]
# This one has no state before its model is fetched, which test_live_bert.py does.
STATEFUL = [name for name in FIGURES if name != "bert"]
ENGINE = ["kernel.js", "weights.js", "layers.js", "blocks.js", "model.js"]


@pytest.mark.parametrize("name", FIGURES)
def test_axe_finds_nothing_in_either_scheme_nor_at_360_pixels(
    browser: Browser, base: str, name: str
) -> None:
    with figure(browser, base, name) as (page, live):
        flawless(page, live, name)


@pytest.mark.parametrize("name", FIGURES)
def test_the_question_comes_first(browser: Browser, base: str, name: str) -> None:
    with figure(browser, base, name, guess=False) as (page, live):
        body = live.locator(".live-body")
        expect(body).to_be_hidden()
        # The still figure would give the answer away.
        expect(page.locator(f"[data-live={name}] figure")).to_be_hidden()
        choices = live.get_by_role("radio")
        choices.first.focus()
        choices.first.press("Space")
        expect(body).to_be_visible()
        expect(live.locator(".live-verdict")).to_have_text(re.compile("^(Right|No): "))
        verdicts = set()
        for choice in choices.all():
            choice.check()
            verdicts.add(live.locator(".live-verdict").inner_text().split(":")[0])
        assert verdicts == {"Right", "No"}


@pytest.mark.parametrize("name", STATEFUL)
def test_a_link_carries_the_state_and_reset_drops_it(
    browser: Browser, base: str, name: str
) -> None:
    with figure(browser, base, name) as (page, live):
        fresh = said(live)
        CHANGE[name](live)
        changed = said(live)
        assert changed != fresh
        live.get_by_role("button", name="Link to this state").click()
        link = live.get_by_label("Link to this state").last.input_value()
        assert link.startswith(base)
        page.goto(link)
        again = page.locator(f"[data-live={name}] .live")
        page.locator(f"[data-live={name}]").scroll_into_view_if_needed()
        again.wait_for()
        expect(again.locator(".live-body")).to_be_visible()
        assert said(again) == changed
        again.get_by_role("button", name="Reset").click()
        assert said(again) == fresh


def test_a_link_leads_to_its_figure_and_stays_there(browser: Browser, base: str) -> None:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as opened:
        page = opened.new_page()

        def arrives(link: str, goal: str) -> None:
            page.goto("about:blank")
            page.goto(link)
            page.locator("[data-live=positions] .live").wait_for()  # above, and it takes room
            page.locator("[data-live=gpt] .live").wait_for()
            page.wait_for_load_state("networkidle")
            top, header = page.evaluate(_PLACES, goal)
            assert header <= top <= header + 60, link

        arrives(f"{base}playground/#gpt", "gpt")
        page.goto(f"{base}playground/#calculator")
        live = page.locator("[data-live=gpt]")
        live.scroll_into_view_if_needed()
        live.get_by_role("button", name="Link to this state").click()
        link = live.get_by_label("Link to this state").last.input_value()
        assert link.endswith("#live-gpt")
        arrives(link, "live-gpt")


_PLACES = """id => [document.getElementById(id), document.querySelector(".md-header")]
    .map((element, i) => element.getBoundingClientRect()[i ? "bottom" : "top"])"""


def test_a_link_to_what_was_is_taken_away(browser: Browser, base: str) -> None:
    with figure(browser, base, "calculator") as (_, live):
        live.get_by_role("button", name="Link to this state").click()
        link = live.get_by_label("Link to this state").last
        before = link.input_value()
        live.get_by_text("Choose a cell").click()
        expect(link).to_be_visible()
        live.get_by_role("button", name="milk to cat: weight").click()
        expect(link).to_be_hidden()
        expect(live.locator(".live-status")).to_have_text("")
        live.get_by_role("button", name="Link to this state").click()
        assert link.input_value() != before


def test_the_focus_goes_to_what_is_revealed(browser: Browser, base: str) -> None:
    with figure(browser, base, "masks", guess=False) as (page, live):
        live.get_by_role("button", name="Show me").press("Enter")
        expect(live.get_by_role("group", name="The mask builder")).to_be_focused()
        page.keyboard.press("Tab")
        expect(live.get_by_label("Order", exact=True)).to_be_focused()


def test_figures_print_as_their_still_ones(browser: Browser, base: str) -> None:
    with context(browser, Visit("print")) as opened:
        page = opened.new_page()
        page.goto(f"{base}playground/")
        for name in FIGURES:
            place = page.locator(f"[data-live={name}]")
            place.scroll_into_view_if_needed()
            place.locator(".live").wait_for()
        page.emulate_media(media="print")
        for name in FIGURES:
            place = page.locator(f"[data-live={name}]")
            expect(place.locator("> figure img")).to_be_visible()
            expect(place.locator(".live")).to_be_hidden()
        page.emulate_media(media="screen")
        page.goto(f"{base}theory/scaled-dot-product/")  # which has no still one of its own
        place = page.locator("[data-live]")
        place.scroll_into_view_if_needed()
        place.locator(".live").wait_for()
        page.emulate_media(media="print")
        expect(place.locator(".live")).to_be_hidden()


def test_what_colours_show_is_shown_in_forced_colours(browser: Browser, base: str) -> None:
    with figure(browser, base, "calculator") as (page, live):
        live.get_by_role("button", name="Causal mask").click()
        page.emulate_media(forced_colors="active", color_scheme="dark")
        weights = live.locator("table", has_text="Weights").locator("td > button")
        colours = weights.evaluate_all(_STYLES, "backgroundColor")
        assert colours[0] == "rgb(254, 232, 56)"
        hatched = [style != "none" for style in weights.evaluate_all(_STYLES, "backgroundImage")]
        assert hatched == [key > query for query in range(4) for key in range(4)]
        adjusted = weights.evaluate_all(_STYLES, "forcedColorAdjust")
        assert adjusted == ["none"] * 16
    with figure(browser, base, "gpt") as (page, live):
        said(live)
        page.emulate_media(forced_colors="active", color_scheme="dark")
        key = live.locator(".live-scale .live-cell")
        assert len(set(key.evaluate_all(_STYLES, "backgroundColor"))) == 5
        # A border keeps what a background loses.
        bars = live.locator(".live-bar span")
        assert set(bars.evaluate_all(_STYLES, "borderTopColor")) == {"rgb(255, 255, 255)"}
        heights = [height > 5 for height in bars.evaluate_all("e => e.map(b => b.offsetHeight)")]
        assert heights == [True] * 8
        words = live.locator(".live-map text").first
        assert words.evaluate("e => getComputedStyle(e).fill") == "rgb(255, 255, 255)"


_STYLES = "(elements, name) => elements.map(element => getComputedStyle(element)[name])"


def _mask_two(live: Locator) -> None:
    live.get_by_role("button", name="drank to cat: weight").press("m")
    live.get_by_label("query of milk, number 2").fill("3.5")


def _window(live: Locator) -> None:
    before = live.get_by_role("slider", name="Neighbours before")
    before.focus()
    for _ in range(6):
        before.press("ArrowLeft")
    live.get_by_label("Order", exact=True).select_option("no order")
    live.get_by_role("button", name="query 1, key 3").click()
    live.get_by_label("For", exact=True).select_option("Keras")


def _french(live: Locator) -> None:
    live.get_by_label("Number in words").fill("eighty thousand, two hundred and four")
    live.get_by_label("to", exact=True).select_option("French")
    live.get_by_label("Head", exact=True).select_option("3")


def _far(live: Locator) -> None:
    live.get_by_label("Distances up to").select_option("512")
    live.get_by_role("slider", name="Distance").fill("500")
    live.get_by_role("slider", name="Pairs").fill("3")


def _headless(live: Locator) -> None:
    live.get_by_label("Text", exact=True).fill("The import statement")
    live.get_by_role("button", name="layer 2, head 4", exact=True).click()
    live.get_by_role("button", name="Layer 2, head 4 to zero").click()
    said(live)
    live.get_by_role("slider", name="Temperature").fill("1.5")
    live.get_by_role("button", name="Draw ten").click()


def _later(live: Locator) -> None:
    live.get_by_label("Letters", exact=True).fill("pictures")
    live.get_by_label("and the same letters again").uncheck()
    live.get_by_role("slider", name="Training").fill("9")


CHANGE = {
    "calculator": _mask_two,
    "masks": _window,
    "translator": _french,
    "positions": _far,
    "gpt": _headless,
    "learning": _later,
}


@pytest.mark.parametrize("name", FIGURES)
def test_links_that_say_nonsense_are_the_beginning(browser: Browser, base: str, name: str) -> None:
    with figure(browser, base, name) as (page, live):
        fresh = said(live)
        for link in NONSENSE:
            text = link if isinstance(link, str) else json.dumps(link)
            page.evaluate(_MOUNT_AGAIN, [name, f"?{name}={quote(text)}"])
            if live.locator(".live-body").is_hidden():  # nothing that can be read
                live.get_by_role("button", name="Show me").click()
            assert said(live) == fresh, link
        assert live.locator("img:not([src*=figures]), b").count() == 0  # but a still twin


NONSENSE: list[object] = [
    [], 7, {"Q": [[1e9, None]], "mask": "<b>", "cell": [0, 9], "temperature": "a"}, *HOSTILE,
    {"scale": "__proto__", "K": {"length": 4}, "text": 7, "size": -1, "rules": 3}, "null", "[[[[",
]  # fmt: skip
_MOUNT_AGAIN = """([name, query]) => {
  history.replaceState(null, "", query);
  const place = document.querySelector(`[data-live=${name}]`);
  place.querySelector(".live").remove();
  LiveUI.mount(name, place);
}"""


def test_the_calculator_computes_what_the_chapter_computes(browser: Browser, base: str) -> None:
    with figure(browser, base, "calculator") as (_, live):
        rows = live.locator("table", has_text="Weights").locator("tbody tr")
        assert rows.nth(2).locator("button").all_inner_texts() == ["0.12", "0.51", "0.12", "0.25"]
        output = live.locator("table", has_text="Output").locator("tbody tr").nth(2)
        assert output.locator("td").all_inner_texts() == ["5.02", "2.98"]
        assert "(2·1 + 1·0) / √2 = 1.41" in live.locator(".live-sums").inner_text()
        live.get_by_role("button", name="Causal mask").click()
        assert rows.nth(0).locator("button").all_inner_texts() == ["1.00", "0.00", "0.00", "0.00"]
        live.get_by_label("A click masks a cell").check()
        live.get_by_role("button", name="the to the: weight").click()
        assert rows.nth(0).locator("button").all_inner_texts() == ["0.00"] * 4
        assert "every key is masked" in live.locator(".live-sums").inner_text()


def test_the_calculator_answers_the_keyboard(browser: Browser, base: str) -> None:
    with figure(browser, base, "calculator") as (page, live):
        cell = live.get_by_role("button", name="the to the: weight")
        cell.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        assert "“cat” asks “cat”" in live.locator(".live-sums").inner_text()
        focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert focused == "cat to cat: weight 0.15"
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        page.keyboard.press("m")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')").endswith("masked")
        page.keyboard.press("End")
        page.keyboard.press("ArrowRight")
        focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert focused.startswith("cat to milk: weight")


def test_the_calculator_survives_what_is_typed(browser: Browser, base: str) -> None:
    with figure(browser, base, "calculator") as (page, live):
        field = live.get_by_label("key of cat, number 1")
        before = live.locator(".live-sums").inner_text()
        for text in [*HOSTILE, "1e999", "100", "-", "NaN"]:
            field.fill("")
            page.keyboard.insert_text(text)
            assert field.get_attribute("aria-invalid") == "true", text
            assert "a number from −99 to 99" in live.get_by_role("alert").inner_text()
            assert live.locator(".live-sums").inner_text() == before
        field.fill("-2.5")
        assert field.get_attribute("aria-invalid") == "false"
        assert "(2·(−2.5) + 1·0) / √2 = −3.54" in live.locator(".live-sums").inner_text()
        assert live.locator("img").count() == 0


def test_the_mask_builder_follows_its_rules(browser: Browser, base: str) -> None:
    with figure(browser, base, "masks") as (_, live):

        def row(query: int) -> str:
            cells = live.locator("tbody tr").nth(query - 1).locator("button")
            return "".join(cells.all_inner_texts())

        assert row(1) == "●✕✕✕✕✕✕✕"
        assert row(8) == "●●●●●●✕✕"
        before = live.get_by_role("slider", name="Neighbours before")
        before.focus()
        for _ in range(6):
            before.press("ArrowLeft")
        assert before.get_attribute("aria-valuetext") == "2"
        assert row(6) == "✕✕✕●●●✕✕"
        live.get_by_role("button", name="query 6, key 1: hidden").press("Enter")
        assert row(6) == "●✕✕●●●✕✕"
        live.get_by_label("For", exact=True).select_option("nn.MultiheadAttention")
        assert "attn_mask = ~mask" in live.locator("pre").inner_text()
        live.get_by_role("button", name="Reset").click()
        live.get_by_label("Padding").fill("0")
        live.get_by_label("wrong polarity").check()
        warning = live.locator(".live-warning")
        expect(warning).to_contain_text("see only its future: is its polarity right?")
        expect(warning).to_contain_text("Queries that may attend nowhere: 8.")


def test_positions_follow_the_slider_and_the_drag(browser: Browser, base: str) -> None:
    with figure(browser, base, "positions") as (page, live):

        def values() -> list[str]:
            return live.locator("tbody tr td:nth-child(2)").all_inner_texts()

        assert values() == ["0.00", "0.81", "0.81", "−1.5", "6"]
        slider = live.get_by_role("slider", name="Distance")
        slider.focus()
        slider.press("ArrowRight")
        assert values()[3:] == ["−1.8", "7"]  # −1.75 and the next bucket
        chart = live.locator(".live-chart svg").nth(3)
        chart.scroll_into_view_if_needed()
        box = chart.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 20)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.975, box["y"] + 20, steps=3)
        page.mouse.up()
        assert slider.input_value() == "128"
        assert values()[3:] == ["−32.0", "31"]
        live.get_by_role("slider", name="Pairs").fill("0")
        assert values()[2] == "1.00"


def test_the_translator_translates_and_errs_as_its_model_does(browser: Browser, base: str) -> None:
    with figure(browser, base, "translator") as (_, live):
        said(live)
        best = live.locator("ol li").first
        expect(best).to_have_text("einundzwanzigtausendsechs 98.5 %")
        assert live.locator("svg line").count() > 5
        text = live.get_by_label("Number in words")
        text.fill("")
        text.press_sequentially("Ninety-Nine  thousand and one")
        expect(best).to_contain_text("neunundneunzigtausendeins ")
        live.get_by_label("Example", exact=True).select_option("twenty-one")
        expect(live.locator(".live-warning")).to_have_text(
            "Step by step is wrong. It should be: einundzwanzig. Beam search found it."
        )
        live.get_by_role("button", name="Swap languages").click()
        expect(text).to_have_value("einundzwanzig")
        fold = live.get_by_text("The weights as a table")
        fold.focus()
        fold.press("Enter")
        sums = live.locator("details tbody tr").evaluate_all(
            "rows => rows.map(r => [...r.cells].slice(1).reduce((s, c) => s + +c.textContent, 0))"
        )
        assert sums
        assert all(abs(total - 1) < 0.06 for total in sums)


def test_the_translator_survives_what_is_typed(browser: Browser, base: str) -> None:
    with figure(browser, base, "translator") as (page, live):
        text = live.get_by_label("Number in words")
        for words in [*HOSTILE, "fünf", "one " * 60]:
            text.fill("")
            page.keyboard.insert_text(words)
            expect(live.get_by_role("alert")).to_contain_text(re.compile("number in words"))
            assert len(text.input_value()) <= 200
        assert live.locator("img").count() == 0
        text.fill("one " * 50)  # nonsense, but made of pieces: it answers something
        said(live)
        text.fill("one thousand")
        expect(live.locator("ol li").first).to_be_visible()
        assert live.get_by_role("alert").inner_text() == ""


# What a finger presses.
TAPS = {
    "calculator": ("button", "milk to drank: weight"),
    "masks": ("button", "query 5, key 1"),
    "translator": ("button", "Swap languages"),
    "positions": ("slider", "Distance"),
    "gpt": ("button", "layer 2, head 4"),
    "learning": ("slider", "Training"),
}


@pytest.mark.parametrize("name", TAPS)
def test_figures_are_touched_at_360_pixels(browser: Browser, base: str, name: str) -> None:
    with phone(browser) as page:
        page.goto(f"{base}playground/")
        live = page.locator(f"[data-live={name}]")
        live.scroll_into_view_if_needed()
        live.get_by_role("radio").first.tap()
        role, label = TAPS[name]
        target = live.get_by_role(role, name=label)  # type: ignore[arg-type]
        before, box = said(live), target.bounding_box()
        target.tap()
        expect(live.locator(".live-body")).not_to_have_text(before, use_inner_text=True)
        assert box is not None
        assert max(box["width"], box["height"]) >= 24  # WCAG 2.2, 2.5.8: axe looks at the rest
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_every_layer_is_pythons_in_the_browser(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("references")
    names = write_references(folder)
    page = browser.new_page()
    for script in ENGINE:
        page.add_script_tag(path=str(FOLDER / script))
    page.add_script_tag(path=str(ROOT / "tests/playground/parity.js"))
    for name in names:
        page.add_script_tag(path=str(folder / f"{name}.js"))
        page.add_script_tag(path=str(folder / f"{name}.reference.js"))
        for kernel in ("fused", "wasm", "javascript"):
            report = page.evaluate("([n, k]) => LiveParity.compare(n, k)", [name, kernel])
            assert report["kernel"] == kernel
            assert not report["missing"]
            assert report["compared"] > 20
            assert max(report["worst"], report["cached"]) <= 1e-4, report
    page.close()


def test_nothing_is_fetched_before_the_reader_comes_near(browser: Browser, base: str) -> None:
    seen = Visit("far")
    with context(browser, seen) as opened:
        page = opened.new_page()
        page.goto(f"{base}theory/scaled-dot-product/")
        page.wait_for_load_state("networkidle")
        fetched = [url.rpartition("/")[2] for url in seen.requests if "/playground/" in url]
        assert fetched == ["loader.js"]
        page.locator("[data-live]").scroll_into_view_if_needed()
        page.locator(".live").wait_for()
        assert any(url.endswith("calculator.js") for url in seen.requests)
        page.goto(f"{base}start/notation/")
        assert page.locator("script[src*=playground]").count() == 0


def test_scripts_of_a_page_weigh_60_kb_at_most(built_site: Path) -> None:
    """Engine and all figures together, though no chapter loads more than one."""
    served = built_site / FOLDER.relative_to(DOCS)
    files = [*served.glob("*.js"), *served.glob("*.css")]
    assert len(files) > 30
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) < 60_000


def test_what_cannot_be_loaded_says_so(browser: Browser, base: str) -> None:
    with browser.new_context() as opened:
        opened.route("**/calculator.js", lambda route: route.abort())
        page = opened.new_page()
        page.goto(f"{base}playground/")
        place = page.locator("[data-live=calculator]")
        place.scroll_into_view_if_needed()
        message = place.get_by_role("alert")
        message.wait_for()
        assert "calculator.js could not be loaded" in message.inner_text()
        assert place.locator("figure").is_visible()


@pytest.mark.parametrize("name", FIGURES)
def test_the_still_figure_stands_without_scripts(browser: Browser, base: str, name: str) -> None:
    with context(browser, Visit(name), java_script_enabled=False) as opened:
        page = opened.new_page()
        page.goto(f"{base}playground/")
        still = page.locator(f"[data-live={name}] figure")
        assert still.is_visible()
        assert still.locator("img").get_attribute("alt")


def test_figures_live_in_a_folder_too(browser: Browser, built_site: Path) -> None:
    """From file://, as in the edition that is unzipped: scripts only, no fetch, no module."""
    with browser.new_context() as opened:
        page = opened.new_page()
        page.goto((built_site / "playground/index.html").as_uri())
        for name in FIGURES:
            place = page.locator(f"[data-live={name}]")
            place.scroll_into_view_if_needed()
            place.get_by_role("button", name="Show me").click()
            expect(place.locator(".live-body")).to_be_visible()


@pytest.mark.parametrize("name", TAPS)
def test_memory_is_steady_over_a_thousand_interactions(
    browser: Browser, base: str, name: str
) -> None:
    with figure(browser, base, name) as (page, live):
        steady(page, live)
