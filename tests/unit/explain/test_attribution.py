"""Attributions: exact on functions that can be solved by hand, complete on a real model."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from attention_guide.explain import (
    at_embedding,
    attention_gradients,
    completeness_gap,
    gradient_times_attention,
    integrated_gradients,
    occlusion,
    shapley_sampling,
    shapley_values,
)
from attention_guide.models import Transformer, TransformerConfig

D = torch.float64
few = settings(max_examples=20, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def explained():
    """A Transformer's logit as a score of its source embeddings."""
    torch.manual_seed(0)
    config = TransformerConfig(11, 11, d_model=16, n_heads=2, d_ff=32, n_layers=2)
    model = Transformer(config).eval().double()
    tgt = torch.tensor([[1, 9, 4]])

    def run(src):
        return model(src, tgt.expand(len(src), -1))[:, -1, 6]

    src = torch.tensor([[5, 6, 7, 8, 2]])
    score, x = at_embedding(model.src_embedding, run, src)
    return model, run, src, score, x


def bumpy(x):
    """Not linear, not symmetric, couples all tokens."""
    flat = x.flatten(1)
    return (flat.cumprod(1).sum(1) + flat.square().sum(1)).tanh() + flat[:, 0]


def test_at_embedding_asks_the_model_itself(explained):
    model, run, src, score, x = explained
    torch.testing.assert_close(score(x), run(src))
    torch.testing.assert_close(x, model.src_embedding(src).detach())
    other = torch.tensor([[9, 6, 7, 8, 2]])
    torch.testing.assert_close(score(model.src_embedding(other)), run(other))


def test_at_embedding_leaves_no_hook_behind(explained):
    model, run, src, score, _ = explained
    with pytest.raises(ValueError, match="D = 16"):
        score(torch.zeros(1, 5, 3, dtype=D))
    assert not model.src_embedding._forward_hooks
    assert torch.isfinite(run(src)).all()


def test_at_embedding_refuses_an_embedding_that_runs_twice_or_never(explained):
    model, _, src, _, _ = explained
    twice = nn.Embedding(11, 4)
    with pytest.raises(ValueError, match="it ran 2x"):
        at_embedding(twice, lambda ids: (twice(ids) + twice(ids)).sum((1, 2)), src)
    with pytest.raises(ValueError, match="it ran 0x"):
        at_embedding(model.tgt_embedding, lambda ids: model.encode(ids).sum((1, 2)), src)
    with pytest.raises(ValueError, match="ids"):
        at_embedding(twice, lambda ids: twice(ids).sum((1, 2)), torch.ones(2, 3, dtype=torch.long))
    with pytest.raises(TypeError, match="ids"):
        at_embedding(twice, lambda ids: twice(ids).sum((1, 2)), torch.ones(1, 3))


def test_gauss_is_exact_for_polynomials():
    x = torch.tensor([[[0.5], [2.0], [-1.0]]], dtype=D)
    base = torch.tensor([[[1.0], [0.0], [3.0]]], dtype=D)
    for steps in (1, 2, 3, 8):
        degree = 2 * steps - 1  # of the gradient
        found = integrated_gradients(
            lambda x, n=degree: (x ** (n + 1)).sum((1, 2)), x, base, steps=steps
        )
        expected = x ** (degree + 1) - base ** (degree + 1)
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("baseline", [None, 0.25, "padding"])
@pytest.mark.parametrize("rule", ["gauss", "midpoint"])
def test_integrated_gradients_are_complete(explained, baseline, rule):
    model, _, _, score, x = explained
    baseline = (
        model.src_embedding(torch.tensor([[0]])).detach() if baseline == "padding" else baseline
    )
    found = integrated_gradients(score, x, baseline, steps=200, rule=rule)
    gap = completeness_gap(found, score, x, baseline)
    assert gap.abs().max() < (1e-3 if rule == "gauss" else 5e-3)
    torch.testing.assert_close(completeness_gap(found.sum(-1), score, x, baseline), gap)


def test_the_number_of_rows_at_once_changes_nothing(explained):
    _, _, _, score, x = explained
    pair = torch.cat([x, 0.5 * x])
    whole = integrated_gradients(score, pair, steps=20, batch=1000)
    torch.testing.assert_close(integrated_gradients(score, pair, steps=20, batch=3), whole)
    torch.testing.assert_close(occlusion(score, pair, batch=2), occlusion(score, pair))


