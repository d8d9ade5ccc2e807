"""Arcs, head view, positions, training: marks are numbers, and nothing is dropped unsaid."""

from __future__ import annotations

import time
from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.collections import QuadMesh

from attention_guide.functional import sinusoidal
from attention_guide.plot import (
    LINE_COLOURS,
    arcs,
    head_view,
    heads,
    heatmap,
    position_similarity,
    training_curves,
)
from attention_guide.plot.pooling import pool

CAUSAL = np.tril(np.ones((3, 3), dtype=bool))
WEIGHTS = np.array([[1.0, 0.0, 0.0], [0.6, 0.4, 0.0], [0.7, 0.01, 0.29]])


@pytest.fixture(autouse=True)
def _own_backend() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


def test_every_weight_of_note_has_an_arc_and_the_rest_are_counted():
    ax = arcs(WEIGHTS, ["a", "b", "c"], mask=CAUSAL, least=0.05).axes[0]
    ends = sorted((p.get_path().vertices[0, 0], p.get_path().vertices[-1, 0]) for p in ax.patches)
    assert ends == [(0.0, 1.0), (0.0, 2.0)]
    assert len(ax.lines) == 3  # each token to itself
    assert ax.get_xlabel().split("\n") == ["5 of 6 weights: those of 0.05 and more;", "3 masked"]


def test_a_look_back_is_above_the_line_and_a_look_ahead_below():
    back = arcs([[0.0, 0.0], [1.0, 0.0]]).axes[0].patches[0]
    ahead = arcs([[0.0, 1.0], [0.0, 0.0]]).axes[0].patches[0]
    assert back.get_path().vertices[1, 1] > 0 > ahead.get_path().vertices[1, 1]


def test_a_larger_weight_is_thicker_and_darker():
    ax = arcs([[0, 0, 0], [0.9, 0, 0], [0.2, 0, 0]]).axes[0]
    small, large = sorted(ax.patches, key=lambda patch: patch.get_linewidth())
    assert large.get_path().vertices[-1, 0] == 1.0
    assert sum(large.get_edgecolor()[:3]) < sum(small.get_edgecolor()[:3])


def test_right_to_left_texts_begin_at_the_right():
    assert arcs(np.eye(2), ["שלום", "עולם"]).axes[0].xaxis_inverted()
    assert not arcs(np.eye(2), np.array(["peace", "world"])).axes[0].xaxis_inverted()
    assert arcs(np.eye(2), ["peace", "world"], right_to_left=True).axes[0].xaxis_inverted()


def test_long_texts_are_pooled_and_the_figure_says_so():
    weights = np.full((1000, 1000), 1e-3)
    weights[900, 17] = 0.8
    ax = arcs(weights).axes[0]
    assert len(ax.patches) == 1
    assert "max of each 21 tokens" in ax.get_xlabel()
    assert len(ax.get_xticks()) <= 12
    assert not arcs(weights, pooling="mean").axes[0].patches


def test_a_line_of_the_head_view_goes_from_query_to_key_in_its_head_s_colour():
    weights = np.zeros((2, 2, 3))
    weights[0, 0, 2] = weights[1, 1, 0] = 1.0
    ax = head_view(weights, ["q0", "q1"], ["k0", "k1", "k2"]).axes[0]
    first, second = ax.lines
    assert [round(y) for y in first.get_ydata()] == [0, 2]
    assert [round(y) for y in second.get_ydata()] == [1, 0]
    assert [line.get_color() for line in ax.lines] == list(LINE_COLOURS[:2])
    assert first.get_linestyle() != second.get_linestyle()
    assert ax.get_xlabel() == "2 of 12 weights: those of 0.1 and more"
    bottom, top = ax.get_ylim()
    assert bottom > top


def test_two_heads_that_agree_stay_two_lines():
    ax = head_view(np.ones((2, 1, 1))).axes[0]
    assert ax.lines[0].get_ydata()[0] != ax.lines[1].get_ydata()[0]


