"""Edges that a one-character mistake would move: found by `python -m benchmarks mutation`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention_guide.layers import (
    BahdanauDecoder,
    EncoderBlock,
    FeedForward,
    GatedFeedForward,
    GridPositions,
    KVCache,
    LatentAttention,
    LatentCache,
    LayerNorm,
    LuongDecoder,
    MultiHeadAttention,
    ParallelBlock,
    PatchEmbedding,
    PatchTokens,
    PreNorm,
    RMSNorm,
    SlidingCache,
    layer_norm,
    rms_norm,
)
from attention_guide.layers.heads import attend_or_record


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


def test_latent_attention_expands_its_keys_only_without_a_cache() -> None:
    layer = LatentAttention(16, 4, d_latent=12, d_rope=4).eval()
    expanded: list[int] = []
    layer.k_proj.register_forward_hook(lambda _, args, out: expanded.append(args[0].shape[1]))
    x = torch.randn(1, 3, 16)
    layer.recorder = watcher = Watcher()
    with torch.no_grad():
        layer(x)
        assert expanded == [3]
        cache = LatentCache(8)
        layer(x[:, :2], causal=True, cache=cache)
        layer(x[:, 2:], causal=True, cache=cache)
        assert expanded == [3]
        layer(x, absorb=True)
        assert expanded == [3]
    assert [resumed for _, resumed in watcher.seen] == [False, False, True, False]


def test_a_sliding_cache_may_keep_nothing_or_only_the_first() -> None:
    for n_sinks, kept in ((0, [3]), (1, [0, 3])):
        cache = SlidingCache(0, n_sinks=n_sinks)
        for _ in range(4):
            cache.update(torch.ones(1, 1, 1, 2), torch.ones(1, 1, 1, 2))
        assert cache.positions().tolist() == kept
    for left, n_sinks in ((-1, 0), (0, -1)):
        with pytest.raises(ValueError, match="at least 0"):
            SlidingCache(left, n_sinks=n_sinks)


def test_a_recorder_is_told_of_a_new_text_unless_it_goes_on() -> None:
    watcher = Watcher()
    q, k, v = torch.randn(3, 1, 2, 4, 8)
    attend_or_record(watcher, q, k, v)
    attend_or_record(watcher, q, k, v, resumed=True)
    assert [resumed for _, resumed in watcher.seen] == [False, True]


@pytest.mark.parametrize("shape", [(3, 3, 8), (1, 2, 3, 8, 8), (2, 1, 8, 8), (3, 8)])
def test_an_image_has_four_axes_and_its_channels(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="C = 3"):
        PatchEmbedding(6, patch_size=4)(torch.randn(shape))


@pytest.mark.parametrize("size", [(3, 8), (8, 3)])
def test_an_image_smaller_than_a_patch_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="image: expected"):
        PatchEmbedding(6, patch_size=4, stride=(2, 2))(torch.randn(1, 3, *size))


def test_position_tables_begin_small() -> None:
    assert 0.015 < GridPositions(64, (8, 8)).weight.std() < 0.025


def test_norms_add_little_to_the_variance_unless_told() -> None:
    x = torch.randn(4, 6, dtype=torch.float64) * 1e-3
    assert torch.allclose(layer_norm(x), F.layer_norm(x, (6,), eps=1e-5))
    assert torch.allclose(LayerNorm(6).double()(x), layer_norm(x))
    assert torch.allclose(rms_norm(x), F.rms_norm(x, (6,), eps=1e-6))
    assert torch.allclose(RMSNorm(6).double()(x), rms_norm(x))


def test_the_first_call_with_a_cache_begins_a_text() -> None:
    layer = MultiHeadAttention(16, 4).eval()
    layer.recorder = watcher = Watcher()
    cache = KVCache(4)
    with torch.no_grad():
        for _ in range(3):
            layer(torch.randn(1, 1, 16), causal=True, cache=cache)
    assert [resumed for _, resumed in watcher.seen] == [False, True, True]


@pytest.mark.parametrize(("n_class", "n_registers"), [(0, 0), (2, 0), (0, 3), (2, 3)])
def test_class_tokens_stand_first_and_registers_before_the_patches(
    n_class: int, n_registers: int
) -> None:
    tokens = PatchTokens(8, (4, 4), 2, n_class_tokens=n_class, n_registers=n_registers)
    for part in (tokens.class_tokens, tokens.registers):
        if part is not None:
            torch.nn.init.normal_(part)
    x = torch.randn(3, 3, 4, 4)
    found = tokens(x)
    assert tokens.n_extra == n_class + n_registers
    assert found.shape == (3, tokens.n_extra + 4, 8)
    if tokens.class_tokens is not None:
        first = tokens.class_tokens + tokens.positions.weight[:n_class]
        assert torch.equal(found[:, :n_class], first.expand(3, -1, -1))
    if tokens.registers is not None:
        assert torch.equal(found[1, n_class : tokens.n_extra], tokens.registers)


def test_an_unused_sliding_cache_holds_no_position() -> None:
    assert SlidingCache(2, n_sinks=1).positions().shape == (0,)
    assert SlidingCache(2).mask(0).shape == (0, 0)