def test_integrated_gradients_leave_no_gradient_behind(explained):
    model, _, _, score, x = explained
    integrated_gradients(score, x, steps=2)
    assert all(parameter.grad is None for parameter in model.parameters())
    with torch.no_grad():
        assert integrated_gradients(score, x, steps=2).shape == x.shape


def test_occlusion_is_the_difference_written_out():
    x = torch.randn(2, 4, 3, dtype=D, generator=torch.Generator().manual_seed(0))
    found = occlusion(bumpy, x, 0.5)
    for t in range(4):
        covered = x.clone()
        covered[:, t] = 0.5
        torch.testing.assert_close(found[:, t], bumpy(x) - bumpy(covered))


def test_occlusion_takes_ids_and_needs_to_know_which_one_covers():
    ids = torch.tensor([[4, 7, 1]])
    found = occlusion(lambda ids: ids.double().sum(1), ids, 0)
    assert found.tolist() == [[4.0, 7.0, 1.0]]
    with pytest.raises(ValueError, match="say which id"):
        occlusion(lambda ids: ids.double().sum(1), ids)


@few
@given(st.integers(0, 10**6), st.integers(1, 5), st.floats(-1, 1))
def test_shapley_values_are_efficient_and_equal_the_mean_over_all_orders(seed, size, base):
    x = torch.randn(1, size, 2, dtype=D, generator=torch.Generator().manual_seed(seed))
    found = shapley_values(bumpy, x, base)
    ends = bumpy(torch.cat([x, torch.full_like(x, base)]))
    torch.testing.assert_close(found.sum(1), ends[:1] - ends[1:])
    total = torch.zeros(size, dtype=D)
    for order in itertools.permutations(range(size)):
        now = torch.full_like(x, base)
        for t in order:
            before = bumpy(now)
            now[:, t] = x[:, t]
            total[t] += (bumpy(now) - before).item()
    torch.testing.assert_close(found[0], total / math.factorial(size))


def test_shapley_values_are_symmetric_and_give_a_dummy_nothing():
    x = torch.tensor([[1.0, 1.0, 5.0]], dtype=D)
    found = shapley_values(lambda x: (x[:, 0] * x[:, 1]).exp(), x)
    assert found[0, 0] == pytest.approx(found[0, 1].item())
    assert found[0, 2] == 0


@few
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 4))
def test_each_sampled_order_is_efficient(seed, size, samples):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, size, 2, dtype=D, generator=generator)
    found = shapley_sampling(bumpy, x, samples=samples, generator=generator, batch=7)
    torch.testing.assert_close(found.values.sum(1), bumpy(x) - bumpy(torch.zeros_like(x)))


def test_sampling_comes_to_the_exact_values_within_its_own_error(explained):
    _, _, _, score, x = explained
    generator = torch.Generator().manual_seed(0)
    exact = shapley_values(score, x)
    found = shapley_sampling(score, x, samples=200, generator=generator)
    assert ((found.values - exact).abs() <= 4 * found.standard_error + 1e-12).all()
    assert found.standard_error.max() < exact.abs().max()


def test_sampling_an_additive_score_is_exact_at_once():
    x = torch.tensor([[2.0, 3.0, -1.0]], dtype=D)
    found = shapley_sampling(lambda x: x.sum(1), x, samples=2)
    torch.testing.assert_close(found.values, x)
    torch.testing.assert_close(found.standard_error, torch.zeros_like(x))
    assert shapley_sampling(lambda x: x.sum(1), x, samples=1).standard_error.isnan().all()


def test_gradients_of_attention_are_those_of_finite_differences():
    torch.manual_seed(0)
    config = TransformerConfig(11, 11, d_model=16, n_heads=2, d_ff=32, n_layers=1)
    model = Transformer(config).eval().double()
    src, tgt = torch.tensor([[5, 6, 7, 2]]), torch.tensor([[1, 9]])
    name = "decoder.blocks.0.cross_attention"
    weights, gradient = attention_gradients(model, lambda: model(src, tgt)[:, -1, 4], name)[name]
    layer = model.decoder.blocks[0].cross_attention
    held = weights.clone()

    class Held:
        """Puts weights of ours in the place of the layer's own."""

        def add(self, _own, **_options):
            return held

    layer.recorder = Held()
    try:
        for place in [(0, 0, 0, 0), (0, 1, 1, 2), (0, 1, 0, 3)]:
            ends = []
            for step in (1e-5, -1e-5):
                held = weights.clone()
                held[place] += step
                with torch.no_grad():
                    ends.append(model(src, tgt)[0, -1, 4])
            slope = (ends[0] - ends[1]) / 2e-5
            torch.testing.assert_close(slope, gradient[place], rtol=1e-6, atol=1e-9)
    finally:
        del layer.recorder
    assert all(parameter.grad is None for parameter in model.parameters())
    product = gradient_times_attention(weights, gradient)
    torch.testing.assert_close(product, (weights * gradient).mean(1))
    assert (gradient_times_attention(weights, gradient, positive=True) >= product - 1e-15).all()


