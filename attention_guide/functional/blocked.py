"""Attention by blocks of queries: the whole matrix of weights, but only a strip at a time."""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from attention_guide.functional import _checks
from attention_guide.functional.groups import weighted_sum
from attention_guide.functional.masks import combine, position_mask
from attention_guide.functional.scores import attention_scores
from attention_guide.functional.softmax import masked_softmax

__all__ = ["blocked_attention"]

BLOCK = 64


def blocked_attention(
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
    dropout: float = 0.0,
    block: int = BLOCK,
) -> Float[Tensor, "B H T E"]:
    r"""Attention, $o_t = \sum_s w_{ts} v_s$, one block of queries after the other.

    Each block reads only the keys that `causal` and `window` let it see, so a causal attention
    computes half of the scores, and one with a window a narrow band of them.

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
        dropout: The share of weights set to zero, the others scaled up.
        block: Number of queries in a block.

    Returns:
        Outputs, `(B, H, T, E)`; 0 where a query may attend nowhere.

    Raises:
        TypeError: A dtype is wrong.
        ValueError: A shape or a number is wrong.

    Cost:
        `B·H·block·S` scores at a time in the forward pass; the backward pass needs the weights
        of all blocks, as those of `attention_weights`.

    Examples:
        >>> q = k = torch.zeros(1, 1, 3, 2)
        >>> v = torch.eye(3).view(1, 1, 3, 3)
        >>> blocked_attention(q, k, v, causal=True, block=2)[0, 0, 1]
        tensor([0.5000, 0.5000, 0.0000])
    """
    q, k = _checks.query_key(q, k)
    v = _checks.value(v, k)
    _checks.score_terms(q, k, mask, bias, causal, window, scale, softcap, sinks)
    _checks.number("dropout", dropout, least=0, below=1)
    step = _checks.integer("block", block, least=1)
    t, s = q.shape[2], k.shape[2]
    # Without mask and bias every query at a position that exists sees at least itself.
    alive = mask is None and bias is None and sinks is None and s >= t
    outputs = []
    for start in range(0, max(t, 1), step):
        stop = min(start + step, t)
        first, last = key_range(start, stop, t, s, causal, window)
        strip = k[:, :, first:last]
        scores = attention_scores(
            q[:, :, start:stop],
            strip,
            bias=tile(bias, start, stop, first, last),
            scale=scale,
            softcap=softcap,
        )
        offset = start + s - t - first
        place = position_mask(
            stop - start, last - first, causal, window, offset=offset, device=q.device
        )
        if alive:
            weights = _softmax_in_place(scores, place)
        else:
            allowed = combine(tile(mask, start, stop, first, last), place)
            weights = masked_softmax(scores, allowed, sinks)
        outputs.append(weighted_sum(F.dropout(weights, dropout), v[:, :, first:last]))
    return outputs[0] if len(outputs) == 1 else torch.cat(outputs, dim=2)


def key_range(
    start: int,
    stop: int,
    t: int,
    s: int,
    causal: bool,
    window: tuple[int | None, int | None] | None,
) -> tuple[int, int]:
    """The keys that queries `start` to `stop` of `t` may see among `s`, as a slice.

    Examples:
        >>> key_range(0, 2, 4, 4, True, None)
        (0, 2)
    """
    left, right = (None, None) if window is None else window
    right = 0 if causal else right
    first = 0 if left is None else min(max(start + s - t - left, 0), s)
    last = s if right is None else min(max(stop + s - t + right, first), s)
    return first, last


def tile(x: Tensor | None, start: int, stop: int, first: int, last: int) -> Tensor | None:
    """The part of a mask or bias that belongs to a tile; axes of size 1 broadcast on.

    Examples:
        >>> tile(torch.eye(3), 0, 2, 1, 3)
        tensor([[0., 0.],
                [1., 0.]])
    """
    if x is None:
        return None
    if x.ndim >= 2 and x.shape[-2] != 1:
        x = x[..., start:stop, :]
    return x[..., first:last] if x.ndim >= 1 and x.shape[-1] != 1 else x


def _softmax_in_place(scores: Tensor, place: Tensor | None) -> Tensor:
    # Adding in place is measurably faster than filling; the scores are ours alone.
    if place is not None:
        scores = scores.add_(
            torch.zeros_like(place, dtype=scores.dtype).masked_fill_(~place, -torch.inf)
        )
    return scores.softmax(dim=-1)
