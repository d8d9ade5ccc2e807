"""The modern decoder: RMSNorm, rotary positions, grouped queries, SwiGLU.

With a window it is Mistral's, with experts Mixtral's, with `Yarn` it reads longer texts than it
was trained on; learned sinks are gpt-oss's.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from attention_guide.layers import (
    EncoderBlock,
    GatedFeedForward,
    MixtureOfExperts,
    MultiHeadAttention,
    PreNorm,
    RMSNorm,
    TokenEmbedding,
    depth_scaled_init,
)
from attention_guide.layers._check import head_width
from attention_guide.layers.attention import ScoreOptions
from attention_guide.models.language_model import LanguageModel
from attention_guide.models.rotary import Yarn, rotary_positions


@dataclass(frozen=True)
class LlamaConfig:
    """Sizes of a modern decoder; the defaults are Llama's with 7 billion parameters.

    Attributes:
        vocab_size: Size of the vocabulary V.
        d_model: Width D of the residual stream.
        n_heads: Query heads H.
        n_kv_heads: Key/value heads G; `None` for H.
        d_head: Head width K; `None` for D / H.
        d_ff: Width of the feed-forwards' hidden layer.
        n_layers: Blocks.
        max_len: Longest text, in tokens.
        rope_base: Base of the rotary frequencies.
        yarn: How these are stretched; `None` for not at all.
        window: Tokens that a token sees, itself among them; `None` for all.
        sinks: Learn a logit a head that takes part in the softmax and has no value.
        experts: (experts, of which active) in each block; `None` for one feed-forward.
        norm_eps: What RMSNorm adds to the mean square.
        tie_weights: The output layer is the embedding's matrix.

    Source:
        Touvron et al., "LLaMA", 2023, arXiv:2302.13971, section 2.2 and table 2. Window: Jiang
        et al., "Mistral 7B", 2023, arXiv:2310.06825, section 2; experts: Jiang et al., "Mixtral
        of Experts", 2024, arXiv:2401.04088; sinks: OpenAI, 2025, arXiv:2508.10925.

    Examples:
        >>> LlamaConfig(n_kv_heads=8, window=4096).d_ff
        11008
    """

    vocab_size: int = 32_000
    d_model: int = 4096
    n_heads: int = 32
    n_kv_heads: int | None = None
    d_head: int | None = None
    d_ff: int = 11_008
    n_layers: int = 32
    max_len: int = 2048
    rope_base: float = 10_000.0
    yarn: Yarn | None = None
    window: int | None = None
    sinks: bool = False
    experts: tuple[int, int] | None = None
    norm_eps: float = 1e-6
    tie_weights: bool = False

    def __post_init__(self) -> None:
        if self.window is not None and self.window < 1:
            raise ValueError(f"window: expected at least 1; got {self.window}")


class Llama(LanguageModel):
    r"""Llama, a pre-norm decoder with RMSNorm, rotary positions, grouped queries and SwiGLU.

    Args:
        config: The sizes, and what of the family's later parts it has.

    Source:
        Touvron et al., "LLaMA", 2023, arXiv:2302.13971, section 2.2; see `LlamaConfig`.

    Examples:
        >>> config = LlamaConfig(11, d_model=8, n_heads=4, n_kv_heads=2, d_ff=16, n_layers=2)
        >>> Llama(config)(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 11])
    """

    def __init__(self, config: LlamaConfig) -> None:
        c = config
        norm = partial(RMSNorm, eps=c.norm_eps)
        d_head = head_width(c.d_model, c.n_heads, c.d_head)
        rotary = rotary_positions(d_head, c.rope_base, c.max_len, c.yarn)
        options: ScoreOptions = {} if c.window is None else {"window": (c.window - 1, 0)}

        def attention() -> nn.Module:
            return MultiHeadAttention(
                c.d_model, c.n_heads, c.n_kv_heads, d_head=d_head, bias=False, rotary=rotary,
                sinks=nn.Parameter(torch.zeros(c.n_heads)) if c.sinks else None,
                **options,
            )  # fmt: skip

        def feed_forward() -> nn.Module:
            if c.experts is None:
                return GatedFeedForward(c.d_model, c.d_ff)
            n_experts, n_active = c.experts
            experts = [GatedFeedForward(c.d_model, c.d_ff) for _ in range(n_experts)]
            return MixtureOfExperts(c.d_model, experts, n_active)

        super().__init__(
            TokenEmbedding(c.vocab_size, c.d_model, scale=1.0),
            [
                EncoderBlock(
                    attention(), feed_forward(), c.d_model, residual=partial(PreNorm, norm=norm)
                )
                for _ in range(c.n_layers)
            ],
            norm(c.d_model),
            max_len=c.max_len,
            tie_weights=c.tie_weights,
        )
        self.config = config
        depth_scaled_init(self, c.n_layers)
