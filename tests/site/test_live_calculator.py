"""The attention calculator where it was once wrong: complaints, links, what is read aloud."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.site.live import figure


def test_a_complaint_goes_with_its_error(browser: Browser, base: str) -> None:
    with figure(browser, base, "calculator") as (_, live):
        field = live.get_by_label("key of cat, number 1")
        field.fill("")
        expect(live.get_by_role("alert")).to_contain_text("key of cat, number 1")
        live.get_by_role("button", name="drank to cat: weight").click()
        expect(field).to_have_value("1")
        assert field.get_attribute("aria-invalid") is None
        expect(live.get_by_role("alert")).to_have_text("")


def test_a_sign_alone_is_an_error_only_once_it_is_left(browser: Browser, base: str) -> None:
    with figure(browser, base, "calculator") as (page, live):
        field = live.get_by_label("key of cat, number 1")
        page.evaluate(
            """live => { window.alerts = [];
              const alert = live.querySelector("[role=alert]");
              new MutationObserver(() => alerts.push(alert.textContent))
                .observe(alert, { childList: true }); }""",
            live.element_handle(),
        )
        field.select_text()
        field.press_sequentially("-1.5")
        assert "(2·(−1.5) + 1·0) / √2 = −2.12" in live.locator(".live-sums").inner_text()
        assert not any(page.evaluate("alerts"))
        field.select_text()
        field.press("-")
        assert field.get_attribute("aria-invalid") != "true"
        field.press("Tab")
        assert field.get_attribute("aria-invalid") == "true"
        expect(live.get_by_role("alert")).to_contain_text("a number from −99 to 99")


def test_a_linked_temperature_is_the_one_that_counts(browser: Browser, base: str) -> None:
    with figure(browser, base, "calculator") as (page, live):
        page.goto(f'{base}playground/?calculator={{"temperature":0.15}}')
        page.locator("[data-live=calculator]").scroll_into_view_if_needed()
        slider = live.get_by_role("slider", name="Temperature")
        expect(slider).to_have_value("0.2")
        assert "/ √2 / 0.2 = 7.07" in live.locator(".live-sums").inner_text()


def test_a_change_says_one_short_sentence(browser: Browser, base: str) -> None:
    with figure(browser, base, "calculator") as (_, live):
        live.get_by_role("slider", name="Temperature").press("ArrowRight")
        aloud = live.locator(".live-body [aria-live]:visible").all_inner_texts()
        assert aloud == ["“drank” asks “cat”: score 1.29, weight 0.48"]
        assert "/ √2 / 1.1 = 1.29" in live.locator(".live-sums").inner_text()
