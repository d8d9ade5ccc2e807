"""Tokens to vectors."""

import math

from jaxtyping import Float, Int
from torch import Tensor, nn

from attention_guide.layers._check import check_ids


class TokenEmbedding(nn.Embedding):
    r"""Embedding, $x_t = \sqrt{D} \, E_{\text{id}_t}$: a row a token.

    Args:
        vocab_size: Rows V.
        d_model: Width D.
        scale: Factor on each row; `None` for $\sqrt D$.

    Source:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, section
        3.4. Rows start as N(0, 1/D), so that the scaled ones have unit variance.

    Examples:
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
