"""GPT-2: learned positions, pre-norm blocks, GELU, one matrix for input and output."""

from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from attention_guide.layers import (
    EncoderBlock,
    FeedForward,
    LayerNorm,
    LearnedPositions,
    MultiHeadAttention,
    PreNorm,
    TokenEmbedding,
    depth_scaled_init,
)
from attention_guide.models.language_model import LanguageModel


@dataclass(frozen=True)
class GPT2Config:
    """Sizes of a GPT-2; the defaults are the smallest published one.

    Attributes:
        vocab_size: Size of the vocabulary V.
        d_model: Width D of the residual stream.
        n_heads: Heads H.
        n_layers: Blocks.
        d_ff: Width of the feed-forwards' hidden layer; `None` for 4 D.
        max_len: Longest text, in tokens: rows of the table of positions.
        dropout: One rate for embeddings, attention weights and sublayer outputs.
        norm_eps: What LayerNorm adds to the variance.

    Source:
        Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, table 2.

    Examples:
        >>> GPT2Config().d_model
        768
    """

    vocab_size: int = 50_257
    d_model: int = 768
    n_heads: int = 12
    n_layers: int = 12
    d_ff: int | None = None
    max_len: int = 1024
    dropout: float = 0.1
    norm_eps: float = 1e-5


class GPT2(LanguageModel):
    r"""GPT-2, a pre-norm decoder with learned positions: $x_t = E_{\text{id}_t} + p_t$.

    Args:
        config: The sizes.

    Source:
        Radford et al., "Language Models are Unsupervised Multitask Learners", 2019, section 2.3.
        GELU is the tanh approximation, as in the code that OpenAI published with it.

    Examples:
        >>> import torch
        >>> model = GPT2(GPT2Config(11, d_model=8, n_heads=2, n_layers=2))
        >>> model(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 11])
    """

    def __init__(self, config: GPT2Config) -> None:
        c = config
        norm = partial(LayerNorm, eps=c.norm_eps)
        feed_forward = partial(FeedForward, activation=partial(F.gelu, approximate="tanh"))
        blocks = [
            EncoderBlock(
                MultiHeadAttention(c.d_model, c.n_heads, dropout=c.dropout),
                feed_forward(c.d_model, c.d_ff or 4 * c.d_model),
                c.d_model,
                residual=partial(PreNorm, norm=norm, dropout=c.dropout),
            )
            for _ in range(c.n_layers)
        ]
        embedding = TokenEmbedding(c.vocab_size, c.d_model, scale=1.0)
        super().__init__(embedding, blocks, norm(c.d_model), max_len=c.max_len, tie_weights=True)
        self.config = config
        self.positions = LearnedPositions(c.d_model, max_len=c.max_len)
        self.dropout = nn.Dropout(c.dropout)
        depth_scaled_init(self, c.n_layers)

    def embed(
        self, ids: Int[Tensor, "B T"], positions: Int[Tensor, "*B T"]
    ) -> Float[Tensor, "B T D"]:
        """Rows of ids `(B, T)` and of their positions, `(T,)` or `(B, T)`, summed: `(B, T, D)`."""
        return self.dropout(self.embedding(ids) + self.positions.weight[positions])  # type: ignore[no-any-return]
