"""Relative positions: scores that depend on how far a key is from its query (ALiBi, T5, Shaw)."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attention_guide.functional import _checks

__all__ = [
    "alibi_bias",
    "alibi_slopes",
    "relative_distance",
    "shaw_scores",
    "shaw_values",
    "t5_bias",
    "t5_buckets",
]


def relative_distance(
    t: int, s: int | None = None, *, device: torch.device | str | None = None
) -> Int[Tensor, "T S"]:
    r"""How far each key is ahead of each query, $j - (i + S - T)$.

    Args:
        t: Number of queries `T`; the last one stands at the last key.
        s: Number of keys `S`; `T` when not given.
        device: Where it is made.

    Returns:
        Integers, `(T, S)`: negative for the past.

    Raises:
        TypeError: A size isn't an int.
        ValueError: A size is negative.

    Examples:
        >>> relative_distance(2, 3)
        tensor([[-1,  0,  1],
                [-2, -1,  0]])
    """
    _checks.integer("t", t, least=0)
    keys = _checks.integer("s", t if s is None else s, least=0)
    _checks.maybe_device(device)
    query = torch.arange(keys - t, keys, device=device)
    return torch.arange(keys, device=device) - query[:, None]


def alibi_slopes(n_heads: int, *, device: torch.device | str | None = None) -> Float[Tensor, " H"]:
    r"""ALiBi's slopes, $m_h = 2^{-8h/H}$ for $h = 1 \ldots H$ when `H` is a power of two.

    Args:
        n_heads: Number of heads `H`. Between two powers of two, the slopes of the lower one are
            followed by every other slope of the upper one, as in the authors' code.
        device: Where they are made.

    Returns:
        Slopes, `(H,)`.

    Raises:
        TypeError: The number isn't an int.
        ValueError: It is below 1.

    Source:
        Press, Smith and Lewis (2022), arXiv:2108.12409, section 3.

    Examples:
        >>> alibi_slopes(4)
        tensor([0.2500, 0.0625, 0.0156, 0.0039])
    """
    _checks.integer("n_heads", n_heads, least=1)
    _checks.maybe_device(device)
    lower = 2 ** int(math.log2(n_heads))
    powers = [2.0 ** (-8 * h / lower) for h in range(1, lower + 1)]
    between = [2.0 ** (-4 * h / lower) for h in range(1, 2 * lower + 1, 2)]
    return torch.tensor((powers + between)[:n_heads], device=device)


def alibi_bias(
    n_heads: int, t: int, s: int | None = None, *, device: torch.device | str | None = None
) -> Float[Tensor, "H T S"]:
    r"""ALiBi, a penalty that grows with the distance: $-m_h \, |i + S - T - j|$.

    Args:
        n_heads: Number of heads `H`.
        t: Number of queries `T`.
        s: Number of keys `S`; `T` when not given.
        device: Where it is made.

    Returns:
        The bias, `(H, T, S)`, for `attention(bias=...)`. It is symmetric: combine it with
        `causal=True` for the paper's.

    Raises:
        TypeError: A size isn't an int.
        ValueError: A size is out of range.

    Source:
        Press, Smith and Lewis (2022), arXiv:2108.12409, section 3.

    Examples:
        >>> alibi_bias(8, 1, 3)[0]
        tensor([[-1.0000, -0.5000,  0.0000]])
    """
    distance = relative_distance(t, s, device=device).abs()
    return alibi_slopes(n_heads, device=device)[:, None, None] * -distance


def t5_buckets(
    distance: Int[Tensor, "..."],
    *,
    n_buckets: int = 32,
    max_distance: int = 128,
    causal: bool = False,
) -> Int[Tensor, "..."]:
    r"""T5's buckets: near distances have one each, far ones share them, logarithmically.

    Args:
        distance: Key minus query position, as `relative_distance` gives it.
        n_buckets: Number of buckets; half of them for the future unless `causal`.
        max_distance: From here on everything shares the last bucket.
        causal: The decoder's form: the future shares the bucket of distance 0.

    Returns:
        Bucket numbers, of the shape of `distance`.

    Raises:
        TypeError: The distances aren't integers, or `causal` isn't a bool.
        ValueError: A number is out of range.

    Source:
        Raffel et al. (2020), arXiv:1910.10683, section 2.1; the rounding as in the authors' code.

    Examples:
        >>> t5_buckets(torch.tensor([-200, -20, -8, -1, 0, 1]))
        tensor([15, 10,  8,  1,  0, 17])
    """
    _checks.integral("distance", distance)
    per_side, exact = bucket_sizes(n_buckets, max_distance, causal)
    far = (-distance).clamp(min=0) if causal else distance.abs()
    # Float32 as in the authors' code: in float64 some powers of two would fall a bucket lower.
    share = torch.log(far.clamp(min=1).float() / exact) / math.log(max_distance / exact)
    shared = (exact + (share * (per_side - exact)).long()).clamp(max=per_side - 1)
    bucket = torch.where(far < exact, far, shared)
    return bucket if causal else bucket + per_side * (distance > 0)


def bucket_sizes(n_buckets: int, max_distance: int, causal: bool) -> tuple[int, int]:
    """How many buckets of `t5_buckets` each side has, and how many of them hold one distance.

    Examples:
        >>> bucket_sizes(32, 128, False)
        (16, 8)
    """
    sides = 1 if _checks.flag("causal", causal) else 2
    if _checks.integer("n_buckets", n_buckets, least=1) % (2 * sides):
        raise ValueError(f"n_buckets: expected a multiple of {2 * sides}; got {n_buckets}")
    per_side = n_buckets // sides
    _checks.integer("max_distance", max_distance, least=per_side // 2 + 1)
    return per_side, per_side // 2


def t5_bias(
    table: Float[Tensor, "N H"],
    t: int,
    s: int | None = None,
    *,
    max_distance: int = 128,
    causal: bool = False,
) -> Float[Tensor, "H T S"]:
    r"""T5's relative bias, $b_{h,ij} = \text{table}_{\text{bucket}(j - i),\,h}$.

    T5 doesn't scale its scores: hand `scale=1.0` to `attention` with it.

    Args:
        table: One row a bucket, `(N, H)`, a parameter.
        t: Number of queries `T`.
        s: Number of keys `S`; `T` when not given.
        max_distance: From here on everything shares the last bucket.
        causal: The decoder's form.

    Returns:
        The bias, `(H, T, S)`.

    Raises:
        TypeError: The table isn't floating point.
        ValueError: A shape or number is wrong.

    Source:
        Raffel et al. (2020), arXiv:1910.10683, section 2.1.

    Examples:
        >>> table = torch.arange(32.0)[:, None]
        >>> t5_bias(table, 2)[0]
        tensor([[ 0., 17.],
                [ 1.,  0.]])
    """
    _checks.rank("table", _checks.floating("table", table), "N H")
    distance = relative_distance(t, s, device=table.device)
    buckets = t5_buckets(
        distance, n_buckets=table.shape[0], max_distance=max_distance, causal=causal
    )
    return table[buckets].permute(2, 0, 1)


def shaw_scores(
    q: Float[Tensor, "B H T K"],
    table: Float[Tensor, "N K"],
    s: int | None = None,
    *,
    scale: float | None = None,
) -> Float[Tensor, "B H T S"]:
    r"""Shaw's relative keys, $q_i^\top a_{\mathrm{clip}(j - i)} / \sqrt{K}$, to be used as a bias.

    Args:
        q: Queries, `(B, H, T, K)`.
        table: One row a distance from $-c$ to $c$, `(N, K)` with `N = 2c + 1`, a parameter;
            farther distances are clipped.
        s: Number of keys `S`; `T` when not given.
        scale: Takes the place of $1/\sqrt{K}$; the same as for `attention`.

    Returns:
        The bias, `(B, H, T, S)`.

    Raises:
        TypeError: A dtype is wrong.
        ValueError: A shape is wrong.

    Cost:
        `T·N` products a head, gathered into `T·S`: no `(T, S, K)` tensor is made.

    Source:
        Shaw, Uszkoreit and Vaswani (2018), arXiv:1803.02155, equation 4; the paper's $a^K$.

    Examples:
        >>> shaw_scores(torch.ones(1, 1, 2, 1), torch.tensor([[-1.0], [0.0], [1.0]]))[0, 0]
        tensor([[ 0.,  1.],
                [-1.,  0.]])
    """
    _checks.rank("q", _checks.floating("q", q), "B H T K")
    places = _shaw_places(table, q, "K", q.shape[2], s)
    _checks.axis("table", table, 1, q.shape[3], "N K", "as in q")
    if q.shape[3] < 1:
        raise ValueError(f"q: expected (B, H, T, K) with K at least 1; got {_checks.shape(q)}")
    factor = q.shape[3] ** -0.5 if scale is None else _checks.number("scale", scale)
    by_distance = (q * factor) @ table.mT
    return by_distance.gather(-1, places.expand(*q.shape[:2], *places.shape))


def shaw_values(
    weights: Float[Tensor, "B H T S"], table: Float[Tensor, "N E"]
) -> Float[Tensor, "B H T E"]:
    r"""Shaw's relative values, $\sum_j w_{ij} \, a_{\mathrm{clip}(j - i)}$, added to the output.

    Args:
        weights: Attention weights, `(B, H, T, S)`.
        table: One row a distance from $-c$ to $c$, `(N, E)` with `N = 2c + 1`, a parameter.

    Returns:
        What to add to the output, `(B, H, T, E)`.

    Raises:
        TypeError: A dtype is wrong.
        ValueError: A shape is wrong.

    Source:
        Shaw, Uszkoreit and Vaswani (2018), arXiv:1803.02155, equation 3; the paper's $a^V$.

    Examples:
        >>> table = torch.tensor([[1.0], [2.0], [3.0]])
        >>> shaw_values(torch.eye(2).view(1, 1, 2, 2), table).flatten()
        tensor([2., 2.])
    """
    _checks.rank("weights", _checks.floating("weights", weights), "B H T S")
    places = _shaw_places(table, weights, "E", weights.shape[2], weights.shape[3])
    by_distance = weights.new_zeros(*weights.shape[:3], table.shape[0])
    return by_distance.scatter_add(-1, places.expand_as(weights), weights) @ table


def _shaw_places(table: Tensor, other: Tensor, width: str, t: int, s: int | None) -> Tensor:
    _checks.rank("table", _checks.floating("table", table), f"N {width}")
    _checks.like("table", table, "the other argument", other)
    if table.shape[0] % 2 == 0:
        raise ValueError(f"table: expected N odd, 2c + 1 distances; got {_checks.shape(table)}")
    reach = table.shape[0] // 2
    return relative_distance(t, s, device=table.device).clamp(-reach, reach) + reach
