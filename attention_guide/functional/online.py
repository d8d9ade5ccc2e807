"""Softmax and attention in pieces: one pass, partial results, and how they merge."""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_guide.functional import _checks
from attention_guide.functional.attention import attention
from attention_guide.functional.groups import weighted_sum
from attention_guide.functional.scores import attention_scores

__all__ = ["chunked_prefill", "merge_partials", "online_softmax", "partial_attention"]


def online_softmax(x: Float[Tensor, "*B S"], *, block: int = 1) -> Float[Tensor, "*B S"]:
    r"""Softmax with maximum and sum found in one pass, $\ell' = e^{m - m'} \ell + \sum e^{x - m'}$.

    Args:
        x: Logits, `(..., S)`.
        block: How many logits are looked at together.

    Returns:
        Probabilities, `(..., S)`; 0 where all logits are minus infinity.

    Raises:
        TypeError: It isn't floating point.
        ValueError: It has no axis, or the block is below 1.

    Source:
        Milakov and Gimelshein (2018), arXiv:1805.02867, algorithm 3.

    Examples:
        >>> online_softmax(torch.tensor([0.0, 0.0, 1000.0, 1000.0]))
        tensor([0.0000, 0.0000, 0.5000, 0.5000])
    """
    _checks.trailing("x", _checks.floating("x", x), "S")
    step = _checks.integer("block", block, least=1)
    top = x.new_full((*x.shape[:-1], 1), -torch.inf)
    total = torch.zeros_like(top)
    for start in range(0, x.shape[-1], step):
        part = x[..., start : start + step]
        new_top = torch.maximum(top, part.amax(dim=-1, keepdim=True))
        level = new_top.masked_fill(new_top == -torch.inf, 0.0)
        total = total * torch.exp(top - level) + torch.exp(part - level).sum(-1, keepdim=True)
        top = new_top
    level = top.masked_fill(top == -torch.inf, 0.0)
    return torch.exp(x - level) / total.masked_fill(total == 0, 1.0)


def partial_attention(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B G S K"],
    v: Float[Tensor, "B G S E"],
    *,
    mask: Bool[Tensor, "..."] | None = None,
    bias: Float[Tensor, "..."] | None = None,
    scale: float | None = None,
    softcap: float | None = None,
) -> tuple[Float[Tensor, "B H T E"], Float[Tensor, "B H T"]]:
    r"""Attention over some of the keys, with $\log \sum_s e^{x_{ts}}$, the weight of the result.

    Args:
        q: Queries, `(B, H, T, K)`.
        k: Some of the keys, `(B, G, S, K)`.
        v: Their values, `(B, G, S, E)`.
        mask: Bool, broadcastable to `(B, H, T, S)`, `True` = may attend.
        bias: Floats added to the scores, broadcastable to `(B, H, T, S)`.
        scale: Takes the place of $1/\sqrt{K}$.
        softcap: A cap on the scores.

    Returns:
        Outputs, `(B, H, T, E)`, and log-sums `(B, H, T)`, minus infinity where nothing was seen.

    Raises:
        TypeError: A dtype is wrong.
        ValueError: A shape or number is wrong.

    Source:
        Rabe and Staats (2021), arXiv:2112.05682, section 2.

    Examples:
        >>> x = torch.zeros(1, 1, 2, 1)
        >>> partial_attention(x, x, x)[1].exp().flatten()
        tensor([2., 2.])
    """
    q, k = _checks.query_key(q, k)
    v = _checks.value(v, k)
    _checks.score_terms(q, k, mask, bias, False, None, scale, softcap, None)
    scores = attention_scores(q, k, bias=bias, scale=scale, softcap=softcap)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    lse = scores.logsumexp(dim=-1)
    level = lse.masked_fill(lse == -torch.inf, 0.0)
    return weighted_sum(torch.exp(scores - level[..., None]), v), lse


