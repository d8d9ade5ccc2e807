"""Tokens to vectors."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attention_guide.functional import _checks
from attention_guide.layers._check import check_device, check_ids, check_sizes


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
        check_sizes(vocab_size=vocab_size, d_model=d_model)
        super().__init__(vocab_size, d_model)
        self.scale = math.sqrt(d_model) if scale is None else _checks.number("scale", scale)

    def reset_parameters(self) -> None:
        """Draw the rows from N(0, 1/D)."""
        nn.init.normal_(self.weight, std=self.embedding_dim**-0.5)

    def forward(self, ids: Int[Tensor, "B T"]) -> Float[Tensor, "B T D"]:
        """Rows of `ids`, `(B, T)` → `(B, T, D)`.

        Raises:
            ValueError: A shape that doesn't fit, or (on CPU) an id outside the vocabulary.
            TypeError: Neither int64 nor int32.
        """
        check_ids("ids", ids)
        if ids.dtype not in (torch.int64, torch.int32):
            raise TypeError(f"ids: expected torch.int64 or torch.int32; got {ids.dtype}")
        check_device("ids", ids, self.weight)
        try:
            return super().forward(ids) * self.scale
        except IndexError as error:
            size = self.num_embeddings
            raise ValueError(
                f"ids: expected 0 to {size - 1} (vocab_size = {size}); "
                f"got {int(ids.min())} to {int(ids.max())}"
            ) from error