def test_the_head_view_counts_what_is_masked_and_pools_long_sides():
    shown = head_view(WEIGHTS[None], mask=CAUSAL)
    assert "3 pairs masked" in shown.axes[0].get_xlabel()
    long = head_view(np.full((1, 3, 480), 1 / 480), least=0.0)
    assert "max of 1 queries by 10 keys" in long.axes[0].get_xlabel()


def test_head_view_names_what_cannot_be_told_apart():
    weights = np.ones((8, 1, 1))
    with pytest.raises(ValueError, match="expected 1 to 7 of the 8 heads, got 8"):
        head_view(weights)
    assert len(head_view(weights, heads=[7, 2]).axes[0].lines) == 2
    for chosen in ([8], [-1], [0, 0], []):
        with pytest.raises(ValueError, match="heads: expected"):
            head_view(weights, heads=chosen)


@pytest.mark.parametrize("how", ["max", "mean"])
def test_pooling_counts_allowed_cells_only(how):
    rng = np.random.default_rng(0)
    values = rng.random((7, 10))
    allowed = rng.random((7, 10)) > 0.6
    values[~allowed] = 0
    seen = pool(values, allowed, how, longest=4, blocks=4)
    assert (seen.rows, seen.columns) == (2, 3)
    for i in range(4):
        for j in range(4):
            cells = np.s_[2 * i : 2 * i + 2, 3 * j : 3 * j + 3]
            inside = values[cells][allowed[cells]]
            assert seen.allowed[i, j] == bool(len(inside))
            expected = getattr(np, how)(inside) if len(inside) else 0.0
            assert seen.values[i, j] == pytest.approx(expected)


def test_short_maps_are_never_pooled():
    values = np.random.default_rng(0).random((5, 500))
    seen = pool(values, values > -1)
    assert not seen.pooled
    assert seen.values is values


def test_a_map_of_4096_tokens_takes_seconds(tmp_path):
    generator = torch.Generator().manual_seed(0)
    allowed = torch.ones(4096, 4096, dtype=torch.bool).tril()
    scores = 3 * torch.randn(4096, 4096, generator=generator)
    weights = scores.masked_fill(~allowed, float("-inf")).softmax(-1)
    start = time.process_time()
    ax = heatmap(weights, mask=allowed).axes[0]
    ax.figure.savefig(tmp_path / "large.png")
    assert time.process_time() - start < 15
    (mesh,) = [item for item in ax.collections if isinstance(item, QuadMesh)]
    drawn = mesh.get_array()
    assert drawn.shape == (256, 256)
    assert drawn[200, 3] == pytest.approx(weights[3200:3216, 48:64].max().item())
    assert bool(drawn.mask[0, 1])
    assert not drawn.mask[1, 1]  # on the diagonal part of the block may be seen
    assert ax.get_ylabel() == "query, max of 16"
    assert len(ax.get_yticks()) <= 8


def test_a_mean_map_is_ranged_by_what_it_shows():
    weights = np.zeros((600, 600))
    weights[:, 0] = 1.0
    ax = heatmap(weights, pooling="mean", vmax=0.5).axes[0]
    assert ax.collections[0].get_clim() == (0.0, 0.5)
    with pytest.raises(ValueError, match=r"expected values from 0 to 0\.1"):
        heatmap(weights, pooling="mean", vmax=0.1)
    with pytest.raises(ValueError, match="pool"):
        heatmap(weights, pooling="median")


def test_many_heads_of_long_texts_are_pooled_too():
    figure = heads(np.full((2, 300, 300), 1 / 300))
    assert figure.axes[0].get_ylabel() == "query, max of 3"


def test_sinusoidal_positions_depend_on_the_distance_alone():
    figure = position_similarity(sinusoidal(40, 32), title="sinusoidal")
    curve, band = figure.axes[1].lines[0].get_ydata(), figure.axes[1].collections[0]
    assert curve[0] == pytest.approx(1.0)
    vertices = band.get_paths()[0].vertices
    for distance in range(40):
        ends = vertices[vertices[:, 0] == distance][:, 1]
        np.testing.assert_allclose(ends, curve[distance], atol=1e-5)


