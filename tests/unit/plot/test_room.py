"""Nothing lies on anything else: labels have room, strips have height, and dark paper has ink."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from attention_guide.plot import arcs, curves, head_view, heads, heatmap
from attention_guide.plot._room import wrapped
from attention_guide.plot.style import luminance

WORDS = ["which", "where", "women", "maybe", "could", "would"]
CJK = ["注意力机制", "人工智能网", "机器学习的", "深度学习的", "自然语言处", "语言模型的"]
LONG = ["Donaudampfschifffahrtsgesellschaftskapitän"] * 8


@pytest.fixture(autouse=True)
def _own_backend() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


def _boxes(ax, axis):
    ax.figure.draw_without_rendering()
    labels = getattr(ax, f"get_{axis}ticklabels")()
    return [label.get_window_extent() for label in labels if label.get_visible()]


def _given(names):
    _, panels = plt.subplots(1, 2)
    return heatmap(np.eye(len(names)), names, names, ax=panels[0])


@pytest.mark.parametrize("names", [WORDS, WORDS * 2, CJK * 2, [*"abcdefghij", "10", "11"]])
@pytest.mark.parametrize("draw", [
    lambda names: heatmap(np.eye(len(names)), names, names),
    lambda names: heads([np.eye(len(names))] * 4, names, names, columns=1),
    lambda names: heads([np.eye(len(names))] * 4, names, names, columns=4),
    lambda names: arcs(np.eye(len(names)), names),
    _given,
])  # fmt: skip
def test_labels_of_neighbouring_keys_do_not_touch(draw, names):
    figure = draw(names)
    ax = figure.axes[3 if len(figure.axes) > 3 else 0]
    boxes = _boxes(ax, "x")
    upright = ax.get_xticklabels()[0].get_rotation() == 90
    assert len(boxes) > 1
    for left, right in pairwise(boxes):
        # Upright, the box has room for accents and tails; letters are lower than 7 points.
        room = (right.x0 - left.x0) * 72 / figure.dpi - 7 if upright else right.x0 - left.x1
        assert room >= 0


def test_long_labels_of_the_rows_of_small_panels_do_not_touch():
    figure = heads([np.eye(8)] * 12, LONG, LONG)
    size = figure.axes[0].get_yticklabels()[0].get_size() / 72 * figure.dpi
    boxes = _boxes(figure.axes[0], "y")
    assert len(boxes) == 8
    for upper, lower in pairwise(boxes):
        assert upper.y0 - lower.y0 >= size


@pytest.mark.parametrize("shape", [(1, 128), (1, 600), (3, 200), (128, 1)])
def test_a_few_queries_by_many_keys_are_not_a_thread(shape):
    """Each cell of the short side has room for its label."""
    for ax in (
        heatmap(np.full(shape, 0.1)).axes[0],
        heads(np.full((4, *shape), 0.1)).axes[0],
    ):
        ax.figure.draw_without_rendering()
        box = ax.get_window_extent()
        assert min(box.width, box.height) / ax.figure.dpi >= max(0.38, 0.15 * min(shape))


def test_square_maps_keep_square_cells_and_strips_have_no_lines_that_hide_them():
    assert heatmap(np.eye(7)).axes[0].get_aspect() == 1.0
    assert heatmap(np.ones((1, 3))).axes[0].get_aspect() == 1.0
    strip = heatmap(np.full((1, 128), 0.1)).axes[0]
    assert not np.array_equal(strip.collections[0].get_edgecolors()[0], np.ones(4))
    assert not [text for text in heatmap(np.full((1, 60), 0.1)).axes[0].texts if text.get_text()]


def test_a_note_is_broken_between_its_clauses_and_a_formula_nowhere():
    figure = head_view(np.eye(600)[None], mask=np.eye(600, dtype=bool))
    assert figure.axes[0].get_xlabel().split("\n")[0].endswith(" and more;")
    assert wrapped("see $a + b$ here", 0.6, 10) == "see\n$a + b$\nhere"
    assert wrapped("注意力机制", 0.3, 10) == "注意\n力机\n制"


def _bright(colour):
    return luminance(np.array(mpl.colors.to_rgba(colour)))


def test_on_a_dark_background_the_strong_is_bright_and_black_is_white():
    with plt.style.context("dark_background"):
        ax = arcs([[0, 0, 0], [0.9, 0, 0], [0.2, 0, 0]]).axes[0]
        view = head_view([[[1.0]]] * 7).axes[0]
        lines = curves({str(n): [1, 2] for n in range(7)}, x_label="x", y_label="y").axes[0].lines
    weak, strong = sorted(ax.patches, key=lambda patch: patch.get_linewidth())
    assert _bright(strong.get_edgecolor()) > 0.3 > _bright(weak.get_edgecolor()) > 0.05
    assert _bright(ax.collections[0].get_facecolor()[0]) == 1.0  # the tokens
    for colour in [line.get_color() for line in (*view.lines, *lines)]:
        assert _bright(colour) > 0.1
    assert view.get_legend().get_lines()[6].get_color() == view.lines[6].get_color()
