"""Edges that a one-character mistake would move: found by `python -m benchmarks mutation`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from attention_guide.layers import (
    BahdanauDecoder,
    EncoderBlock,
    FeedForward,
    GatedFeedForward,
    LatentAttention,
    LuongDecoder,
    MultiHeadAttention,
    ParallelBlock,
    PatchEmbedding,
    PreNorm,
)


class Watcher:
    """Keeps what a layer shows to its recorder, and lets it pass."""

    def __init__(self) -> None:
        self.seen: list[tuple[Tensor, bool]] = []

    def add(
        self, weights: Tensor, *, resumed: bool = False, positions: Tensor | None = None
    ) -> Tensor:
        self.seen.append((weights, resumed))
        return weights


@pytest.mark.parametrize("make", [BahdanauDecoder, LuongDecoder])
@pytest.mark.parametrize("resumed", [False, True])
def test_a_recurrent_decoder_shows_one_map_and_goes_on_with_it(
    make: type[BahdanauDecoder | LuongDecoder], resumed: bool
) -> None:
    decoder = make(4, 6, 5)
    inputs, memory = torch.randn(2, 3, 4), torch.randn(2, 7, 5)
    wanted, _ = decoder(inputs, memory)
    decoder.recorder = watcher = Watcher()
    got, _ = decoder(inputs, memory, resumed=resumed)
    assert torch.equal(got, wanted)
    assert [flag for _, flag in watcher.seen] == [resumed, True, True]
    for weights, _ in watcher.seen:
        assert weights.shape == (2, 1, 1, 7)
        assert torch.allclose(weights.sum(-1), torch.ones(2, 1, 1))


def test_the_smallest_image_is_one_patch() -> None:
    embed = PatchEmbedding(6, patch_size=4)
    assert embed(torch.randn(2, 3, 4, 4)).shape[1] == 1
    assert embed(torch.randn(2, 3, 8, 4)).shape[1] == 2
    assert embed(torch.randn(2, 3, 4, 8)).shape[1] == 2


def test_heads_of_latent_attention_share_the_width_or_have_their_own() -> None:
    with pytest.raises(ValueError, match="n_heads: expected a divisor of d_model = 30; got 4"):
        LatentAttention(30, 4, d_latent=12, d_rope=4)
    layer = LatentAttention(30, 4, d_latent=12, d_rope=4, d_head=8)
    assert layer(torch.randn(2, 3, 30)).shape == (2, 3, 30)


DROPPING: dict[str, Callable[[float], nn.Module]] = {
    "multi-head": lambda p: MultiHeadAttention(16, 4, dropout=p),
    "latent": lambda p: LatentAttention(16, 4, d_latent=12, d_rope=4, dropout=p),
    "feed-forward": lambda p: FeedForward(16, 32, dropout=p),
    "gated": lambda p: GatedFeedForward(16, 32, dropout=p),
    "block": lambda p: EncoderBlock(
        MultiHeadAttention(16, 4), FeedForward(16, 32), 16, residual=partial(PreNorm, dropout=p)
    ),
    "parallel": lambda p: ParallelBlock(
        MultiHeadAttention(16, 4), FeedForward(16, 32), 16, dropout=p
    ),
}


@pytest.mark.parametrize("name", DROPPING)
def test_dropout_drops_in_training_and_then_only(name: str) -> None:
    x = torch.randn(2, 5, 16)
    layer, without = DROPPING[name](0.5), DROPPING[name](0.0)
    without.load_state_dict(layer.state_dict())
    layer.train()
    assert not torch.equal(layer(x), layer(x))
    assert torch.equal(without.train()(x), without(x))
    assert torch.allclose(layer.eval()(x), without(x), atol=1e-6)
