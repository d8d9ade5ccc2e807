"""CLIP: two towers, the loss both ways, the temperature."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
import torch
import torch.nn.functional as F

from attention_guide import AttentionRecorder
from attention_guide.models import CLIP, CLIPConfig, contrastive_loss, quick_gelu

TINY = CLIPConfig(
    vocab_size=20, max_len=8, eos_id=19, d_text=16, n_text_heads=2, n_text_layers=2,
    image_size=8, patch_size=4, d_image=24, n_image_heads=3, n_image_layers=2, d_joint=12,
)  # fmt: skip
TEXTS = torch.tensor([[5, 6, 19, 0, 0], [7, 8, 9, 10, 19], [19, 3, 3, 3, 3]])


@pytest.fixture(scope="module")
def model() -> CLIP:
    torch.manual_seed(0)
    return CLIP(TINY).double().eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(2, 3, 8, 8, dtype=torch.float64)


def test_logits_are_scaled_cosines(model: CLIP, images: torch.Tensor) -> None:
    logits, a, b = model(images, TEXTS), model.embed_images(images), model.embed_texts(TEXTS)
    assert logits.shape == (2, 3)
    assert a.shape == (2, 12)
    assert torch.allclose(a.norm(dim=1), torch.ones(2, dtype=torch.float64))
    cosines = F.cosine_similarity(a[:, None], b[None], dim=-1)
    assert torch.allclose(logits, cosines / 0.07)


def test_a_text_is_read_at_its_first_end_whatever_follows(model: CLIP) -> None:
    other = TEXTS.clone()
    other[0, 3:] = torch.tensor([19, 4])
    other[2, 1:] = 0
    assert torch.allclose(model.embed_texts(TEXTS), model.embed_texts(other))
    with pytest.raises(ValueError, match="texts: expected eos_id = 19 in every row"):
        model.embed_texts(TEXTS[:, 1:])


def test_the_text_tower_is_causal_and_the_image_tower_is_not(
    model: CLIP, images: torch.Tensor
) -> None:
    with AttentionRecorder(model) as maps:
        model(images, TEXTS)
    text = maps["text_encoder.blocks.0.self_attention"]
    assert text.shape == (3, 2, 5, 5)
    assert torch.equal(text, text.tril())
    image = maps["image_encoder.blocks.1.self_attention"]
    assert image.shape == (2, 3, 5, 5)
    assert (image > 0).all()


def test_loss_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    to_text = -math.log(math.exp(2) / (math.exp(2) + 1)) - math.log(0.5)
    to_image = -math.log(math.exp(2) / (math.exp(2) + math.e)) - math.log(math.e / (1 + math.e))
    assert contrastive_loss(logits).item() == pytest.approx((to_text + to_image) / 4)
    with pytest.raises(ValueError, match=r"logits: expected \(B, B\)"):
        contrastive_loss(torch.zeros(2, 3))
    with pytest.raises(TypeError, match="logits: expected a floating-point tensor"):
        contrastive_loss(torch.zeros(2, 2, dtype=torch.long))


def test_pairs_can_be_learned_and_the_temperature_with_them() -> None:
    torch.manual_seed(0)
    model, images = CLIP(TINY), torch.randn(3, 3, 8, 8)
    before = model.log_scale.item()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(30):
        loss = contrastive_loss(model(images, TEXTS))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        model.clip_scale()
        losses.append(loss.item())
    assert losses[-1] < 0.05 < losses[0]
    assert model.log_scale.item() != before
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


def test_the_scale_is_clipped_at_a_hundred() -> None:
    model = CLIP(TINY)
    torch.nn.init.constant_(model.log_scale, 9.0)
    model.clip_scale()
    assert model.log_scale.exp().item() == pytest.approx(100)


def test_quick_gelu_is_near_gelu() -> None:
    x = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    assert 0.02 < (quick_gelu(x) - F.gelu(x)).abs().max() < 0.021


def test_vit_b_32_has_its_published_size() -> None:
    with torch.device("meta"):
        model = CLIP(CLIPConfig())
    sizes = {"image": 0, "text": 0}
    for name, parameter in model.named_parameters():
        if name != "log_scale":
            sizes[name.split("_")[0]] += parameter.numel()
    # OpenCLIP's docs/model_profile.csv: 151.28 millions in ViT-B-32, 87.85 and 63.43 of a tower.
    assert {name: round(n / 1e6, 2) for name, n in sizes.items()} == {"image": 87.85, "text": 63.43}
    assert round((sum(sizes.values()) + 1) / 1e6, 2) == 151.28


def test_one_config_of_at_most_fifteen_fields() -> None:
    assert len(fields(CLIPConfig)) <= 15
    for change, message in [
        ({"n_text_heads": 3}, "n_text_heads: expected a divisor of d_text = 16"),
        ({"n_image_heads": 5}, "n_image_heads: expected a divisor of d_image = 24"),
        ({"image_size": 9}, "image_size: expected a multiple of patch_size = 4"),
        ({"patch_size": 0}, "patch_size: expected an int of at least 1; got 0"),
        ({"n_text_layers": -1}, "n_text_layers: expected an int of at least 1; got -1"),
        ({"eos_id": 20}, "eos_id: expected 0 to 19"),
    ]:
        with pytest.raises(ValueError, match=message):
            replace(TINY, **change)
