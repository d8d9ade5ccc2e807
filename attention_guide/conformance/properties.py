"""The properties that every attention function keeps: a fixed public list.

Each property is a function of an `Adapter` that returns None when it holds, a minimal failing
example (a string) when it doesn't, and raises `NotApplicable` when the callable can't express it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor

from attention_guide.conformance.adapter import Adapter
from attention_guide.conformance.property import (
    TOLERANCE,
    NotApplicable,
    Property,
    differs,
    finite,
    needs_cross,
    needs_free_order,
    needs_mask,
    tensors,
)
from attention_guide.functional import attention, causal_mask, window_mask

MASKS = "implementation/masks"
SCALED = "theory/scaled-dot-product"

PROPERTIES: list[Property] = []
"""Every property, in the order of a report; each function below adds its own."""


def _property(
    name: str, chapter: str
) -> Callable[[Callable[[Adapter], str | None]], Callable[[Adapter], str | None]]:
    def register(test: Callable[[Adapter], str | None]) -> Callable[[Adapter], str | None]:
        PROPERTIES.append(Property(name, (test.__doc__ or "").strip(), chapter, test))
        return test

    return register


@_property("rows sum to one", SCALED)
def rows_sum_to_one(adapter: Adapter) -> str | None:
    """Attention weights are a convex combination: values that are all one give outputs of one."""
    q, k, v = tensors(adapter)
    out = adapter.fn(q, k, torch.ones_like(v))
    return differs("with v = 1, expected every output to be 1", out, torch.ones_like(out), adapter)


@_property("scale by head width", SCALED)
def scale_by_head_width(adapter: Adapter) -> str | None:
    """Scores are divided by the square root of the head width K, not of the model width."""
    q, k, _ = tensors(adapter, k=6)
    weights = adapter.fn(q, k, torch.eye(6, dtype=q.dtype).expand(2, 4, 6, 6).contiguous())
    scores = (q @ k.transpose(-2, -1)).double()
    # A module's own parameters may have brought their gradients along.
    got = weights.detach().double().clamp_min(1e-30).log()
    # The last query sees the same keys, causal or not.
    seen = _allowed(adapter, 6)[-1]
    scores, got = scores[..., -1, seen], got[..., -1, seen]
    centred_scores = scores - scores.mean(-1, keepdim=True)
    centred_got = got - got.mean(-1, keepdim=True)
    scale = float((centred_scores * centred_got).sum() / centred_scores.square().sum())
    if abs(scale * math.sqrt(6) - 1) <= 1e3 * TOLERANCE[adapter.dtype]:
        return None
    return f"head width 6, 4 heads: expected scale 1/√6 = {6**-0.5:.4f}, measured {scale:.4f}"


@_property("causality", MASKS)
def causality(adapter: Adapter) -> str | None:
    """A change in the future alters nothing before it, bit for bit."""
    q, k, v = tensors(adapter)
    before = _causal(adapter, q, k, v)
    for position in range(1, 6):
        q2, k2, v2 = q.clone(), k.clone(), v.clone()
        # In self-attention a later token is a query, too.
        q2[..., position:, :] = 5.0
        k2[..., position:, :] = 7.0
        v2[..., position:, :] = -7.0
        after = _causal(adapter, q2, k2, v2)
        if not torch.equal(before[..., :position, :], after[..., :position, :]):
            return f"changing q, k and v from position {position} on changed outputs before it"
    return _missing_past(adapter, q, k, v, before)


def _missing_past(adapter: Adapter, q: Tensor, k: Tensor, v: Tensor, before: Tensor) -> str | None:
    for position in range(6):
        v2 = v.clone()
        v2[..., position, :] += 1.0
        after = _causal(adapter, q, k, v2)
        if torch.equal(before[..., position, :], after[..., position, :]):
            return f"query {position} does not see its own position"
    return None


@_property("padding invariance", MASKS)
def padding_invariance(adapter: Adapter) -> str | None:
    """Masked keys change nothing: neither their number nor what stands in them."""
    needs_mask(adapter)
    q, k, v = tensors(adapter)
    keep = torch.ones(2, 1, 1, 6, dtype=torch.bool)
    keep[1, ..., 4:] = False
    out = adapter.fn(q, k, v, mask=keep)
    k2, v2 = k.clone(), v.clone()
    k2[1, :, 4:], v2[1, :, 4:] = 50.0, -50.0
    again = adapter.fn(q, k2, v2, mask=keep)
    if not torch.equal(out, again):
        return "keys 4 and 5 of sequence 1 are masked, yet their content changes the output"
    short = adapter.fn(q[1:, :, :4], k[1:, :, :4], v[1:, :, :4])
    return differs("4 tokens padded to 6 differ from the 4 tokens alone", out[1:, :, :4], short,
                    adapter)  # fmt: skip


@_property("batch independence", SCALED)
def batch_independence(adapter: Adapter) -> str | None:
    """A sequence's output does not depend on the other sequences of its batch."""
    q, k, v = tensors(adapter, b=3)
    together = adapter.fn(q, k, v)
    alone = torch.cat([adapter.fn(q[i : i + 1], k[i : i + 1], v[i : i + 1]) for i in range(3)])
    return differs("three sequences together differ from each alone", together, alone, adapter)


