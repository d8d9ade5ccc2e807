"""The translator's table, examples and complaints."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.site.live import figure, said


def test_an_opened_table_stays_open_and_keeps_up(browser: Browser, base: str) -> None:
    with figure(browser, base, "translator") as (_, live):
        said(live)
        live.get_by_text("The weights as a table").click()
        cells = live.get_by_role("region", name="Weights").locator("td")
        expect(cells.first).to_be_visible()
        for name, choice in (("Head", "2"), ("Decoder layer", "1")):
            before = cells.all_inner_texts()
            live.get_by_label(name, exact=True).select_option(choice)
            expect(live.locator("[aria-busy=true]")).to_have_count(1)
            said(live)
            expect(cells.first).to_be_visible()
            assert cells.all_inner_texts() != before
        text = live.get_by_label("Number in words")
        text.fill("no number")
        expect(live.get_by_text("The weights as a table")).to_be_hidden()
        text.fill("one thousand")
        expect(cells.first).to_be_visible()


def test_the_example_box_says_what_stands_in_the_field(browser: Browser, base: str) -> None:
    with figure(browser, base, "translator") as (_, live):
        said(live)
        box = live.get_by_label("Example", exact=True)
        chosen = box.locator("option:checked")
        expect(chosen).to_have_text("twenty-one thousand and six")
        box.select_option("twenty-one")
        said(live)
        live.get_by_label("From", exact=True).select_option("German")
        expect(live.get_by_role("alert")).to_contain_text("It looks English.")
        expect(chosen).to_have_text("your own")
        box.select_option("twenty-one")
        expect(live.get_by_label("Number in words")).to_have_value("einundzwanzig")
        expect(live.get_by_role("alert")).to_have_text("")
        live.get_by_label("to", exact=True).select_option("English")
        live.get_by_role("button", name="Swap languages").click()
        expect(live.get_by_label("Number in words")).to_have_value("twenty-one")
        said(live)
        expect(chosen).to_have_text("twenty-one")
        live.get_by_label("Number in words").fill("twenty")
        expect(chosen).to_have_text("your own")


def test_too_many_pieces_are_called_too_many(browser: Browser, base: str) -> None:
    with figure(browser, base, "translator") as (_, live):
        live.get_by_label("From", exact=True).select_option("German")
        live.get_by_label("Number in words").fill("ein" * 66)
        expect(live.get_by_role("alert")).to_have_text(
            "Too long for a number in words: 66 pieces. The model takes 60."
        )
