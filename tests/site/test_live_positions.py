"""Positions: the table behind the curves, a finger on them, and which way the dials turn."""

from __future__ import annotations

import math
import re

import torch
from playwright.sync_api import Browser, expect

from attention_guide.functional import alibi_slopes, rope, t5_buckets
from tests.site.live import figure, phone, said


def test_the_curves_are_in_a_table_once_it_is_opened(browser: Browser, base: str) -> None:
    with figure(browser, base, "positions") as (_, live):
        place = live.get_by_role("region", name="The curves")
        rows = live.locator("details tbody tr")
        assert rows.count() == 0
        fold = live.get_by_text("The curves as a table")
        fold.focus()
        fold.press("Enter")
        expect(rows).to_have_count(129)
        live.get_by_label("Distances up to").select_option("512")
        expect(rows).to_have_count(513)
        live.get_by_role("slider", name="head").fill("1")
        said(live)
        texts = rows.locator("td:last-child").all_inner_texts()
        assert [int(text) for text in texts] == t5_buckets(-torch.arange(513), causal=True).tolist()
        lean = rows.nth(500).locator("td").nth(3).inner_text()
        assert lean == f"−{500 * float(alibi_slopes(8)[0]):.1f}"
        live.get_by_role("button", name="Reset").click()
        expect(rows).to_have_count(129)
        said(live)
        expect(live.locator("[aria-current] th")).to_have_text("▸ 6")
        assert rows.nth(6).locator("td").all_inner_texts() == ["0.00", "0.81", "0.81", "−1.5", "6"]
        box = place.bounding_box()
        assert box is not None
        assert box["height"] < 500  # it scrolls; the page doesn't grow by a hundred rows
        fold.press("Enter")
        expect(rows).to_have_count(0)


def test_a_finger_that_scrolls_leaves_the_distance(browser: Browser, base: str) -> None:
    with phone(browser) as page:
        page.goto(f"{base}playground/")
        live = page.locator("[data-live=positions]")
        live.scroll_into_view_if_needed()
        live.get_by_role("button", name="Show me").tap()
        chart = live.locator(".live-chart svg").nth(2)
        distance = live.get_by_role("slider", name="Distance")
        finger = page.context.new_cdp_session(page)

        def swipe(*points: tuple[float, float]) -> None:
            page.evaluate("e => e.scrollIntoView({ block: 'center' })", chart.element_handle())
            page.evaluate("new Promise(resolve => setTimeout(resolve, 300))")
            box = chart.bounding_box()
            assert box is not None
            for i, (x, y) in enumerate(points):
                where = [{"x": box["x"] + x, "y": box["y"] + y}]
                kind = "touchMove" if i else "touchStart"
                finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": where})
            finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

        chart.tap(position={"x": 100, "y": 40})  # the middle of 200 pixels
        expect(distance).to_have_value("64")
        page.evaluate("e => e.scrollIntoView({ block: 'center' })", chart.element_handle())
        before = page.evaluate("scrollY")
        swipe(*((150 + step, 40 - 20 * step) for step in range(9)))
        page.wait_for_function("before => scrollY !== before", arg=before)
        assert distance.input_value() == "64"
        swipe(*((20 + 15 * step, 42 if step else 40) for step in range(9)))
        expect(distance).to_have_value(re.compile(r"^[89]\d$"))


def test_a_keys_hand_lies_where_rope_puts_it_behind_its_query(browser: Browser, base: str) -> None:
    # (1, 0) in each pair, at places 0 and 1: as complex numbers, the key's over the query's.
    features = torch.tensor([1.0, 0.0]).repeat(8).expand(1, 1, 2, 16)
    key, query = torch.view_as_complex(rope(features, pairing="interleaved").view(2, 8, 2))
    wanted = [(hand.real, hand.imag) for hand in (key / query).tolist()]
    with figure(browser, base, "positions") as (_, live):
        live.get_by_role("slider", name="Distance").fill("1")
        paths = live.locator(".live-dial path:last-child")
        for path, (right, up) in zip(paths.all(), wanted, strict=True):
            drawn = path.get_attribute("d") or ""
            x, down = (float(word) for word in drawn.split("L")[1].split())
            assert math.isclose(x, 16 * right, abs_tol=1e-3)
            assert math.isclose(down, -16 * up, abs_tol=1e-3)


def test_a_click_without_a_pointer_moves_the_distance(browser: Browser, base: str) -> None:
    """As screen readers and voice control send it; an error of the script would fail the visit."""
    with figure(browser, base, "positions") as (_, live):
        live.locator(".live-chart svg").nth(2).evaluate(
            """svg => {
              const { left, width } = svg.getBoundingClientRect();
              svg.dispatchEvent(new MouseEvent("click", { clientX: left + width / 2 }));
            }"""
        )
        expect(live.get_by_role("slider", name="Distance")).to_have_value("64")
