"""Equal to captum on the same model and the same baselines, in float64."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from attention_guide.explain import (
    at_embedding,
    integrated_gradients,
    occlusion,
    shapley_sampling,
    shapley_values,
)
from attention_guide.models import Transformer, TransformerConfig

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from captum.attr import IntegratedGradients, Occlusion, ShapleyValues, ShapleyValueSampling

BOUND = 1e-10
baselines = pytest.mark.parametrize("which", ["zeros", "padding"])


@pytest.fixture
def in_float64(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Captum rounds its own weights to float32 whatever the inputs; here it may not."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    monkeypatch.setattr(Tensor, "float", Tensor.double)
    monkeypatch.setattr(torch, "float", torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(scope="module")
def model() -> Transformer:
    torch.manual_seed(0)
    config = TransformerConfig(13, 13, d_model=16, n_heads=4, d_ff=32, n_layers=2)
    return Transformer(config).eval().double()


@pytest.fixture(scope="module")
def scored(model: Transformer) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    tgt = torch.tensor([[1, 9, 4]])

    def run(src: Tensor) -> Tensor:
        return model(src, tgt.expand(len(src), -1))[:, -1].log_softmax(-1)[:, 6]

    score, x = at_embedding(model.src_embedding, run, torch.tensor([[5, 6, 7, 8, 2]]))
    # Two items, so that a mix-up between rows would show.
    return score, torch.cat([x, x.roll(1, dims=1)])


def baseline_of(which: str, model: Transformer, x: Tensor) -> Tensor | None:
    if which == "zeros":
        return None
    return model.src_embedding(torch.zeros(1, 1, dtype=torch.long)).detach().expand_as(x).clone()


def per_token(x: Tensor) -> Tensor:
    """One player a token, in captum's words."""
    return torch.arange(x.shape[1])[None, :, None].expand_as(x[:1]).contiguous()


@pytest.mark.usefixtures("in_float64")
@baselines
@pytest.mark.parametrize(
    ("rule", "theirs"), [("gauss", "gausslegendre"), ("midpoint", "riemann_middle")]
)
@pytest.mark.parametrize("steps", [2, 7, 50])
def test_integrated_gradients(model, scored, parity_record, which, rule, theirs, steps):
    score, x = scored
    baseline = baseline_of(which, model, x)
    expected = IntegratedGradients(score).attribute(x, baseline, n_steps=steps, method=theirs)
    found = integrated_gradients(score, x, baseline, steps=steps, rule=rule)
    error = (found - expected).abs().max().item()
    parity_record("captum", f"integrated gradients, {rule}", "float64", error, BOUND)


@pytest.mark.usefixtures("in_float64")
@baselines
@pytest.mark.parametrize(("window", "stride"), [(1, 1), (2, 1), (3, 2), (2, 2), (5, 1)])
def test_occlusion(model, scored, parity_record, which, window, stride):
    score, x = scored
    baseline = baseline_of(which, model, x)
    width = x.shape[-1]
    expected = Occlusion(score).attribute(
        x, sliding_window_shapes=(window, width), strides=(stride, width), baselines=baseline
    )
    found = occlusion(score, x, baseline, window=window, stride=stride)
    error = (found[..., None] - expected).abs().max().item()
    parity_record("captum", "occlusion", "float64", error, BOUND)


@pytest.mark.usefixtures("in_float64")
@baselines
def test_exact_shapley_values(model, scored, parity_record, which):
    score, x = scored
    baseline = baseline_of(which, model, x)
    expected = ShapleyValues(score).attribute(x, baseline, feature_mask=per_token(x))
    error = (shapley_values(score, x, baseline)[..., None] - expected).abs().max().item()
    parity_record("captum", "Shapley values", "float64", error, BOUND)


def test_two_samplers_agree_within_their_errors(scored):
    score, x = scored
    torch.manual_seed(0)
    expected = ShapleyValueSampling(score).attribute(x, feature_mask=per_token(x), n_samples=150)
    found = shapley_sampling(score, x, samples=150, generator=torch.Generator().manual_seed(1))
    # Both means have the same error, so their difference has sqrt(2) of it.
    spread = found.standard_error * 2**0.5
    assert ((found.values - expected[..., 0]).abs() <= 4.5 * spread + 1e-12).all()
