"""ONNX operator vectors of what is not attention: norms, activations, caches and the loss."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attention_guide.layers import (
    FeedForward,
    GatedFeedForward,
    KVCache,
    LatentCache,
    LayerNorm,
    RMSNorm,
    SlidingCache,
    layer_norm,
    rms_norm,
)
from attention_guide.train.losses import cross_entropy
from tests.parity.onnx_cases import compare, of, unpack


def flat_norm(case: Any) -> tuple[Tensor, Tensor, Tensor | None, float, Tensor]:
    """x, gain, shift, eps and what is wanted; ONNX's axes from `axis` on become the last one."""
    inputs, wanted, attributes = unpack(case)
    x, axis = inputs["X"], attributes.get("axis", -1)
    bias = inputs["B"].flatten() if "B" in inputs else None
    eps = attributes.get("epsilon", 1e-5)
    return x.flatten(axis), inputs["W"].flatten(), bias, eps, wanted["Y"].flatten(axis)


def run_norm(case: Any, as_layer: bool) -> list[tuple[Tensor, Tensor]]:
    x, weight, bias, eps, wanted = flat_norm(case)
    if not as_layer:
        if bias is None:
            return [(rms_norm(x, weight, eps=eps), wanted)]
        return [(layer_norm(x, weight, bias, eps=eps), wanted)]
    kind = RMSNorm if bias is None else LayerNorm
    layer = kind(len(weight), eps=eps)
    layer.load_state_dict({"weight": weight} if bias is None else {"weight": weight, "bias": bias})
    return [(layer(x).detach(), wanted)]


@pytest.mark.parametrize("op", ["RMSNormalization", "LayerNormalization"])
@pytest.mark.parametrize("as_layer", [False, True])
def test_norm_vectors(op: str, as_layer: bool, parity_record: Any) -> None:
    """Y of every case; LayerNormalization's Mean and InvStdDev ours don't give."""
    names = {"RMSNormalization": ("rms_norm", "RMSNorm"),
             "LayerNormalization": ("layer_norm", "LayerNorm")}  # fmt: skip
    run = partial(run_norm, as_layer=as_layer)
    assert compare(op, names[op][as_layer], run, parity_record) == 0
    extra = {name for case in of(op) for name in unpack(case)[1]} - {"Y"}
    assert extra == ({"Mean", "InvStdDev"} if op == "LayerNormalization" else set())


def through_feed_forward(x: Tensor, activation: Any, gated: bool) -> Tensor:
    """What a feed-forward makes of `x` whose matrices are the identity and whose `up` is 1."""
    width = x.shape[-1]
    made = GatedFeedForward if gated else FeedForward
    layer = made(width, width, activation=activation, bias=True)
    state = {name: torch.zeros_like(p) for name, p in layer.state_dict().items()}
    for name in ("gate_proj", "down_proj") if gated else ("up_proj", "down_proj"):
        state[f"{name}.weight"] = torch.eye(width)
    if gated:
        state["up_proj.bias"] = torch.ones(width)
    layer.load_state_dict(state)
    return layer(x).detach()


@pytest.mark.parametrize("gated", [False, True])
def test_gelu_vectors(gated: bool, parity_record: Any) -> None:
    def run(case: Any) -> list[tuple[Tensor, Tensor]]:
        inputs, wanted, attributes = unpack(case)
        kind = attributes.get("approximate", b"none").decode()
        got = through_feed_forward(inputs["x"], partial(F.gelu, approximate=kind), gated)
        return [(got, wanted["y"])]

    what = "GatedFeedForward(activation=gelu)" if gated else "FeedForward(activation=gelu)"
    assert compare("Gelu", what, run, parity_record) == 0


def test_swish_vectors(parity_record: Any) -> None:
    def run(case: Any) -> list[tuple[Tensor, Tensor]] | None:
        inputs, wanted, attributes = unpack(case)
        if attributes["alpha"] != 1.0:
            return None  # SiLU has no slope
        return [(through_feed_forward(inputs["x"], F.silu, True), wanted["y"])]

    assert compare("Swish", "GatedFeedForward (SiLU)", run, parity_record) == 0


