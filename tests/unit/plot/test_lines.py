"""Curves: colour never stands alone, and every number reaches the axes unchanged."""

from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from attention_guide.plot import LINE_COLOURS, LINE_STYLES, OKABE_ITO, curves, loss_curve


@pytest.fixture(autouse=True)
def _own_backend() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


def test_lines_differ_in_colour_dash_and_marker():
    series = {str(n): [n, n + 1.0] for n in range(len(LINE_COLOURS))}
    lines = curves(series, x_label="x", y_label="y").axes[0].lines
    for trait in ("get_color", "get_marker"):
        assert len({getattr(line, trait)() for line in lines}) == len(series)
    assert len({repr(style) for style in LINE_STYLES}) == len(series)
    assert [line.is_dashed() for line in lines] == [False] + [True] * (len(series) - 1)
    assert {line.get_color() for line in lines} <= set(OKABE_ITO.values())


def test_curves_carry_the_numbers_and_their_names():
    figure = curves({"a": [1.0, 4.0], "b": [2.0, 3.0]}, x=[8, 64], x_label="width", y_label="error")
    ax = figure.axes[0]
    assert [line.get_ydata().tolist() for line in ax.lines] == [[1.0, 4.0], [2.0, 3.0]]
    assert ax.lines[0].get_xdata().tolist() == [8.0, 64.0]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("width", "error")


def test_bands_take_the_colour_of_their_curve():
    band = {"b": ([1.0, 2.0], [3.0, 4.0])}
    ax = curves({"a": [1, 1], "b": [2, 3]}, x_label="x", y_label="y", bands=band).axes[0]
    (patch,) = ax.collections
    assert mpl.colors.to_hex(patch.get_facecolor()[0]) == LINE_COLOURS[1].lower()
    assert patch.get_paths()[0].get_extents().ymax == 4.0


def test_logarithmic_ticks_are_plain_numbers():
    ax = curves(
        {"a": [1.0, 10.0]}, x=[1, 256], x_label="x", y_label="y",
        log_x=True, log_y=True, x_ticks=[1, 256], reference=("chance", 5.0),
    ).axes[0]  # fmt: skip
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "256"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "chance"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"series": {}}, "expected 1 to 7 curves, got 0"),
        ({"series": {str(n): [1.0] for n in range(8)}}, "expected 1 to 7 curves, got 8"),
        ({"series": {"a": [1.0, 2.0], "b": [1.0]}}, r"series\['b'\]: expected N = 2 values, got 1"),
        ({"series": {"a": [1.0]}, "x": [1, 2]}, r"series\['a'\]: expected N = 2"),
        ({"series": {"a": [[1.0]]}}, r"series\['a'\]: expected a vector"),
        ({"series": {"a": [1.0]}, "bands": {"b": ([0], [1])}}, "no curve is named 'b'"),
        ({"series": {"a": [1.0]}, "bands": {"a": ([0, 0], [1, 1])}}, r"bands\['a'\]: expected N"),
    ],
)
def test_wrong_curves_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        curves(**arguments, x_label="x", y_label="y")


def test_running_mean_looks_back_only():
    losses = np.array([8.0, 4.0, 0.0, 0.0, 0.0])
    ax = loss_curve(losses, smooth=3, every=5).axes[0]
    raw, mean = ax.lines
    np.testing.assert_allclose(raw.get_ydata(), losses)
    np.testing.assert_allclose(mean.get_ydata(), [8, 6, 4, 4 / 3, 0])
    assert mean.get_xdata().tolist() == [5, 10, 15, 20, 25]


def test_held_out_losses_stand_at_their_steps():
    ax = loss_curve([3.0, 2.0], smooth=1, held_out={1: 3.5, 2: 2.5}, log_y=True, title="run").axes[
        0
    ]
    assert list(ax.lines[1].get_xdata()) == [1, 2]
    assert list(ax.lines[1].get_ydata()) == [3.5, 2.5]
    assert ax.get_yscale() == "log"


@pytest.mark.parametrize("arguments", [{"every": 0}, {"smooth": 0}])
def test_counts_below_one_are_refused(arguments):
    with pytest.raises(ValueError, match="every and smooth: expected at least 1"):
        loss_curve([1.0], **arguments)


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="losses: expected a vector"):
        loss_curve([])


def test_a_step_that_diverged_is_a_gap_and_not_the_end_of_the_mean():
    losses = [1.0, np.nan, 1.0, 1.0, np.inf, 3.0, 5.0]
    mean = loss_curve(losses, smooth=2).axes[0].lines[1].get_ydata()
    np.testing.assert_array_equal(mean, [1, np.nan, np.nan, 1, np.nan, np.nan, 4])


@pytest.mark.parametrize("values", [[], [[1.0]], ["a"], None, {"a": 1}, 1.0])
def test_hostile_series_are_named(values):
    for draw in (
        lambda: curves({"mine": values}, x_label="x", y_label="y"),
        lambda: loss_curve(values),
    ):
        with pytest.raises((TypeError, ValueError), match=r"mine|losses"):
            draw()


def test_curves_without_a_finite_number_are_drawn_empty():
    figure = curves({"a": [np.nan, np.nan]}, x_label="x", y_label="y", log_y=True)
    figure.canvas.draw()