@_property("permutation equivariance", "theory/positions")
def permutation_equivariance(adapter: Adapter) -> str | None:
    """Without positions and mask, permuted queries permute outputs; keys come in any order."""
    needs_free_order(adapter)
    q, k, v = tensors(adapter)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    out = adapter.fn(q, k, v)
    keys = adapter.fn(q, k[..., order, :], v[..., order, :])
    queries = adapter.fn(q[..., order, :], k, v)
    return differs("permuted keys and values change the output", keys, out, adapter) or differs(
        "permuted queries do not permute the output", queries, out[..., order, :], adapter
    )


@_property("mask polarity", MASKS)
def mask_polarity(adapter: Adapter) -> str | None:
    """True means *may attend*: a query that may attend to one key returns that key's value."""
    needs_mask(adapter)
    q, k, v = tensors(adapter)
    mask = torch.eye(6, dtype=torch.bool).expand(2, 1, 6, 6)
    out = adapter.fn(q, k, v, mask=mask)
    return differs("with a diagonal mask, expected output = v", out, v, adapter)


@_property("rows that may attend nowhere", MASKS)
def dead_rows(adapter: Adapter) -> str | None:
    """A query that may attend nowhere gives 0, never NaN, and so does its gradient."""
    needs_mask(adapter)
    q, k, v = (x.requires_grad_() for x in tensors(adapter))
    mask = torch.ones(2, 1, 6, 6, dtype=torch.bool)
    mask[0, :, 2] = False
    out = adapter.fn(q, k, v, mask=mask)
    row = out[0, :, 2]
    if not torch.equal(row, torch.zeros_like(row)):
        return f"query 2 of sequence 0 may attend nowhere; its output is {row.flatten()[0].item()}"
    grads = torch.autograd.grad(out.sum(), (q, k, v))
    bad = [name for name, x in zip("qkv", grads, strict=True) if not finite(x)]
    if bad:
        return f"the gradient of {', '.join(bad)} is not finite"
    steepest = grads[0][0, :, 2].abs().max().item()
    if steepest == 0:
        return None
    return f"query 2 of sequence 0 may attend nowhere; its gradient is up to {steepest:.4g}"


@_property("chunked = whole", "implementation/kv-cache")
def chunked(adapter: Adapter) -> str | None:
    """Queries in chunks against all keys, with their rows of the mask, give the whole's rows."""
    needs_mask(adapter)
    needs_cross(adapter)
    needs_free_order(adapter)
    q, k, v = tensors(adapter)
    mask = causal_mask(6)
    whole = adapter.fn(q, k, v, mask=mask)
    parts = [adapter.fn(q[..., i : i + 2, :], k, v, mask=mask[i : i + 2]) for i in (0, 2, 4)]
    return differs("three chunks of two queries differ from the whole", torch.cat(parts, -2),
                    whole, adapter)  # fmt: skip


@_property("cache = no cache", "implementation/kv-cache")
def cached(adapter: Adapter) -> str | None:
    """Decoding step by step with the cache gives what one causal pass gives."""
    if adapter.step is None:
        raise NotApplicable("the adapter declares no cache (step=)")
    # Twice: a cache that isn't reset between sequences is right the first time.
    return _cached_sequence(adapter, seed=0) or _cached_sequence(adapter, seed=1)


def _cached_sequence(adapter: Adapter, seed: int) -> str | None:
    assert adapter.step is not None
    q, k, v = tensors(adapter, seed=seed)
    state, outs = None, []
    for i in range(6):
        new = (x[..., i : i + 1, :] for x in (q, k, v))
        out, state = adapter.step(*new, state)
        outs.append(out)
    expected = attention(q, k, v, causal=True, window=adapter.window, kernel="reference")
    return differs(f"sequence {seed + 1}: six cached steps differ from one pass",
                    torch.cat(outs, -2), expected, adapter)  # fmt: skip


@_property("causal alignment", "implementation/kv-cache")
def causal_alignment(adapter: Adapter) -> str | None:
    """With fewer queries than keys, causal aligns to the last key: the newest query sees all."""
    if not (adapter.causal or adapter.always_causal):
        raise NotApplicable("the adapter declares no causal masking of its own")
    needs_cross(adapter)
    q, k, v = tensors(adapter)
    last_two = _causal(adapter, q[..., 4:, :], k, v)
    whole = _causal(adapter, q, k, v)
    return differs("2 queries on 6 keys differ from the last 2 of 6", last_two, whole[..., 4:, :],
                    adapter)  # fmt: skip


@_property("grouped = repeated heads", "theory/multi-head")
def grouped(adapter: Adapter) -> str | None:
    """Fewer key/value heads give what the same heads give, each repeated for its group."""
    if not adapter.grouped:
        raise NotApplicable("the adapter declares no grouped heads")
    q, k, v = tensors(adapter)
    k, v = k[:, :2], v[:, :2]
    out = adapter.fn(q, k, v)
    repeated = adapter.fn(q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1))
    return differs("2 key/value heads differ from 4 repeated", out, repeated, adapter)


