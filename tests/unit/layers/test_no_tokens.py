"""Where there are no tokens, none come out: empty batches, empty sequences, empty memories."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attention_guide.functional import rope, rope_frequencies
from attention_guide.layers import (
    AdditiveAttention,
    BahdanauDecoder,
    BetaGate,
    BlockCache,
    DecayGate,
    EncoderBlock,
    FeedForward,
    GatedFeedForward,
    KernelAttention,
    KVCache,
    LatentCache,
    LayerNorm,
    LearnedPositions,
    LinearAttention,
    LinearCache,
    LuongDecoder,
    MemoryCache,
    ParallelBlock,
    PatchTokens,
    PreNorm,
    RelativeBias,
    RMSNorm,
    RotaryPositions,
    SinusoidalPositions,
    SlidingCache,
    TokenEmbedding,
    balance_loss,
    unit_length,
)
from tests.unit.layers.pieces import LATENT, MHA, B, D, H, T, X, decoder_block, experts

LINEAR: dict[str, Any] = {"decay": DecayGate(D, H), "beta": BetaGate(D, H), "feature": unit_length}
LAYERS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Any]]] = {
    "attention": (MHA, lambda: KVCache(4)),
    "sliding": (MHA, lambda: SlidingCache(2)),
    "rotary": (partial(MHA, rotary=rope, qk_norm=RMSNorm), lambda: KVCache(4)),
    "tables": (
        lambda: MHA(rotary=RotaryPositions(rope_frequencies(4), max_len=9)),
        lambda: KVCache(4),
    ),
    "bias": (lambda: MHA(1, position_bias=RelativeBias(H)), lambda: KVCache(4)),
    "latent": (LATENT, lambda: LatentCache(4)),
    "linear": (partial(LinearAttention, D, H, **LINEAR), LinearCache),
    "kernel": (partial(KernelAttention, D, H), LinearCache),
    "block": (lambda: EncoderBlock(MHA(), FeedForward(D, 16), D), lambda: KVCache(4)),
    "parallel": (lambda: ParallelBlock(MHA(), FeedForward(D, 16), D), lambda: KVCache(4)),
    "experts": (lambda: EncoderBlock(MHA(), experts(), D, residual=PreNorm), lambda: KVCache(4)),
}
EMPTY = pytest.mark.parametrize("shape", [(0, T, D), (B, 0, D), (0, 0, D)])


@EMPTY
@pytest.mark.parametrize("name", LAYERS)
def test_no_tokens_give_none_and_gradients_of_zero(name: str, shape: tuple[int, ...]) -> None:
    layer = LAYERS[name][0]()
    x = torch.randn(shape, requires_grad=True)
    out = layer(x, causal=True)
    assert out.shape == shape
    out.sum().backward()
    assert x.grad is None or x.grad.shape == shape
    assert all(p.grad is None or not p.grad.any() for p in layer.parameters())


@pytest.mark.parametrize("name", LAYERS)
def test_no_tokens_change_nothing_in_a_cache(name: str) -> None:
    layer, x = LAYERS[name][0]().eval(), torch.randn(B, 3, D)
    cache = LAYERS[name][1]()
    with torch.no_grad():
        for part in x.split([2, 1], dim=1):
            assert layer(part[:, :0], causal=True, cache=cache).shape == (B, 0, D)
            last = layer(part, causal=True, cache=cache)
        assert cache.length == 3
        assert torch.allclose(last, layer(x, causal=True)[:, 2:], atol=1e-5) or name == "sliding"


@EMPTY
def test_attention_from_and_to_nothing(shape: tuple[int, ...]) -> None:
    layer, block, x = MHA(), decoder_block(), torch.randn(shape)
    memory = torch.randn(shape[0], 7, D)
    assert layer(x, memory).shape == block(x, memory).shape == shape
    cache = BlockCache(KVCache(9), MemoryCache())
    with torch.no_grad():
        assert block(x, memory, cache=cache).shape == shape
    # Who may attend nowhere gets the bias of the output.
    assert torch.equal(layer(memory, memory[:, :0]), layer.out_proj.bias.expand_as(memory))


@EMPTY
@pytest.mark.parametrize(
    "make",
    [
        lambda: LayerNorm(D),
        lambda: RMSNorm(D),
        lambda: FeedForward(D, 16),
        lambda: GatedFeedForward(D, 16),
        lambda: SinusoidalPositions(D),
        lambda: LearnedPositions(D),
        experts,
    ],
)
def test_no_tokens_pass_what_acts_on_each(
    make: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    assert make()(torch.randn(shape)).shape == shape


def test_nothing_else_minds_an_empty_batch() -> None:
    assert TokenEmbedding(9, D)(torch.ones(1, 0, dtype=torch.long)).shape == (1, 0, D)
    assert DecayGate(D, H, width=4)(X[:0]).shape == (0, H, T, 4)
    assert BetaGate(D, H)(X[:, :0]).shape == (B, H, 0, 1)
    assert unit_length(X[:0]).shape == (0, T, D)
    assert PatchTokens(D, (8, 8), 4)(torch.ones(0, 3, 8, 8)).shape == (0, 5, D)
    attend = AdditiveAttention(4, 6, 5)
    query, keys = torch.randn(3, 4), torch.randn(3, 7, 5)
    assert attend(query[:0], keys[:0]).shape == (0, 7)
    assert attend(query, keys[:, :0]).shape == (3, 0)
    for make in (BahdanauDecoder, LuongDecoder):
        outputs, state = make(D, 6, D)(X[:0], X[:0])
        assert outputs.shape == (0, T, 6)
        assert state.shape[0] == 0


def test_the_balance_of_no_tokens_is_a_loss_of_zero() -> None:
    layer = experts()
    layer(X[:0])
    loss: Tensor = balance_loss(layer)
    loss.backward()
    assert loss == 0
    assert layer.router.weight.grad is not None
    assert not layer.router.weight.grad.any()