def merge_partials(
    outputs: Sequence[Float[Tensor, "B H T E"]], log_sums: Sequence[Float[Tensor, "B H T"]]
) -> tuple[Float[Tensor, "B H T E"], Float[Tensor, "B H T"]]:
    r"""Merge results over disjoint keys, $o = \sum_i e^{\ell_i} o_i / \sum_i e^{\ell_i}$.

    Args:
        outputs: Outputs of `partial_attention`, each `(B, H, T, E)`.
        log_sums: Their log-sums, each `(B, H, T)`.

    Returns:
        Output and log-sum as of one attention over all the keys; they merge on.

    Raises:
        TypeError: A result isn't floating point, dtypes differ, or they are no sequences.
        ValueError: There are none, or shapes or devices differ.

    Source:
        Rabe and Staats (2021), arXiv:2112.05682, section 2.

    Examples:
        >>> q, k, v = torch.randn(3, 1, 1, 4, 2)
        >>> parts = [partial_attention(q, k[:, :, i:i + 2], v[:, :, i:i + 2]) for i in (0, 2)]
        >>> merged, _ = merge_partials(*zip(*parts))
        >>> torch.allclose(merged, attention(q, k, v), atol=1e-6)
        True
    """
    _checks.instance("outputs", outputs, Sequence)
    _checks.instance("log_sums", log_sums, Sequence)
    if len(outputs) == 0 or len(outputs) != len(log_sums):
        raise ValueError(
            f"outputs: expected as many as log_sums, at least one; "
            f"got {len(outputs)} and {len(log_sums)}"
        )
    for i, (out, lse) in enumerate(zip(outputs, log_sums, strict=True)):
        _checks.rank(f"outputs[{i}]", _checks.floating(f"outputs[{i}]", out), "B H T E")
        _checks.like(f"outputs[{i}]", out, "outputs[0]", outputs[0])
        _checks.like(
            f"log_sums[{i}]", _checks.floating(f"log_sums[{i}]", lse), "outputs[0]", outputs[0]
        )
        if out.shape != outputs[0].shape or lse.shape != out.shape[:3]:
            raise ValueError(
                f"log_sums[{i}]: expected (B, H, T) = {tuple(outputs[0].shape[:3])} for all; "
                f"got {_checks.shape(lse)} with an output of {_checks.shape(out)}"
            )
    stacked = torch.stack(list(log_sums))
    total = stacked.logsumexp(dim=0)
    share = torch.exp(stacked - total.masked_fill(total == -torch.inf, 0.0))
    return (share[..., None] * torch.stack(list(outputs))).sum(dim=0), total


def chunked_prefill(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B G S K"],
    v: Float[Tensor, "B G S E"],
    *,
    chunk: int,
    **options: Any,
) -> Float[Tensor, "B H T E"]:
    r"""Causal attention of a prompt, chunk after chunk, each against the keys up to its own end.

    It is what a server does with a long prompt: the memory for the scores is bounded by the
    chunk, and other requests get their turn in between. Keys before the first query
    (`S > T`) are those of an earlier turn.

    Args:
        q: Queries, `(B, H, T, K)`.
        k: Keys, `(B, G, S, K)`, with `S ≥ T`.
        v: Values, `(B, G, S, E)`.
        chunk: Number of queries at a time.
        **options: `window`, `scale`, `softcap`, `sinks`, `dropout` and `kernel` of `attention`.

    Returns:
        Outputs, `(B, H, T, E)`, as of `attention(..., causal=True)`.

    Raises:
        TypeError: A dtype is wrong, or an option unknown.
        ValueError: A shape or number is wrong.

    Source:
        Agrawal et al. (2023), arXiv:2308.16369, there with decoding steps in the same batch.

    Examples:
        >>> q, k, v = torch.randn(3, 1, 2, 5, 4)
        >>> whole = attention(q, k, v, causal=True)
        >>> torch.allclose(chunked_prefill(q, k, v, chunk=2), whole, atol=1e-6)
        True
    """
    q, k = _checks.query_key(q, k)
    v = _checks.value(v, k)
    step = _checks.integer("chunk", chunk, least=1)
    unknown = set(options) - {"window", "scale", "softcap", "sinks", "dropout", "kernel"}
    if unknown:
        raise TypeError(f"chunked_prefill: unknown option {sorted(unknown)[0]!r}")
    t, s = q.shape[2], k.shape[2]
    if s < t:
        raise ValueError(f"k: expected (B, G, S, K) with S >= T = {t}; got {_checks.shape(k)}")
    window = options.pop("window", None)
    if window is not None:
        # The future on the right of a window isn't there yet when a chunk is computed.
        window = (_checks.window_pair(window)[0], 0)
    outputs = []
    for start in range(0, max(t, 1), step):
        stop = min(start + step, t)
        end = stop + s - t
        outputs.append(
            attention(
                q[:, :, start:stop],
                k[:, :, :end],
                v[:, :, :end],
                causal=True,
                window=window,
                **options,
            )
        )
    return torch.cat(outputs, dim=2)
