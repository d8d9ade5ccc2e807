"""Masks of other libraries, to and from ours: bool, `True` = may attend, `(B, H, T, S)`.

`mask_table()` prints them side by side. Every converter looks at the mask that it is given or
makes, and warns where it can tell that the polarity is wrong.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attention_guide.functional import _checks
from attention_guide.functional.masks import combine
from attention_guide.functional.polarity import look

__all__ = [
    "from_additive",
    "from_hf_2d",
    "from_hf_4d",
    "from_keras",
    "from_mha",
    "from_sdpa",
    "mask_table",
    "to_additive",
    "to_hf_2d",
    "to_hf_4d",
    "to_keras",
    "to_mha",
    "to_sdpa",
]


_ROWS = (
    ("here, SDPA", "bool", "broadcasts to (B, H, T, S)", "True", "False"),
    ("additive, SDPA float", "float", "broadcasts to (B, H, T, S)", "0", "-inf"),
    ("MHA attn_mask", "bool", "(T, S) or (B*H, T, S)", "False", "True"),
    ("MHA key_padding_mask", "bool", "(B, S)", "False", "True"),
    ("Hugging Face 2-D", "int", "(B, S)", "1", "0"),
    ("Hugging Face 4-D", "float", "(B, 1, T, S)", "0", "finfo.min"),
    ("Keras attention_mask", "bool", "(B, T, S)", "True", "False"),
)


def mask_table() -> str:
    """The conventions side by side: what each library writes for "may attend" and for "may not".

    Returns:
        A table in plain text.

    Examples:
        >>> print(mask_table())
        convention            dtype  shape                       may attend  may not
        here, SDPA            bool   broadcasts to (B, H, T, S)  True        False
        additive, SDPA float  float  broadcasts to (B, H, T, S)  0           -inf
        MHA attn_mask         bool   (T, S) or (B*H, T, S)       False       True
        MHA key_padding_mask  bool   (B, S)                      False       True
        Hugging Face 2-D      int    (B, S)                      1           0
        Hugging Face 4-D      float  (B, 1, T, S)                0           finfo.min
        Keras attention_mask  bool   (B, T, S)                   True        False
    """
    rows = (("convention", "dtype", "shape", "may attend", "may not"), *_ROWS)
    widths = [max(len(row[i]) for row in rows) for i in range(5)]
    lines = ("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def to_additive(
    mask: Bool[Tensor, "..."], dtype: torch.dtype = torch.float32, *, finite: bool = False
) -> Float[Tensor, "..."]:
    """Floats to add to scores: 0 where `True`, minus infinity where `False`.

    Args:
        mask: Bool, `True` = may attend.
        dtype: A floating-point dtype.
        finite: Write the dtype's least number instead of minus infinity, as Hugging Face does;
            a row that may attend nowhere then attends everywhere alike.

    Returns:
        Floats of the same shape.

    Raises:
        TypeError: The mask isn't bool, the dtype not floating point, or `finite` not a bool.

    Examples:
        >>> to_additive(torch.tensor([True, False]))
        tensor([0., -inf])
    """
    look(_checks.boolean("mask", mask))
    _checks.float_dtype("dtype", dtype)
    low = torch.finfo(dtype).min if _checks.flag("finite", finite) else -torch.inf
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, low)


def from_additive(bias: Float[Tensor, "..."]) -> Bool[Tensor, "..."]:
    """`True` where an additive mask is 0, `False` where it is minus infinity or the least number.

    Args:
        bias: Floats, of these values only; a bias with others belongs to `bias=`.

    Returns:
        Bool of the same shape.

    Raises:
        TypeError: It isn't floating point.
        ValueError: It has other values.

    Examples:
        >>> from_additive(torch.tensor([0.0, float("-inf")]))
        tensor([ True, False])
    """
    _checks.floating("bias", bias)
    open_, shut = bias == 0, bias <= torch.finfo(bias.dtype).min
    if not bias.is_meta and not bool((open_ | shut).all()):
        raise ValueError("bias: expected 0, -inf or finfo.min; other values belong to bias=")
    return look(open_)


def to_sdpa(mask: Bool[Tensor, "..."]) -> Bool[Tensor, "..."]:
    """For `attn_mask` of `scaled_dot_product_attention`: the same, after a look at its polarity.

    Args:
        mask: Bool, `True` = may attend.

    Returns:
        The mask itself.

    Raises:
        TypeError: The mask isn't bool.

    Examples:
        >>> to_sdpa(torch.tensor([[True]]))
        tensor([[True]])
    """
    return look(_checks.boolean("mask", mask))


def from_sdpa(attn_mask: Tensor) -> Bool[Tensor, "..."]:
    """From `attn_mask` of `scaled_dot_product_attention`, bool or additive.

    Args:
        attn_mask: Bool, or floats of 0 and minus infinity.

    Returns:
        Bool, `True` = may attend.

    Raises:
        TypeError: It is neither bool nor floating point.
        ValueError: It is a bias with other values.

    Examples:
        >>> from_sdpa(torch.tensor([[0.0, float("-inf")]]))
        tensor([[ True, False]])
    """
    if _checks.tensor("attn_mask", attn_mask).dtype == torch.bool:
        return look(attn_mask)
    return from_additive(attn_mask)


def to_mha(mask: Bool[Tensor, "..."], batch: int, n_heads: int) -> Bool[Tensor, "*BH T S"]:
    """For `attn_mask` of `nn.MultiheadAttention`: inverted, batch and heads in one axis.

    Args:
        mask: Bool, `True` = may attend, broadcastable to `(B, H, T, S)`, with its `T` and `S`.
        batch: Batch size `B`.
        n_heads: Number of heads `H`.

    Returns:
        Bool, `True` = may *not* attend: `(T, S)` from a mask of two axes, else `(B·H, T, S)`.

    Raises:
        TypeError: The mask isn't bool, or a size isn't an int.
        ValueError: The shape doesn't broadcast, or a size is too small.

    Examples:
        >>> to_mha(torch.tensor([[True, False], [True, True]]), 1, 1)
        tensor([[False,  True],
                [False, False]])
    """
    _checks.trailing("mask", _checks.boolean("mask", mask), "T S")
    _checks.integer("batch", batch, least=0)
    _checks.integer("n_heads", n_heads, least=1)
    inverse = ~look(mask)
    if mask.ndim == 2:
        return inverse
    t, s = mask.shape[-2:]
    _checks.broadcastable("mask", mask, (batch, n_heads, t, s), "B H T S")
    return inverse.expand(batch, n_heads, t, s).reshape(batch * n_heads, t, s)


def from_mha(
    attn_mask: Tensor | None = None,
    key_padding_mask: Tensor | None = None,
    *,
    n_heads: int | None = None,
) -> Bool[Tensor, "..."] | None:
    """From the two masks of `nn.MultiheadAttention`, bool or additive, to one of ours.

    Args:
        attn_mask: `(T, S)` or `(B·H, T, S)`; bool with `True` = may *not* attend, or additive.
        key_padding_mask: `(B, S)`; bool with `True` = padding, or additive.
        n_heads: Number of heads `H`, needed for a mask of three axes.

    Returns:
        Bool, `True` = may attend, or `None` when both are.

    Raises:
        TypeError: A mask is neither bool nor floating point.
        ValueError: A shape is wrong.

    Examples:
        >>> from_mha(key_padding_mask=torch.tensor([[False, True]]))
        tensor([[[[ True, False]]]])
    """
    allowed = None if attn_mask is None else _flip("attn_mask", attn_mask)
    if allowed is not None and allowed.ndim == 3:
        heads = _checks.integer("n_heads", n_heads, least=1)
        if allowed.shape[0] % heads:
            raise ValueError(
                f"attn_mask: expected (B*H, T, S) with H = {heads}; got {_checks.shape(allowed)}"
            )
        allowed = allowed.view(-1, heads, *allowed.shape[1:])
    elif allowed is not None:
        _checks.rank("attn_mask", allowed, "T S")
    if key_padding_mask is not None:
        _checks.rank(
            "key_padding_mask", _checks.tensor("key_padding_mask", key_padding_mask), "B S"
        )
        keys = _flip("key_padding_mask", key_padding_mask)[:, None, None]
        allowed = keys if allowed is None else combine(allowed, keys)
    return None if allowed is None else look(allowed)


def to_hf_2d(mask: Bool[Tensor, "B 1 1 S"]) -> Int[Tensor, "B S"]:
    """For Hugging Face's `attention_mask`: 1 for a real token, 0 for padding.

    Args:
        mask: A padding mask, `(B, 1, 1, S)`, `True` = may attend.

    Returns:
        Integers, `(B, S)`.

    Raises:
        TypeError: The mask isn't bool.
        ValueError: It isn't a padding mask.

    Examples:
        >>> to_hf_2d(torch.tensor([True, False]).view(1, 1, 1, 2))
        tensor([[1, 0]])
    """
    _checks.rank("mask", _checks.boolean("mask", mask), "B 1 1 S")
    _checks.axis("mask", mask, 1, 1, "B 1 1 S", "(a padding mask)")
    _checks.axis("mask", mask, 2, 1, "B 1 1 S", "(a padding mask)")
    return look(mask)[:, 0, 0].long()


def from_hf_2d(attention_mask: Tensor) -> Bool[Tensor, "B 1 1 S"]:
    """From Hugging Face's `attention_mask` of a tokenizer.

    Args:
        attention_mask: 1 or `True` for a real token, 0 or `False` for padding, `(B, S)`.

    Returns:
        Bool, `(B, 1, 1, S)`, `True` = may attend.

    Raises:
        TypeError: It isn't a tensor.
        ValueError: The shape is wrong, or a value is neither 0 nor 1.

    Examples:
        >>> from_hf_2d(torch.tensor([[1, 0]]))
        tensor([[[[ True, False]]]])
    """
    _checks.rank("attention_mask", _checks.tensor("attention_mask", attention_mask), "B S")
    kept = attention_mask == 1
    if not kept.is_meta and not bool((kept | (attention_mask == 0)).all()):
        raise ValueError("attention_mask: expected values 0 and 1 only")
    return look(kept[:, None, None])


def to_hf_4d(
    mask: Bool[Tensor, "..."], dtype: torch.dtype = torch.float32
) -> Float[Tensor, "B 1 T S"]:
    """For the 4-D `attention_mask` of Hugging Face's models: 0 and the dtype's least number.

    Args:
        mask: Bool, `True` = may attend, broadcastable to `(B, 1, T, S)`.
        dtype: The model's dtype.

    Returns:
        Floats, `(B, 1, T, S)`, where axes of size 1 stay.

    Raises:
        TypeError: The mask isn't bool, or the dtype not floating point.
        ValueError: It has more than four axes, or a mask for each head.

    Examples:
        >>> to_hf_4d(torch.tensor([[True]])).shape
        torch.Size([1, 1, 1, 1])
    """
    _checks.trailing("mask", _checks.boolean("mask", mask), "T S")
    if mask.ndim == 3 or mask.ndim > 4 or (mask.ndim == 4 and mask.shape[1] != 1):
        raise ValueError(f"mask: expected (B, 1, T, S) or (T, S); got {_checks.shape(mask)}")
    four = mask if mask.ndim == 4 else mask[None, None]
    return to_additive(four, dtype, finite=True)


def from_hf_4d(attention_mask: Float[Tensor, "B 1 T S"]) -> Bool[Tensor, "B 1 T S"]:
    """From the 4-D additive `attention_mask` of Hugging Face's models.

    Args:
        attention_mask: Floats, `(B, 1, T, S)`.

    Returns:
        Bool, `(B, 1, T, S)`, `True` = may attend.

    Raises:
        TypeError: It isn't floating point.
        ValueError: The shape is wrong, or it has other values.

    Examples:
        >>> from_hf_4d(torch.zeros(1, 1, 1, 1))
        tensor([[[[True]]]])
    """
    _checks.rank("attention_mask", _checks.floating("attention_mask", attention_mask), "B 1 T S")
    _checks.axis("attention_mask", attention_mask, 1, 1, "B 1 T S", "(one for all heads)")
    return from_additive(attention_mask)


def to_keras(mask: Bool[Tensor, "..."], batch: int) -> Bool[Tensor, "B T S"]:
    """For `attention_mask` of Keras's `MultiHeadAttention`: one mask for all heads.

    Args:
        mask: Bool, `True` = may attend, broadcastable to `(B, 1, T, S)`, with its `T` and `S`.
        batch: Batch size `B`.

    Returns:
        Bool, `(B, T, S)`, `True` = may attend.

    Raises:
        TypeError: The mask isn't bool.
        ValueError: It has a mask for each head, which Keras can't say.

    Examples:
        >>> to_keras(torch.tensor([[True, False]]), 1)
        tensor([[[ True, False]]])
    """
    _checks.trailing("mask", _checks.boolean("mask", mask), "T S")
    _checks.integer("batch", batch, least=0)
    t, s = mask.shape[-2:]
    _checks.broadcastable("mask", mask, (batch, 1, t, s), "B 1 T S")
    return look(mask).expand(batch, 1, t, s)[:, 0]


def from_keras(attention_mask: Tensor) -> Bool[Tensor, "B 1 T S"]:
    """From `attention_mask` of Keras's `MultiHeadAttention`.

    Args:
        attention_mask: `(B, T, S)`, bool or 0 and 1, 1 = may attend.

    Returns:
        Bool, `(B, 1, T, S)`, `True` = may attend.

    Raises:
        TypeError: It isn't a tensor.
        ValueError: The shape is wrong, or a value is neither 0 nor 1.

    Examples:
        >>> from_keras(torch.tensor([[[1, 0]]]))
        tensor([[[[ True, False]]]])
    """
    _checks.rank("attention_mask", _checks.tensor("attention_mask", attention_mask), "B T S")
    kept = attention_mask == 1
    if not kept.is_meta and not bool((kept | (attention_mask == 0)).all()):
        raise ValueError("attention_mask: expected values 0 and 1 only")
    return look(kept[:, None])


def _flip(name: str, mask: Tensor) -> Tensor:
    if _checks.tensor(name, mask).dtype == torch.bool:
        return ~mask
    return from_additive(_checks.floating(name, mask))
