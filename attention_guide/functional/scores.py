"""Scores: how well a query matches a key.

Axis letters: `T` queries, `S` keys, `Q` and `K` the widths of a query and of a key, `A` the
width of the hidden layer of a learned score; `...` stands for any axes in front, alike in both.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from attention_guide.functional import _checks
from attention_guide.functional.groups import fold_heads, unfold_heads

__all__ = [
    "additive_scores",
    "attention_scores",
    "concat_scores",
    "dot_scores",
    "general_scores",
    "scaled_dot_scores",
]


def additive_scores(
    q: Float[Tensor, "*B T Q"],
    k: Float[Tensor, "*B S K"],
    w_q: Float[Tensor, "A Q"],
    w_k: Float[Tensor, "A K"],
    v: Float[Tensor, " A"],
) -> Float[Tensor, "*B T S"]:
    r"""Additive (Bahdanau) score, $e_{ts} = v^\top \tanh(W_q q_t + W_k k_s)$.

    Args:
        q: Queries, `(..., T, Q)`; the decoder state in the paper.
        k: Keys, `(..., S, K)`; the encoder's annotations in the paper.
        w_q: Projection of the queries, `(A, Q)`; the paper's $W_a$.
        w_k: Projection of the keys, `(A, K)`; the paper's $U_a$.
        v: The vector that reads the hidden layer, `(A,)`; the paper's $v_a$.

    Returns:
        Scores, `(..., T, S)`.

    Raises:
        TypeError: An argument isn't a floating-point tensor of one dtype.
        ValueError: A shape doesn't fit the others.

    Cost:
        `T·S·A` evaluations of tanh and a tensor of that size: the reason why dot products won.

    Source:
        Bahdanau, Cho and Bengio (2015), arXiv:1409.0473, appendix A.1.2.

    Examples:
        >>> q, k = torch.ones(1, 2), torch.tensor([[1.0, 0.0], [0.0, -1.0]])
        >>> additive_scores(q, k, torch.eye(2), torch.eye(2), torch.ones(2))
        tensor([[1.7256, 0.7616]])
    """
    _check_pair(q, k)
    _check_weight("w_q", w_q, q, "A Q", (None, q.shape[-1]))
    _check_weight("w_k", w_k, q, "A K", (w_q.shape[0], k.shape[-1]))
    _check_weight("v", v, q, "A", (w_q.shape[0],))
    # (..., T, 1, A) + (..., 1, S, A): every query meets every key before the tanh.
    hidden = torch.tanh((q @ w_q.mT).unsqueeze(-2) + (k @ w_k.mT).unsqueeze(-3))
    return hidden @ v


def dot_scores(q: Float[Tensor, "*B T K"], k: Float[Tensor, "*B S K"]) -> Float[Tensor, "*B T S"]:
    r"""Dot score, $e_{ts} = q_t^\top k_s$, of Luong's three the one without parameters.

    Args:
        q: Queries, `(..., T, K)`.
        k: Keys of the same width, `(..., S, K)`.

    Returns:
        Scores, `(..., T, S)`.

    Raises:
        TypeError: An argument isn't a floating-point tensor of one dtype.
        ValueError: A shape doesn't fit the other.

    Source:
        Luong, Pham and Manning (2015), "Effective Approaches to Attention-based Neural Machine
        Translation", section 3.1.

    Examples:
        >>> dot_scores(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 0.0], [0.0, 5.0]]))
        tensor([[ 3., 10.]])
    """
    _check_pair(q, k, same_width=True)
    return q @ k.mT


def general_scores(
    q: Float[Tensor, "*B T Q"], k: Float[Tensor, "*B S K"], w: Float[Tensor, "Q K"]
) -> Float[Tensor, "*B T S"]:
    r"""General score, $e_{ts} = q_t^\top W k_s$: a learned bilinear match.

    Args:
        q: Queries, `(..., T, Q)`.
        k: Keys, `(..., S, K)`.
        w: The bilinear form, `(Q, K)`; the paper's $W_a$.

    Returns:
        Scores, `(..., T, S)`.

    Raises:
        TypeError: An argument isn't a floating-point tensor of one dtype.
        ValueError: A shape doesn't fit the others.

    Source:
        Luong, Pham and Manning (2015), "Effective Approaches to Attention-based Neural Machine
        Translation", section 3.1.

    Examples:
        >>> swap = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
        >>> general_scores(torch.tensor([[1.0, 2.0]]), torch.eye(2), swap)
        tensor([[2., 1.]])
    """
    _check_pair(q, k)
    _check_weight("w", w, q, "Q K", (q.shape[-1], k.shape[-1]))
    return q @ w @ k.mT


def concat_scores(
    q: Float[Tensor, "*B T Q"],
    k: Float[Tensor, "*B S K"],
    w: Float[Tensor, "A QK"],
    v: Float[Tensor, " A"],
) -> Float[Tensor, "*B T S"]:
    r"""Concat score, $e_{ts} = v^\top \tanh(W [q_t; k_s])$.

    It is the additive score with $W = [W_q, W_k]$ in one matrix, and is computed as such, so
    that the pairs $[q_t; k_s]$ are never laid out in memory.

    Args:
        q: Queries, `(..., T, Q)`.
        k: Keys, `(..., S, K)`.
        w: Projection of query and key side by side, `(A, Q + K)`; the paper's $W_a$.
        v: The vector that reads the hidden layer, `(A,)`; the paper's $v_a$.

    Returns:
        Scores, `(..., T, S)`.

    Raises:
        TypeError: An argument isn't a floating-point tensor of one dtype.
        ValueError: A shape doesn't fit the others.

    Source:
        Luong, Pham and Manning (2015), "Effective Approaches to Attention-based Neural Machine
        Translation", section 3.1.

    Examples:
        >>> q, k = torch.ones(1, 1), torch.tensor([[1.0], [-1.0]])
        >>> concat_scores(q, k, torch.ones(1, 2), torch.ones(1))
        tensor([[0.9640, 0.0000]])
    """
    _check_pair(q, k)
    width = q.shape[-1]
    _check_weight("w", w, q, "A Q+K", (None, width + k.shape[-1]))
    return additive_scores(q, k, w[:, :width], w[:, width:], v)


def scaled_dot_scores(
    q: Float[Tensor, "B H T K"], k: Float[Tensor, "B G S K"], scale: float | None = None
) -> Float[Tensor, "B H T S"]:
    r"""Scaled dot score, $e_{ts} = q_t^\top k_s / \sqrt{K}$, head by head.

    With fewer key heads than query heads (`G < H`), each key head serves `H / G` query heads
    that lie side by side: grouped-query attention, multi-query when `G = 1`.

    Args:
        q: Queries, `(B, H, T, K)`.
        k: Keys, `(B, G, S, K)`, where `G` divides `H`.
        scale: Takes the place of $1/\sqrt{K}$.

    Returns:
        Scores, `(B, H, T, S)`.

    Raises:
        TypeError: An argument isn't a floating-point tensor of one dtype.
        ValueError: A shape doesn't fit the other.

    Cost:
        `2·B·H·T·S·K` flops. The keys of a group are read once, never copied for its heads.

    Source:
        Vaswani et al. (2017), arXiv:1706.03762, section 3.2.1. Groups: Ainslie et al. (2023),
        arXiv:2305.13245.

    Examples:
        >>> q = torch.tensor([[2.0, 0.0, 0.0, 0.0]]).view(1, 1, 1, 4)
        >>> scaled_dot_scores(q, torch.eye(4).view(1, 1, 4, 4)).flatten()
        tensor([1., 0., 0., 0.])
    """
    q, k = _checks.query_key(q, k)
    factor = k.shape[3] ** -0.5 if scale is None else _checks.number("scale", scale)
    # Scaling the query and not the product keeps half precision from overflowing in the product.
    return unfold_heads(fold_heads(q * factor, k.shape[1]) @ k.mT, q.shape[1])


def attention_scores(
    q: Float[Tensor, "B H T K"],
    k: Float[Tensor, "B G S K"],
    *,
    bias: Float[Tensor, "..."] | None = None,
    scale: float | None = None,
    softcap: float | None = None,
) -> Float[Tensor, "B H T S"]:
    r"""Everything before mask and softmax, in order: scale, softcap $c \tanh(x / c)$, bias.

    Args:
        q: Queries, `(B, H, T, K)`.
        k: Keys, `(B, G, S, K)`.
        bias: Floats added to the scores, broadcastable to `(B, H, T, S)`.
        scale: Takes the place of $1/\sqrt{K}$.
        softcap: The cap $c$.

    Returns:
        Scores, `(B, H, T, S)`.

    Raises:
        TypeError: A dtype is wrong.
        ValueError: A shape, device or number is wrong.

    Source:
        Softcap: Gemma Team (2024), arXiv:2408.00118, "Logit soft-capping".

    Examples:
        >>> q = k = torch.full((1, 1, 1, 4), 10.0)
        >>> attention_scores(q, k).item(), round(attention_scores(q, k, softcap=50.0).item(), 2)
        (200.0, 49.97)
    """
    scores = scaled_dot_scores(q, k, scale)
    if softcap is not None:
        _checks.number("softcap", softcap, above=0)
        scores = softcap * torch.tanh(scores / softcap)
    if bias is not None:
        _checks.broadcastable("bias", _checks.floating("bias", bias), scores.shape, "B H T S")
        _checks.same_device("bias", bias, "q", q)
        scores = scores + bias.to(scores.dtype)
    return scores


def _check_pair(q: Tensor, k: Tensor, same_width: bool = False) -> None:
    width = "K" if same_width else "Q"
    _checks.trailing("q", _checks.floating("q", q), f"T {width}")
    _checks.trailing("k", _checks.floating("k", k), "S K")
    _checks.like("k", k, "q", q)
    if q.shape[:-2] != k.shape[:-2]:
        raise ValueError(
            f"k: expected the leading axes of q, {tuple(q.shape[:-2])}; got {_checks.shape(k)}"
        )
    if same_width and q.shape[-1] != k.shape[-1]:
        raise ValueError(
            f"k: expected (..., S, K) with K = {q.shape[-1]} as in q; got {_checks.shape(k)}"
        )


def _check_weight(
    name: str, w: Tensor, q: Tensor, letters: str, sizes: tuple[int | None, ...]
) -> None:
    _checks.rank(name, _checks.floating(name, w), letters)
    _checks.like(name, w, "q", q)
    for position, size in enumerate(sizes):
        if size is not None:
            _checks.axis(name, w, position, size, letters, "as in the other arguments")