def test_positions_that_differ_by_place_show_a_band():
    rng = np.random.default_rng(0)
    figure = position_similarity(rng.normal(size=(20, 4)))
    vertices = figure.axes[1].collections[0].get_paths()[0].vertices
    at_one = vertices[vertices[:, 0] == 1.0][:, 1]
    assert np.ptp(at_one) > 0.5
    mesh = figure.axes[0].collections[0]
    assert mesh.get_clim() == (-1.0, 1.0)
    np.testing.assert_allclose(np.diagonal(mesh.get_array()), 1.0)


def test_position_similarity_names_what_does_not_fit():
    for encodings, message in [
        (np.ones(3), r"\(T, D\)"),
        (np.ones((1, 3)), "at least 2"),
        (np.ones((3, 0)), r"\(T, D\)"),
        (np.array([[1.0], [0.0]]), "position 1 is 0"),
        (np.array([[1.0], [np.nan]]), "finite"),
    ]:
        with pytest.raises(ValueError, match=message):
            position_similarity(encodings)


def test_training_curves_share_their_steps_and_keep_their_numbers():
    figure = training_curves(
        [3.0, 2.0, 1.0], rate=[0.1, 0.2, 0.3], grad_norm=[1, 9, 2], every=10, clip=1.0, smooth=1,
        held_out={30: 1.1}, title="run",
    )  # fmt: skip
    loss, rate, norm = figure.axes
    assert rate.lines[0].get_xdata().tolist() == [10, 20, 30]
    assert rate.lines[0].get_ydata().tolist() == [0.1, 0.2, 0.3]
    assert norm.lines[0].get_ydata().tolist() == [1, 9, 2]
    assert norm.lines[1].get_ydata()[0] == 1.0
    assert loss.lines[0].get_ydata().tolist() == [3.0, 2.0, 1.0]
    assert [ax.get_xlabel() for ax in figure.axes] == ["", "", "training step"]
    assert len(training_curves([1.0]).axes) == 1
    with pytest.raises(ValueError, match="rate: expected"):
        training_curves([1.0, 2.0], rate=[0.1])
    with pytest.raises(ValueError, match="clip: expected grad_norm"):
        training_curves([1.0, 2.0], clip=1.0)


@pytest.mark.parametrize("draw", [arcs, lambda w, **k: head_view(np.asarray(w)[None], **k)])
def test_views_name_what_does_not_fit(draw):
    for weights, options, message in [
        ([[np.nan, 0.0], [0.0, 1.0]], {}, "NaN in row 0"),
        ([[2.0, 0.0], [0.0, 1.0]], {}, "expected values from 0 to 1"),
        (np.eye(2), {"least": 2.0}, "least"),
        (np.eye(2), {"mask": np.zeros((2, 2), dtype=bool)}, "hide a leak"),
        (np.eye(2), {"pooling": "median"}, "^pooling: expected"),
    ]:
        with pytest.raises(ValueError, match=message):
            draw(weights, **options)


def test_shapes_and_counts_of_views_are_named():
    with pytest.raises(ValueError, match=r"weights: expected \(T, T\)"):
        arcs(np.ones((2, 3)) / 3)
    with pytest.raises(ValueError, match="neither of them 0"):
        arcs(np.ones((0, 0)))
    with pytest.raises(ValueError, match="tokens: expected T = 2"):
        arcs(np.eye(2), ["a"])
    with pytest.raises(ValueError, match=r"\(H, T, S\)"):
        head_view(np.eye(2))
    with pytest.raises(ValueError, match="key_tokens: expected S = 2"):
        head_view(np.eye(2)[None], None, ["a"])
    with pytest.raises(TypeError, match="real numbers"):
        arcs([["a"]])
    with pytest.raises(ValueError, match="columns"):
        heads(np.eye(2)[None], columns=0)
    with pytest.raises(ValueError, match="vmin"):
        heatmap(np.eye(2), vmin=1.0, vmax=1.0)
