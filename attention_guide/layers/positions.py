"""Positions as modules: added to embeddings, turned into queries and keys, added to scores."""

from collections.abc import Callable
from typing import get_args

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from attention_guide.functional import (
    Pairing,
    _checks,
    alibi_slopes,
    apply_rope,
    rope_tables,
    sinusoidal,
    t5_buckets,
)
from attention_guide.functional.relative import bucket_sizes
from attention_guide.layers._check import (
    check_below,
    check_choice,
    check_device,
    check_sequence,
    check_sizes,
)


class SinusoidalPositions(nn.Module):
    """Sinusoidal positions, $x_t + p_t$ with the table of `sinusoidal`.

    Args:
        d_model: Width D.
        max_len: Rows of the table, made once; it isn't part of the state dict.

    Source:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, section
        3.5.

    Examples:
        >>> import torch
        >>> SinusoidalPositions(4, max_len=10)(torch.zeros(1, 1, 4))
        tensor([[[0., 1., 0., 1.]]])
    """

    table: Tensor

    def __init__(self, d_model: int, *, max_len: int = 1024) -> None:
        super().__init__()
        check_sizes(d_model=d_model, max_len=max_len)
        self.register_buffer("table", sinusoidal(max_len, d_model), persistent=False)

    def forward(self, x: Float[Tensor, "B T D"], offset: int = 0) -> Float[Tensor, "B T D"]:
        """Add to `x`, `(B, T, D)`, whose first token stands at `offset`."""
        check_sequence("x", x, self.table.shape[1])
        return x + _rows(self.table, x, offset)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "SinusoidalPositions":
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        # A cast keeps the old dtype's rounding: a table made in float32 is 1e-8 off in float64.
        dtype, device = self.table.dtype, self.table.device
        self.table = sinusoidal(*self.table.shape, dtype=dtype, device=device)
        return self


class LearnedPositions(nn.Module):
    """Learned positions, $x_t + p_t$ with a row to learn for each position.

    Args:
        d_model: Width D.
        max_len: Rows of the table: the longest sequence the model can ever read.

    Source:
        Gehring et al., "Convolutional Sequence to Sequence Learning", 2017,
        arXiv:1705.03122; in BERT and GPT-2 since.

    Examples:
        >>> import torch
        >>> LearnedPositions(4, max_len=10)(torch.zeros(1, 3, 4)).shape
        torch.Size([1, 3, 4])
    """

    def __init__(self, d_model: int, *, max_len: int = 1024) -> None:
        super().__init__()
        check_sizes(d_model=d_model, max_len=max_len)
        self.weight = nn.Parameter(torch.empty(max_len, d_model))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Float[Tensor, "B T D"], offset: int = 0) -> Float[Tensor, "B T D"]:
        """Add to `x`, `(B, T, D)`, whose first token stands at `offset`."""
        check_sequence("x", x, self.weight.shape[1])
        return x + _rows(self.weight, x, offset)


