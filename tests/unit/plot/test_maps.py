"""Attention maps: what is drawn is what was given, and a forbidden cell never looks like a zero."""

from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.collections import QuadMesh
from matplotlib.patches import PathPatch

from attention_guide.plot import heads, heatmap

TOKENS = ["the", "cat", "sat"]
CAUSAL = np.tril(np.ones((3, 3), dtype=bool))
WEIGHTS = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.2, 0.3, 0.5]])


@pytest.fixture(autouse=True)
def _own_backend() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


def _mesh(ax):
    return next(item for item in ax.collections if isinstance(item, QuadMesh))


def test_queries_run_down_and_keys_run_across():
    ax = heatmap(WEIGHTS[:2], ["q0", "q1"], ["k0", "k1", "k2"]).axes[0]
    bottom, top = ax.get_ylim()
    assert bottom > top
    assert [label.get_text() for label in ax.get_yticklabels()] == ["q0", "q1"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["k0", "k1", "k2"]
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("query", "key")


def test_drawn_values_are_the_weights():
    ax = heatmap(WEIGHTS, TOKENS, TOKENS).axes[0]
    np.testing.assert_array_equal(_mesh(ax).get_array(), WEIGHTS)


def test_colour_scale_is_fixed_whatever_the_weights():
    figure = heatmap(WEIGHTS * 0.1, TOKENS, TOKENS)
    assert _mesh(figure.axes[0]).get_clim() == (0.0, 1.0)
    bar = figure.axes[0].child_axes[0]
    assert [label.get_text() for label in bar.get_yticklabels()] == ["0.0", "0.5", "1.0"]


def test_forbidden_cells_are_hatched_and_zeros_are_not():
    ax = heatmap(WEIGHTS, TOKENS, TOKENS, mask=CAUSAL).axes[0]
    drawn = _mesh(ax).get_array()
    np.testing.assert_array_equal(drawn.mask, ~CAUSAL)
    assert not drawn.mask[1, 0]  # a zero that is allowed keeps its colour
    (hatch,) = [patch for patch in ax.patches if isinstance(patch, PathPatch)]
    assert hatch.get_hatch()
    assert len(hatch.get_path().vertices) == 5 * (~CAUSAL).sum()


def test_without_a_forbidden_cell_nothing_is_hatched():
    ax = heatmap(WEIGHTS, TOKENS, TOKENS, mask=np.ones((3, 3), dtype=bool)).axes[0]
    assert not ax.patches


def test_a_leak_is_an_error_and_not_hidden_by_hatching():
    leaking = np.full((3, 3), 1 / 3)
    with pytest.raises(ValueError, match="query 0 may not attend to key 1, but the weight"):
        heatmap(leaking, TOKENS, TOKENS, mask=CAUSAL)


def test_padding_mask_shapes_are_taken_as_they_come():
    padding = torch.tensor([True, True, False]).view(1, 1, 1, 3)
    weights = torch.tensor([[0.5, 0.5, 0.0]] * 3)
    drawn = _mesh(heatmap(weights, mask=padding).axes[0]).get_array()
    np.testing.assert_array_equal(drawn.mask, [[False, False, True]] * 3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_tensors_with_gradient_and_any_dtype_are_drawn(dtype):
    weights = torch.full((2, 2), 0.5, dtype=dtype, requires_grad=True)
    np.testing.assert_array_equal(_mesh(heatmap(weights).axes[0]).get_array(), 0.5)


def test_an_axes_that_was_given_is_drawn_on():
    figure, (left, right) = plt.subplots(1, 2)
    assert heatmap(WEIGHTS, ax=right, colour_bar=False) is figure
    assert not left.collections
    assert right.collections


def test_an_axes_in_a_subfigure_answers_with_the_outer_figure():
    figure = plt.figure()
    part = figure.subfigures(1, 2)[0]
    assert heatmap(WEIGHTS, ax=part.subplots()) is figure


def test_small_maps_carry_their_numbers_and_large_ones_do_not():
    small = heatmap(WEIGHTS, TOKENS, TOKENS, mask=CAUSAL).axes[0]
    assert len([text for text in small.texts if text.get_text()]) == CAUSAL.sum()
    large = heatmap(np.full((9, 9), 1 / 9)).axes[0]
    assert not [text for text in large.texts if text.get_text()]


def test_numbers_have_contrast_on_every_shade():
    def luminance(colour):
        channels = np.array(mpl.colors.to_rgb(colour))
        linear = np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        return float(linear @ [0.2126, 0.7152, 0.0722])

    shades = np.linspace(0, 1, 64).reshape(8, 8)
    ax = heatmap(shades).axes[0]
    for text, value in zip([t for t in ax.texts if t.get_text()], shades.flat, strict=True):
        pair = [luminance(text.get_color()), luminance(mpl.colormaps["cividis"](value))]
        assert (max(pair) + 0.05) / (min(pair) + 0.05) >= 4.5


def test_labels_cannot_become_formulas_or_vanish():
    ax = heatmap([[1.0]], ["$x_1$"], [" "]).axes[0]
    assert ax.get_yticklabels()[0].get_text() == r"\$x_1\$"
    assert ax.get_xticklabels()[0].get_text() == "␣"


def test_long_sequences_get_a_readable_number_of_labels():
    ax = heatmap(np.full((200, 200), 1 / 200)).axes[0]
    assert len(ax.get_xticks()) <= 40
    assert _mesh(ax).get_rasterized()


def test_wide_maps_stay_within_the_page():
    assert heatmap(np.full((50, 50), 1 / 50), ["einundzwanzig"] * 50).get_size_inches()[0] <= 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": np.zeros(3)}, r"weights: expected \(T, S\).*got \(3,\)"),
        ({"weights": np.zeros((0, 3))}, r"weights: expected \(T, S\), neither of them 0"),
        ({"weights": [[np.nan, 1.0]]}, "NaN in row 0"),
        ({"weights": [[3.0, -1.0]]}, "expected values from 0 to 1, got -1 to 3"),
        ({"weights": WEIGHTS, "query_tokens": ["a"]}, "query_tokens: expected T = 3 labels, got 1"),
        ({"weights": WEIGHTS, "key_tokens": ["a"]}, "key_tokens: expected S = 3 labels, got 1"),
        ({"weights": WEIGHTS, "mask": np.ones((2, 2), dtype=bool)}, r"broadcasts to \(T, S\)"),
    ],
)
def test_wrong_values_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        heatmap(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": [["a"]]}, "weights: expected an array of real numbers, got list"),
        ({"weights": WEIGHTS, "mask": np.ones((3, 3))}, "mask: expected bool.*got float64"),
        ({"weights": torch.eye(2, dtype=torch.complex64)}, "weights: expected.*torch.complex64"),
        ({"weights": np.eye(2, dtype=np.complex64)}, "weights: expected.*got complex64"),
    ],
)
def test_wrong_types_are_named(arguments, message):
    with pytest.raises(TypeError, match=message):
        heatmap(**arguments)


