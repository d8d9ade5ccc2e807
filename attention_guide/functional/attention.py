"""Scaled dot-product attention: the reference that explains, and the dispatcher that is fast.

Axis letters: `B` batch, `H` query heads, `G` key/value heads, `T` queries, `S` keys, `K` head
width, `E` value width.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from attention_guide.cpu import fast_matmul_is_on
from attention_guide.functional import _checks
from attention_guide.functional.blocked import BLOCK, blocked_attention
from attention_guide.functional.groups import fold_heads, unfold_heads, weighted_sum
from attention_guide.functional.masks import combine, position_mask
from attention_guide.functional.scores import attention_scores
from attention_guide.functional.softmax import masked_softmax
from attention_guide.functional.tiled import tiled_attention

__all__ = ["Kernel", "attention", "attention_weights"]

Kernel = Literal["reference", "blocked", "sdpa", "online"]
"""How `attention` is computed: as written, by blocks of queries, by torch, or tile by tile."""


def attention_weights(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B G S K"],
    *,
    mask: Bool[Tensor, "..."] | None = None,
    bias: Float[Tensor, "..."] | None = None,
    causal: bool = False,
    window: tuple[int | None, int | None] | None = None,
    scale: float | None = None,
    softcap: float | None = None,
    sinks: Float[Tensor, " H"] | None = None,
) -> Float[Tensor, "B H T S"]:
    r"""Attention weights, $W = \mathrm{softmax}(q k^\top / \sqrt{K} + \text{bias})$ where allowed.

    The order is: scale, softcap, bias, mask, softmax.

    Args:
        q: Queries, `(B, H, T, K)`.
        k: Keys, `(B, G, S, K)`, where `G` divides `H`; each serves `H / G` query heads.
        mask: Bool, broadcastable to `(B, H, T, S)`, `True` = may attend.
        bias: Floats added to the scores, broadcastable to `(B, H, T, S)`.
        causal: Hide the future; the last query is aligned with the last key.
        window: `(left, right)`: neighbours seen on each side of the position, which is always
            seen itself; `None` for all on that side.
        scale: Takes the place of $1/\sqrt{K}$.
        softcap: A cap $c$ that bends the scores to $c \tanh(x / c)$.
        sinks: One logit a head, `(H,)`, of a key without a value.

    Returns:
        Weights, `(B, H, T, S)`. A row sums to one (to less with sinks), or to zero where the
        query may attend nowhere.

    Raises:
        TypeError: A dtype is wrong.
        ValueError: A shape or a number is wrong.

    Cost:
        `2·B·H·T·S·K` flops; `B·H·T·S` weights are kept.

    Source:
        Vaswani et al. (2017), arXiv:1706.03762, equation 1; the paper's $d_k$ is our `K`.
        Softcap: Gemma Team (2024), arXiv:2408.00118, "Logit soft-capping". Sinks: OpenAI
        (2025), arXiv:2508.10925.

    Examples:
        >>> q = k = torch.zeros(1, 1, 3, 2)
        >>> attention_weights(q, k, causal=True)[0, 0]
        tensor([[1.0000, 0.0000, 0.0000],
                [0.5000, 0.5000, 0.0000],
                [0.3333, 0.3333, 0.3333]])
    """
    q, k = _checks.query_key(q, k)
    _checks.score_terms(q, k, mask, bias, causal, window, scale, softcap, sinks)
    scores = attention_scores(q, k, bias=bias, scale=scale, softcap=softcap)
    place = position_mask(q.shape[2], k.shape[2], causal, window, device=q.device)
    return masked_softmax(scores, combine(mask, place), sinks)


def attention(
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
    kernel: Kernel | None = None,
) -> Float[Tensor, "B H T E"]:
    r"""Attention, $o_t = \sum_s w_{ts} v_s$ with the weights of `attention_weights`.

    Args:
        q: Queries, `(B, H, T, K)`.
        k: Keys, `(B, G, S, K)`, where `G` divides `H`; each serves `H / G` query heads.
        v: Values, `(B, G, S, E)`.
        mask: Bool, broadcastable to `(B, H, T, S)`, `True` = may attend.
        bias: Floats added to the scores, broadcastable to `(B, H, T, S)`.
        causal: Hide the future; the last query is aligned with the last key.
        window: `(left, right)`: neighbours seen on each side of the position, which is always
            seen itself; `None` for all on that side.
        scale: Takes the place of $1/\sqrt{K}$.
        softcap: A cap $c$ that bends the scores to $c \tanh(x / c)$.
        sinks: One logit a head, `(H,)`, of a key without a value.
        dropout: The share of weights set to zero, the others scaled up. It acts whenever it is
            above 0: a layer in evaluation passes 0.
        kernel: How it is computed. `"reference"` is `attention_weights` and a product;
            `"blocked"` goes query block by query block and does everything; `"online"` goes tile
            by tile and keeps no weights, without dropout; `"sdpa"` is torch's own, without
            softcap and sinks; `None` chooses among them by shape, device and dtype.

    Returns:
        Outputs, `(B, H, T, E)`; 0 where a query may attend nowhere.

    Raises:
        TypeError: A dtype is wrong.
        ValueError: A shape or a number is wrong, or the kernel can't do what is asked.

    Cost:
        `2·B·H·T·S·(K + E)` flops, whatever the kernel; they differ in the bytes they move.

    Source:
        Vaswani et al. (2017), arXiv:1706.03762, equation 1.

    Examples:
        >>> q = k = torch.zeros(1, 1, 3, 2)
        >>> attention(q, k, torch.eye(3).view(1, 1, 3, 3), causal=True)[0, 0, 1]
        tensor([0.5000, 0.5000, 0.0000])
    """
    q, k = _checks.query_key(q, k)
    v = _checks.value(v, k)
    _checks.score_terms(q, k, mask, bias, causal, window, scale, softcap, sinks)
    _checks.number("dropout", dropout, least=0, below=1)
    if 0 in (q.numel(), k.numel(), v.numel()):
        kernel = "reference" if kernel is None else kernel
    if kernel is None:
        kernel = _choose(q, k, v, causal, window, softcap, sinks, dropout)
    if kernel == "sdpa":
        _refuse("sdpa", softcap=softcap, sinks=sinks)
        return _sdpa(q, k, v, mask, bias, causal, window, scale, dropout)
    if kernel == "online":
        _refuse("online", dropout=dropout or None)
        return tiled_attention(
            q, k, v, mask=mask, bias=bias, causal=causal, window=window,
            scale=scale, softcap=softcap, sinks=sinks,
        )  # fmt: skip
    if kernel == "blocked":
        return blocked_attention(
            q, k, v, mask=mask, bias=bias, causal=causal, window=window,
            scale=scale, softcap=softcap, sinks=sinks, dropout=dropout,
        )  # fmt: skip
    if kernel != "reference":
        raise ValueError(f"kernel: expected None or one of {get_args(Kernel)}; got {kernel!r}")
    weights = attention_weights(
        q, k, mask=mask, bias=bias, causal=causal, window=window,
        scale=scale, softcap=softcap, sinks=sinks,
    )  # fmt: skip
    return weighted_sum(F.dropout(weights, dropout), v)


def _choose(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    causal: bool,
    window: tuple[int | None, int | None] | None,
    softcap: float | None,
    sinks: Tensor | None,
    dropout: float,
) -> Kernel:
    if softcap is not None or sinks is not None:
        return "blocked"
    if not q.is_cpu or q.shape[2] == 1:
        return "sdpa"
    # torch's fused CPU kernel wants equal widths and no dropout; without it all of T x S is kept.
    if v.shape[3] != q.shape[3] or dropout > 0:
        return "blocked"
    # A narrow window reads few keys a block; SDPA computes every score and masks most.
    if window is not None and _reach(window, causal) + 2 * BLOCK < k.shape[2]:
        return "blocked"
    # Measured: where the products are fast, SDPA's own short loops are what is slow. Without the
    # causal half that blocks leave out, they win on shorter texts only.
    if causal:
        quick = fast_matmul_is_on() or q.dtype in (torch.bfloat16, torch.float16)
        return "blocked" if quick and q.shape[2] <= 512 else "sdpa"
    short = max(q.shape[2], k.shape[2]) <= 256
    return "blocked" if fast_matmul_is_on() and short else "sdpa"


def _reach(window: tuple[int | None, int | None], causal: bool) -> float:
    left, right = window[0], 0 if causal else window[1]
    return float("inf") if left is None or right is None else float(left + right)


def _refuse(kernel: str, **asked: object) -> None:
    for name, value in asked.items():
        if value is not None:
            raise ValueError(
                f"{name}: the {kernel!r} kernel can't do it; use kernel='blocked', "
                f"kernel='reference' or kernel=None"
            )


def _sdpa(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    bias: Tensor | None,
    causal: bool,
    window: tuple[int | None, int | None] | None,
    scale: float | None,
    dropout: float,
) -> Tensor:
    t, s = q.shape[2], k.shape[2]
    heads, groups = q.shape[1], k.shape[1]
    bare = window is None and mask is None and bias is None
    # torch's is_causal aligns to the first key (pytorch issue 108108): ours only when T = S.
    # A branch, not a value: compiled for any length, t == s would be a symbol that SDPA refuses.
    square = True if bare and causal and t == s else False  # noqa: SIM210
    if bare and heads == groups and causal == square:
        return F.scaled_dot_product_attention(
            q, k, v, dropout_p=dropout, is_causal=square, scale=scale
        )
    # The last query sees every key, so a single one needs no causal mask.
    place = None if square else position_mask(t, s, causal and t > 1, window, device=q.device)
    allowed = combine(mask, place)
    extra = allowed
    if bias is not None:
        extra = bias.to(q.dtype)
        extra = extra if allowed is None else extra.masked_fill(~allowed, float("-inf"))
    if extra is not None and extra.ndim < 2:
        extra = extra.expand(t, s)  # torch broadcasts the axes in front, but wants these two
    if extra is None and not square and heads != groups:
        # Without a mask all rows are alike: the heads of a group become further queries.
        folded = F.scaled_dot_product_attention(
            fold_heads(q, groups), k, v, dropout_p=dropout, scale=scale
        )
        return unfold_heads(folded, heads)
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=extra, dropout_p=dropout, is_causal=square, scale=scale,
        enable_gqa=heads != groups,
    )  # fmt: skip
