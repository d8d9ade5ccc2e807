"""Attention without the matrix: online softmax over tiles, recomputed in the backward pass."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from attention_guide.functional import _checks
from attention_guide.functional.blocked import key_range, tile
from attention_guide.functional.groups import fold_heads, unfold_heads, weighted_sum
from attention_guide.functional.masks import combine, position_mask
from attention_guide.functional.scores import attention_scores
from attention_guide.functional.traffic import Traffic

__all__ = ["tiled_attention"]


class _Plan(NamedTuple):
    mask: Tensor | None
    causal: bool
    window: tuple[int | None, int | None] | None
    scale: float
    softcap: float | None
    rows: int
    columns: int
    traffic: Traffic


def tiled_attention(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B G S K"],
    v: Float[Tensor, "B G S E"],
    *,
    mask: Bool[Tensor, "..."] | None = None,
    bias: Float[Tensor, "..."] | None = None,
    causal: bool = False,
    window: tuple[int | None, int | None] | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    sinks: Float[Tensor, " H"] | None = None,
    rows: int = 64,
    columns: int = 64,
    traffic: Traffic | None = None,
) -> Float[Tensor, "B H T E"]:
    r"""FlashAttention in torch: tile by tile, with $m$ and $\ell$ the running maximum and sum.

    For each tile, $m' = \max(m, \max x)$, $\ell' = e^{m - m'} \ell + \sum e^{x - m'}$ and
    $o' = e^{m - m'} o + e^{x - m'} v$; at the end the output is $o / \ell$. The backward pass
    computes each tile again from $m + \log \ell$, so that no weights are kept.

    Args:
        q: Queries, `(B, H, T, K)`.
        k: Keys, `(B, G, S, K)`.
        v: Values, `(B, G, S, E)`.
        mask: Bool, broadcastable to `(B, H, T, S)`, `True` = may attend.
        bias: Floats added to the scores, broadcastable to `(B, H, T, S)`.
        causal: Hide the future; the last query is aligned with the last key.
        window: `(left, right)`, neighbours seen on each side; `None` for all.
        scale: Takes the place of $1/\sqrt{K}$.
        softcap: A cap $c$ that bends the scores to $c \tanh(x / c)$.
        sinks: One logit a head, `(H,)`, of a key without a value.
        rows: Queries in a tile.
        columns: Keys in a tile.
        traffic: Counts the bytes moved, were a tile to fit in fast memory: those of the forward
            pass, and those of the backward pass when it runs.

    Returns:
        Outputs, `(B, H, T, E)`; 0 where a query may attend nowhere. Differentiable once.

    Raises:
        TypeError: A dtype is wrong.
        ValueError: A shape or a number is wrong.

    Cost:
        Memory for one tile, and two floats a query. The backward pass adds half of the forward
        pass's flops for the recomputation.

    Source:
        Dao et al. (2022), arXiv:2205.14135, algorithms 1 and 4, with the loop over queries
        outside, as in FlashAttention-2, Dao (2023), arXiv:2307.08691. Half precision is
        accumulated in float32.

    Examples:
        >>> from attention_guide.functional import untiled_traffic
        >>> q = k = v = torch.randn(1, 2, 256, 16)
        >>> whole, tiled = untiled_traffic(q, k, v), Traffic()
        >>> _ = tiled_attention(q, k, v, traffic=tiled)
        >>> whole.total, tiled.total
        (2228224, 329728)
    """
    q, k = _checks.query_key(q, k)
    v = _checks.value(v, k)
    _checks.score_terms(q, k, mask, bias, causal, window, scale, softcap, sinks)
    _checks.integer("rows", rows, least=1)
    _checks.integer("columns", columns, least=1)
    if traffic is not None:
        _checks.instance("traffic", traffic, Traffic)
    factor = q.shape[3] ** -0.5 if scale is None else scale
    count = Traffic() if traffic is None else traffic
    plan = _Plan(mask, causal, window, factor, softcap, rows, columns, count)
    out: Tensor = _Tiled.apply(q, k, v, bias, sinks, plan)  # type: ignore[no-untyped-call]
    return out


class _Tiled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        bias: Tensor | None,
        sinks: Tensor | None,
        plan: _Plan,
    ) -> Tensor:
        kind = _accumulator(q.dtype)
        out = q.new_zeros((*q.shape[:3], v.shape[3]))
        lse = q.new_zeros(q.shape[:3], dtype=kind)
        for row in range(0, q.shape[2], plan.rows):
            here = slice(row, min(row + plan.rows, q.shape[2]))
            out[:, :, here], lse[:, :, here] = _forward_row(q, k, v, bias, sinks, plan, here)
        ctx.plan = plan
        ctx.save_for_backward(q, k, v, bias, sinks, out, lse)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, bias, sinks, out, lse = ctx.saved_tensors
        kind = _accumulator(q.dtype)
        found = _Gradients(
            torch.zeros_like(q, dtype=kind),
            torch.zeros_like(k, dtype=kind),
            torch.zeros_like(v, dtype=kind),
            None if bias is None else torch.zeros_like(bias, dtype=kind),
        )
        # What each query's gradient says about its own output: the softmax's common term.
        delta = (grad.to(kind) * out.to(kind)).sum(dim=-1)
        for row in range(0, q.shape[2], ctx.plan.rows):
            here = slice(row, min(row + ctx.plan.rows, q.shape[2]))
            _backward_row(q, k, v, bias, ctx.plan, here, grad, delta, lse, found)
        d_sinks = None
        if sinks is not None:
            share = torch.exp(sinks.to(kind)[:, None] - lse)
            d_sinks = -(share * delta).sum(dim=(0, 2)).to(sinks.dtype)
        d_bias = None if bias is None or found.bias is None else found.bias.to(bias.dtype)
        ctx.plan.traffic.writes(q, k, v)
        return (
            found.q.to(q.dtype), found.k.to(k.dtype), found.v.to(v.dtype), d_bias, d_sinks, None,
        )  # fmt: skip


class _Gradients(NamedTuple):
    q: Tensor
    k: Tensor
    v: Tensor
    bias: Tensor | None


def _forward_row(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    sinks: Tensor | None,
    plan: _Plan,
    here: slice,
) -> tuple[Tensor, Tensor]:
    kind = _accumulator(q.dtype)
    block = q[:, :, here].to(kind)
    plan.traffic.reads(q[:, :, here])
    top = block.new_full((*block.shape[:3], 1), -torch.inf)
    total = torch.zeros_like(top)
    if sinks is not None:
        # The sink is a key without a value that every row has already seen.
        top, total = top.copy_(sinks.to(kind)[:, None, None]), torch.ones_like(top)
    out = block.new_zeros((*block.shape[:3], v.shape[3]))
    for there in _columns(here, q, k, plan):
        plan.traffic.reads(k[:, :, there], v[:, :, there])
        scores, _ = _tile_scores(block, k, bias, plan, here, there, q.shape[2])
        new_top = torch.maximum(top, scores.amax(dim=-1, keepdim=True))
        # A row that has seen nothing yet has a maximum of -inf, and -inf - -inf is NaN.
        level = new_top.masked_fill(new_top == -torch.inf, 0.0)
        shrink, weights = torch.exp(top - level), torch.exp(scores - level)
        total = total * shrink + weights.sum(dim=-1, keepdim=True)
        out = out * shrink + weighted_sum(weights, v[:, :, there].to(kind))
        top = new_top
    out = out / total.masked_fill(total == 0, 1.0)
    lse = top + total.log()
    plan.traffic.writes(out.to(q.dtype), lse)
    return out.to(q.dtype), lse.squeeze(-1)


def _backward_row(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    bias: Tensor | None,
    plan: _Plan,
    here: slice,
    grad: Tensor,
    delta: Tensor,
    lse: Tensor,
    found: _Gradients,
) -> None:
    kind, groups = lse.dtype, k.shape[1]
    block, g = q[:, :, here].to(kind), grad[:, :, here].to(kind)
    plan.traffic.reads(q[:, :, here], grad[:, :, here], delta[:, :, here], lse[:, :, here])
    level = lse[:, :, here, None]
    level = level.masked_fill(level == -torch.inf, 0.0)
    for there in _columns(here, q, k, plan):
        keys, values = k[:, :, there].to(kind), v[:, :, there].to(kind)
        plan.traffic.reads(k[:, :, there], v[:, :, there])
        scores, bend = _tile_scores(block, k, bias, plan, here, there, q.shape[2])
        weights = torch.exp(scores - level)
        d_weights = unfold_heads(fold_heads(g, groups) @ values.mT, q.shape[1])
        d_scores = weights * (d_weights - delta[:, :, here, None])
        if bias is not None and found.bias is not None:
            part = tile(found.bias, here.start, here.stop, there.start, there.stop)
            assert part is not None
            part += d_scores.sum_to_size(part.shape)
        d_scores = d_scores if bend is None else d_scores * bend
        rows = fold_heads(d_scores * plan.scale, groups)
        found.q[:, :, here] += unfold_heads(rows @ keys, q.shape[1])
        # The rows of a group lie end to end, so its heads' gradients add up in the product.
        found.k[:, :, there] += rows.mT @ fold_heads(block, groups)
        found.v[:, :, there] += fold_heads(weights, groups).mT @ fold_heads(g, groups)


def _tile_scores(
    block: Tensor,
    k: Tensor,
    bias: Tensor | None,
    plan: _Plan,
    here: slice,
    there: slice,
    t: int,
) -> tuple[Tensor, Tensor | None]:
    """Masked scores of a tile, and the slope of the softcap there."""
    edges = (here.start, here.stop, there.start, there.stop)
    scores = attention_scores(
        block, k[:, :, there].to(block.dtype), scale=plan.scale, softcap=plan.softcap
    )
    bend = None if plan.softcap is None else 1 - (scores / plan.softcap) ** 2
    part = tile(bias, *edges)
    if part is not None:
        scores = scores + part.to(scores.dtype)
    allowed = combine(
        tile(plan.mask, *edges),
        position_mask(
            here.stop - here.start,
            there.stop - there.start,
            plan.causal,
            plan.window,
            offset=here.start + k.shape[2] - t - there.start,
            device=k.device,
        ),
    )
    return (scores if allowed is None else scores.masked_fill(~allowed, -torch.inf)), bend


def _columns(here: slice, q: Tensor, k: Tensor, plan: _Plan) -> list[slice]:
    t, s = q.shape[2], k.shape[2]
    first, last = key_range(here.start, here.stop, t, s, plan.causal, plan.window)
    starts = range(first, last, plan.columns)
    return [slice(start, min(start + plan.columns, last)) for start in starts]


def _accumulator(dtype: torch.dtype) -> torch.dtype:
    return torch.float64 if dtype == torch.float64 else torch.float32
