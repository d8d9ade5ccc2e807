"""The captioner: a Vision Transformer and a text decoder joined by cross-attention."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from attention_guide import AttentionRecorder
from attention_guide.models import Captioner, CaptionerConfig, ViTConfig, generate, stream

IMAGE = ViTConfig((8, 12), 4, d_model=24, n_heads=2, d_ff=32, n_layers=1)
TINY = CaptionerConfig(20, IMAGE, max_len=12, d_model=16, n_heads=2, d_ff=32, n_layers=2)


@pytest.fixture(scope="module")
def model() -> Captioner:
    torch.manual_seed(0)
    model = Captioner(TINY).double().eval()
    torch.nn.init.normal_(model.decoder.positions.weight)
    return model


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.randn(3, 3, 8, 12, dtype=torch.float64)


def test_words_look_at_patches(model: Captioner, images: torch.Tensor) -> None:
    captions = torch.tensor([[1, 5, 6, 7]]).expand(3, 4)
    with AttentionRecorder(model, match="cross") as maps:
        assert model(images, captions).shape == (3, 4, 20)
    weights = maps["decoder.blocks.1.cross_attention"]
    assert weights.shape == (3, 2, 4, 1 + 6)
    assert torch.allclose(weights.sum(-1), torch.ones(3, 2, 4, dtype=torch.float64))
    assert model.vit.tokens.n_extra == 1


def test_the_image_matters_and_the_future_does_not(model: Captioner, images: torch.Tensor) -> None:
    captions = torch.tensor([[1, 5, 6, 7]]).expand(3, 4)
    logits = model(images, captions)
    assert (logits[0] - logits[1]).abs().max() > 1e-4
    other = captions.clone()
    other[:, 3] = 9
    assert torch.allclose(logits[:, :3], model(images, other)[:, :3])


def test_the_same_caption_with_and_without_cache(model: Captioner, images: torch.Tensor) -> None:
    cached = model.generate(images)
    assert torch.equal(cached, model.generate(images, cached=False))
    start = torch.ones(3, 1, dtype=torch.long)
    assert torch.equal(cached, generate(model, start, 12, source=images, eos_id=2, pad_id=0))
    columns = list(stream(model, start, 12, source=images, eos_id=2, pad_id=0))
    assert torch.equal(cached, torch.stack(columns, dim=1))
    with pytest.raises(ValueError, match="room: expected at most max_len = 12"):
        model.generate(images, max_new=13)


def test_each_image_has_the_caption_it_has_alone(model: Captioner, images: torch.Tensor) -> None:
    together = model.generate(images, max_new=8)
    for row in range(3):
        alone = model.generate(images[row : row + 1], max_new=8)[0]
        assert torch.equal(together[row, : len(alone)], alone)
        assert set(together[row, len(alone) :].tolist()) <= {0}


def test_every_parameter_learns() -> None:
    model = Captioner(replace(TINY, image=replace(IMAGE, class_token=False, n_registers=2)))
    captions = torch.tensor([[1, 5, 6, 7]])
    logits = model(torch.randn(1, 3, 8, 12), captions)
    torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), captions[0, 1:]).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


def test_one_config_of_at_most_fifteen_fields() -> None:
    assert len(fields(CaptionerConfig)) <= 15
    with pytest.raises(ValueError, match="n_heads: expected a divisor of d_model = 16"):
        replace(TINY, n_heads=3)
    with pytest.raises(ValueError, match="n_heads: expected an int of at least 1; got 0"):
        replace(TINY, n_heads=0)
    with pytest.raises(ValueError, match="bos_id: expected 0 to 19"):
        replace(TINY, bos_id=20)