@_property("gradients", SCALED)
def gradients(adapter: Adapter) -> str | None:
    """Gradients to q, k and v are those of finite differences, in float64."""
    adapter = _in_float64(adapter)
    if adapter.dtype != torch.float64:
        raise NotApplicable("it does not run in float64")
    inputs = tuple(x.requires_grad_() for x in tensors(adapter, b=1, h=2, t=3, s=3, k=2))
    try:
        torch.autograd.gradcheck(lambda *x: adapter.fn(*x), inputs)
    except RuntimeError as error:
        return str(error).splitlines()[0]
    return None


def _in_float64(adapter: Adapter) -> Adapter:
    """A copy of a module that has its parameters in another dtype; all else as declared."""
    module = adapter.module
    if module is None or adapter.fn is not module or adapter.dtype == torch.float64:
        return adapter
    if not any(parameter.is_floating_point() for parameter in module.parameters()):
        return adapter
    return replace(adapter, fn=deepcopy(module).double(), dtypes=(torch.float64,))


@_property("dropout off in eval", "implementation/training")
def dropout_off(adapter: Adapter) -> str | None:
    """In eval mode, two calls with the same input give the same output."""
    if adapter.module is None:
        raise NotApplicable("it is a function: it has no eval mode")
    q, k, v = tensors(adapter)
    same = torch.equal(adapter.fn(q, k, v), adapter.fn(q, k, v))
    return None if same else "two calls in eval mode differ"


@_property("large logits", SCALED)
def large_logits(adapter: Adapter) -> str | None:
    """Scores of ten thousand overflow no exponential: the output is that of the largest score."""
    q, k, v = tensors(adapter)
    # Twice as large and q kᵀ itself would overflow in float16.
    factor = 40 if adapter.dtype == torch.float16 else 1000
    out = adapter.fn(q * 100, k * factor, v)
    if not finite(out):
        return f"scores around {100 * factor} give NaN or infinity"
    best = (q @ k.transpose(-2, -1)).masked_fill(~_allowed(adapter, 6), -math.inf).argmax(-1)
    expected = v.gather(-2, best[..., None].expand(*best.shape, v.shape[-1]))
    return differs("the output is not the value of the largest score", out, expected, adapter)


@_property("half precision", "implementation/flash-attention")
def half_precision(adapter: Adapter) -> str | None:
    """In half precision the error is at most twice that of the plain computation in that dtype."""
    halves = [dtype for dtype in (torch.bfloat16, torch.float16) if dtype in adapter.dtypes]
    if not halves:
        raise NotApplicable("it runs neither in bfloat16 nor in float16")
    return "\n".join(filter(None, (_half_error(adapter, dtype) for dtype in halves))) or None


def _half_error(adapter: Adapter, dtype: torch.dtype) -> str | None:
    q, k, v = (x.to(dtype) for x in tensors(adapter, t=64, s=64, k=32))
    allowed = _allowed(adapter, 64)
    exact = attention(q.double(), k.double(), v.double(), mask=allowed, kernel="reference")
    scores = (q @ k.transpose(-2, -1) / math.sqrt(32)).masked_fill(~allowed, -math.inf)
    plain = (torch.softmax(scores.float(), -1).to(dtype) @ v).double()
    error = (adapter.fn(q, k, v).double() - exact).abs().max().item()
    bound = 2 * (plain - exact).abs().max().item()
    if error <= bound:
        return None
    return f"{dtype}: error {error:.2e}; twice the plain error is {bound:.2e}"


@_property("parity with the reference", SCALED)
def parity(adapter: Adapter) -> str | None:
    """The output is that of softmax(q kᵀ / √K) v, with and without a causal mask."""
    q, k, v = tensors(adapter, t=7, s=7, seed=1)
    if adapter.value_width:
        v = v[..., :5].contiguous()
    expected = attention(q, k, v, mask=_allowed(adapter, 7), kernel="reference")
    plain = differs("it differs from the reference", adapter.fn(q, k, v), expected, adapter)
    if plain or not (adapter.masked or adapter.causal):
        return plain
    expected = attention(q, k, v, causal=True, window=adapter.window, kernel="reference")
    return differs("it differs from the causal reference", _causal(adapter, q, k, v), expected,
                    adapter)  # fmt: skip


def _causal(adapter: Adapter, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    if adapter.causal:
        return adapter.fn(q, k, v, causal=True)
    if adapter.always_causal:
        return adapter.fn(q, k, v)
    needs_mask(adapter)
    return adapter.fn(q, k, v, mask=causal_mask(q.shape[-2], k.shape[-2]))


def _allowed(adapter: Adapter, n: int) -> Tensor:
    """What `fn` lets n queries see of n keys when it is asked for nothing."""
    if not adapter.always_causal:
        return torch.ones(n, n, dtype=torch.bool)
    left, right = adapter.window or (None, None)
    return causal_mask(n) & window_mask(n, left=left, right=right)
