"""What the tests of the live figures share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from tests.site.browser import AXE, SCREENSHOTS, WCAG, Visit, context

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


@contextmanager
def phone(browser: Browser) -> Iterator[Page]:
    """A page as a finger holds it: 360 px wide, touched."""
    narrow: ViewportSize = {"width": 360, "height": 740}
    with browser.new_context(has_touch=True, is_mobile=True, viewport=narrow) as opened:
        yield opened.new_page()


def said(live: Locator) -> str:
    """What a figure shows, once it has finished computing."""
    expect(live.locator("[aria-busy=true]")).to_have_count(0)
    return live.locator(".live-body").inner_text()


def flawless(page: Page, live: Locator, name: str) -> None:
    """Axe finds nothing in a figure, nothing juts out: both schemes, and 360 px; screenshots."""
    page.evaluate("document.querySelector('.md-header')?.remove()")
    page.add_style_tag(content="* { transition: none !important; }")
    page.add_script_tag(path=str(AXE))
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    options = {"runOnly": {"type": "tag", "values": WCAG}}
    for scheme, width in (("default", 1280), ("slate", 1280), ("default", 360)):
        page.set_viewport_size({"width": width, "height": 900})
        page.evaluate("name => document.body.dataset.mdColorScheme = name", scheme)
        live.screenshot(path=SCREENSHOTS / f"live-{name}-{scheme}-{width}.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = page.evaluate(_AXE, [live.element_handle(), options])
        assert not found, (scheme, width, found)


_AXE = """async ([live, options]) => (await axe.run(live, options)).violations
    .flatMap(v => v.nodes.map(n => [v.id, n.target.join(" ")]))"""


def steady(page: Page, live: Locator, rounds: int = 1000) -> None:
    """A figure holds no more after a thousand interactions with all its controls than after 100."""
    probe = page.context.new_cdp_session(page)

    def held(rounds: int) -> tuple[int, int]:
        page.evaluate(_POKE, [live.element_handle(), rounds])
        said(live)
        page.evaluate("new Promise(resolve => setTimeout(resolve, 200))")
        said(live)
        probe.send("HeapProfiler.collectGarbage")
        counters = probe.send("Memory.getDOMCounters")
        return int(probe.send("Runtime.getHeapUsage")["usedSize"]), counters["nodes"]

    bytes_before, nodes_before = held(rounds // 10)
    bytes_after, nodes_after = held(rounds)
    assert bytes_after < bytes_before + 1_000_000
    assert nodes_after < nodes_before + 1500


# Buttons of tables, sliders, choices and fields in turn; a pause now and then, in which a figure
# that waits until nobody types does its work.
_POKE = """async ([live, rounds]) => {
  const chosen = ".live-body :is(td > button, input, select, textarea)";
  const words = ["twenty-one", "one thousand and six", "nothing", "a cat sat", ""];
  for (let i = 0; i < rounds; i++) {
    const controls = live.querySelectorAll(chosen);
    const control = controls[(i * 7) % controls.length];
    if (control.matches("button, [type=checkbox], [type=radio]")) control.click();
    else {
      if (control.matches("[type=range]")) {
        const share = ((i * 37) % 101) / 100;
        control.value = +control.min + share * (control.max - control.min);
      } else if (control.matches("select")) {
        control.selectedIndex = i % control.options.length;
      } else control.value = control.matches("[type=number]") ? i % 5 : words[i % words.length];
      control.dispatchEvent(new Event("input", { bubbles: true }));
      control.dispatchEvent(new Event("change", { bubbles: true }));
    }
    if (i % 25 === 24) await new Promise((resolve) => setTimeout(resolve, 160));
  }
}"""
