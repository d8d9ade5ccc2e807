"""Labels: any script is drawn, nothing is invisible, and no token can become something else."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.textpath import TextPath

from attention_guide.plot import MissingGlyphs, arcs, head_view, heads, heatmap, tokens
from attention_guide.plot.tokens import LONGEST, drawable, families, reads_right_to_left, visible

HOSTILE = [
    "$x_1$", r"\$", "$", r"\frac{", "<b>", "&amp;", "a\u202eb", "\x00", "\x1b[31m", "\t", "\r\n",
    "", " ", "\u00a0", "\u200b", "\ufeff", "\u0301", "e\u0301", "\ud83d", "x" * 500, "%s", "{0}",
    "\U0001f469\u200d\U0001f467", "\u2764\ufe0f", "_nolegend_", "^", "#", "שלום", "مرحبا",
    "नमस्ते", "中文", "ไทย", "\U0010ffff", "\ue000",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _own_backend() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


@pytest.mark.filterwarnings("ignore::attention_guide.plot.MissingGlyphs")
@pytest.mark.parametrize("draw", [
    lambda w, names: heatmap(w, names, names),
    lambda w, names: heads(w[None], names, names),
    lambda w, names: arcs(w, names),
    lambda w, names: head_view(w[None], names, names),
])  # fmt: skip
def test_hostile_tokens_are_drawn_without_another_warning(draw, tmp_path):
    size = len(HOSTILE)
    figure = draw(np.eye(size), HOSTILE)
    for form in ("svg", "pdf", "png"):
        figure.savefig(tmp_path / f"hostile.{form}")


@pytest.mark.filterwarnings("ignore::attention_guide.plot.MissingGlyphs")
@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text(max_size=60))
def test_any_string_becomes_a_label_that_matplotlib_reads_as_text(token):
    (label,) = drawable([token])
    assert "\n" not in label
    assert len(label.replace(r"\$", "$")) <= LONGEST + 4 * len("⟨10FFFF⟩")
    unescaped = label.replace(r"\$", "")
    assert "$" not in unescaped
    assert all(c.isprintable() or c in "\u200c\u200d" or ord(c) > 0x2000 for c in label)
    assert bool(label) == bool(visible(token))


def test_what_hides_is_shown():
    assert visible("\u202eabc") == "⟨202E⟩abc"
    assert visible("a\x00b") == "a⟨0000⟩b"
    assert visible("\ud83d") == "⟨D83D⟩"
    assert visible("a\u00a0b") == "a␣b"
    assert visible("می\u200cخواهم") == "می\u200cخواهم"  # Persian is written with it
    assert visible("\u0301") == "◌\u0301"
    assert visible(7) == "7"


@pytest.mark.parametrize(
    "blank", ["\ufe0f", "\u200d", "\u200c", "\u3164", "\u2800", "\u115f", "\u034f"]
)
def test_a_blank_token_shows_its_code_point(blank):
    assert visible(blank) == f"⟨{ord(blank):04X}⟩"


def test_an_empty_token_shows_that_it_is_there():
    assert visible("") == "⟨⟩"


def test_a_joiner_stays_where_it_joins():
    for word in ("می\u200cخواهم", "\U0001f469\u200d\U0001f467", "क्\u200d"):
        assert visible(word) == word
    assert visible("می\u200c") == "می⟨200C⟩"
    assert visible("\u2764\ufe0f") == "\u2764"


def test_a_missing_glyph_is_named_and_its_code_point_drawn():
    with pytest.warns(MissingGlyphs, match=r"U\+10FFFD.*install a font"):
        assert drawable(["a\U0010fffd"]) == ["a⟨10FFFD⟩"]
    with pytest.warns(MissingGlyphs, match="and 3 more"):
        (label,) = drawable(["".join(map(chr, range(0x10FFF0, 0x10FFF8)))])
    assert label == "⟨10FFF0⟩⟨10FFF1⟩⟨10FFF2⟩…"


def test_common_scripts_need_no_warning_and_no_code_points():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names = ["ä", "λ", "й", "שלום", "مرحبا", "հայ", "ქ", "中文", "한국", "नमस्ते", "ไทย"]
        assert drawable(names) == names


def test_a_font_installed_after_matplotlib_made_its_list_is_found(monkeypatch):
    """Matplotlib keeps its list from run to run, and looks for new fonts only by their names."""
    manager = tokens.font_manager.fontManager
    old = [font for font in manager.ttflist if font.name in mpl.rcParams["font.sans-serif"]]
    known = {"sans-serif", *(font.name for font in old)}  # `old` will grow
    caches = (tokens._known_fonts, tokens._new_fonts, tokens._search)
    monkeypatch.setattr(manager, "ttflist", old)
    for cache in caches:
        cache.cache_clear()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert drawable(["ไทย"]) == ["ไทย"]
        assert set(families(["ไทย"])) - known
    finally:
        for cache in caches:
            cache.cache_clear()


def test_no_glyph_is_missing_in_what_is_drawn():
    """Drawing would warn, and warnings are errors here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingGlyphs)
        names = drawable(["中文", "नमस्ते", "😀", "שלום"])
    figure = plt.figure()
    for name in names:
        figure.text(0.5, 0.5, name, fontfamily=families([name]))
    figure.canvas.draw()


def test_arabic_letters_are_joined_and_run_right_to_left():
    """Joined, a word is narrower than its letters apart; its first letter is at the right."""
    font = mpl.font_manager.FontProperties(family=families(["مرحبا"]))
    word = TextPath((0, 0), "مرحبا", prop=font)
    apart = sum(TextPath((0, 0), letter, prop=font).get_extents().width for letter in "مرحبا")
    assert word.get_extents().width < 0.9 * apart
    alone = TextPath((0, 0), "אב", prop=font)
    aleph = TextPath((0, 0), "א", prop=font)
    right = alone.vertices[alone.vertices[:, 0] > alone.get_extents().width / 2]
    # The glyph at the right has the height of aleph, whichever bet has.
    assert right[:, 1].max() == pytest.approx(aleph.get_extents().y1, abs=0.2)


@pytest.mark.parametrize(
    "padded",
    [
        ["[CLS]", "هذا", "كتاب", "[SEP]", "[PAD]", "[PAD]", "[PAD]", "[PAD]"],
        ["<s>", "שלום", "</s>", "<pad>", "<pad>", "<pad>", "‹pad›"],
        ["<|endoftext|>", "שלום"],
    ],
)
def test_special_tokens_have_no_direction(padded):
    assert reads_right_to_left(padded)


def test_the_direction_is_that_of_most_letters():
    assert reads_right_to_left(["שלום", "GPT", "עולם", "123"])
    assert not reads_right_to_left(["123", "!"])
    assert not reads_right_to_left([])


def test_an_accent_stays_with_its_letter_where_a_label_is_cut():
    (label,) = drawable(["a" * 38 + "e\u0301" + "b" * 20])
    assert label == "a" * 38 + "…"
