"""The polarity of a mask: whether its `True` means what it should, as far as can be told."""

import warnings

from jaxtyping import Bool, Int
from torch import Tensor

from attention_guide.functional import _checks

__all__ = ["MaskPolarityWarning", "suspect_polarity"]


class MaskPolarityWarning(UserWarning):
    """A mask looks as if its `True` and `False` were swapped."""


def suspect_polarity(
    mask: Bool[Tensor, "..."],
    *,
    tokens: Int[Tensor, "B S"] | None = None,
    pad_id: int | None = None,
) -> str | None:
    """Say why a mask looks inverted, or `None` when nothing is odd.

    It can be told for masks of self-attention with at least two positions, and for any mask when
    the tokens are given. A padding mask alone can't be judged: inverted right padding is the
    same as left padding.

    Args:
        mask: Bool, `True` = may attend, `(..., T, S)`.
        tokens: The keys' tokens, `(B, S)`, for masks `(B, H, T, S)`.
        pad_id: The padding token among them.

    Returns:
        The reason, in words.

    Raises:
        TypeError: The mask isn't bool.
        ValueError: Tokens and `pad_id` don't come together, or a shape is wrong.

    Examples:
        >>> import torch
        >>> suspect_polarity(torch.ones(3, 3).triu(1).bool())
        'lets every query see only its future'
        >>> suspect_polarity(torch.ones(3, 3).tril().bool()) is None
        True
    """
    _checks.trailing("mask", _checks.boolean("mask", mask), "T S")
    if (tokens is None) != (pad_id is None):
        raise ValueError("pad_id: expected together with tokens, or neither")
    if mask.numel() and not bool(mask.any()):
        return "hides everything"
    t, s = mask.shape[-2:]
    if t == s and t > 1:
        past = bool(mask.tril().any())
        if not past:
            return "lets every query see only its future"
        if not bool(mask.diagonal(dim1=-2, dim2=-1).any()):
            return "lets no query see itself"
    if tokens is not None:
        real = _checks.integral("tokens", tokens) != pad_id
        _checks.rank("tokens", tokens, "B S")
        seen = mask.reshape(mask.shape[0] if mask.ndim == 4 else 1, -1, s).any(dim=1)
        if not bool((seen & real).any()) and bool((seen & ~real).any()):
            return "lets only padding be seen"
    return None


def look(mask: Tensor) -> Tensor:
    """The mask itself, after a warning if its polarity is suspect."""
    reason = suspect_polarity(mask) if mask.ndim >= 2 else None
    if reason is not None:
        warnings.warn(
            f"this mask {reason}: is its polarity right? Here True = may attend",
            MaskPolarityWarning,
            stacklevel=3,
        )
    return mask
