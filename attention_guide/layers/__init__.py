"""Modules: the functions of `attention_guide.functional` with weights, caches and norms."""

from attention_guide.layers.attention import MultiHeadAttention, WeightRecorder
from attention_guide.layers.block import (
    DecoderBlock,
    EncoderBlock,
    ParallelBlock,
    PostNorm,
    PreNorm,
    SandwichNorm,
)
from attention_guide.layers.cache import (
    BlockCache,
    Cache,
    KVCache,
    LatentCache,
    MemoryCache,
    SlidingCache,
)
from attention_guide.layers.embedding import LearnedPositions, SinusoidalPositions, TokenEmbedding
from attention_guide.layers.feedforward import FeedForward, GatedFeedForward
from attention_guide.layers.init import depth_scaled_init, xavier_init
from attention_guide.layers.norm import LayerNorm, RMSNorm, layer_norm, rms_norm

__all__ = [
    "BlockCache",
    "Cache",
    "DecoderBlock",
    "EncoderBlock",
    "FeedForward",
    "GatedFeedForward",
    "KVCache",
    "LatentCache",
    "LayerNorm",
    "LearnedPositions",
    "MemoryCache",
    "MultiHeadAttention",
    "ParallelBlock",
    "PostNorm",
    "PreNorm",
    "RMSNorm",
    "SandwichNorm",
    "SinusoidalPositions",
    "SlidingCache",
    "TokenEmbedding",
    "WeightRecorder",
    "depth_scaled_init",
    "layer_norm",
    "rms_norm",
    "xavier_init",
]
