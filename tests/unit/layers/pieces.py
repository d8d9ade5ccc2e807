"""Small layers that several tests build alike."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from attention_guide.layers import (
    DecoderBlock,
    FeedForward,
    LatentAttention,
    MixtureOfExperts,
    MultiHeadAttention,
)

B, T, D, H = 2, 5, 8, 2
X = torch.randn(B, T, D)
MHA: Callable[..., MultiHeadAttention] = partial(MultiHeadAttention, D, H)
LATENT: Callable[..., LatentAttention] = partial(LatentAttention, D, H, d_latent=4, d_rope=2)


def decoder_block() -> DecoderBlock:
    return DecoderBlock(MHA(), MHA(), FeedForward(D, 16), D)


def experts(n: int = 2) -> MixtureOfExperts:
    return MixtureOfExperts(D, [FeedForward(D, 16) for _ in range(n)], 1)
