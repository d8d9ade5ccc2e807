"""What the attributions refuse, each named: inputs, scores, baselines, counts."""

from __future__ import annotations

import math

import pytest
import torch

from attention_guide.explain import (
    completeness_gap,
    integrated_gradients,
    occlusion,
    shapley_sampling,
    shapley_values,
)

D = torch.float64
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
        (torch.ones(1, 2, 1, dtype=torch.bool), TypeError, "x: expected"),
        (torch.ones(1, 2, 1, dtype=torch.complex64), TypeError, "x: expected"),
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
    with pytest.raises(ValueError, match=r"score\(x\): expected \(B,\)"):
        method(lambda x: x.sum(), x)
    with pytest.raises(ValueError, match=r"score\(x\): expected \(B,\)"):
        method(lambda x: x.sum(-1), x)
    with pytest.raises(ValueError, match=r"score\(x\): expected finite"):
        method(lambda x: x.flatten(1).sum(1) * float("nan"), x)
    with pytest.raises(TypeError, match=r"score\(x\): expected a torch.Tensor"):
        method(lambda x: 3.0, x)
    with pytest.raises(TypeError, match="score: expected a function"):
        method(3, x)


@pytest.mark.parametrize("method", ASKING)
@pytest.mark.parametrize("dtype", [torch.int64, torch.bool, torch.complex64])
def test_a_score_that_is_no_real_number_is_refused(method, dtype):
    with pytest.raises(TypeError, match=r"score\(x\): expected a floating-point tensor"):
        method(lambda x: (x.flatten(1).sum(1) > 2.5).to(dtype), torch.ones(2, 3, 2))


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
    for number, error in [(math.nan, ValueError), (1e300, ValueError), ("a", TypeError)]:
        with pytest.raises(error, match="baseline: expected"):
            method(score, x, number)


@pytest.mark.parametrize("method", ASKING[1:])
def test_the_baseline_of_ids_is_an_id(method):
    ids = torch.tensor([[4, 7, 1]], dtype=torch.int8)
    for number, error in [(0.5, TypeError), (1.0, TypeError), (128, ValueError)]:
        with pytest.raises(error, match="baseline: expected"):
            method(lambda ids: ids.double().sum(1), ids, number)


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
    with pytest.raises(TypeError, match="attribution: expected a"):
        completeness_gap([1.0], score, x)
    with pytest.raises(TypeError, match="generator: expected"):
        shapley_sampling(score, x, generator=3)
    with pytest.raises(TypeError, match="floating-point"):
        integrated_gradients(score, torch.ones(1, 3, dtype=torch.long), 0)
    with pytest.raises(RuntimeError, match="no gradient"):
        integrated_gradients(lambda x: x.detach().flatten(1).sum(1), x)
