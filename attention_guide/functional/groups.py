"""Grouped queries: products in which several query heads share one key and value head."""

from jaxtyping import Float
from torch import Tensor


def fold_heads(x: Float[Tensor, "B H T K"], groups: int) -> Float[Tensor, "B G RT K"]:
    """Lay the query heads of a group end to end, `(B, H, T, K)` → `(B, G, R·T, K)` with R = H / G.

    One product then serves them all.

    Examples:
        >>> import torch
        >>> fold_heads(torch.zeros(1, 4, 3, 2), 2).shape
        torch.Size([1, 2, 6, 2])
    """
    batch, heads, rows, width = x.shape
    return x if heads == groups else x.reshape(batch, groups, heads // groups * rows, width)


def unfold_heads(x: Float[Tensor, "B G RT E"], heads: int) -> Float[Tensor, "B H T E"]:
    """Undo `fold_heads`, `(B, G, R·T, E)` → `(B, H, T, E)`.

    Examples:
        >>> import torch
        >>> unfold_heads(torch.zeros(1, 2, 6, 2), 4).shape
        torch.Size([1, 4, 3, 2])
    """
    batch, groups, rows, width = x.shape
    return x if heads == groups else x.reshape(batch, heads, groups * rows // heads, width)


def weighted_sum(
    weights: Float[Tensor, "B H T S"], v: Float[Tensor, "B G S E"]
) -> Float[Tensor, "B H T E"]:
    """The values of a group, summed with the weights of each of its query heads.

    Args:
        weights: Weights, `(B, H, T, S)`.
        v: Values, `(B, G, S, E)`.

    Returns:
        Sums, `(B, H, T, E)`.

    Examples:
        >>> import torch
        >>> weighted_sum(torch.full((1, 2, 1, 2), 0.5), torch.ones(1, 1, 2, 1)).flatten()
        tensor([1., 1.])
    """
    return unfold_heads(fold_heads(weights, v.shape[1]) @ v, weights.shape[1])