class RotaryPositions(nn.Module):
    """Rotary positions from tables made once: what `MultiHeadAttention(rotary=...)` takes.

    One module serves all layers of a model. (`rotary=rope` does the same without tables.)

    Args:
        frequencies: Radians a position, `(F,)`: `rope_frequencies(d_head)`, or stretched ones
            from `interpolate_frequencies` or `yarn_frequencies`. 2F may be below the head width:
            the features behind stay unturned.
        max_len: Rows of the tables, which aren't part of the state dict.
        factor: Multiplies the result; YaRN's `yarn_attention_factor`.
        pairing: "half" or "interleaved", see `apply_rope`.

    Source:
        Su et al., "RoFormer", arXiv:2104.09864, section 3.2.

    Examples:
        >>> from attention_guide.functional import rope_frequencies
        >>> from attention_guide.layers import MultiHeadAttention
        >>> rotary = RotaryPositions(rope_frequencies(4), max_len=16)
        >>> MultiHeadAttention(8, 2, rotary=rotary)(torch.randn(1, 5, 8), causal=True).shape
        torch.Size([1, 5, 8])
    """

    cos: Tensor
    sin: Tensor

    def __init__(
        self,
        frequencies: Float[Tensor, " F"],
        *,
        max_len: int = 4096,
        factor: float = 1.0,
        pairing: Pairing = "half",
    ) -> None:
        super().__init__()
        check_sizes(max_len=max_len)
        check_choice("pairing", pairing, get_args(Pairing))
        _checks.number("factor", factor, above=0)
        _checks.rank("frequencies", _checks.floating("frequencies", frequencies), "F")
        self.max_len = max_len
        self.factor = factor
        self.pairing: Pairing = pairing
        # A list, so that no cast of the module ever rounds them.
        self._frequencies: list[float] = frequencies.double().tolist()
        cos, sin = self._tables(torch.get_default_dtype(), frequencies.device)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(
        self, x: Float[Tensor, "B H T K"], positions: Int[Tensor, "*B T"]
    ) -> Float[Tensor, "B H T K"]:
        """Turn `x`, `(B, H, T, K)`, by its positions, `(T,)` or `(B, T)`."""
        dtype = _checks.floating("x", x).dtype
        rows = _checks.integral("positions", positions).long()
        check_device("positions", rows, self.cos, "the tables")
        try:  # an index would take -1 for the last row
            cos, sin = (F.embedding(rows, table).to(dtype) for table in (self.cos, self.sin))
        except IndexError:
            check_below("positions", rows, self.max_len, "max_len")
            raise
        return apply_rope(x, cos, sin, pairing=self.pairing)

    def _tables(self, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
        frequencies = torch.tensor(self._frequencies, dtype=torch.float64, device=device)
        positions = torch.arange(self.max_len, device=device)
        return rope_tables(positions, frequencies, factor=self.factor, dtype=dtype)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "RotaryPositions":
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        # As in SinusoidalPositions: made anew, not cast.
        self.cos, self.sin = self._tables(self.cos.dtype, self.cos.device)
        return self


class AlibiBias(nn.Module):
    r"""ALiBi, $-m_h \, |i - j|$: what `MultiHeadAttention(position_bias=...)` takes.

    Args:
        n_heads: Heads H, each with its own slope; nothing is learned.

    Source:
        Press, Smith and Lewis, "Train Short, Test Long", 2022, arXiv:2108.12409.

    Examples:
        >>> AlibiBias(1)(torch.arange(2), torch.arange(3))[0]
        tensor([[-0.0000, -0.0039, -0.0078],
                [-0.0039, -0.0000, -0.0039]])
    """

    slopes: Tensor

    def __init__(self, n_heads: int) -> None:
        super().__init__()
        check_sizes(n_heads=n_heads)
        self.register_buffer("slopes", alibi_slopes(n_heads), persistent=False)

    def forward(
        self, queries: Int[Tensor, " T"], keys: Int[Tensor, " S"]
    ) -> Float[Tensor, "H T S"]:
        """The bias, `(H, T, S)`, between query positions `(T,)` and key positions `(S,)`."""
        _check_places(queries, keys, self.slopes)
        distance = (queries[:, None] - keys).abs().to(self.slopes.dtype)
        return -self.slopes[:, None, None] * distance


class RelativeBias(nn.Module):
    r"""T5's relative bias, $b_{h, \text{bucket}(j - i)}$ learned and added to the scores.

    One module serves all layers of a stack, as in T5, which also leaves the scores unscaled:
    `MultiHeadAttention(..., position_bias=bias, scale=1.0)`.

    Args:
        n_heads: Heads H.
        n_buckets: Buckets, near distances one each, far ones logarithmically.
        max_distance: From here on everything shares the last bucket.
        causal: The decoder's form: all buckets for the past.

    Source:
        Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
        Transformer", JMLR 2020, arXiv:1910.10683.

    Examples:
        >>> RelativeBias(2)(torch.arange(3), torch.arange(5)).shape
        torch.Size([2, 3, 5])
    """

    def __init__(
        self, n_heads: int, *, n_buckets: int = 32, max_distance: int = 128, causal: bool = False
    ) -> None:
        super().__init__()
        check_sizes(n_heads=n_heads, n_buckets=n_buckets, max_distance=max_distance)
        bucket_sizes(n_buckets, max_distance, causal)
        self.weight = nn.Parameter(torch.empty(n_buckets, n_heads))
        nn.init.normal_(self.weight, std=0.02)
        self.max_distance = max_distance
        self.causal = causal

    def forward(
        self, queries: Int[Tensor, " T"], keys: Int[Tensor, " S"]
    ) -> Float[Tensor, "H T S"]:
        """The bias, `(H, T, S)`, between query positions `(T,)` and key positions `(S,)`."""
        _check_places(queries, keys, self.weight)
        buckets = t5_buckets(
            keys - queries[:, None],
            n_buckets=self.weight.shape[0],
            max_distance=self.max_distance,
            causal=self.causal,
        )
        return self.weight[buckets].permute(2, 0, 1)


def _rows(table: Tensor, x: Tensor, offset: int) -> Tensor:
    end = _checks.integer("offset", offset) + x.shape[1]
    if offset < 0 or end > table.shape[0]:
        raise ValueError(
            f"x: expected (B, T, D) with offset + T at most max_len = {table.shape[0]}; "
            f"got {tuple(x.shape)} at offset {offset}"
        )
    check_device("x", x, table, "the table")
    return table[offset:end].to(x.dtype)


def _check_places(queries: Tensor, keys: Tensor, weight: Tensor) -> None:
    _checks.rank("queries", _checks.integral("queries", queries), "T")
    _checks.rank("keys", _checks.integral("keys", keys), "S")
    _checks.same_device("keys", keys, "queries", queries)
    check_device("queries", queries, weight)
