"""Rotary positions: a query and a key are turned by their positions, so that their product sees
only the distance.

Two pairings are in use and don't mix: `"half"` turns feature `i` with feature `i + R/2` (GPT-NeoX,
Hugging Face's Llama), `"interleaved"` turns feature `2i` with `2i + 1` (the paper, GPT-J, Meta's
Llama). `R` is the rotated width; the features behind it pass untouched.
"""

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attention_guide.functional import _checks

__all__ = [
    "Pairing",
    "apply_rope",
    "convert_rope_weight",
    "rope",
    "rope_frequencies",
    "rope_tables",
]

Pairing = Literal["half", "interleaved"]
"""Which features turn together: `i` with `i + R / 2`, or each with its neighbour."""


def rope_frequencies(
    width: int, *, base: float = 10_000.0, device: torch.device | str | None = None
) -> Float[Tensor, " F"]:
    r"""How fast each pair turns, $\theta_i = b^{-2i/R}$ radians a position.

    Args:
        width: The rotated width `R`, even: the head width, or less for partial rotation.
        base: The base $b$.
        device: Where they are made.

    Returns:
        Frequencies in float64, `(F,)` with F = R / 2.

    Raises:
        TypeError: A size isn't a number.
        ValueError: The width is odd or below 2, or the base not above 0.

    Source:
        Su et al. (2021), arXiv:2104.09864, section 3.2.2.

    Examples:
        >>> rope_frequencies(4)
        tensor([1.0000, 0.0100], dtype=torch.float64)
    """
    if _checks.integer("width", width, least=2) % 2:
        raise ValueError(f"width: expected an even width; got {width}")
    _checks.number("base", base, above=0)
    _checks.maybe_device(device)
    return base ** (-torch.arange(0, width, 2, dtype=torch.float64, device=device) / width)


def rope_tables(
    positions: Int[Tensor, "*B T"],
    frequencies: Float[Tensor, " F"],
    *,
    factor: float = 1.0,
    dtype: torch.dtype | None = None,
) -> tuple[Float[Tensor, "*B T F"], Float[Tensor, "*B T F"]]:
    r"""The cosines and sines of the angles $t \theta_i$.

    Args:
        positions: Positions, `(T,)` or `(B, T)`.
        frequencies: Frequencies, `(F,)`, with `F = R/2`.
        factor: Multiplies both tables; YaRN's `yarn_attention_factor`.
        dtype: Result dtype; torch's default when not given.

    Returns:
        `(cos, sin)`, each `(T, F)` or `(B, T, F)`.

    Raises:
        TypeError: The positions aren't integers, or the frequencies or dtype not floating point.
        ValueError: A shape or device is wrong.

    Examples:
        >>> cos, sin = rope_tables(torch.arange(2), rope_frequencies(4))
        >>> sin
        tensor([[0.0000, 0.0000],
                [0.8415, 0.0100]])
    """
    _checks.integral("positions", positions)
    if positions.ndim not in (1, 2):
        raise ValueError(f"positions: expected (T) or (B, T); got {_checks.shape(positions)}")
    _checks.rank("frequencies", _checks.floating("frequencies", frequencies), "F")
    _checks.same_device("frequencies", frequencies, "positions", positions)
    _checks.number("factor", factor, above=0)
    kind = _checks.float_dtype("dtype", torch.get_default_dtype() if dtype is None else dtype)
    # In float32 the angle of position 100,000 is already off by 0.004 radians.
    angle = positions.double()[..., None] * frequencies.double()
    return (factor * angle.cos()).to(kind), (factor * angle.sin()).to(kind)


def apply_rope(
    x: Float[Tensor, "B H T K"],
    cos: Float[Tensor, "*B T F"],
    sin: Float[Tensor, "*B T F"],
    *,
    pairing: Pairing = "half",
) -> Float[Tensor, "B H T K"]:
    r"""Turn each pair, $(a, b) \mapsto (a \cos - b \sin,\; a \sin + b \cos)$.

    Args:
        x: Queries or keys, `(B, H, T, K)`.
        cos: Cosines, `(T, F)` or `(B, T, F)`, with `2F ≤ K`: features behind `2F` stay.
        sin: Sines of the same shape.
        pairing: Which features make a pair; see the top of this module.

    Returns:
        The turned tensor, `(B, H, T, K)`.

    Raises:
        TypeError: A dtype is wrong.
        ValueError: A shape or device is wrong, or the pairing unknown.

    Source:
        Su et al. (2021), arXiv:2104.09864, equation 34, which pairs neighbours.

    Examples:
        >>> x = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 1, 4)
        >>> quarter = torch.zeros(1, 2), torch.ones(1, 2)
        >>> apply_rope(x, *quarter, pairing="interleaved").flatten()
        tensor([-2.,  1., -4.,  3.])
        >>> apply_rope(x, *quarter, pairing="half").flatten()
        tensor([-3., -4.,  1.,  2.])
    """
    cos, sin = _check_tables(x, cos, sin)
    width = 2 * cos.shape[-1]
    turned, rest = x[..., :width], x[..., width:]
    if pairing == "half":
        a, b = turned.chunk(2, dim=-1)
        turned = torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)
    elif pairing == "interleaved":
        a, b = turned[..., 0::2], turned[..., 1::2]
        turned = torch.stack([a * cos - b * sin, a * sin + b * cos], dim=-1).flatten(-2)
    else:
        raise ValueError(f"pairing: expected 'half' or 'interleaved'; got {pairing!r}")
    return turned if rest.shape[-1] == 0 else torch.cat([turned, rest], dim=-1)


