"""Norms and feed-forwards against their formulas, and initialisation against its statistics."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attention_guide.layers import (
    FeedForward,
    GatedFeedForward,
    LayerNorm,
    MultiHeadAttention,
    RMSNorm,
    TokenEmbedding,
    depth_scaled_init,
    layer_norm,
    rms_norm,
    xavier_init,
)


@pytest.mark.parametrize("shape", [(8,), (3, 8), (2, 3, 8), (0, 8)])
def test_modules_compute_the_reference(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.float64) * 3 + 1
    for norm, reference in ((LayerNorm(8, eps=1e-3), layer_norm), (RMSNorm(8, eps=1e-3), rms_norm)):
        norm = norm.double()
        for parameter in norm.parameters():
            nn.init.normal_(parameter)
        expected = reference(x, *norm.parameters(), eps=1e-3)
        assert torch.allclose(norm(x), expected, rtol=0, atol=1e-12)


def test_layer_norm_has_mean_zero_and_variance_one() -> None:
    y = layer_norm(torch.randn(5, 64, dtype=torch.float64) * 7 - 3, eps=0.0)
    assert torch.allclose(y.mean(-1), torch.zeros(5, dtype=torch.float64), atol=1e-12)
    assert torch.allclose(y.var(-1, correction=0), torch.ones(5, dtype=torch.float64))


def test_rms_norm_keeps_the_direction_and_ignores_the_size() -> None:
    x = torch.randn(5, 64, dtype=torch.float64)
    assert torch.allclose(rms_norm(x, eps=0.0), rms_norm(100 * x, eps=0.0))
    assert torch.allclose(F.cosine_similarity(rms_norm(x), x), torch.ones(5, dtype=torch.float64))


def test_layer_norm_without_bias_has_one_parameter() -> None:
    assert [name for name, _ in LayerNorm(4, bias=False).named_parameters()] == ["weight"]


@pytest.mark.parametrize("make", [LayerNorm, RMSNorm])
def test_a_wrong_width_is_named(make: type[nn.Module]) -> None:
    with pytest.raises(ValueError, match=r"x: expected \(..., D\) with D = 4; got \(2, 5\)"):
        make(4)(torch.ones(2, 5))


def test_feed_forward_is_the_formula() -> None:
    layer = FeedForward(4, 6).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64)
    hidden = (x @ layer.up_proj.weight.T + layer.up_proj.bias).clamp(min=0)
    assert torch.allclose(layer(x), hidden @ layer.down_proj.weight.T + layer.down_proj.bias)


def test_gated_feed_forward_is_the_formula() -> None:
    layer = GatedFeedForward(4, 6).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64)
    gate = x @ layer.gate_proj.weight.T
    hidden = gate * gate.sigmoid() * (x @ layer.up_proj.weight.T)
    assert torch.allclose(layer(x), hidden @ layer.down_proj.weight.T)


def test_two_thirds_of_the_width_make_equal_parameters() -> None:
    plain, gated = FeedForward(6, 24, bias=False), GatedFeedForward(6, 16)
    sizes = [sum(p.numel() for p in layer.parameters()) for layer in (plain, gated)]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("make", [FeedForward, GatedFeedForward])
def test_feed_forwards_work_position_by_position_and_drop_in_training(make: type) -> None:
    layer, x = make(4, 64, dropout=0.5), torch.randn(2, 5, 4)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.allclose(layer(x)[:, 2], layer(x[:, 2]), atol=1e-6)
    with pytest.raises(ValueError, match=r"x: expected \(..., D\) with D = 4; got \(2, 5\)"):
        layer(torch.ones(2, 5))
    with pytest.raises(TypeError, match="x: expected a floating-point"):
        layer(torch.ones(2, 4, dtype=torch.long))


def test_xavier_keeps_the_variance() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(*(nn.Linear(256, 256) for _ in range(4)))
    xavier_init(model)
    assert 0.8 < model(torch.randn(512, 256)).var().item() < 1.25
    assert all(not layer.bias.any() for layer in model)


def test_xavier_bound_and_embeddings() -> None:
    torch.manual_seed(0)
    model = nn.ModuleDict({"linear": nn.Linear(100, 50), "table": TokenEmbedding(1000, 64)})
    xavier_init(model)
    bound = math.sqrt(6 / 150)
    assert 0.99 * bound < model["linear"].weight.abs().max().item() <= bound
    assert model["table"](torch.arange(1000)[None]).std().item() == pytest.approx(1, abs=0.02)


def test_depth_scaling_touches_the_residual_writers_alone() -> None:
    torch.manual_seed(0)
    model = nn.ModuleDict({"attention": MultiHeadAttention(128, 4), "ff": FeedForward(128, 512)})
    depth_scaled_init(model, n_layers=8, std=0.1)
    for name, parameter in model.named_parameters():
        if name.endswith("weight"):
            writes = "out_proj" in name or "down_proj" in name
            expected = 0.1 / 4 if writes else 0.1
            assert parameter.std().item() == pytest.approx(expected, rel=0.05), name
        else:
            assert not parameter.any(), name
    with pytest.raises(ValueError, match="n_layers: expected an int of at least 1; got 0"):
        depth_scaled_init(model, 0)
