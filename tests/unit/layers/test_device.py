"""Every layer makes its helper tensors where its input is: seen on meta, without a GPU."""

from functools import partial

import pytest
import torch
from torch import nn

from attention_guide.functional import rope, rope_frequencies
from attention_guide.layers import (
    AlibiBias,
    BetaGate,
    DecayGate,
    KernelAttention,
    KVCache,
    LatentAttention,
    LatentCache,
    LinearAttention,
    LinearCache,
    MultiHeadAttention,
    RelativeBias,
    RMSNorm,
    RotaryPositions,
    unit_length,
)
from attention_guide.models import Transformer, TransformerConfig

D, H = 16, 4
LAYERS = {
    "rope": (partial(MultiHeadAttention, D, H, rotary=rope, qk_norm=RMSNorm), lambda: KVCache(8)),
    "tables": (
        lambda: MultiHeadAttention(D, H, rotary=RotaryPositions(rope_frequencies(4), max_len=8)),
        lambda: KVCache(8),
    ),
    "alibi": (lambda: MultiHeadAttention(D, H, position_bias=AlibiBias(H)), lambda: KVCache(8)),
    "t5": (lambda: MultiHeadAttention(D, H, position_bias=RelativeBias(H)), lambda: KVCache(8)),
    "sinks": (lambda: MultiHeadAttention(D, H, sinks=torch.zeros(H)), lambda: KVCache(8)),
    "latent": (partial(LatentAttention, D, H, d_latent=6, d_rope=2), lambda: LatentCache(8)),
    "linear": (
        lambda: LinearAttention(
            D, H, decay=DecayGate(D, H), beta=BetaGate(D, H), feature=unit_length
        ),
        LinearCache,
    ),
    "kernel": (partial(KernelAttention, D, H), LinearCache),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_follow_their_input(name: str) -> None:
    make, make_cache = LAYERS[name]
    layer: nn.Module = make().to("meta")
    x, cache = torch.zeros(2, 5, D, device="meta"), make_cache()
    assert layer(x, causal=True).device.type == "meta"
    with torch.no_grad():
        for part in x.split([3, 1, 1], dim=1):
            assert layer(part, causal=True, cache=cache).device.type == "meta"


def test_the_transformer_follows_its_ids() -> None:
    model = Transformer(TransformerConfig(11, 11, D, H, d_ff=32, n_layers=2)).to("meta")
    ids = torch.zeros(2, 5, dtype=torch.long, device="meta")
    assert model(ids, ids).device.type == "meta"
    cache = model.decoder.new_cache(5)
    with torch.no_grad():
        memory = model.encode(ids)
        for part in ids.split([2, 1, 2], dim=1):
            assert model.decode(part, memory, ids, cache=cache).device.type == "meta"
