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


def test_held_out_losses_are_joined_in_the_order_of_their_steps():
    line = (
        loss_curve([3.0, 2.0], smooth=1, held_out={600: 1.2, 100: 3.0, 300: 1.7}).axes[0].lines[1]
    )
    assert list(line.get_xdata()) == [100, 300, 600]
    assert list(line.get_ydata()) == [3.0, 1.7, 1.2]


def test_the_legend_of_many_curves_stands_beside_them():
    figure = curves({f"curve {n}": [n, n] for n in range(7)}, x_label="x", y_label="y")
    figure.draw_without_rendering()
    ax = figure.axes[0]
    legend = ax.get_legend().get_window_extent()
    assert legend.x0 >= ax.get_window_extent().x1
    assert legend.x1 <= figure.bbox.x1
    _, given = plt.subplots()
    many = {f"curve {n}": [n, n] for n in range(7)}
    curves(many, x_label="x", y_label="y", ax=given)
    assert given.get_legend().get_frame_on()  # no room beside them, so it hides what it lies on


def test_a_name_with_an_underscore_is_in_the_legend():
    figure = curves({"_a": [1, 2], "b": [2, 3]}, x_label="x", y_label="y", reference=("_c", 1.5))
    names = [text.get_text().strip() for text in figure.axes[0].get_legend().get_texts()]
    assert names == ["_a", "b", "_c"]


@pytest.mark.parametrize(
    ("draw", "name"),
    [
        (lambda: curves({"a": [1, 0]}, x_label="x", y_label="y", log_y=True), r"series\['a'\]"),
        (lambda: curves({"a": [1, 2]}, [0, 1], x_label="x", y_label="y", log_x=True), "x"),
        (lambda: curves({"a": [1]}, x_label="x", y_label="y", log_y=True, reference=("r", 0)),
         "reference"),
        (lambda: loss_curve([1.0, 0.0], log_y=True), "losses"),
        (lambda: loss_curve([1.0], log_y=True, held_out={1: -1.0}), "held_out"),
    ],
)  # fmt: skip
def test_what_a_logarithmic_axis_cannot_show_is_refused(draw, name):
    with pytest.raises(ValueError, match=f"^{name}: expected numbers above 0"):
        draw()


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


@pytest.mark.parametrize("name", ["every", "smooth"])
@pytest.mark.parametrize("count", [0, 2.5])
def test_counts_that_are_no_counts_are_refused(name, count):
    with pytest.raises(ValueError, match=f"{name}: expected a whole number of at least 1, got"):
        loss_curve([1.0], **{name: count})


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
