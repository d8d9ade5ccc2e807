"""BLOOM: ALiBi instead of positions, and a norm right after the embedding."""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attention_guide.layers import (
    AlibiBias,
    EncoderBlock,
    FeedForward,
    LayerNorm,
    MultiHeadAttention,
    PreNorm,
    TokenEmbedding,
    depth_scaled_init,
)
from attention_guide.models.language_model import LanguageModel


@dataclass(frozen=True)
class BloomConfig:
    """Sizes of a BLOOM; the defaults are those of the model with 560 million parameters.

    Attributes:
        vocab_size: Size of the vocabulary V.
        d_model: Width D of the residual stream.
        n_heads: Heads H.
        n_layers: Blocks.
        max_len: Longest text, in tokens; nothing is stored by position, so any will do.
        dropout: Share of sublayer outputs that training zeroes.
        attention_dropout: Share of attention weights that training zeroes.
        norm_eps: What LayerNorm adds to the variance.

    Source:
        BigScience Workshop, "BLOOM", 2022, arXiv:2211.05100, section 3.2.3 and table 3.

    Examples:
        >>> BloomConfig().n_heads
        16
    """

    vocab_size: int = 250_880
    d_model: int = 1024
    n_heads: int = 16
    n_layers: int = 24
    max_len: int = 2048
    dropout: float = 0.0
    attention_dropout: float = 0.0
    norm_eps: float = 1e-5


class Bloom(LanguageModel):
    """BLOOM, a pre-norm decoder whose scores fall off with distance (ALiBi).

    Args:
        config: The sizes.

    Source:
        BigScience Workshop, "BLOOM", 2022, arXiv:2211.05100, section 3.2.2; ALiBi: Press, Smith
        and Lewis, arXiv:2108.12409.

    Examples:
        >>> model = Bloom(BloomConfig(11, d_model=8, n_heads=2, n_layers=2))
        >>> model(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 11])
    """

    def __init__(self, config: BloomConfig) -> None:
        c = config
        norm = partial(LayerNorm, eps=c.norm_eps)
        blocks = [
            EncoderBlock(
                MultiHeadAttention(
                    c.d_model, c.n_heads,
                    dropout=c.attention_dropout, position_bias=AlibiBias(c.n_heads),
                ),
                FeedForward(c.d_model, 4 * c.d_model, activation=bloom_gelu),
                c.d_model,
                residual=partial(PreNorm, norm=norm, dropout=c.dropout),
            )
            for _ in range(c.n_layers)
        ]  # fmt: skip
        embedding = TokenEmbedding(c.vocab_size, c.d_model, scale=1.0)
        super().__init__(embedding, blocks, norm(c.d_model), max_len=c.max_len, tie_weights=True)
        self.config = config
        self.embedding_norm: nn.Module = norm(c.d_model)
        depth_scaled_init(self, c.n_layers)

    def embed(
        self, ids: Int[Tensor, "B T"], positions: Int[Tensor, "*B T"]
    ) -> Float[Tensor, "B T D"]:
        """Normalised rows of ids `(B, T)`, `(B, T, D)`; positions, `(B, T)`, aren't added."""
        return self.embedding_norm(self.embedding(ids))  # type: ignore[no-any-return]


def bloom_gelu(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    r"""GELU by tanh, $\tfrac{x}{2} (1 + \tanh(0.79788456 \, x (1 + 0.044715 x^2)))$.

    Args:
        x: Floats of any shape.

    Returns:
        The same shape.

    Source:
        Hendrycks and Gimpel, arXiv:1606.08415. The eight digits for $\sqrt{2/\pi}$ are
        Megatron-LM's and so BLOOM's: torch's GELU, with all digits, is off by some 1e-9.

    Examples:
        >>> bloom_gelu(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.8412])
    """
    return 0.5 * x * (1 + torch.tanh(0.79788456 * x * (1 + 0.044715 * x * x)))
