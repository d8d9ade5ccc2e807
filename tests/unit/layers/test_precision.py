"""Half precision and autocast: every layer runs, and stays near its float32 self."""

import pytest
import torch

from attention_guide.functional import rope
from attention_guide.layers import (
    BetaGate,
    DecayGate,
    EncoderBlock,
    FeedForward,
    GatedFeedForward,
    KernelAttention,
    LatentAttention,
    LayerNorm,
    LinearAttention,
    MixtureOfExperts,
    MultiHeadAttention,
    PreNorm,
    RMSNorm,
    SandwichNorm,
    unit_length,
)

D, H = 32, 4


def gated_delta() -> LinearAttention:
    gates = {"decay": DecayGate(D, H), "beta": BetaGate(D, H), "feature": unit_length}
    return LinearAttention(D, H, **gates)


BLOCKS = {
    "2017": lambda: EncoderBlock(MultiHeadAttention(D, H), FeedForward(D, 64), D),
    "layer-normed keys": lambda: EncoderBlock(
        MultiHeadAttention(D, H, qk_norm=LayerNorm), FeedForward(D, 64), D
    ),
    "llama": lambda: EncoderBlock(
        MultiHeadAttention(D, H, 2, rotary=rope, qk_norm=RMSNorm),
        GatedFeedForward(D, 64),
        D,
        residual=lambda width: PreNorm(width, norm=RMSNorm),
    ),
    "experts": lambda: EncoderBlock(
        LatentAttention(D, H, d_latent=16, d_rope=4),
        MixtureOfExperts(D, [GatedFeedForward(D, 64)], 1),
        D,
        residual=SandwichNorm,
    ),
    "linear": lambda: EncoderBlock(gated_delta(), FeedForward(D, 64), D, residual=PreNorm),
    "kernel": lambda: EncoderBlock(KernelAttention(D, H), FeedForward(D, 64), D, residual=PreNorm),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_autocast_stays_near_float32_and_has_gradients(name: str) -> None:
    torch.manual_seed(0)
    block, x = BLOCKS[name](), torch.randn(2, 6, D)
    expected = block(x, causal=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = block(x, causal=True)
    assert (got - expected).abs().max() < 0.1
    got.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in block.parameters())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", BLOCKS)
def test_half_precision_stays_near_float32(name: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    block, x = BLOCKS[name](), torch.randn(2, 6, D)
    expected = block(x, causal=True)
    got = block.to(dtype)(x.to(dtype), causal=True)
    assert got.dtype == dtype
    assert (got.float() - expected).abs().max() < 0.1