def written_in_line(past: Tensor, update: Tensor, start: int) -> Tensor:
    """All that the cache holds once the tokens from `start` on are replaced by `update`."""
    cache: KVCache | LatentCache = KVCache(past.shape[-2]) if past.ndim == 3 else LatentCache(8)
    row = past[None]
    cache.update(row, row)
    cache.crop(start)
    held, also = cache.update(update[None], update[None])
    assert torch.equal(held, also)
    return held[0]


def written_round(past: Tensor, update: Tensor, start: int) -> Tensor:
    """A sliding cache's tokens, each in the slot that a ring of the same size gives it."""
    size = past.shape[-2]
    cache = SlidingCache(left=size)
    before = past.new_zeros(1, past.shape[0], start, past.shape[-1])
    in_order = torch.cat([before, past.roll(-start, dims=-2)[None]], dim=-2)
    cache.update(in_order, in_order)
    held, _ = cache.update(update[None], update[None])
    slots = cache.positions()[-size:] % size
    ring = torch.empty_like(past)
    ring[:, slots] = held[0, :, -size:]
    return ring


def test_tensor_scatter_vectors(parity_record: Any) -> None:
    """What ONNX leaves behind the last token written is no part of a cache of ours."""

    def run(case: Any) -> list[tuple[Tensor, Tensor]]:
        inputs, wanted, attributes = unpack(case)
        rows = zip(
            inputs["past_cache"], inputs["update"], inputs["write_indices"].tolist(),
            wanted["present_cache"], strict=True,
        )  # fmt: skip
        if attributes.get("mode") == b"circular":
            return [(written_round(past, new, at), all_) for past, new, at, all_ in rows]
        pairs = []
        for past, new, at, all_ in rows:
            end = at + new.shape[-2]
            pairs.append((written_in_line(past, new, at), all_[..., :end, :]))
        return pairs

    what = "KVCache, LatentCache, SlidingCache"
    assert compare("TensorScatter", what, run, parity_record) == 0


def each(logits: Tensor, targets: Tensor, pad_id: int | None) -> Tensor:
    """The loss of every target on its own, which ONNX calls reduction "none"."""
    loss = torch.vmap(lambda x, y: cross_entropy(x, y, pad_id=pad_id))
    return loss(logits.flatten(0, -2), targets.flatten()).view_as(targets)


def log_probs(logits: Tensor) -> Tensor:
    """Minus the loss of every class, were it the right one; the classes come second, as in ONNX."""
    classes = torch.arange(logits.shape[-1]).expand(logits.shape)
    wide = logits[..., None, :].expand(*logits.shape, logits.shape[-1])
    return -each(wide, classes, None).movedim(-1, 1)


def test_cross_entropy_vectors(parity_record: Any) -> None:
    """All but those that weigh the classes, which our loss does not."""

    def run(case: Any) -> list[tuple[Tensor, Tensor]] | None:
        inputs, wanted, attributes = unpack(case)
        if "w" in inputs:
            return None
        logits, targets = inputs["x"].movedim(1, -1), inputs["y"]
        pad_id, how = attributes.get("ignore_index"), attributes["reduction"]
        loss = cross_entropy(logits, targets, pad_id=pad_id)
        if how == b"none":
            loss = each(logits, targets, pad_id)
        elif how == b"sum":
            loss = loss * (targets.numel() if pad_id is None else (targets != pad_id).sum())
        got = {"z": loss}
        if "log_prob" in wanted:
            got["log_prob"] = log_probs(logits)
        return [(got[name], x) for name, x in wanted.items()]

    refused = compare("SoftmaxCrossEntropyLoss", "cross_entropy", run, parity_record)
    weighed = ["w" in unpack(case)[0] for case in of("SoftmaxCrossEntropyLoss")]
    assert refused == sum(weighed) == 16
    assert len(weighed) - refused == 18
