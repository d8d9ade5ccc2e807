"""Masks: bool tensors, `True` = may attend, broadcastable to `(B, H, T, S)`.

Every mask that speaks of order is aligned to the *last* key: query `t` of `T` stands at position
`t + S - T` among the `S` keys. With a cache, the queries are the newest positions, and this is
the alignment that is right; with `T = S` it is the ordinary one.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from attention_guide.functional import _checks

__all__ = [
    "causal_mask",
    "combine",
    "document_mask",
    "global_local_mask",
    "padding_mask",
    "position_mask",
    "prefix_mask",
    "window_mask",
]


def causal_mask(
    t: int, s: int | None = None, *, device: torch.device | str | None = None
) -> Bool[Tensor, "T S"]:
    r"""Let each query see itself and what came before: $j \le i + S - T$.

    Args:
        t: Number of queries `T`.
        s: Number of keys `S`; `T` when not given.
        device: Where the mask is made.

    Returns:
        Bool `(T, S)`.

    Raises:
        TypeError: A size isn't an int.
        ValueError: A size is negative.

    Source:
        Vaswani et al. (2017), arXiv:1706.03762, section 3.2.3.

    Examples:
        >>> causal_mask(2, 4).int()
        tensor([[1, 1, 1, 0],
                [1, 1, 1, 1]], dtype=torch.int32)
    """
    t, s = _sizes(t, s)
    return _band(t, s, None, 0, device)


def window_mask(
    t: int,
    s: int | None = None,
    left: int | None = None,
    right: int | None = None,
    *,
    device: torch.device | str | None = None,
) -> Bool[Tensor, "T S"]:
    r"""Let each query see its neighbours: $-\text{left} \le j - (i + S - T) \le \text{right}$.

    Args:
        t: Number of queries `T`.
        s: Number of keys `S`; `T` when not given.
        left: Neighbours before the position; `None` for all. The position itself is always seen.
        right: Neighbours after the position; `None` for all.
        device: Where the mask is made.

    Returns:
        Bool `(T, S)`.

    Raises:
        TypeError: A size isn't an int.
        ValueError: A size is negative.

    Source:
        Beltagy, Peters and Cohan (2020), arXiv:2004.05150, section 3.1; with `right=0` the
        window of Mistral 7B, Jiang et al. (2023), arXiv:2310.06825. Its figure 1 has "at most W
        tokens", the position itself among them, which is `left = W - 1` here; its text says
        `i - W` to `i`, one more.

    Examples:
        >>> window_mask(3, 3, left=1, right=0).int()
        tensor([[1, 0, 0],
                [1, 1, 0],
                [0, 1, 1]], dtype=torch.int32)
    """
    t, s = _sizes(t, s)
    left, right = _checks.window_pair((left, right))
    return _band(t, s, left, right, device)


def padding_mask(
    lengths: Int[Tensor, " B"] | Sequence[int], max_len: int | None = None
) -> Bool[Tensor, "B 1 1 S"]:
    r"""Hide the padding at the end of each sequence: $j < \text{length}_b$.

    Keys are hidden, queries aren't: what a padded query computes is read by nobody, but a padded
    key would be read by every query of its sequence.

    Args:
        lengths: How many keys of each sequence are real, `(B,)`.
        max_len: Number of keys `S`; the greatest length when not given.

    Returns:
        Bool `(B, 1, 1, S)`.

    Raises:
        TypeError: The lengths aren't integers.
        ValueError: A length is negative or above `max_len`.

    Examples:
        >>> padding_mask([1, 3])[:, 0, 0].int()
        tensor([[1, 0, 0],
                [1, 1, 1]], dtype=torch.int32)
    """
    sizes = _lengths(lengths)
    _checks.rank("lengths", _checks.integral("lengths", sizes), "B")
    if sizes.is_meta:
        raise ValueError("lengths: expected a device that holds numbers; got meta")
    longest = int(sizes.max()) if sizes.numel() else 0
    s = longest if max_len is None else _checks.integer("max_len", max_len, least=0)
    if sizes.numel() and (int(sizes.min()) < 0 or longest > s):
        raise ValueError(f"lengths: expected numbers from 0 to S = {s}; got {sizes.tolist()}")
    return (torch.arange(s, device=sizes.device) < sizes[:, None])[:, None, None]


def prefix_mask(
    t: int,
    prefix: int | Int[Tensor, " B"],
    s: int | None = None,
    *,
    device: torch.device | str | None = None,
) -> Bool[Tensor, "T S"] | Bool[Tensor, "B 1 T S"]:
    r"""Causal, but the prefix sees all of itself: $j \le i + S - T$ or $j < \text{prefix}$.

    Args:
        t: Number of queries `T`.
        prefix: Length of the prefix, the same for all, or one for each sequence `(B,)`.
        s: Number of keys `S`; `T` when not given.
        device: Where the mask is made; that of `prefix` when it is a tensor.

    Returns:
        Bool `(T, S)`, or `(B, 1, T, S)` for a prefix each.

    Raises:
        TypeError: A size isn't an integer.
        ValueError: A size is negative, or a prefix longer than the keys.

    Source:
        The prefix language model of Raffel et al. (2020), arXiv:1910.10683, section 3.2.1.

    Examples:
        >>> prefix_mask(3, 2).int()
        tensor([[1, 1, 0],
                [1, 1, 0],
                [1, 1, 1]], dtype=torch.int32)
    """
    t, s = _sizes(t, s)
    if isinstance(prefix, Tensor):
        seen = padding_mask(prefix, s)
        return _band(t, s, None, 0, seen.device) | seen
    if _checks.integer("prefix", prefix, least=0) > s:
        raise ValueError(f"prefix: expected at most S = {s}; got {prefix}")
    return _band(t, s, None, 0, device) | (torch.arange(s, device=device) < prefix)


def document_mask(
    ids: Int[Tensor, "B T"], keys: Int[Tensor, "B S"] | None = None
) -> Bool[Tensor, "B 1 T S"]:
    r"""Keep packed documents apart: $\text{id}_i = \text{id}_j$.

    Args:
        ids: The document that each query belongs to, `(B, T)`. A negative id is padding, which
            sees nothing and is seen by nothing.
        keys: The document of each key, `(B, S)`; `ids` when not given.

    Returns:
        Bool `(B, 1, T, S)`; combine it with a causal mask for language models.

    Raises:
        TypeError: The ids aren't integers.
        ValueError: A shape or device is wrong.

    Examples:
        >>> document_mask(torch.tensor([[0, 0, 1, -1]]))[0, 0].int()
        tensor([[1, 1, 0, 0],
                [1, 1, 0, 0],
                [0, 0, 1, 0],
                [0, 0, 0, 0]], dtype=torch.int32)
    """
    _checks.rank("ids", _checks.integral("ids", ids), "B T")
    keys = ids if keys is None else keys
    _checks.rank("keys", _checks.integral("keys", keys), "B S")
    _checks.axis("keys", keys, 0, ids.shape[0], "B S", "as in ids")
    _checks.same_device("keys", keys, "ids", ids)
    same = ids[:, :, None] == keys[:, None, :]
    return (same & (ids >= 0)[:, :, None])[:, None]


def global_local_mask(
    is_global: Bool[Tensor, "B S"], left: int | None, right: int | None
) -> Bool[Tensor, "B 1 S S"]:
    r"""A window, and chosen tokens that see everything and are seen by everything.

    Args:
        is_global: `True` where a token is global, `(B, S)`.
        left: Neighbours before the position that a local token sees; `None` for all.
        right: Neighbours after it; `None` for all.

    Returns:
        Bool `(B, 1, S, S)`.

    Raises:
        TypeError: `is_global` isn't bool, or a size isn't an int.
        ValueError: A shape or size is wrong.

    Source:
        Beltagy, Peters and Cohan (2020), arXiv:2004.05150, section 3.1.

    Examples:
        >>> global_local_mask(torch.tensor([[True, False, False, False]]), 0, 0)[0, 0].int()
        tensor([[1, 1, 1, 1],
                [1, 1, 0, 0],
                [1, 0, 1, 0],
                [1, 0, 0, 1]], dtype=torch.int32)
    """
    if _checks.tensor("is_global", is_global).dtype != torch.bool:
        raise TypeError(f"is_global: expected torch.bool; got {is_global.dtype}")
    _checks.rank("is_global", is_global, "B S")
    s = is_global.shape[1]
    local = window_mask(s, s, left, right, device=is_global.device)
    return (local | is_global[:, :, None] | is_global[:, None, :])[:, None]


def combine(*masks: Bool[Tensor, "..."] | None) -> Bool[Tensor, "..."] | None:
    """Allow what every mask allows (logical and); `None` allows everything.

    Args:
        *masks: Bool masks whose shapes broadcast together, or `None`.

    Returns:
        Their conjunction, or `None` when there is none.

    Raises:
        TypeError: A mask isn't bool.
        ValueError: Two shapes don't broadcast together, or devices differ.

    Examples:
        >>> combine(causal_mask(2), None, padding_mask([1, 2])).shape
        torch.Size([2, 1, 2, 2])
    """
    result: Tensor | None = None
    for i, mask in enumerate(masks):
        if mask is None:
            continue
        name = f"masks[{i}]"
        _checks.boolean(name, mask)
        if result is None:
            result = mask
            continue
        _checks.same_device(name, mask, "the masks before it", result)
        pairs = zip(result.shape[::-1], mask.shape[::-1], strict=False)
        if any(a != b and 1 not in (a, b) for a, b in pairs):
            raise ValueError(
                f"{name}: expected a shape that broadcasts with {_checks.shape(result)}; "
                f"got {_checks.shape(mask)}"
            )
        result = result & mask
    return result


def position_mask(
    t: int,
    s: int,
    causal: bool = False,
    window: tuple[int | None, int | None] | None = None,
    *,
    offset: int | None = None,
    device: torch.device | str | None = None,
) -> Bool[Tensor, "T S"] | None:
    """What `causal` and `window` allow together, or `None` when they allow everything.

    Args:
        t: Number of queries `T`.
        s: Number of keys `S`.
        causal: Whether the future is hidden.
        window: `(left, right)`, neighbours seen on each side; `None` for all.
        offset: Position of the first query among the keys; `S - T` when not given. A tile of a
            larger attention says here where it stands.
        device: Where the mask is made.

    Returns:
        Bool `(T, S)`, or `None`.

    Raises:
        TypeError: A size or the offset isn't an int, or `causal` isn't a bool.
        ValueError: A size is negative.

    Examples:
        >>> position_mask(2, 2) is None
        True
        >>> position_mask(2, 3, causal=True, window=(1, None)).int()
        tensor([[1, 1, 0],
                [0, 1, 1]], dtype=torch.int32)
    """
    t, s = _sizes(t, s)
    left, right = (None, None) if window is None else _checks.window_pair(window)
    right = 0 if _checks.flag("causal", causal) else right
    if offset is not None:
        _checks.integer("offset", offset, least=-_checks.FARTHEST)
    if left is None and right is None:
        return None
    return _band(t, s, left, right, device, offset)


def _lengths(lengths: Tensor | Sequence[int]) -> Tensor:
    if isinstance(lengths, Tensor):
        return lengths
    try:
        sizes = torch.as_tensor(lengths)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"lengths: expected integers (B); got {lengths!r}") from None
    return sizes if sizes.numel() else sizes.long()


def _band(
    t: int,
    s: int,
    left: int | None,
    right: int | None,
    device: torch.device | str | None,
    offset: int | None = None,
) -> Tensor:
    _checks.maybe_device(device)
    first = s - t if offset is None else offset
    distance = (
        torch.arange(s, device=device) - torch.arange(first, first + t, device=device)[:, None]
    )
    allowed = torch.ones(t, s, dtype=torch.bool, device=device)
    if left is not None:
        allowed = allowed & (distance >= -left)
    if right is not None:
        allowed = allowed & (distance <= right)
    return allowed


def _sizes(t: int, s: int | None) -> tuple[int, int]:
    t = _checks.integer("t", t, least=0)
    return t, t if s is None else _checks.integer("s", s, least=0)
