"""The polarity of a mask: whether its `True` means what it should, as far as can be told."""

import warnings

from jaxtyping import Bool, Int
from torch import Tensor

from attention_guide.functional import _checks
from attention_guide.functional.masks import causal_mask

__all__ = ["MaskPolarityWarning", "suspect_polarity"]


class MaskPolarityWarning(UserWarning):
    """A mask looks as if its `True` and `False` were swapped.

    Examples:
        >>> import warnings
        >>> from attention_guide.functional import to_sdpa
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     _ = to_sdpa(~causal_mask(2))
        >>> caught[0].category is MaskPolarityWarning
        True
    """


def suspect_polarity(
    mask: Bool[Tensor, "..."],
    *,
    tokens: Int[Tensor, "B S"] | None = None,
    pad_id: int | None = None,
) -> str | None:
    """Say why a mask looks inverted, or `None` when nothing is odd.

    It can be told for masks of self-attention with at least two positions, for masks that hold
    an inverted causal mask of at least two queries and keys, and for any mask when the tokens
    are given. A padding mask alone can't be judged: inverted right padding is the same as left
    padding.

    Args:
        mask: Bool, `True` = may attend, `(..., T, S)`.
        tokens: The keys' tokens, `(B, S)`, for masks `(B, H, T, S)`.
        pad_id: The padding token among them.

    Returns:
        The reason, in words.

    Raises:
        TypeError: The mask isn't bool, or the tokens or `pad_id` aren't integers.
        ValueError: Tokens and `pad_id` don't come together, or a shape or device is wrong.

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
    if tokens is not None:
        _check_tokens(tokens, pad_id, mask)
    if mask.is_meta:  # nothing to look at
        return None
    if mask.numel() and not bool(mask.any()):
        return "hides everything"
    t, s = mask.shape[-2:]
    if t > 1 and mask.numel() and _sees_only_future(mask):
        return "lets every query see only its future"
    if t == s and t > 1 and not bool(mask.diagonal(dim1=-2, dim2=-1).any()):
        return "lets no query see itself"
    if tokens is not None:
        real = tokens != pad_id
        seen = mask.flatten(1, -2) if mask.ndim == 4 else mask.flatten(0, -2)[None]
        seen = seen.any(dim=1)
        if not bool((seen & real).any()) and bool((seen & ~real).any()):
            return "lets only padding be seen"
    return None


def _sees_only_future(mask: Tensor) -> bool:
    """Whether no query of a square mask sees the past, or one mask of several is the inverted
    causal mask itself: anything less strict would be met by padding and documents.
    """
    t, s = mask.shape[-2:]
    future = ~causal_mask(t, s, device=mask.device)
    if t == s and not bool((mask & ~future).any()):
        return True
    # With one key, it is the same as padded queries.
    return s > 1 and bool((mask == future).flatten(-2).all(dim=-1).any())


def _check_tokens(tokens: Tensor, pad_id: int | None, mask: Tensor) -> None:
    _checks.rank("tokens", _checks.integral("tokens", tokens), "B S")
    _checks.integer("pad_id", pad_id)
    _checks.axis("tokens", tokens, 1, mask.shape[-1], "B S", "as in mask")
    if mask.ndim == 4 and mask.shape[0] != 1:
        _checks.axis("tokens", tokens, 0, mask.shape[0], "B S", "as in mask")
    _checks.same_device("tokens", tokens, "mask", mask)


def look(mask: Tensor) -> Tensor:
    """The mask itself, after a warning if its polarity is suspect.

    Examples:
        >>> look(causal_mask(2))
        tensor([[ True, False],
                [ True,  True]])
    """
    reason = suspect_polarity(mask) if mask.ndim >= 2 else None
    if reason is not None:
        warnings.warn(
            f"this mask {reason}: is its polarity right? Here True = may attend",
            MaskPolarityWarning,
            stacklevel=3,
        )
    return mask
