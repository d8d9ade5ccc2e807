"""The Vision Transformer and its tokens: shapes, pooling, positions at other sizes, counts."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from attention_guide import AttentionRecorder
from attention_guide.layers import GridPositions, PatchEmbedding, PatchTokens
from attention_guide.models import ViT, ViTConfig

TINY = ViTConfig((8, 12), 4, n_classes=5, d_model=16, n_heads=2, d_ff=32, n_layers=2)
VARIANTS = [
    TINY,
    replace(TINY, class_token=False),
    replace(TINY, n_registers=3),
    replace(TINY, class_token=False, n_registers=3, n_classes=0),
]


@pytest.mark.parametrize("config", VARIANTS)
def test_shapes_with_and_without_class_token_and_registers(config: ViTConfig) -> None:
    model, images = ViT(config).eval(), torch.randn(2, 3, 8, 12)
    extra = config.class_token + config.n_registers
    assert model.tokens.n_extra == extra
    assert model.encode(images).shape == (2, extra + 6, 16)
    assert model(images).shape == (2, config.n_classes or 16)
    with AttentionRecorder(model) as maps:
        model(images)
    assert [w.shape for w in maps.values()] == [(2, 2, extra + 6, extra + 6)] * 2


def test_a_patch_is_a_product_with_its_pixels() -> None:
    layer, image = PatchEmbedding(7, 4).double(), torch.randn(2, 3, 8, 12, dtype=torch.float64)
    patch = image[:, :, 4:8, 8:12].flatten(1)  # second row, third column
    by_hand = patch @ layer.proj.weight.flatten(1).T + layer.proj.bias
    assert (layer(image)[:, 5] - by_hand).abs().max() < 1e-12


def test_patches_may_overlap() -> None:
    layer = PatchEmbedding(7, 4, 1, stride=(2, 3))
    assert layer.grid(9, 11) == (3, 3)
    assert layer(torch.randn(1, 1, 9, 11)).shape == (1, 9, 7)


def test_without_positions_a_vit_cannot_tell_patches_apart() -> None:
    model, images = (
        ViT(replace(TINY, class_token=False)).double(),
        torch.randn(1, 3, 8, 12).double(),
    )
    flipped = torch.cat([images[..., 4:8], images[..., :4], images[..., 8:]], dim=-1)
    assert (model(images) - model(flipped)).abs().max() > 1e-4
    torch.nn.init.zeros_(model.tokens.positions.weight)
    assert (model(images) - model(flipped)).abs().max() < 1e-12


def test_the_mean_is_over_the_patches_alone() -> None:
    model = ViT(replace(TINY, class_token=False, n_registers=3))
    tokens = torch.randn(2, 9, 16)
    changed = tokens.clone()
    changed[:, :3] += 1
    assert torch.equal(model.pool(tokens), model.pool(changed))
    assert torch.allclose(model.pool(tokens), tokens[:, 3:].mean(1))


def test_registers_have_no_position_and_stand_after_the_class_token() -> None:
    tokens = PatchTokens(16, (8, 8), 4, n_class_tokens=1, n_registers=2)
    assert tokens.registers is not None
    x = tokens(torch.zeros(1, 3, 8, 8))
    assert torch.equal(x[0, 1:3], tokens.registers)
    assert tokens.positions.weight.shape == (1 + 4, 16)


def test_positions_at_another_size_are_interpolated() -> None:
    positions = GridPositions(2, (2, 2), n_first=1).double()
    with torch.no_grad():
        # A table that is linear in the row stays symmetric about its middle.
        positions.weight.copy_(torch.tensor([[9.0, 9], [0, 0], [0, 0], [1, 1], [1, 1]]))
    zeros = torch.zeros(1, 1 + 16, 2, dtype=torch.float64)
    bigger = positions(zeros, (4, 4))[0]
    assert torch.equal(bigger[0], positions.weight[0])
    rows = bigger[1:].view(4, 4, 2)
    assert torch.allclose(rows, 1 - rows.flip(0))
    assert (rows[:-1] < rows[1:]).all()
    model = ViT(TINY)
    assert model(torch.randn(1, 3, 16, 24)).shape == (1, 5)


def test_every_parameter_learns() -> None:
    model = ViT(replace(TINY, n_registers=1))
    model(torch.randn(2, 3, 8, 12)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


def test_vit_b_16_has_its_published_size() -> None:
    with torch.device("meta"):
        model = ViT(ViTConfig())
    # torchvision's reference page for vit_b_16 gives num_params 86567656; the paper's table 1 86M.
    assert sum(p.numel() for p in model.parameters()) == 86_567_656


def test_vit_b_16_costs_what_is_published() -> None:
    with torch.device("meta"):
        model, image = ViT(ViTConfig()), torch.randn(1, 3, 224, 224)
    with FlopCounterMode(display=False) as counter:
        model(image)
    # The same page gives 17.56 "GFLOPS", multiplications: torch counts the additions, too.
    assert round(counter.get_total_flops() / 2e9, 2) == 17.56


def test_one_config_of_at_most_fifteen_fields() -> None:
    assert len(fields(ViTConfig)) <= 15


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 10}, "image_size: expected multiples of patch_size = 4"),
        ({"n_heads": 3}, "n_heads: expected a divisor of d_model = 16"),
        ({"n_registers": -1}, "n_registers: expected at least 0"),
        ({"n_layers": 0}, "n_layers: expected at least 1"),
        ({"dropout": 1.0}, "dropout: expected 0 ≤ dropout < 1"),
    ],
)
def test_a_wrong_config_says_what_is_wrong(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change)


def test_a_wrong_image_says_what_is_wrong() -> None:
    model = ViT(TINY)
    with pytest.raises(ValueError, match=r"image: expected \(B, C, height, width\) with C = 3"):
        model(torch.randn(2, 1, 8, 12))
    with pytest.raises(ValueError, match="whole patches of 4; got height 9, width 12"):
        model(torch.randn(2, 3, 9, 12))
    with pytest.raises(TypeError, match="image: expected a floating-point tensor"):
        model(torch.zeros(2, 3, 8, 12, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"x: expected \(B, T, D\) with T = 1 \+ 2 · 2, D = 4"):
        GridPositions(4, (2, 2), n_first=1)(torch.zeros(1, 4, 4))
