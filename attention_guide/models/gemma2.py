"""Gemma 2: two norms a sublayer, capped scores and logits, a window in every other block."""

from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attention_guide.layers import (
    EncoderBlock,
    GatedFeedForward,
    MultiHeadAttention,
    RMSNorm,
    SandwichNorm,
    TokenEmbedding,
    depth_scaled_init,
)
from attention_guide.layers._check import check_width
from attention_guide.models.language_model import LanguageModel
from attention_guide.models.rotary import rotary_positions


@dataclass(frozen=True)
class Gemma2Config:
    """Sizes of a Gemma 2; the defaults are those of the model with 2 billion parameters.

    Attributes:
        vocab_size: Size of the vocabulary V.
        d_model: Width D of the residual stream.
        n_heads: Query heads H.
        n_kv_heads: Key/value heads G.
        d_head: Head width K.
        d_ff: Width of the feed-forwards' hidden layer.
        n_layers: Blocks.
        max_len: Longest text, in tokens.
        window: Tokens that a token of the first, third, … block sees, itself among them.
        rope_base: Base of the rotary frequencies.
        score_width: What the scores are divided by the root of.
        score_cap: Bends the scores below this.
        logit_cap: Bends the logits below this.
        norm_eps: What RMSNorm adds to the mean square.

    Source:
        Gemma Team, "Gemma 2", 2024, arXiv:2408.00118, section 2 and table 1.

    Examples:
        >>> Gemma2Config().n_kv_heads
        4
    """

    vocab_size: int = 256_000
    d_model: int = 2304
    n_heads: int = 8
    n_kv_heads: int = 4
    d_head: int = 256
    d_ff: int = 9216
    n_layers: int = 26
    max_len: int = 8192
    window: int = 4096
    rope_base: float = 10_000.0
    score_width: int = 256
    score_cap: float = 50.0
    logit_cap: float = 30.0
    norm_eps: float = 1e-6


class OffsetRMSNorm(RMSNorm):
    r"""RMSNorm with its gain stored as a distance from 1, $y = (1 + \gamma) x / \mathrm{rms}(x)$.

    Args:
        d_model: Width D of the last axis.
        eps: Added to the mean square, inside the root.

    Source:
        Gemma Team, "Gemma 2", 2024, arXiv:2408.00118, whose published code starts the gain at
        0, so that weight decay draws it to 1.

    Examples:
        >>> import torch
        >>> OffsetRMSNorm(2)(torch.tensor([[3.0, -3.0]])).round(decimals=2)
        tensor([[ 1., -1.]], grad_fn=...)
    """

    def __init__(self, d_model: int, *, eps: float = 1e-6) -> None:
        super().__init__(d_model, eps=eps)
        nn.init.zeros_(self.weight)

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        """Normalise `x`, `(..., D)`."""
        check_width("x", x, self.weight.numel())
        gain = 1 + self.weight
        return F.rms_norm(x.to(gain.dtype), gain.shape, gain, self.eps).to(x.dtype)


class Gemma2(LanguageModel):
    r"""Gemma 2, a decoder with sandwich norms, GeGLU and logits $c \tanh(W x / c)$.

    Args:
        config: The sizes.

    Source:
        Gemma Team, "Gemma 2", 2024, arXiv:2408.00118, section 2.

    Examples:
        >>> import torch
        >>> config = Gemma2Config(11, d_model=8, n_heads=2, n_kv_heads=1, d_head=4, d_ff=16,
        ...                       n_layers=2)
        >>> Gemma2(config)(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 11])
    """

    def __init__(self, config: Gemma2Config) -> None:
        c = config
        norm = partial(OffsetRMSNorm, eps=c.norm_eps)
        rotary = rotary_positions(c.d_head, c.rope_base, c.max_len)

        def block(index: int) -> EncoderBlock:
            attention = MultiHeadAttention(
                c.d_model, c.n_heads, c.n_kv_heads, d_head=c.d_head, bias=False, rotary=rotary,
                scale=c.score_width**-0.5, softcap=c.score_cap,
                window=(c.window - 1, 0) if index % 2 == 0 else (None, None),
            )  # fmt: skip
            gelu = partial(F.gelu, approximate="tanh")
            feed_forward = GatedFeedForward(c.d_model, c.d_ff, activation=gelu)
            residual = partial(SandwichNorm, norm=norm)
            return EncoderBlock(attention, feed_forward, c.d_model, residual=residual)

        super().__init__(
            TokenEmbedding(c.vocab_size, c.d_model),
            [block(i) for i in range(c.n_layers)],
            norm(c.d_model),
            max_len=c.max_len,
            tie_weights=True,
        )
        self.config = config
        depth_scaled_init(self, c.n_layers)

    def logits(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T V"]:
        """From what the last norm gave, `(B, T, D)`, to capped logits, `(B, T, V)`."""
        cap = self.config.logit_cap
        return (self.output_proj(x) / cap).tanh() * cap  # type: ignore[no-any-return]
