"""What doesn't fit a layer is refused, and the message names it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from attention_guide.functional import rope_frequencies
from attention_guide.layers import (
    AdditiveAttention,
    AlibiBias,
    BahdanauDecoder,
    BetaGate,
    BlockCache,
    DecayGate,
    EncoderBlock,
    FeedForward,
    GatedFeedForward,
    GridPositions,
    KernelAttention,
    KVCache,
    LatentAttention,
    LatentCache,
    LayerNorm,
    LearnedPositions,
    LinearAttention,
    LinearCache,
    LuongAttention,
    LuongDecoder,
    MemoryCache,
    MixtureOfExperts,
    MultiHeadAttention,
    ParallelBlock,
    PatchEmbedding,
    PatchTokens,
    PostNorm,
    PreNorm,
    RelativeBias,
    RMSNorm,
    RotaryPositions,
    SandwichNorm,
    SinusoidalPositions,
    SlidingCache,
    TokenEmbedding,
    balance_loss,
    depth_scaled_init,
    layer_norm,
    load_balancing_loss,
    rms_norm,
    unit_length,
    xavier_init,
)
from attention_guide.layers.heads import split_heads
from tests.unit.layers.pieces import LATENT, MHA, B, D, H, T, X, decoder_block, experts

IDS = torch.arange(T)
ROTARY: Callable[..., RotaryPositions] = partial(RotaryPositions, rope_frequencies(4))


def filled(cache: KVCache) -> KVCache:
    cache.update(torch.ones(B, H, 3, 4), torch.ones(B, H, 3, 4))
    return cache


Wrong = tuple[Callable[[], Any], type[Exception], str]

SIZES: list[Wrong] = [
    (lambda: MultiHeadAttention(D, 0), ValueError, "n_heads: expected an int of at least 1; got 0"),
    (lambda: MultiHeadAttention(-8, 2), ValueError, "d_model: expected an int of at least 1"),
    (lambda: MultiHeadAttention(8.0, 2), TypeError, "d_model: expected an int; got float"),  # type: ignore[arg-type]
    (lambda: MHA(0), ValueError, "n_kv_heads: expected an int of at least 1; got 0"),
    (lambda: MHA(d_head=-1), ValueError, "d_head: expected an int of at least 1; got -1"),
    (lambda: MHA(d_memory=0), ValueError, "d_memory: expected an int of at least 1; got 0"),
    (lambda: LinearAttention(D, 0), ValueError, "n_heads: expected an int of at least 1; got 0"),
    (lambda: LinearAttention(D, 3), ValueError, "n_heads: expected a divisor of d_model = 8"),
    (lambda: LinearAttention(D, H, chunk=0), ValueError, "chunk: expected an int of at least 1"),
    (lambda: LinearAttention(D, H, form="x"), ValueError, "form: .* recurrent, parallel, chunked"),  # type: ignore[arg-type]
    (lambda: KernelAttention(D, 0), ValueError, "n_heads: expected an int of at least 1; got 0"),
    (lambda: KernelAttention(D, H, form="banana"), ValueError, "form: expected .*got 'banana'"),  # type: ignore[arg-type]
    (lambda: KernelAttention(D, H, chunk=0), ValueError, "chunk: expected an int of at least 1"),
    (lambda: LatentAttention(D, 0, d_latent=4, d_rope=2), ValueError, "n_heads: .* at least 1"),
    (lambda: LatentAttention(D, H, d_latent=-4, d_rope=2), ValueError, "d_latent: .* at least 1"),
    (lambda: LATENT(d_value=0), ValueError, "d_value: expected an int of at least 1; got 0"),
    (lambda: LATENT(kernel="flash"), ValueError, "kernel: expected one of reference"),
    (lambda: LATENT(dropout=2.0), ValueError, "dropout: expected a number below 1; got 2.0"),
    (lambda: FeedForward(D, -1), ValueError, "d_ff: expected an int of at least 1; got -1"),
    (lambda: FeedForward(D, 16, dropout=2), ValueError, "dropout: expected a number below 1"),
    (lambda: GatedFeedForward(0, 16), ValueError, "d_model: expected an int of at least 1; got 0"),
    (
        lambda: GatedFeedForward(D, 16, dropout=-1),
        ValueError,
        "dropout: expected a number at least",
    ),
    (lambda: LayerNorm(-1), ValueError, "d_model: expected an int of at least 1; got -1"),
    (lambda: LayerNorm(D, eps=-1.0), ValueError, "eps: expected a number at least 0; got -1.0"),
    (lambda: RMSNorm(0), ValueError, "d_model: expected an int of at least 1; got 0"),
    (lambda: RMSNorm(D, eps=-0.5), ValueError, "eps: expected a number at least 0; got -0.5"),
    (lambda: RMSNorm(D, eps=float("nan")), ValueError, "eps: expected a number .*; got nan"),
    (lambda: PostNorm(D, dropout=2), ValueError, "dropout: expected a number below 1; got 2"),
    (lambda: PreNorm(-8), ValueError, "d_model: expected an int of at least 1; got -8"),
    (lambda: SandwichNorm(D, dropout=1.5), ValueError, "dropout: expected a number below 1"),
    (lambda: EncoderBlock(MHA(), FeedForward(D, 4), 0), ValueError, "d_model: .* at least 1"),
    (lambda: ParallelBlock(MHA(), FeedForward(D, 4), D, dropout=2), ValueError, "dropout: .*got 2"),
    (lambda: TokenEmbedding(-1, D), ValueError, "vocab_size: expected an int of at least 1"),
    (lambda: TokenEmbedding(4, D, scale="a"), TypeError, "scale: expected a number; got str"),  # type: ignore[arg-type]
    (lambda: DecayGate(D, 0), ValueError, "n_heads: expected an int of at least 1; got 0"),
    (lambda: DecayGate(D, H, temperature=0), ValueError, "temperature: expected a number above 0"),
    (lambda: BetaGate(D, -2), ValueError, "n_heads: expected an int of at least 1; got -2"),
    (lambda: MixtureOfExperts(0, [FeedForward(D, 4)], 1), ValueError, "d_model: .* at least 1"),
    (lambda: MixtureOfExperts(D, [FeedForward(D, 4)], 2), ValueError, "n_active: expected 1 to 1"),
    (lambda: LearnedPositions(-8), ValueError, "d_model: expected an int of at least 1; got -8"),
    (
        lambda: SinusoidalPositions(D, max_len=-1),
        ValueError,
        "max_len: expected an int of at least",
    ),
    (lambda: RotaryPositions([1.0]), TypeError, "frequencies: expected a torch.Tensor; got list"),  # type: ignore[arg-type]
    (lambda: RotaryPositions(torch.ones(2, 2)), ValueError, r"frequencies: expected \(F\)"),
    (lambda: ROTARY(max_len=-1), ValueError, "max_len: expected an int of at least 1; got -1"),
    (lambda: ROTARY(pairing="x"), ValueError, "pairing: expected one of half, interleaved"),
    (lambda: RelativeBias(0), ValueError, "n_heads: expected an int of at least 1; got 0"),
    (lambda: RelativeBias(H, n_buckets=-1), ValueError, "n_buckets: expected an int of at least 1"),
    (lambda: AdditiveAttention(4, -6, 5), ValueError, "d_memory: expected an int of at least 1"),
    (lambda: LuongAttention(0, 6), ValueError, "d_query: expected an int of at least 1; got 0"),
    (lambda: BahdanauDecoder(0, 6, 5), ValueError, "d_input: expected an int of at least 1; got 0"),
    (lambda: PatchEmbedding(D, 0), ValueError, "patch_size: expected an int of at least 1; got 0"),
    (lambda: PatchEmbedding(D, 4, stride=(0, 2)), ValueError, r"stride\[0\]: expected an int of"),
    (lambda: GridPositions(D, (2, 0)), ValueError, r"grid\[1\]: expected an int of at least 1"),
    (lambda: GridPositions(D, 4), TypeError, r"grid: expected a pair \(down, across\); got 4"),  # type: ignore[arg-type]
    (lambda: PatchTokens(D, (8, 8), 4, n_registers=-1), ValueError, "n_registers: .* at least 0"),
    (lambda: KVCache("a"), TypeError, "max_len: expected an int; got str"),  # type: ignore[arg-type]
    (lambda: LatentCache(2.5), TypeError, "max_len: expected an int; got float"),  # type: ignore[arg-type]
    (lambda: SlidingCache(1.5), TypeError, "left: expected an int; got float"),  # type: ignore[arg-type]
    (lambda: depth_scaled_init(nn.Linear(2, 2), 0), ValueError, "n_layers: .* at least 1; got 0"),
    (lambda: depth_scaled_init(nn.Linear(2, 2), 2, std=-1.0), ValueError, "std: .* at least 0"),
]

OPTIONS: list[Wrong] = [
    (lambda: MHA(sofcap=5.0), TypeError, "options: expected any of scale, .*; got sofcap"),
    (lambda: MHA(dropout=1.5), ValueError, "dropout: expected a number below 1; got 1.5"),
    (lambda: MHA(dropout="a"), TypeError, "dropout: expected a number; got str"),
    (lambda: MHA(softcap=-5), ValueError, "softcap: expected a number above 0; got -5"),
    (lambda: MHA(scale="a"), TypeError, "scale: expected a number; got str"),
    (lambda: MHA(window=3), TypeError, r"window: expected a pair \(left, right\); got 3"),
    (lambda: MHA(kernel="flash"), ValueError, "kernel: expected one of reference, .*; got 'flash'"),
    (lambda: MHA(sinks=torch.zeros(3)), ValueError, r"sinks: expected \(H\) with H = 2 .*\(3,\)"),
    (lambda: MHA(sinks=[1.0, 2.0]), TypeError, "sinks: expected a torch.Tensor; got list"),
    (lambda: MHA(bias="no"), TypeError, "bias: expected True or False; got str"),
    (lambda: LayerNorm(D, bias="no"), TypeError, "bias: expected True or False; got str"),  # type: ignore[arg-type]
    (lambda: FeedForward(D, 16, bias="no"), TypeError, "bias: expected True or False; got str"),  # type: ignore[arg-type]
    (lambda: GatedFeedForward(D, 16, bias="no"), TypeError, "bias: expected True or False"),  # type: ignore[arg-type]
    (lambda: LinearAttention(D, H, bias="no"), TypeError, "bias: expected True or False; got str"),  # type: ignore[arg-type]
    (lambda: KernelAttention(D, H, bias="no"), TypeError, "bias: expected True or False; got str"),  # type: ignore[arg-type]
    (lambda: PatchEmbedding(D, 4, bias="no"), TypeError, "bias: expected True or False; got str"),  # type: ignore[arg-type]
    (
        lambda: MixtureOfExperts(D, [FeedForward(D, 4)], 1, renormalise="no"),  # type: ignore[arg-type]
        TypeError,
        "renormalise: expected True or False; got str",
    ),
    (
        lambda: RelativeBias(H, n_buckets=5),
        ValueError,
        "n_buckets: expected a multiple of 4; got 5",
    ),
    (lambda: RelativeBias(H, causal="x"), TypeError, "causal: expected True or False; got str"),  # type: ignore[arg-type]
    (lambda: LinearAttention(D, H)(X, causal="no"), TypeError, "causal: expected True or False"),  # type: ignore[arg-type]
    (
        lambda: KernelAttention(D, H)(X, causal="no", cache=LinearCache()),  # type: ignore[arg-type]
        TypeError,
        "causal: expected True or False; got str",
    ),
    (
        lambda: MHA()(X, causal="no", cache=SlidingCache(4)),
        TypeError,
        "causal: expected True or False; got str",
    ),
    (lambda: LATENT()(X, absorb="no"), TypeError, "absorb: expected True or False; got str"),
]

DTYPES: list[Wrong] = [
    (lambda: MHA()(X.double()), TypeError, "x: expected torch.float32, the dtype of the weights"),
    (lambda: MHA()(X.half()), TypeError, "x: expected torch.float32, .*; got torch.float16"),
    (
        lambda: MHA()(X, X.double()),
        TypeError,
        "memory: expected torch.float32, .*got torch.float64",
    ),
    (lambda: LATENT()(X.double()), TypeError, "x: expected torch.float32, the dtype of the weig"),
    (
        lambda: LinearAttention(D, H)(X.double(), causal=True),
        TypeError,
        "x: expected torch.float32",
    ),
    (lambda: KernelAttention(D, H)(X.double()), TypeError, "x: expected torch.float32, the dtype"),
    (lambda: FeedForward(D, 16)(X.double()), TypeError, "x: expected torch.float32, the dtype"),
    (lambda: GatedFeedForward(D, 16)(X.half()), TypeError, "x: expected torch.float32, the dtype"),
    (lambda: experts()(X.double()), TypeError, "x: expected torch.float32, the dtype of the weig"),
    (lambda: LayerNorm(D)(X.double()), TypeError, "x: expected torch.float32, the dtype of the"),
    (lambda: RMSNorm(D)(X.double()), TypeError, "x: expected torch.float32, the dtype of the"),
    (lambda: DecayGate(D, H)(X.double()), TypeError, "x: expected torch.float32, the dtype of the"),
    (lambda: BetaGate(D, H)(X.long()), TypeError, "x: expected a floating-point tensor"),
    (lambda: PatchEmbedding(D, 4)(torch.ones(1, 3, 8, 8).double()), TypeError, "image: expected"),
    (lambda: GridPositions(D, (1, 5))(X.double()), TypeError, "x: expected torch.float32, the dty"),
    (lambda: GridPositions(D, (1, 5))(X.long()), TypeError, "x: expected a floating-point tensor"),
    (lambda: LayerNorm(D)(X.long()), TypeError, "x: expected a floating-point tensor; got torch.i"),
    (lambda: RMSNorm(D)(IDS.expand(1, 5)), TypeError, "x: expected a floating-point tensor; got"),
    (lambda: layer_norm(torch.ones(3).long()), TypeError, "x: expected a floating-point tensor"),
    (lambda: layer_norm([1.0]), TypeError, "x: expected a torch.Tensor; got list"),  # type: ignore[arg-type]
    (lambda: layer_norm(X, eps=-1), ValueError, "eps: expected a number at least 0; got -1"),
    (lambda: layer_norm(X, eps=float("nan")), ValueError, "eps: expected a number .*; got nan"),
    (lambda: layer_norm(torch.tensor(1.0)), ValueError, r"x: expected \(..., D\); got \(\)"),
    (
        lambda: layer_norm(X, torch.ones(1)),
        ValueError,
        r"weight: expected \(D\) with D = 8 as in x",
    ),
    (lambda: layer_norm(X, torch.ones(8).double()), TypeError, "weight: expected torch.float32"),
    (lambda: rms_norm(torch.ones(3).long()), TypeError, "x: expected a floating-point tensor"),
    (lambda: rms_norm(X, torch.ones(8).bool()), TypeError, "weight: expected a floating-point"),
    (lambda: unit_length(torch.ones(3).long()), TypeError, "x: expected a floating-point tensor"),
    (lambda: unit_length(X.to(torch.float8_e4m3fn)), TypeError, "x: .*; got torch.float8_e4m3fn"),
    (lambda: unit_length([1]), TypeError, "x: expected a torch.Tensor; got list"),  # type: ignore[arg-type]
    (lambda: unit_length(torch.tensor(1.0)), ValueError, r"x: expected \(..., K\); got \(\)"),
]

IDENTIFIERS: list[Wrong] = [
    (lambda: ROTARY()([1.0], IDS), TypeError, "x: expected a torch.Tensor; got list"),
    (lambda: PatchEmbedding(D, 4).grid("a", 4), TypeError, "height: expected an int; got str"),  # type: ignore[arg-type]
    (lambda: balance_loss(5), TypeError, "model: expected a Module; got int"),  # type: ignore[arg-type]
    (lambda: xavier_init(5), TypeError, "model: expected a Module; got int"),  # type: ignore[arg-type]
    (lambda: depth_scaled_init("a", 2), TypeError, "model: expected a Module; got str"),  # type: ignore[arg-type]
    (lambda: MixtureOfExperts(D, 5), TypeError, "experts: expected an Iterable; got int"),  # type: ignore[arg-type]
    (lambda: TokenEmbedding(4, D)(IDS[None]), ValueError, r"ids: .* 0 to 3 \(vocab_size = 4\).*4"),
    (lambda: TokenEmbedding(9, D)(-IDS[None]), ValueError, "ids: expected 0 to 8 .*; got -4 to 0"),
    (
        lambda: TokenEmbedding(9, D)(IDS[None].short()),
        TypeError,
        "ids: .*torch.int64 or torch.int32",
    ),
    (
        lambda: load_balancing_loss(torch.rand(5, 2), IDS[:, None]),
        ValueError,
        "chosen: .* below X = 2; got 2",
    ),
    (lambda: load_balancing_loss(torch.rand(5, 9), -IDS[:, None]), ValueError, "chosen: .*got -1"),
    (
        lambda: experts().route(X),
        ValueError,
        r"tokens: expected \(N, D\) with D = 8; got \(2, 5, 8",
    ),
    (lambda: MHA()(X, positions="a"), TypeError, "positions: expected a torch.Tensor; got str"),
    (lambda: MHA()(X, positions=torch.arange(99)), ValueError, r"positions: .*T = 5; got \(99,\)"),
    (lambda: MHA()(X, positions=IDS.float()), TypeError, "positions: expected an integer tensor"),
    (lambda: LATENT()(X, positions=IDS[:3]), ValueError, r"positions: expected \(T\) or \(B, T\)"),
    (lambda: ROTARY()(torch.ones(1, 1, 5, 4), IDS.float()), TypeError, "positions: .* integer ten"),
    (lambda: SinusoidalPositions(D)(X, 1.5), TypeError, "offset: expected an int; got float"),  # type: ignore[arg-type]
    (
        lambda: AlibiBias(H)(IDS.expand(2, 5), IDS),
        ValueError,
        r"queries: expected \(T\); got \(2, 5",
    ),
    (lambda: AlibiBias(H)(IDS, IDS.float()), TypeError, "keys: expected an integer tensor"),
    (
        lambda: RelativeBias(H)(IDS, IDS.expand(2, 5)),
        ValueError,
        r"keys: expected \(S\); got \(2, 5",
    ),
]

SHAPES: list[Wrong] = [
    (
        lambda: GridPositions(D, (2, 3), n_first=1)(torch.zeros(1, 1, D), grid=(0, 5)),
        ValueError,
        r"grid\[0\]: expected an int of at least 1; got 0",
    ),
    (
        lambda: GridPositions(D, (2, 3))(torch.zeros(1, 6, D), grid=(-2, -3)),
        ValueError,
        r"grid\[0\]: expected an int of at least 1; got -2",
    ),
    (
        lambda: GridPositions(D, (2, 3))(torch.zeros(1, 6, D), grid=4),  # type: ignore[arg-type]
        TypeError,
        r"grid: expected a pair \(down, across\); got 4",
    ),
    (
        lambda: PatchEmbedding(D, 4, stride=[4, 4])(torch.zeros(1, 3, 9, 8)),  # type: ignore[arg-type]
        ValueError,
        r"image: expected \(B, C, height, width\) of whole patches of 4; got height 9",
    ),
    (
        lambda: split_heads(X, 3),
        ValueError,
        r"x: expected \(B, T, H · K\) with H = 3; got \(2, 5, 8",
    ),
    (lambda: DecayGate(D, H)(X[..., :3]), ValueError, r"x: expected \(B, T, D\) with D = 8; got"),
    (lambda: BetaGate(D, H)(X[0]), ValueError, r"x: expected \(B, T, D\) with D = 8; got \(5, 8\)"),
    (lambda: decoder_block()(X, None), TypeError, "memory: expected a torch.Tensor; got NoneType"),
    (lambda: decoder_block()(X, X[0]), ValueError, r"memory: expected \(B, S, M\); got \(5, 8\)"),
    (
        lambda: decoder_block()(X, X, cache=KVCache(3)),
        TypeError,
        "cache: expected a BlockCache; got",
    ),
]

ATTEND = AdditiveAttention(4, 6, 5)
CONCAT, GENERAL = LuongAttention(4, 6, "concat"), LuongAttention(4, 6)
QUERY, KEYS = torch.randn(3, 4), torch.randn(3, 7, 5)
RECURRENT: list[Wrong] = [
    (
        lambda: ATTEND(QUERY[:1], KEYS),
        ValueError,
        r"keys: expected \(B, S, A\) with B = 1 as in que",
    ),
    (lambda: ATTEND(QUERY[:, :3], KEYS), ValueError, r"query: expected \(B, Q\) with Q = 4"),
    (lambda: ATTEND(QUERY, KEYS[..., :2]), ValueError, r"keys: expected \(B, S, A\) with A = 5"),
    (lambda: ATTEND(QUERY.double(), KEYS), TypeError, "query: expected torch.float32"),
    (lambda: ATTEND.keys(KEYS), ValueError, r"memory: expected \(B, S, M\) with M = 6; got"),
    (lambda: ATTEND(QUERY, KEYS, torch.ones(3, 1).bool()), ValueError, r"mask: .*\(3, 7\); got"),
    (lambda: ATTEND(QUERY, KEYS, torch.ones(3, 7)), TypeError, "mask: expected torch.bool"),
    (lambda: CONCAT(QUERY[:1], KEYS[..., :4]), ValueError, "keys: .* B = 1 as in query"),
    (lambda: GENERAL(QUERY[:1], KEYS[..., :4]), ValueError, "keys: .* B = 1 as in query"),
    (lambda: GENERAL(QUERY, KEYS), ValueError, r"keys: expected \(B, S, A\) with A = 4; got"),
    (lambda: GENERAL.keys(KEYS), ValueError, r"memory: expected \(B, S, M\) with M = 6; got"),
    (
        lambda: LuongAttention(4, 4, "dot").keys(KEYS),
        ValueError,
        r"memory: .* M = 4; got \(3, 7, 5",
    ),
    (lambda: ATTEND(QUERY, KEYS.double()), TypeError, "keys: expected torch.float32, .* of query"),
    (lambda: GENERAL(QUERY.double(), KEYS[..., :4]), TypeError, "query: expected torch.float32"),
    (lambda: CONCAT(QUERY, KEYS[..., :4].double()), TypeError, "keys: expected torch.float32"),
    (
        lambda: LuongAttention(4, 4, "dot")(QUERY.double(), KEYS[..., :4]),
        TypeError,
        "keys: expected torch.float64, the dtype of query; got torch.float32",
    ),
    (
        lambda: BahdanauDecoder(D, 6, D)(X.double(), X, torch.zeros(B, 6)),
        TypeError,
        "inputs: expected torch.float32, the dtype of the weights; got torch.float64",
    ),
    (lambda: LuongDecoder(D, 6, D)(X.double(), X), TypeError, "inputs: expected torch.float32"),
    (
        lambda: LuongDecoder(D, 6, D)(X, X, torch.zeros(B, 12).double()),
        TypeError,
        "state: expected torch.float32, the dtype of the weights",
    ),
    (
        lambda: LuongDecoder(D, 6, 6, "dot")(X, X[..., :6].double()),
        TypeError,
        "memory: expected torch.float32, the dtype of inputs",
    ),
    (
        lambda: LuongDecoder(D, 6, D)(X, X, resumed="yes"),  # type: ignore[arg-type]
        TypeError,
        "resumed: expected True or False; got str",
    ),
    (
        lambda: BahdanauDecoder(D, 6, D)(X, X, mask=3),
        TypeError,
        "mask: expected a torch.Tensor; got",
    ),
]

KV = torch.ones(B, H, 3, 4)
CACHES: list[Wrong] = [
    (lambda: SlidingCache(2).mask("a"), TypeError, "t: expected an int; got str"),  # type: ignore[arg-type]
    (lambda: KVCache(8).positions("banana"), ValueError, "device: .*; got 'banana'"),  # type: ignore[arg-type]
    (lambda: SlidingCache(8).positions(3.5), TypeError, "device: expected a torch.device"),  # type: ignore[arg-type]
    (lambda: MemoryCache().get(X, 5), TypeError, "project: expected a function or a mod"),  # type: ignore[arg-type]
    (
        lambda: MemoryCache().get(None, lambda m: (m, m)),  # type: ignore[arg-type]
        TypeError,
        "memory: expected a torch.Tensor; got NoneType",
    ),
    (lambda: LinearCache().update("a", "b"), TypeError, "state: expected a torch.Tensor; got"),  # type: ignore[arg-type]
    (lambda: LinearCache().update(KV, "b"), TypeError, "t: expected an int; got str"),  # type: ignore[arg-type]
    (lambda: LinearCache().update(X, 3), ValueError, r"state: expected \(B, H, K, E\); got"),
    (
        lambda: decoder_block()(X, X, cache=BlockCache(5, MemoryCache())),  # type: ignore[arg-type]
        TypeError,
        r"cache.self_attention.length: expected an int; got NoneType",
    ),
    (lambda: MHA()(X, cache=5), TypeError, "cache: expected a MemoryCache .*; got int"),
    (lambda: MHA()(X, cache=LinearCache()), TypeError, "a KVCache or .* without; got LinearCache"),
    (lambda: MHA()(X, cache=LatentCache(9)), TypeError, "cache: .*; got LatentCache"),
    (
        lambda: LATENT()(X, cache=KVCache(9)),
        TypeError,
        "cache: expected a LatentCache; got KVCache",
    ),
    (
        lambda: LinearAttention(D, H)(X, causal=True, cache=KVCache(4)),
        TypeError,
        "a LinearCache; got",
    ),  # type: ignore[arg-type]
    (
        lambda: LinearAttention(D, H)(X, causal=True, mask=torch.ones(B, 1, 1, T)),
        TypeError,
        "mask: ",
    ),
    (
        lambda: KernelAttention(D, H)(X, mask=torch.ones(B, 1, 1, T)),
        TypeError,
        "mask: .* torch.bool",
    ),
    (
        lambda: MHA(window=(2, 0))(X[:, :1], cache=SlidingCache(4)),
        ValueError,
        "left = 2, .*left = 4",
    ),
    (
        lambda: MHA()(X, cache=SlidingCache(8)),
        ValueError,
        "causal: expected True with a SlidingCache",
    ),
    (
        lambda: KVCache(8).update(KV, KV[:, :, :1]),
        ValueError,
        r"v: .* T = 3 as in k; got \(2, 2, 1",
    ),
    (
        lambda: KVCache(8).update(KV[0, 0, 0], KV),
        ValueError,
        r"k: expected \(B, G, T, K\); got \(4,",
    ),
    (lambda: KVCache(8).update(5, 6), TypeError, "k: expected a torch.Tensor; got int"),  # type: ignore[arg-type]
    (lambda: SlidingCache(2).update(KV, KV[:1]), ValueError, r"v: .* B = 2 as in k; got \(1, 2, 3"),
    (lambda: SlidingCache(2).update(KV[0], KV[0]), ValueError, r"k: expected \(B, G, T, K\); got"),
    (
        lambda: LatentCache(8).update(KV[:1, 0], KV[:, 0]),
        ValueError,
        "rope_key: .*B = 1 as in latent",
    ),
    (lambda: filled(KVCache(8)).crop("a"), TypeError, "length: expected an int; got str"),  # type: ignore[arg-type]
    (lambda: filled(KVCache(8)).reorder(torch.tensor([5])), ValueError, "rows: .*0 to 1, .*got 5"),
    (lambda: filled(KVCache(8)).reorder(torch.tensor([-1, 0])), ValueError, "rows: .*got -1 to 0"),
    (
        lambda: filled(KVCache(8)).reorder(torch.ones(2)),
        TypeError,
        "rows: expected an integer tens",
    ),
    (lambda: filled(KVCache(8)).reorder([0]), TypeError, "rows: expected a torch.Tensor; got list"),  # type: ignore[arg-type]
]

WRONG = [*SIZES, *OPTIONS, *DTYPES, *IDENTIFIERS, *SHAPES, *RECURRENT, *CACHES]


@pytest.mark.parametrize(("call", "error", "message"), WRONG)
def test_wrong_arguments_are_named(
    call: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with torch.no_grad(), pytest.raises(error, match=message):
        call()


def test_a_refused_update_leaves_the_cache_as_it_was() -> None:
    cache = filled(KVCache(8))
    with pytest.raises(ValueError, match="v: expected"):
        cache.update(KV, KV[:, :, :1])
    with pytest.raises(ValueError, match="rows: expected"):
        cache.reorder(torch.tensor([0, 2]))
    assert cache.length == 3
    assert torch.equal(cache.update(KV, KV)[0], torch.ones(B, H, 6, 4))


def test_a_sliding_cache_may_stand_for_the_layers_own_window() -> None:
    layer, x = MHA(window=(2, 0)).eval(), torch.randn(B, T, D)
    cache = SlidingCache(2)
    with torch.no_grad():
        parts = [layer(part, causal=True, cache=cache) for part in x.split([3, 1, 1], dim=1)]
        assert torch.allclose(torch.cat(parts, dim=1), layer(x, causal=True), atol=1e-6)


def test_float64_is_not_for_autocast_and_the_narrow_is() -> None:
    layer, x = MHA(), torch.randn(B, T, D)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x.bfloat16()).dtype == torch.bfloat16
        with pytest.raises(TypeError, match=r"x: expected torch.float32, .*; got torch.float64"):
            layer(x.double())
    with pytest.raises(TypeError, match=r"x: expected torch.float32, .*; got torch.bfloat16"):
        layer(x.bfloat16())


def test_checks_of_dtype_and_ids_compile_whole() -> None:
    layer, ids = nn.Sequential(TokenEmbedding(9, D), MHA()).eval(), IDS[None]
    compiled = torch.compile(layer, fullgraph=True, backend="eager", dynamic=True)
    assert torch.equal(compiled(ids), layer(ids))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert compiled(ids).dtype == torch.bfloat16


def test_a_quantised_layer_takes_floats() -> None:
    layer = FeedForward(D, 16)
    layer.up_proj.weight = nn.Parameter(torch.ones(16, D).char(), requires_grad=False)
    layer.up_proj.forward = lambda x: x.repeat(1, 1, 2)  # type: ignore[method-assign]
    assert layer(X).shape == X.shape
