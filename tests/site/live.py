"""What the tests of the live figures share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Locator, Page, expect

from tests.site.browser import Visit, context

HOSTILE = [
    "x" * 10_000, "👩‍👩‍👧‍👦🇩🇪", "مرحبا بالعالم", "<img src=x onerror=alert(1)>",
    "\x00\x07\u202e", "",
]  # fmt: skip


@contextmanager
def figure(
    browser: Browser, base: str, name: str, *, guess: bool = True
) -> Iterator[tuple[Page, Locator]]:
    """The page with one figure come to life; no message, no foreign request when it closes."""
    seen = Visit(name)
    with context(browser, seen) as opened:
        page = opened.new_page()
        page.goto(f"{base}playground/")
        place = page.locator(f"[data-live={name}]")
        place.scroll_into_view_if_needed()
        live = place.locator(".live")
        live.wait_for()
        if guess:
            live.get_by_role("button", name="Show me").click()
        yield page, live
    assert not seen.messages
    assert not [url for url in seen.requests if not url.startswith((base, "data:", "blob:"))]


def said(live: Locator) -> str:
    """What a figure shows, once it has finished computing."""
    expect(live.locator("[aria-busy=true]")).to_have_count(0)
    return live.locator(".live-body").inner_text()
