"""Blocks: each kind of residual connection is its formula, and any sublayer can be plugged in."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from attention_guide.functional import causal_mask, rope
from attention_guide.layers import (
    AlibiBias,
    BlockCache,
    DecayGate,
    DecoderBlock,
    EncoderBlock,
    FeedForward,
    GatedFeedForward,
    KernelAttention,
    KVCache,
    LatentAttention,
    LatentCache,
    LinearAttention,
    LinearCache,
    MemoryCache,
    MixtureOfExperts,
    MultiHeadAttention,
    ParallelBlock,
    PostNorm,
    PreNorm,
    RMSNorm,
    SandwichNorm,
)

D = 8


def tokens(t: int = 5) -> Tensor:
    return torch.randn(2, t, D, dtype=torch.float64)


def square(x: Tensor) -> Tensor:
    return x.square()


def test_residuals_are_their_formulas() -> None:
    x = tokens()
    post, pre, sandwich = (
        kind(D, norm=RMSNorm).double() for kind in (PostNorm, PreNorm, SandwichNorm)
    )
    for norm in (post.norm, pre.norm, sandwich.norm, sandwich.norm_after):
        nn.init.normal_(norm.weight)
    assert torch.equal(post(x, square), post.norm(x + x.square()))
    assert torch.equal(pre(x, square), x + pre.norm(x).square())
    between = sandwich.norm_after(sandwich.norm(x).square())
    assert torch.equal(sandwich(x, square), x + between)


@pytest.mark.parametrize("kind", [PostNorm, PreNorm, SandwichNorm])
def test_dropout_takes_from_the_sublayer_and_not_from_the_stream(kind: type[nn.Module]) -> None:
    around = kind(D, dropout=0.999999, norm=lambda width: nn.Identity())
    x = torch.randn(1, 3, D)
    assert torch.equal(around(x, torch.ones_like), x)
    around.eval()
    assert torch.equal(around(x, torch.ones_like), x + 1)


@pytest.mark.parametrize("residual", [PostNorm, PreNorm, SandwichNorm])
def test_encoder_block_is_two_residuals(residual: type[nn.Module]) -> None:
    attention, ff = MultiHeadAttention(D, 2), FeedForward(D, 16)
    block = EncoderBlock(attention, ff, D, residual=residual).double()
    x = tokens()
    middle = block.attention_residual(x, lambda y: attention(y, causal=True))
    assert torch.equal(block(x, causal=True), block.feed_forward_residual(middle, ff))


@pytest.mark.parametrize("residual", [PostNorm, PreNorm, SandwichNorm])
def test_decoder_block_is_three_residuals_and_causal(residual: type[nn.Module]) -> None:
    own, cross, ff = MultiHeadAttention(D, 2), MultiHeadAttention(D, 2), FeedForward(D, 16)
    block = DecoderBlock(own, cross, ff, D, residual=residual).double()
    x, memory = tokens(), tokens(3)
    memory_mask = torch.tensor([True, True, False])
    y = block.self_attention_residual(x, lambda z: own(z, mask=causal_mask(5)))
    y = block.cross_attention_residual(y, lambda z: cross(z, memory, mask=memory_mask))
    expected = block.feed_forward_residual(y, ff)
    assert torch.allclose(block(x, memory, memory_mask=memory_mask), expected, atol=1e-12)


def test_parallel_block_is_one_sum() -> None:
    attention, ff = MultiHeadAttention(D, 2), FeedForward(D, 16)
    block = ParallelBlock(attention, ff, D, norm=RMSNorm).double()
    x = tokens()
    normed = block.norm(x)
    assert torch.equal(block(x, causal=True), x + attention(normed, causal=True) + ff(normed))


@pytest.mark.parametrize("plug", [{"rotary": rope}, {"position_bias": AlibiBias(2)}, {}])
def test_decoder_block_with_a_cache_is_the_block_without(plug: dict) -> None:
    attentions = MultiHeadAttention(D, 2, **plug), MultiHeadAttention(D, 2, **plug)
    block = DecoderBlock(*attentions, GatedFeedForward(D, 16), D, residual=PreNorm).double()
    x, memory, cache = tokens(), tokens(3), BlockCache(KVCache(5), MemoryCache())
    with torch.no_grad():
        steps = [block(step, memory, cache=cache) for step in x.split(1, dim=1)]
    assert torch.allclose(torch.cat(steps, dim=1), block(x, memory), atol=1e-12)


ATTENTIONS = {
    "multi-head": (partial(MultiHeadAttention, D, 2), lambda: KVCache(5)),
    "latent": (partial(LatentAttention, D, 2, d_latent=6, d_rope=2), lambda: LatentCache(5)),
    "linear": (lambda: LinearAttention(D, 2, decay=DecayGate(D, 2)), LinearCache),
    "kernel": (partial(KernelAttention, D, 2), LinearCache),
}
FEED_FORWARDS = {
    "relu": lambda: FeedForward(D, 16),
    "swiglu": lambda: GatedFeedForward(D, 16),
    "experts": lambda: MixtureOfExperts(D, [FeedForward(D, 16) for _ in range(3)]),
}


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("feed_forward", FEED_FORWARDS)
@pytest.mark.parametrize("block_kind", [EncoderBlock, ParallelBlock])
def test_any_attention_and_feed_forward_plug_into_any_block(
    attention: str, feed_forward: str, block_kind: type[nn.Module]
) -> None:
    make, make_cache = ATTENTIONS[attention]
    block = block_kind(make(), FEED_FORWARDS[feed_forward](), D).double()
    x, cache = tokens(), make_cache()
    whole = block(x, causal=True)
    with torch.no_grad():
        steps = [block(step, causal=True, cache=cache) for step in x.split(1, dim=1)]
    assert torch.allclose(torch.cat(steps, dim=1), whole, atol=1e-10)
    changed = x.clone()
    changed[:, 3:] += 1
    assert torch.allclose(block(changed, causal=True)[:, :3], whole[:, :3], atol=1e-12)


@pytest.mark.parametrize("block_kind", [EncoderBlock, ParallelBlock])
def test_a_wrong_width_is_named(block_kind: type[nn.Module]) -> None:
    block = block_kind(MultiHeadAttention(D, 2), FeedForward(D, 16), D)
    with pytest.raises(ValueError, match=r"x: expected \(B, T, D\) with D = 8; got \(2, 5, 7\)"):
        block(torch.ones(2, 5, 7))
