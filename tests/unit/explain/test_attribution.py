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
    completeness_gap,
    comprehensiveness,
    deletion_curve,
    insertion_curve,
    integrated_gradients,
    occlusion,
    shapley_sampling,
    shapley_values,
    sufficiency,
)
from attention_guide.models import T5, T5Config, Transformer, TransformerConfig

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


def test_at_embedding_leaves_no_hook_behind():
    embedding, fails = nn.Embedding(11, 4), False

    def run(ids):
        found = embedding(ids).sum((1, 2))
        if fails:
            raise RuntimeError("after the hook")
        return found

    score, x = at_embedding(embedding, run, torch.tensor([[5, 6]]))
    fails = True
    with pytest.raises(RuntimeError, match="after the hook"):
        score(x)
    assert not embedding._forward_hooks


def test_at_embedding_s_score_takes_nothing_but_such_embeddings(explained):
    _, _, _, score, x = explained
    for wrong, error, message in [
        (torch.zeros(2, 1, 16, dtype=D), ValueError, "x: expected .* with T = 5"),
        (torch.zeros(1, 5, 3, dtype=D), ValueError, "x: expected .* with D = 16"),
        (x[0], ValueError, r"x: expected \(B, T, D\)"),
        (x.float(), TypeError, "x: expected torch.float64"),
        ([[1.0]], TypeError, "x: expected a torch.Tensor"),
    ]:
        with pytest.raises(error, match=message):
            score(wrong)


def test_at_embedding_names_what_does_not_fit():
    embedding, ids = nn.Embedding(11, 4), torch.tensor([[5, 6]])
    flat = nn.Flatten(0, 1)
    for module, run, error, message in [
        (embedding, 3, TypeError, "run: expected a function"),
        (3, embedding, TypeError, "embedding: expected a Module"),
        (flat, lambda ids: flat(embedding(ids)).sum(), ValueError, r"embedding\(ids\): expected"),
    ]:
        with pytest.raises(error, match=message):
            at_embedding(module, run, ids)


def test_at_embedding_of_a_module_that_embeds_source_and_target():
    torch.manual_seed(0)
    config = T5Config(11, d_model=8, d_head=4, n_heads=2, d_ff=16, n_layers=2)
    model, tgt = T5(config).double().eval(), torch.tensor([[0, 9, 6]])

    def run(src):
        return model(src, tgt.expand(len(src), -1))[:, -1, 4]

    src, other = torch.tensor([[5, 6, 7, 1]]), torch.tensor([[8, 6, 7, 1]])
    score, x = at_embedding(model.embedding, run, src)
    torch.testing.assert_close(x, model.embedding(src).detach())
    torch.testing.assert_close(score(x), run(src))
    torch.testing.assert_close(score(model.embedding(other)), run(other))
    decoded, y = at_embedding(model.embedding, lambda t: model(src, t)[:, -1, 4], tgt)
    torch.testing.assert_close(decoded(y), run(src))
    assert y.shape == (1, 3, 8)


def test_at_embedding_refuses_an_embedding_that_runs_twice_or_never(explained):
    model, _, src, _, _ = explained
    twice = nn.Embedding(11, 4)
    with pytest.raises(ValueError, match="it ran 2x"):
        at_embedding(twice, lambda ids: (twice(ids) + twice(ids)).sum((1, 2)), src)
    with pytest.raises(ValueError, match="it ran 2x, 0x on ids"):
        at_embedding(twice, lambda ids: (twice(ids.clone()) + twice(ids.clone())).sum((1, 2)), src)
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


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
def test_a_call_of_the_score_has_at_most_batch_rows_in_memory(batch, monkeypatch):
    """Neither more rows in a call, nor more made before it."""
    x, made, where = torch.ones(5, 4, 2), [], torch.where

    def score(x):
        made.append(len(x))
        return x.flatten(1).sum(1)

    def counted(*arguments):
        made.append(len(where(*arguments)))
        return where(*arguments)

    monkeypatch.setattr(torch, "where", counted)
    integrated_gradients(score, x, steps=3, batch=batch)
    for method in (occlusion, shapley_values, shapley_sampling):
        method(score, x, batch=batch)
    for method in (deletion_curve, insertion_curve, comprehensiveness, sufficiency):
        method(score, x, x.sum(-1), batch=batch)
    assert max(made) <= batch


def test_integrated_gradients_of_16_bits_are_summed_in_more():
    x = torch.linspace(-2, 2, 12).view(1, 4, 3).bfloat16()
    for rule in ("gauss", "midpoint"):
        found = integrated_gradients(lambda x: x.float().sum((1, 2)), x, rule=rule)
        assert torch.equal(found, x)


def test_a_gap_of_nothing_is_refused():
    x = torch.ones(1, 2, 3)
    with pytest.raises(ValueError, match="attribution: expected finite"):
        completeness_gap(x * math.nan, lambda x: x.sum((1, 2)), x)


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