def test_scores_can_be_drawn_when_their_range_is_given():
    ax = heatmap([[-4.0, 4.0]], vmin=-4, vmax=4, colour_label="score").axes[0]
    assert _mesh(ax).get_clim() == (-4.0, 4.0)


def test_a_masked_cell_needs_no_place_on_the_colour_bar():
    mask = np.tril(np.ones((2, 2), dtype=bool))
    ax = heatmap([[2.0, 0.0], [3.0, 4.0]], mask=mask, vmin=1, vmax=5).axes[0]
    assert _mesh(ax).get_clim() == (1.0, 5.0)
    with pytest.raises(ValueError, match="expected values from 1 to 3, got 2 to 4"):
        heatmap([[2.0, 0.0], [3.0, 4.0]], mask=mask, vmin=1, vmax=3)


def test_a_number_that_rounds_to_zero_has_no_minus():
    texts = heatmap([[-0.001, 1.0]], vmin=-1).axes[0].texts
    assert [text.get_text() for text in texts if text.get_text()] == ["0.00", "1.00"]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8])
def test_all_heads_are_drawn_the_right_way_up_on_one_scale(count):
    rng = np.random.default_rng(count)
    weights = rng.dirichlet(np.ones(3), size=(count, 2))
    figure = heads(weights, ["q0", "q1"], TOKENS)
    panels = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in panels] == [f"head {head}" for head in range(count)]
    for ax, panel in zip(panels, weights, strict=True):
        np.testing.assert_array_equal(_mesh(ax).get_array(), panel)
        assert _mesh(ax).get_clim() == (0.0, 1.0)
        bottom, top = ax.get_ylim()
        assert bottom > top
    figure.canvas.draw()
    last = panels[-1]
    assert [label.get_text() for label in last.get_xticklabels() if label.get_visible()] == TOKENS


def test_heads_share_a_mask_and_name_what_is_wrong():
    weights = np.stack([WEIGHTS, WEIGHTS])
    figure = heads(weights, TOKENS, TOKENS, mask=CAUSAL, titles=["copy", "blend"], title="layer 0")
    assert all(ax.patches for ax in figure.axes[:2])
    with pytest.raises(ValueError, match=r"weights: expected \(H, T, S\)"):
        heads(WEIGHTS)
    with pytest.raises(ValueError, match="titles: expected H = 2 titles, got 1"):
        heads(weights, titles=["copy"])
    with pytest.raises(ValueError, match="hide a leak"):
        heads(np.full((2, 3, 3), 1 / 3), mask=CAUSAL)


def test_the_same_map_gives_the_same_bytes(tmp_path):
    def draw(name):
        with mpl.rc_context({"svg.hashsalt": "test"}):
            figure = heatmap(WEIGHTS, TOKENS, TOKENS, mask=CAUSAL)
            figure.savefig(tmp_path / name, metadata={"Date": None})
        return (tmp_path / name).read_bytes()

    assert draw("one.svg") == draw("two.svg")