def test_gradients_without_a_graph_say_so():
    config = TransformerConfig(11, 11, d_model=16, n_heads=2, d_ff=32, n_layers=1)
    model = Transformer(config).eval().requires_grad_(False)
    src, tgt = torch.tensor([[5, 2]]), torch.tensor([[1]])
    with pytest.raises(RuntimeError, match="no graph"):
        attention_gradients(model, lambda: model(src, tgt)[:, -1, 4])
    with pytest.raises(ValueError, match=r"scores \(B,\)"):
        attention_gradients(model, lambda: model(src, tgt))
    with pytest.raises(ValueError, match="gradients: expected the shape"):
        gradient_times_attention(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 3))
    with pytest.raises(ValueError, match="NaN"):
        gradient_times_attention(torch.ones(1, 1, 1, 1), torch.full((1, 1, 1, 1), float("nan")))


ASKING = [integrated_gradients, occlusion, shapley_values, shapley_sampling]


@pytest.mark.parametrize("method", ASKING)
@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (torch.zeros(0, 3, 2), ValueError, "no axis 0"),
        (torch.zeros(1, 0, 2), ValueError, "no axis 0"),
        (torch.zeros(3), ValueError, r"\(B, T, ...\)"),
        (torch.full((1, 2, 1), float("nan")), ValueError, "finite"),
        (torch.full((1, 2, 1), float("inf")), ValueError, "finite"),
        ([[1.0, 2.0]], TypeError, "torch.Tensor"),
        (None, TypeError, "torch.Tensor"),
    ],
)
def test_hostile_inputs_are_named(method, x, error, message):
    with pytest.raises(error, match=message):
        method(lambda x: x.flatten(1).sum(1), x)


@pytest.mark.parametrize("method", ASKING)
def test_hostile_scores_are_named(method):
    x = torch.ones(2, 3, 2)
    with pytest.raises(ValueError, match=r"score: expected to return \(B,\)"):
        method(lambda x: x.sum(), x)
    with pytest.raises(ValueError, match=r"score: expected to return \(B,\)"):
        method(lambda x: x.sum(-1), x)
    with pytest.raises(ValueError, match="score: expected finite"):
        method(lambda x: x.flatten(1).sum(1) * float("nan"), x)
    with pytest.raises(TypeError, match="score: expected to return a tensor"):
        method(lambda x: 3.0, x)


@pytest.mark.parametrize("method", ASKING)
def test_hostile_baselines_are_named(method):
    def score(x):
        return x.flatten(1).sum(1)

    x = torch.ones(1, 3, 2)
    with pytest.raises(ValueError, match="baseline: expected a shape that broadcasts"):
        method(score, x, torch.zeros(1, 4, 2))
    with pytest.raises(TypeError, match=r"baseline: expected torch\.float32"):
        method(score, x, torch.zeros(1, 3, 2, dtype=D))
    with pytest.raises(ValueError, match="baseline: expected finite"):
        method(score, x, torch.full((1, 3, 2), float("nan")))


def test_wrong_counts_are_named():
    def score(x):
        return x.flatten(1).sum(1)

    x = torch.ones(1, 3, 2)
    for call, message in [
        (lambda: integrated_gradients(score, x, steps=0), "steps"),
        (lambda: integrated_gradients(score, x, rule="simpson"), "rule"),
        (lambda: integrated_gradients(score, x, batch=0), "batch"),
        (lambda: occlusion(score, x, window=4), "window"),
        (lambda: occlusion(score, x, window=2, stride=3), "stride"),
        (lambda: shapley_sampling(score, x, samples=0), "samples"),
        (lambda: shapley_values(score, torch.ones(1, 17)), "at most 16 tokens"),
        (lambda: completeness_gap(torch.ones(1, 2), score, x), "attribution"),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="floating-point"):
        integrated_gradients(score, torch.ones(1, 3, dtype=torch.long), 0)
    with pytest.raises(RuntimeError, match="no gradient"):
        integrated_gradients(lambda x: x.detach().flatten(1).sum(1), x)
