"""Absolute positions, added to the embeddings (relative ones: `relative`; rotary ones: `rope`)."""

import torch
from jaxtyping import Float
from torch import Tensor

from attention_guide.functional import _checks

__all__ = ["learned_positions", "sinusoidal"]


def sinusoidal(
    length: int,
    d_model: int,
    *,
    base: float = 10_000.0,
    offset: int = 0,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Float[Tensor, "T D"]:
    r"""Sines and cosines, $p_{t,2i} = \sin(t / b^{2i/D})$ and $p_{t,2i+1} = \cos(t / b^{2i/D})$.

    Args:
        length: Number of positions `T`.
        d_model: Width `D`, even.
        base: The base $b$; 10000 in the paper.
        offset: The first position, for decoding with a cache.
        dtype: Result dtype; torch's default when not given.
        device: Where the table is made.

    Returns:
        The table, `(T, D)`, to be added to the embeddings.

    Raises:
        TypeError: A size isn't an int, or the dtype not floating point.
        ValueError: A size is negative, or the width odd.

    Source:
        Vaswani et al. (2017), arXiv:1706.03762, section 3.5.

    Examples:
        >>> sinusoidal(2, 4)
        tensor([[0.0000, 1.0000, 0.0000, 1.0000],
                [0.8415, 0.5403, 0.0100, 0.9999]])
    """
    _checks.integer("length", length, least=0)
    _checks.integer("offset", offset, least=0)
    _checks.maybe_device(device)
    if _checks.integer("d_model", d_model, least=2) % 2:
        raise ValueError(f"d_model: expected an even width; got {d_model}")
    _checks.number("base", base, above=0)
    kind = _checks.float_dtype("dtype", torch.get_default_dtype() if dtype is None else dtype)
    # Angles of late positions lose their fraction in float32, so they are taken in float64.
    place = torch.arange(offset, offset + length, dtype=torch.float64, device=device)
    rate = base ** (-torch.arange(0, d_model, 2, dtype=torch.float64, device=device) / d_model)
    angle = place[:, None] * rate
    table = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)
    return table.to(kind)


def learned_positions(
    table: Float[Tensor, "N D"], length: int, *, offset: int = 0
) -> Float[Tensor, "T D"]:
    r"""Learned positions, $p_t = \text{table}_t$: a row for each position, and none beyond.

    Args:
        table: One row a position, `(N, D)`, a parameter.
        length: Number of positions `T`.
        offset: The first position, for decoding with a cache.

    Returns:
        The rows, `(T, D)`, to be added to the embeddings.

    Raises:
        TypeError: The table isn't floating point.
        ValueError: A position beyond the table is asked for.

    Source:
        Gehring et al. (2017), arXiv:1705.03122, section 3.1.

    Examples:
        >>> learned_positions(torch.tensor([[0.0], [1.0], [2.0]]), 2, offset=1)
        tensor([[1.],
                [2.]])
    """
    _checks.rank("table", _checks.floating("table", table), "N D")
    _checks.integer("length", length, least=0)
    _checks.integer("offset", offset, least=0)
    if offset + length > table.shape[0]:
        raise ValueError(
            f"length: expected offset + length <= N = {table.shape[0]}; got {offset} + {length}"
        )
    return table[offset : offset + length]
