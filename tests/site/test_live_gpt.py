"""The GPT explorer, driven as a person would, and what the package says to the same."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Locator, expect
from torch import Tensor

from attention_guide import AttentionRecorder
from attention_guide.checkpoints import load_own
from attention_guide.checkpoints.javascript import unpacked, untied
from attention_guide.explain import logit_lens
from tests.site.live import HOSTILE, figure, said

TEXT = "A list is a mutable sequence. A tuple is an immutable"


class Twin:
    """The package's model with the page's weights."""

    def __init__(self) -> None:
        own = load_own("topics-gpt")
        self.model: Any = own.model
        self.bpe = own.vocabulary
        self.model.load_state_dict(unpacked(untied(self.model), "int8"), strict=False)

    def ids(self, text: str) -> Tensor:
        return torch.tensor([[self.bpe.eos_id, *self.bpe.encode(text)]])

    @torch.no_grad()
    def best(self, text: str, n: int = 8) -> list[tuple[str, str]]:
        """The likeliest tokens as the page writes them."""
        shares = self.model(self.ids(text))[0, -1].softmax(dim=-1)
        return [
            (self.shown(int(i)), f"{100 * float(share):.1f} %")
            for share, i in zip(*shares.topk(n), strict=True)
        ]

    def shown(self, index: int) -> str:
        text = self.bpe.decode([index], specials=True)
        if "\ufffd" in text:
            return "".join(f"<{byte:x}>" for byte in self.bpe.decode_bytes([index]))
        return text.replace("\n", "\\n").replace(" ", "·")


@pytest.fixture(scope="module")
def twin() -> Twin:
    return Twin()


def next_tokens(live: Locator) -> list[list[str]]:
    said(live)
    rows = live.locator("table", has_text="The next token").locator("tbody tr").all()
    return [row.locator("th, td").all_inner_texts() for row in rows]


def chips(live: Locator) -> list[str]:
    said(live)
    return live.locator(".live-chips li").all_inner_texts()


def lens(live: Locator) -> list[list[str]]:
    rows = live.locator("table", has_text="The logit lens").locator("tbody tr").all()
    return [row.locator("td").all_inner_texts() for row in rows]


def test_it_starts_as_the_still_figure(browser: Browser, base: str, twin: Twin) -> None:
    with figure(browser, base, "gpt") as (_, live):
        assert chips(live) == [twin.shown(i) for i in twin.ids(TEXT)[0].tolist()]
        found = [(row[0], row[2]) for row in next_tokens(live)]
        assert found == twin.best(TEXT)
        assert found[0] == ("\\n", "32.0 %")  # as on the page
        with torch.no_grad(), AttentionRecorder(twin.model, match="blocks.2") as maps:
            twin.model(twin.ids(TEXT))
        weights = maps["blocks.2.self_attention"][0, 0]
        expect(live.locator("p", has_text="the last token")).to_contain_text(
            f"reads “·A” {weights[-1, 12]:.2f}, “<eos>” {weights[-1, 0]:.2f}"
        )
        fold = live.get_by_text("Layer 3, head 1 as a table")
        fold.focus()
        fold.press("Enter")
        table = live.get_by_role("table", name="Layer 3, head 1")
        table.wait_for()
        shares = table.locator("tbody tr").last.locator("td").all_inner_texts()
        assert [float(share) for share in shares] == pytest.approx(weights[-1].tolist(), abs=0.006)
        first = table.locator("tbody tr").first.locator("td").all_inner_texts()
        assert first == ["1.00", *["✕"] * 22]  # as the picture: what lies ahead is no zero


def test_typing_cuts_and_answers(browser: Browser, base: str, twin: Twin) -> None:
    with figure(browser, base, "gpt") as (page, live):
        text = live.get_by_label("Text", exact=True)
        text.fill("")
        assert chips(live) == ["<eos>"]
        words = "for x in range(10):\n    print("
        text.press_sequentially(words)
        assert chips(live) == [twin.shown(i) for i in twin.ids(words)[0].tolist()]
        assert [(row[0], row[2]) for row in next_tokens(live)] == twin.best(words)
        # A key is answered at once; the model waits until the keys rest.
        slowest = page.evaluate(
            """async field => {
              let worst = 0;
              for (let i = 0; i < 40; i++) {
                const began = performance.now();
                field.value += "a ";
                field.dispatchEvent(new Event("input"));
                worst = Math.max(worst, performance.now() - began);
                await new Promise(resolve => setTimeout(resolve, 5));
              }
              return worst;
            }""",
            text.element_handle(),
        )
        assert slowest < 50


def test_temperature_and_filters(browser: Browser, base: str) -> None:
    with figure(browser, base, "gpt") as (_, live):
        plain = [row[2] for row in next_tokens(live)]
        assert [row[3] for row in next_tokens(live)] == plain
        live.get_by_role("slider", name="Temperature").fill("0.1")
        assert next_tokens(live)[0][3] == "100.0 %"
        expect(live.locator("caption", has_text="Drawn from: 512.")).to_be_visible()
        assert [row[2] for row in next_tokens(live)] == plain
        live.get_by_role("slider", name="Temperature").fill("1")
        for name, value, left in (("Top-k", "3", 3), ("Top-p", "0.35", 2), ("Min-p", "0.5", 1)):
            slider = live.get_by_role("slider", name=name)
            before = slider.input_value()
            slider.fill(value)
            expect(live.locator("caption", has_text=f"Drawn from: {left}.")).to_be_visible()
            assert sum(row[3] != "0.0 %" for row in next_tokens(live)) == left
            slider.fill(before)
        assert [row[3] for row in next_tokens(live)] == plain


def test_a_head_at_zero_changes_the_prediction(browser: Browser, base: str, twin: Twin) -> None:
    with figure(browser, base, "gpt") as (_, live):
        before = next_tokens(live)
        zero = live.get_by_role("button", name="Layer 3, head 1 to zero")
        look = "e => getComputedStyle(e).fontWeight + getComputedStyle(e, '::before').content"
        plain = zero.evaluate(look)
        zero.press("Enter")
        without = next_tokens(live)
        assert zero.get_attribute("aria-pressed") == "true"
        assert without[0][0] == "·object"
        expect(live.locator(".live-change")).to_have_text(
            "Without 3.1 (layer.head), “\\n” has 3.9 %, not 32.0 %. Likeliest now: “·object”."
        )
        [row] = [row for row in without if row[0] == "\\n"]
        assert (row[2], row[4]) == ("3.9 %", before[0][2])
        assert "✓" in zero.evaluate(look)
        assert "✓" not in plain
        cell = live.get_by_role("button", name="layer 3, head 1, at zero", exact=True)
        assert "live-shut" in (cell.get_attribute("class") or "")
        expect(live.get_by_role("region", name="Layer 3, head 1, at zero").first).to_be_visible()
        reads = live.locator("p", has_text="the last token")
        expect(reads).to_contain_text("Nothing of it is passed on.")
        zero.press("Enter")
        assert next_tokens(live) == before
        assert zero.evaluate(look) == plain
        expect(live.get_by_role("button", name="layer 3, head 1", exact=True)).to_be_visible()


def test_it_says_one_short_sentence_of_a_change(browser: Browser, base: str) -> None:
    with figure(browser, base, "gpt") as (page, live):
        said(live)
        spoken = live.locator(".live-body :is([aria-live=polite], [role=status])")
        news = live.locator(".live-change")
        expect(spoken).to_have_count(1)
        expect(news).to_have_text("Likeliest of 512: “\\n”, 32.0 %.")
        slider = live.get_by_role("slider", name="Top-k")
        slider.focus()
        page.keyboard.press("ArrowRight")
        expect(news).to_have_text("Likeliest of 1: “\\n”, 100.0 %.")
        live.get_by_role("button", name="Add the likeliest token").click()
        expect(news).to_have_text(
            re.compile(r"^Last written: “\\n”\. Likeliest of 1: “.+”, 100.0 %\.$")
        )


def test_an_open_table_waits_and_comes_in_slices(browser: Browser, base: str) -> None:
    with figure(browser, base, "gpt") as (page, live):
        text = live.get_by_label("Text", exact=True)
        text.fill("a list of the names " * 15)
        assert len(chips(live)) == 64
        live.get_by_text("Layer 3, head 1 as a table").click()
        said(live)
        cells = live.locator("details td")
        expect(cells).to_have_count(64 * 64)
        page.evaluate(_COUNT_CELLS, live.element_handle())
        assert page.evaluate(_TYPE, live.element_handle()) == 0  # the model has read, it waits
        tokens = len(chips(live))
        expect(cells).to_have_count(tokens * tokens)
        added = page.evaluate("added")
        assert sum(added) == tokens * tokens
        assert max(added) < 600
        text.fill("a list")
        assert len(chips(live)) == 4
        expect(cells).to_have_count(16)


_COUNT_CELLS = """live => {
  window.added = [];
  new MutationObserver(records => {
    const rows = records.flatMap(record => [...record.addedNodes]);
    const cells = rows.reduce((n, row) => n + (row.querySelectorAll?.("td").length ?? 0), 0);
    if (cells) added.push(cells);
  }).observe(live.querySelector("details tbody"), { childList: true });
}"""
_TYPE = """live => new Promise(resolve => {
  const field = live.querySelector("textarea");
  const result = live.querySelector(".live-change").previousElementSibling;
  new MutationObserver(() => {
    if (result.getAttribute("aria-busy") === "false") resolve(added.length);
  }).observe(result, { attributes: true });
  field.value = field.value.slice(1);
  field.dispatchEvent(new Event("input"));
})"""


def test_a_link_keeps_all_that_was_written(browser: Browser, base: str) -> None:
    with figure(browser, base, "gpt") as (page, live):
        said(live)
        for _ in range(8):
            live.get_by_role("button", name="Draw ten").click()
        grown = next_tokens(live), chips(live)
        assert len(grown[1]) == 23 + 80
        live.get_by_role("button", name="Link to this state").click()
        page.goto(live.get_by_label("Link to this state").last.input_value())
        again = page.locator("[data-live=gpt] .live")
        again.wait_for()
        assert (next_tokens(again), chips(again)) == grown
        # A link may ask for more than there is room.
        again.get_by_label("Text", exact=True).fill("é " * 150)
        assert len(chips(again)) == 64
        page.evaluate(
            """() => {
              const { text } = LiveExplorer.start();
              const asked = JSON.stringify({ text, added: Array(200).fill(7) });
              history.replaceState(null, "", `?${new URLSearchParams({ gpt: asked })}`);
              const place = document.querySelector("[data-live=gpt]");
              place.querySelector(".live").remove();
              LiveUI.mount("gpt", place);
            }"""
        )
        assert len(chips(again)) == 128


def test_it_writes_step_by_step_from_the_cache(browser: Browser, base: str, twin: Twin) -> None:
    with figure(browser, base, "gpt") as (page, live):
        cache = live.locator(".live-cache")
        expect(cache).to_contain_text("23 tokens in 4 layers, 92 KB")
        back = live.get_by_role("button", name="Take one back")
        expect(back).to_be_disabled()
        text = TEXT
        for _ in range(6):
            said(live)
            live.get_by_role("button", name="Add the likeliest token").click()
            with torch.no_grad():
                likeliest = int(twin.model(twin.ids(text))[0, -1].argmax())
            text += twin.bpe.decode([likeliest])
        expect(cache).to_contain_text("29 tokens in 4 layers, 116 KB")
        written = [twin.shown(i) for i in twin.ids(TEXT)[0].tolist()]
        assert chips(live)[:23] == written
        assert live.locator(".live-chips .live-new").count() == 6
        live.get_by_role("button", name="Draw ten").click()
        grown = next_tokens(live), chips(live)
        assert len(grown[1]) == 39
        # Read anew in one pass, all of it says the same.
        live.get_by_role("button", name="Link to this state").click()
        page.goto(live.get_by_label("Link to this state").last.input_value())
        again = page.locator("[data-live=gpt] .live")
        page.locator("[data-live=gpt]").scroll_into_view_if_needed()
        again.wait_for()
        assert (next_tokens(again), chips(again)) == grown
        again.get_by_role("button", name="Take one back").click()
        assert chips(again) == grown[1][:-1]
        for _ in range(9):
            again.get_by_role("button", name="Draw ten").click()
        expect(again.locator(".live-cache")).to_contain_text("128 tokens")
        expect(again.locator(".live-cache")).to_contain_text("The context is full.")
        expect(again.get_by_role("button", name="Draw ten")).to_be_disabled()


def test_the_lens_reads_every_layer(browser: Browser, base: str, twin: Twin) -> None:
    with figure(browser, base, "gpt") as (_, live):
        said(live)
        model = twin.model
        layers = logit_lens(
            lambda: model(twin.ids(TEXT)), model.blocks, lambda x: model.output_proj(model.norm(x))
        )
        shares = layers[:, 0, -1].softmax(dim=-1)
        winner = int(shares[-1].argmax())
        wanted = []
        for layer in shares:
            best = [
                f"{twin.shown(int(i))} {100 * float(share):.1f} %"
                for share, i in zip(*layer.topk(3), strict=True)
            ]
            wanted.append([*best, f"{100 * float(layer[winner]):.1f} %"])
        assert lens(live) == wanted


def test_the_keyboard_goes_through_the_heads(browser: Browser, base: str) -> None:
    with figure(browser, base, "gpt") as (page, live):
        first = live.get_by_role("button", name="layer 1, head 1", exact=True)
        first.focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert focused == "layer 2, head 2"
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline == "solid"
        expect(live.get_by_role("button", name="Layer 2, head 2 to zero")).to_be_visible()
        expect(live.get_by_role("region", name="Layer 2, head 2").first).to_be_visible()


def test_it_survives_what_is_typed(browser: Browser, base: str) -> None:
    with figure(browser, base, "gpt") as (page, live):
        text = live.get_by_label("Text", exact=True)
        for words in [*HOSTILE, "ab" * 5_000, "\ud83d", "<eos>"]:
            text.fill("")
            page.keyboard.insert_text(words)
            shown = chips(live)
            assert 1 <= len(shown) <= 64
            assert shown.count("<eos>") == 1 or words == "<eos>"
            assert next_tokens(live)[0][2].endswith(" %")
            assert len(text.input_value()) <= 300
        text.fill("é " * 150)
        said(live)
        expect(live.get_by_role("alert")).to_have_text("Only the first 63 tokens are read.")
        text.fill("one")
        said(live)
        expect(live.get_by_role("alert")).to_have_text("")
        assert page.evaluate("document.querySelector('.live img') === null")
