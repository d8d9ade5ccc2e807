"""Tokens and positions to vectors."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attention_guide.functional import sinusoidal
from attention_guide.layers._check import check_ids, check_sequence


class TokenEmbedding(nn.Embedding):
    r"""Embedding, $x_t = \sqrt{D} \, E_{\text{id}_t}$: a row a token.

    Args:
        vocab_size: Rows V.
        d_model: Width D.
        scale: Factor on each row; `None` for $\sqrt D$.

    Source:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, section
        3.4. Rows start as N(0, 1/D), so that the scaled ones have unit variance.

    Example:
        >>> import torch
        >>> TokenEmbedding(100, 16)(torch.tensor([[5, 7, 5]])).shape
        torch.Size([1, 3, 16])
    """

    def __init__(self, vocab_size: int, d_model: int, *, scale: float | None = None) -> None:
        super().__init__(vocab_size, d_model)
        self.scale = math.sqrt(d_model) if scale is None else scale

    def reset_parameters(self) -> None:
        """Draw the rows from N(0, 1/D)."""
        nn.init.normal_(self.weight, std=self.embedding_dim**-0.5)

    def forward(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """Rows of `ids`, `(B, T)` → `(B, T, D)`."""
        check_ids("ids", ids)
        return super().forward(ids) * self.scale


class SinusoidalPositions(nn.Module):
    """Sinusoidal positions, $x_t + p_t$ with the table of `sinusoidal`.

    Args:
        d_model: Width D.
        max_len: Rows of the table, made once; it isn't part of the state dict.

    Source:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, section
        3.5.

    Example:
        >>> import torch
        >>> SinusoidalPositions(4, max_len=10)(torch.zeros(1, 1, 4))
        tensor([[[0., 1., 0., 1.]]])
    """

    table: Tensor

    def __init__(self, d_model: int, *, max_len: int = 1024) -> None:
        super().__init__()
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
        Gehring et al., "Convolutional Sequence to Sequence Learning", ICML 2017,
        arXiv:1705.03122, section 3.1; in BERT and GPT-2 since.

    Example:
        >>> import torch
        >>> LearnedPositions(4, max_len=10)(torch.zeros(1, 3, 4)).shape
        torch.Size([1, 3, 4])
    """

    def __init__(self, d_model: int, *, max_len: int = 1024) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(max_len, d_model))
        nn.init.normal_(self.weight, std=0.02)

    def forward(self, x: Float[Tensor, "B T D"], offset: int = 0) -> Float[Tensor, "B T D"]:
        """Add to `x`, `(B, T, D)`, whose first token stands at `offset`."""
        check_sequence("x", x, self.weight.shape[1])
        return x + _rows(self.weight, x, offset)


def _rows(table: Tensor, x: Tensor, offset: int) -> Tensor:
    end = offset + x.shape[1]
    if offset < 0 or end > table.shape[0]:
        raise ValueError(
            f"x: expected (B, T, D) with offset + T at most max_len = {table.shape[0]}; "
            f"got {tuple(x.shape)} at offset {offset}"
        )
    return table[offset:end].to(x.dtype)
