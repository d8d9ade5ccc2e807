"""The mask builder's words about its code."""

from __future__ import annotations

from playwright.sync_api import Browser

from tests.site.live import figure


def test_the_code_hands_over_the_right_mask_and_the_caption_says_so(
    browser: Browser, base: str
) -> None:
    with figure(browser, base, "masks") as (_, live):
        cells, code = live.locator("tbody").inner_text(), live.locator("pre").inner_text()
        live.get_by_label("wrong polarity").check()
        assert live.locator("tbody").inner_text() != cells
        assert live.locator("pre").inner_text() == code
        about = live.locator(".live-about").inner_text()
        assert "Below, the code that hands it over rightly." in about
