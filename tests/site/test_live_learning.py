"""Watch it learn, driven as a person would."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Locator, Page, expect

from attention_guide.recipes.induction import SETTINGS
from tests.site.browser import Visit, context
from tests.site.live import HOSTILE, figure

STEPS = SETTINGS["two-layers"].snapshots


def summary(live: Locator) -> str:
    return live.locator(".live-summary").inner_text()


def shares(live: Locator) -> list[float]:
    """What the right letter gets: in the first half, in the second."""
    return [float(number) for number in re.findall(r"([\d.]+) %", summary(live))]


def weights(live: Locator, head: int) -> str:
    return live.locator(".live-view svg").nth(head).inner_html()


def test_the_slider_goes_from_guessing_to_knowing(browser: Browser, base: str) -> None:
    with figure(browser, base, "learning") as (_, live):
        slider = live.get_by_role("slider", name="Training")
        assert slider.get_attribute("aria-valuetext") == "step 0"
        first, second = shares(live)
        assert first < 6
        assert second < 6
        early = [weights(live, head) for head in range(4)]
        slider.focus()
        slider.press("End")
        assert slider.get_attribute("aria-valuetext") == f"step {STEPS[-1]}"
        first, second = shares(live)
        assert first < 12
        assert second > 90
        late = [weights(live, head) for head in range(4)]
        assert all(a != b for a, b in zip(early, late, strict=True))
        assert re.search(r"layer 2, head \d, score 0\.9", summary(live))
        chosen = live.locator(".live-view.live-chosen")
        assert "★" in chosen.inner_text()
        slider.press("ArrowLeft")
        assert f"After {STEPS[-2]} steps" in summary(live)


def test_tables_hold_what_the_pictures_show(browser: Browser, base: str) -> None:
    with figure(browser, base, "learning") as (_, live):
        live.get_by_role("slider", name="Training").press("End")
        for name in ("The curves", "The probabilities"):
            fold = live.get_by_text(f"{name} as a table")
            fold.focus()
            fold.press("Enter")
        curves = live.get_by_role("region", name="The curves").locator("tbody tr")
        expect(curves).to_have_count(len(STEPS))
        assert "▸" in curves.last.inner_text()
        odds = live.get_by_role("region", name="The probabilities").locator("tbody tr")
        expect(odds).to_have_count(20)
        values = [float(row.locator("td").last.inner_text()) for row in odds.all()]
        assert min(values[11:]) > 0.5
        fold = live.locator(".live-view").nth(3).get_by_text("as a table")
        fold.click()
        expect(live.locator(".live-view").nth(3).locator("tbody tr")).to_have_count(21)
        sums = live.locator(".live-view").nth(3).locator("tbody tr").evaluate_all(
            "rows => rows.map(r => [...r.cells].slice(1).reduce("
            "(s, c) => s + (Number(c.textContent) || 0), 0))"
        )  # fmt: skip
        assert all(abs(total - 1) < 0.06 for total in sums)


def test_letters_are_the_readers_own(browser: Browser, base: str) -> None:
    with figure(browser, base, "learning") as (page, live):
        live.get_by_role("slider", name="Training").press("End")
        field = live.get_by_label("Letters", exact=True)
        field.fill("")
        field.press_sequentially("Quickly")
        bars = live.locator("svg[aria-label^=Bars] text").all_text_contents()
        assert "quicklyquickly" in "".join(bars)
        assert shares(live)[1] > 80
        live.get_by_label("and the same letters again").uncheck()
        assert "No letter occurs twice" in summary(live)
        live.get_by_label("and the same letters again").check()
        before = summary(live)
        for text in [*HOSTILE, "ab cd", "a", "größe", "a1"]:
            field.fill("")
            page.keyboard.insert_text(text)
            if text == HOSTILE[0]:  # what fits into the field are twenty letters
                assert field.input_value() == "x" * 20
                field.fill("quickly")
                continue
            assert field.get_attribute("aria-invalid") == "true", text
            assert "Type 2 to 20 letters" in live.get_by_role("alert").inner_text()
            assert summary(live) == before
        assert live.locator("img").count() == 0
        live.get_by_role("button", name="Reset").click()
        expect(field).to_have_value("blacksmith")
        assert live.get_by_role("alert").inner_text() == ""
        assert field.get_attribute("aria-invalid") == "false"


def test_filled_is_what_followed_the_letter_before_already(browser: Browser, base: str) -> None:
    with figure(browser, base, "learning") as (_, live):
        live.get_by_text("The probabilities as a table").click()
        rows = live.get_by_role("region", name="The probabilities").locator("tbody tr")
        field, again = live.get_by_label("Letters", exact=True), live.get_by_label("same letters")
        for text, twice, wanted in (
            ("blacksmith", True, "o" * 11 + "x" * 9),
            ("banana", True, "ooooxx" + "oxxxxx"),
            ("abababab", False, "ooo" + "x" * 5),
        ):
            field.fill(text)
            again.set_checked(twice)
            bars = live.locator("svg[aria-label^=Bars] rect").all()
            fills = [bar.get_attribute("fill") for bar in bars]
            assert "".join("o" if fill == "none" else "x" for fill in fills) == wanted
            told = [row.locator("td").nth(1).inner_text() for row in rows.all()]
            assert "".join("x" if word == "yes" else "o" for word in told) == wanted


def test_a_complaint_goes_with_the_letters_it_was_about(browser: Browser, base: str) -> None:
    with figure(browser, base, "learning") as (_, live):
        field = live.get_by_label("Letters", exact=True)
        field.fill("abc1")
        assert "Type 2 to 20 letters" in live.get_by_role("alert").inner_text()
        slider = live.get_by_role("slider", name="Training")
        slider.focus()
        slider.press("ArrowRight")
        expect(field).to_have_value("blacksmith")
        assert field.get_attribute("aria-invalid") == "false"
        assert live.get_by_role("alert").inner_text() == ""


# The film's own timer by hand: a fake clock for all of the page breaks the theme's timers.
_BY_HAND = """() => {
  const [begin, end] = [window.setInterval, window.clearInterval];
  window.setInterval = (run, wait, ...rest) => {
    if (wait !== 900) return begin(run, wait, ...rest);
    window.tick = run;
    return -1;
  };
  window.clearInterval = (id) => {
    if (id === -1) delete window.tick;
    else end(id);
  };
}"""


def tick(page: Page, times: int) -> bool:
    """Let so many pictures pass; whether the film still runs."""
    script = "times => { for (; times && window.tick; times--) tick(); return !!window.tick; }"
    return bool(page.evaluate(script, times))


def test_it_plays_pauses_and_stops_at_the_end(browser: Browser, base: str) -> None:
    with figure(browser, base, "learning") as (page, live):
        page.evaluate(_BY_HAND)
        play = live.get_by_role("button", name="Play")
        play.focus()
        play.press("Enter")
        assert tick(page, 2)
        assert f"After {STEPS[2]} steps" in summary(live)
        assert live.locator(".live-summary").get_attribute("aria-live") == "off"
        live.get_by_role("button", name="Pause").press("Enter")
        assert not tick(page, 5)
        assert f"After {STEPS[2]} steps" in summary(live)
        assert live.locator(".live-summary").get_attribute("aria-live") == "polite"
        live.get_by_role("button", name="Play").press("Enter")
        assert not tick(page, 60)
        assert f"After {STEPS[-1]} steps" in summary(live)
        live.get_by_role("button", name="Play").press("Enter")
        assert "After 0 steps" in summary(live)
        live.get_by_role("slider", name="Training").press("ArrowRight")
        assert not tick(page, 1)
        assert f"After {STEPS[1]} steps" in summary(live)


def test_nothing_moves_by_itself_for_who_prefers_less_motion(browser: Browser, base: str) -> None:
    with context(browser, Visit("learning"), reduced_motion="reduce") as opened:
        page = opened.new_page()
        page.goto(f"{base}playground/")
        page.evaluate(_BY_HAND)
        live = page.locator("[data-live=learning]")
        live.scroll_into_view_if_needed()
        live.get_by_role("button", name="Show me").click()
        step = live.get_by_role("button", name="Next step")
        step.click()
        assert not tick(page, 1)
        assert f"After {STEPS[1]} steps" in summary(live)
        step.click()
        assert f"After {STEPS[2]} steps" in summary(live)