def rope(
    x: Float[Tensor, "B H T K"],
    positions: Int[Tensor, "*B T"] | None = None,
    *,
    base: float = 10_000.0,
    width: int | None = None,
    pairing: Pairing = "half",
) -> Float[Tensor, "B H T K"]:
    r"""Rotary positions in one call: `rope_frequencies`, `rope_tables`, `apply_rope`.

    The product of a query at $m$ with a key at $n$ then depends on $m - n$ alone.

    Args:
        x: Queries or keys, `(B, H, T, K)`.
        positions: Their positions, `(T,)` or `(B, T)`; `0 … T-1` when not given.
        base: The base of the frequencies.
        width: The rotated width `R`; the whole of `K` when not given.
        pairing: Which features make a pair.

    Returns:
        The turned tensor, `(B, H, T, K)`.

    Raises:
        TypeError: A dtype is wrong.
        ValueError: A shape or number is wrong.

    Source:
        Su et al. (2021), arXiv:2104.09864, section 3.2.2.

    Examples:
        >>> q, k = torch.randn(2, 1, 1, 1, 8)
        >>> near = rope(q, torch.tensor([5])) @ rope(k, torch.tensor([3])).mT
        >>> far = rope(q, torch.tensor([105])) @ rope(k, torch.tensor([103])).mT
        >>> torch.allclose(near, far, atol=1e-5)
        True
    """
    _checks.rank("x", _checks.floating("x", x), "B H T K")
    places = torch.arange(x.shape[2], device=x.device) if positions is None else positions
    rotated = x.shape[3] if width is None else width
    if _checks.integer("width", rotated, least=2) > x.shape[3]:
        raise ValueError(f"width: expected at most K = {x.shape[3]}; got {rotated}")
    frequencies = rope_frequencies(rotated, base=base, device=x.device)
    cos, sin = rope_tables(places, frequencies, dtype=x.dtype)
    return apply_rope(x, cos, sin, pairing=pairing)


def convert_rope_weight(
    weight: Float[Tensor, "HK ..."], n_heads: int, *, to: Pairing, width: int | None = None
) -> Float[Tensor, "HK ..."]:
    """Reorder the rows of a query or key projection from one pairing to the other.

    A checkpoint made for one pairing gives the same attention under the other once the rows of
    `q_proj` and `k_proj` (weights and biases) have been reordered, head by head.

    Args:
        weight: Weight or bias of the projection, `(H·K, ...)`.
        n_heads: Number of heads in it (key/value heads for `k_proj`).
        to: The pairing wanted; the weight has the other one.
        width: The rotated width `R`; the whole head when not given.

    Returns:
        The reordered weight, of the same shape.

    Raises:
        TypeError: The weight isn't floating point.
        ValueError: The rows can't be split into that many heads of even width.

    Examples:
        >>> convert_rope_weight(torch.tensor([0.0, 1.0, 2.0, 3.0]), 1, to="half")
        tensor([0., 2., 1., 3.])
    """
    _checks.floating("weight", weight)
    heads = _checks.integer("n_heads", n_heads, least=1)
    if weight.ndim < 1 or weight.shape[0] % heads:
        raise ValueError(
            f"weight: expected (H*K, ...) with H = {heads}; got {_checks.shape(weight)}"
        )
    d_head = weight.shape[0] // heads
    rotated = d_head if width is None else _checks.integer("width", width, least=2)
    if rotated % 2 or rotated > d_head:
        raise ValueError(f"width: expected an even number up to K = {d_head}; got {rotated}")
    if to not in ("half", "interleaved"):
        raise ValueError(f"to: expected 'half' or 'interleaved'; got {to!r}")
    split = (rotated // 2, 2) if to == "half" else (2, rotated // 2)
    order = torch.arange(rotated, device=weight.device).view(split).T.flatten()
    rest = torch.arange(rotated, d_head, device=weight.device)
    by_head = weight.view(heads, d_head, *weight.shape[1:])
    return by_head[:, torch.cat([order, rest])].reshape(weight.shape)


def _check_tables(x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    _checks.rank("x", _checks.floating("x", x), "B H T K")
    for name, table in (("cos", cos), ("sin", sin)):
        _checks.like(name, _checks.floating(name, table), "x", x)
        letters = "B T F" if table.ndim == 3 else "T F"
        _checks.rank(name, table, letters)
        _checks.axis(name, table, -2, x.shape[2], letters, "as in x")
        if table.ndim == 3 and table.shape[0] not in (1, x.shape[0]):
            _checks.axis(name, table, 0, x.shape[0], letters, "as in x")
        if not 1 <= table.shape[-1] <= x.shape[3] // 2:
            raise ValueError(
                f"{name}: expected (..., T, F) with 1 <= F <= K/2 = {x.shape[3] // 2}; "
                f"got {_checks.shape(table)}"
            )
    if cos.shape != sin.shape:
        raise ValueError(f"sin: expected {_checks.shape(cos)} as cos; got {_checks.shape(sin)}")
    # (B, T, F) meets (B, H, T, F): the same turn in every head.
    lift = cos.ndim == 3
    return (cos.unsqueeze(1), sin.unsqueeze(1)) if lift else (cos, sin)
