"""Every layer makes its helper tensors where its input is, and its input where its weights are.

Seen on meta, without a GPU.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attention_guide.functional import rope, rope_frequencies
from attention_guide.layers import (
    AlibiBias,
    BahdanauDecoder,
    BetaGate,
    DecayGate,
    FeedForward,
    KernelAttention,
    KVCache,
    LatentAttention,
    LatentCache,
    LayerNorm,
    LearnedPositions,
    LinearAttention,
    LinearCache,
    MultiHeadAttention,
    PatchEmbedding,
    RelativeBias,
    RMSNorm,
    RotaryPositions,
    SinusoidalPositions,
    TokenEmbedding,
    load_balancing_loss,
    unit_length,
)
from attention_guide.models import Transformer, TransformerConfig
from tests.unit.layers.pieces import MHA, X, experts

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


AWAY, IDS = X.to("meta"), torch.arange(5)


def reordered(rows: Tensor) -> None:
    cache = KVCache(4)
    cache.update(torch.ones(2, 2, 1, 4), torch.ones(2, 2, 1, 4))
    cache.reorder(rows)


ELSEWHERE: list[tuple[Callable[[], Any], str]] = [
    (lambda: MHA()(AWAY), "x"),
    (lambda: MHA()(X, AWAY), "memory"),
    (lambda: MHA(rotary=rope)(X, positions=IDS.to("meta")), "positions"),
    (lambda: LayerNorm(8)(AWAY), "x"),
    (lambda: RMSNorm(8)(AWAY), "x"),
    (lambda: FeedForward(8, 16)(AWAY), "x"),
    (lambda: experts()(AWAY), "x"),
    (lambda: PatchEmbedding(8, 4)(torch.ones(1, 3, 8, 8, device="meta")), "image"),
    (lambda: SinusoidalPositions(8)(AWAY), "x"),
    (lambda: LearnedPositions(8)(AWAY), "x"),
    (lambda: TokenEmbedding(9, 8)(IDS[None].to("meta")), "ids"),
    (
        lambda: RotaryPositions(rope_frequencies(4))(torch.ones(1, 1, 5, 4), IDS.to("meta")),
        "positions",
    ),
    (lambda: AlibiBias(2)(IDS, IDS.to("meta")), "keys"),
    (lambda: AlibiBias(2)(IDS.to("meta"), IDS.to("meta")), "queries"),
    (lambda: RelativeBias(2)(IDS.to("meta"), IDS.to("meta")), "queries"),
    (lambda: BahdanauDecoder(8, 6, 8)(X, AWAY), "memory"),
    (lambda: load_balancing_loss(torch.rand(5, 2), IDS[:, None].to("meta")), "chosen"),
    (lambda: reordered(torch.tensor([0, 1], device="meta")), "rows"),
]


@pytest.mark.parametrize(("call", "name"), ELSEWHERE)
def test_another_device_than_the_weights_is_named(call: Callable[[], Any], name: str) -> None:
    with torch.no_grad(), pytest.raises(ValueError, match=f"^{name}: expected device cpu, .* meta"):
        call()


def test_a_weight_on_meta_may_be_fetched_by_a_hook() -> None:
    layer = FeedForward(8, 16)
    kept = {name: x.detach().clone() for name, x in layer.state_dict().items()}
    layer.to("meta")
    for name in ("up_proj", "down_proj"):
        layer.get_submodule(name).register_forward_pre_hook(
            lambda module, _, name=name: (
                module.load_state_dict(
                    {key: kept[f"{name}.{key}"] for key in ("weight", "bias")}, assign=True
                )
                and None
            )
        )
    with torch.no_grad():
        assert layer(X).device == X.device
