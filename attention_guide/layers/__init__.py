"""Modules: the functions of `attention_guide.functional` with weights, caches and norms."""

from attention_guide.layers.alignment import AdditiveAttention, LuongAttention
from attention_guide.layers.attention import MultiHeadAttention
from attention_guide.layers.block import DecoderBlock, EncoderBlock, ParallelBlock
from attention_guide.layers.cache import (
    BlockCache,
    Cache,
    KVCache,
    LatentCache,
    MemoryCache,
    SlidingCache,
)
from attention_guide.layers.embedding import TokenEmbedding
from attention_guide.layers.feedforward import FeedForward, GatedFeedForward
from attention_guide.layers.gates import BetaGate, DecayGate, unit_length
from attention_guide.layers.heads import WeightRecorder
from attention_guide.layers.init import depth_scaled_init, xavier_init
from attention_guide.layers.latent import LatentAttention
from attention_guide.layers.linear import KernelAttention, LinearAttention, LinearCache
from attention_guide.layers.moe import (
    MixtureOfExperts,
    Routing,
    balance_loss,
    load_balancing_loss,
)
from attention_guide.layers.norm import LayerNorm, RMSNorm, layer_norm, rms_norm
from attention_guide.layers.patches import GridPositions, PatchEmbedding, PatchTokens
from attention_guide.layers.positions import (
    AlibiBias,
    LearnedPositions,
    RelativeBias,
    RotaryPositions,
    SinusoidalPositions,
)
from attention_guide.layers.recurrent import BahdanauDecoder, LuongDecoder
from attention_guide.layers.residual import PostNorm, PreNorm, SandwichNorm

__all__ = [
    "AdditiveAttention",
    "AlibiBias",
    "BahdanauDecoder",
    "BetaGate",
    "BlockCache",
    "Cache",
    "DecayGate",
    "DecoderBlock",
    "EncoderBlock",
    "FeedForward",
    "GatedFeedForward",
    "GridPositions",
    "KVCache",
    "KernelAttention",
    "LatentAttention",
    "LatentCache",
    "LayerNorm",
    "LearnedPositions",
    "LinearAttention",
    "LinearCache",
    "LuongAttention",
    "LuongDecoder",
    "MemoryCache",
    "MixtureOfExperts",
    "MultiHeadAttention",
    "ParallelBlock",
    "PatchEmbedding",
    "PatchTokens",
    "PostNorm",
    "PreNorm",
    "RMSNorm",
    "RelativeBias",
    "RotaryPositions",
    "Routing",
    "SandwichNorm",
    "SinusoidalPositions",
    "SlidingCache",
    "TokenEmbedding",
    "WeightRecorder",
    "balance_loss",
    "depth_scaled_init",
    "layer_norm",
    "load_balancing_loss",
    "rms_norm",
    "unit_length",
    "xavier_init",
]
