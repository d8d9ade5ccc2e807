"""DeepSeek-V3: latent attention, and many small experts chosen by groups without a balance loss."""

import math
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_guide.layers import (
    EncoderBlock,
    GatedFeedForward,
    LatentAttention,
    MixtureOfExperts,
    PreNorm,
    RMSNorm,
    Routing,
    TokenEmbedding,
    depth_scaled_init,
)
from attention_guide.models.language_model import LanguageModel
from attention_guide.models.rotary import Yarn, rotary_positions


@dataclass(frozen=True)
class LatentSizes:
    """Widths inside latent attention.

    Attributes:
        d_latent: Of the latent that keys and values are made of, R.
        d_query_latent: Of the queries' own; `None` for queries straight from the stream.
        d_head: Of the part of a key without positions, K.
        d_rope: Of the part with them.
        d_value: Of a value, E.

    Source:
        DeepSeek-AI, "DeepSeek-V3", 2024, arXiv:2412.19437, section 4.2.

    Examples:
        >>> LatentSizes().d_latent
        512
    """

    d_latent: int = 512
    d_query_latent: int | None = 1536
    d_head: int = 128
    d_rope: int = 64
    d_value: int = 128


@dataclass(frozen=True)
class ExpertSizes:
    """How many experts there are, and how a token chooses among them.

    Attributes:
        n_experts: Experts.
        n_active: Of which each token has this many.
        n_shared: Experts' widths in the one that every token goes through.
        d_ff: Width of one expert's hidden layer.
        n_groups: Groups that the experts are in,
        n_active_groups: of which a token chooses this many first.
        scale: Multiplies the chosen experts' weights.

    Source:
        DeepSeek-AI, "DeepSeek-V3", 2024, arXiv:2412.19437, section 4.2.

    Examples:
        >>> ExpertSizes().n_experts
        256
    """

    n_experts: int = 256
    n_active: int = 8
    n_shared: int = 1
    d_ff: int = 2048
    n_groups: int = 8
    n_active_groups: int = 4
    scale: float = 2.5


@dataclass(frozen=True)
class DeepSeekConfig:
    """Sizes of a DeepSeek-V3; the defaults are the published ones.

    Attributes:
        vocab_size: Size of the vocabulary V.
        d_model: Width D of the residual stream.
        n_heads: Heads H.
        d_ff: Width of the hidden layer in the blocks without experts,
        n_dense_layers: which are this many first ones
        n_layers: of this many in all.
        max_len: Longest text, in tokens.
        rope_base: Base of the rotary frequencies.
        yarn: How these are stretched; `None` for not at all.
        score_stretch: With `yarn`, the scores are multiplied by
            (0.1 · this · ln factor + 1)²; 0 for not at all.
        norm_eps: What RMSNorm adds to the mean square.
        latent: Widths inside the attention.
        experts: The experts.

    Source:
        DeepSeek-AI, "DeepSeek-V3", 2024, arXiv:2412.19437, section 4.2. `score_stretch` is
        `mscale_all_dim` in the code published with it.

    Examples:
        >>> DeepSeekConfig().n_dense_layers
        3
    """

    vocab_size: int = 129_280
    d_model: int = 7168
    n_heads: int = 128
    d_ff: int = 18_432
    n_dense_layers: int = 3
    n_layers: int = 61
    max_len: int = 4096
    rope_base: float = 10_000.0
    yarn: Yarn | None = None
    score_stretch: float = 0.0
    norm_eps: float = 1e-6
    latent: LatentSizes = LatentSizes()
    experts: ExpertSizes = ExpertSizes()


class GroupedExperts(MixtureOfExperts):
    r"""Experts chosen by $\sigma(W x) + b$ within the best groups, weighed by $\sigma(W x)$ alone.

    $b$ isn't learned by gradients: training nudges it up for experts with little to do and down
    for busy ones, so that no balance loss is needed. A group's worth is the sum of its two best.

    Args:
        d_model: Width D of the residual stream.
        sizes: How many experts, and how they are chosen.

    Source:
        DeepSeek-AI, "DeepSeek-V3", 2024, arXiv:2412.19437, section 2.1.2.

    Examples:
        >>> sizes = ExpertSizes(4, n_active=2, d_ff=16, n_groups=2, n_active_groups=1)
        >>> GroupedExperts(8, sizes)(torch.randn(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """

    correction: Tensor

    def __init__(self, d_model: int, sizes: ExpertSizes) -> None:
        experts = [GatedFeedForward(d_model, sizes.d_ff) for _ in range(sizes.n_experts)]
        shared = GatedFeedForward(d_model, sizes.n_shared * sizes.d_ff)
        super().__init__(d_model, experts, sizes.n_active, shared=shared)
        if sizes.n_experts % sizes.n_groups or sizes.n_experts // sizes.n_groups < 2:
            raise ValueError(
                f"n_groups: expected a divisor of n_experts = {sizes.n_experts} that leaves two "
                f"or more in a group; got {sizes.n_groups}"
            )
        self.sizes = sizes
        self.register_buffer("correction", torch.zeros(sizes.n_experts))

    def route(self, tokens: Float[Tensor, "N D"]) -> Routing:
        """Choose experts for each token, `(N, D)`."""
        logits = self.router(tokens)
        scores = logits.to(torch.promote_types(logits.dtype, torch.float32)).sigmoid()
        worth = (scores + self.correction).view(len(tokens), self.sizes.n_groups, -1)
        groups = worth.topk(2, dim=-1).values.sum(dim=-1)
        best = groups.topk(self.sizes.n_active_groups, dim=-1).indices
        outside = torch.ones_like(groups, dtype=torch.bool).scatter(1, best, False)
        worth = worth.masked_fill(outside[..., None], float("-inf")).flatten(1)
        chosen = worth.topk(self.n_active, dim=-1).indices
        weights = scores.gather(1, chosen)
        # The published code's guard, where the paper divides by the bare sum.
        weights = self.sizes.scale * weights / (weights.sum(dim=-1, keepdim=True) + 1e-20)
        return Routing(scores, chosen, weights)


class DeepSeek(LanguageModel):
    """DeepSeek-V3, a pre-norm decoder with latent attention and, but for the first blocks, experts.

    Multi-token prediction, which serves training, isn't part of it.

    Args:
        config: The sizes.

    Source:
        DeepSeek-AI, "DeepSeek-V3", 2024, arXiv:2412.19437, section 2.1.

    Examples:
        >>> latent = LatentSizes(8, 8, d_head=4, d_rope=4, d_value=4)
        >>> experts = ExpertSizes(4, n_active=2, d_ff=8, n_groups=2, n_active_groups=1)
        >>> config = DeepSeekConfig(11, d_model=16, n_heads=2, d_ff=32, n_dense_layers=1,
        ...                         n_layers=2, latent=latent, experts=experts)
        >>> DeepSeek(config)(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 11])
    """

    def __init__(self, config: DeepSeekConfig) -> None:
        c = config
        norm = partial(RMSNorm, eps=c.norm_eps)
        rotary = rotary_positions(
            c.latent.d_rope, c.rope_base, c.max_len, c.yarn, pairing="interleaved"
        )
        scale = (c.latent.d_head + c.latent.d_rope) ** -0.5
        if c.yarn is not None:
            scale *= (0.1 * c.score_stretch * math.log(max(c.yarn.factor, 1.0)) + 1) ** 2

        def block(index: int) -> EncoderBlock:
            sizes = c.latent
            attention = LatentAttention(
                c.d_model, c.n_heads,
                d_latent=sizes.d_latent, d_rope=sizes.d_rope, d_head=sizes.d_head,
                d_value=sizes.d_value, d_query_latent=sizes.d_query_latent,
                rotary=rotary, scale=scale,
            )  # fmt: skip
            feed_forward: nn.Module
            if index < c.n_dense_layers:
                feed_forward = GatedFeedForward(c.d_model, c.d_ff)
            else:
                feed_forward = GroupedExperts(c.d_model, c.experts)
            residual = partial(PreNorm, norm=norm)
            return EncoderBlock(attention, feed_forward, c.d_model, residual=residual)

        super().__init__(
            TokenEmbedding(c.vocab_size, c.d_model, scale=1.0),
            [block(i) for i in range(c.n_layers)],
            norm(c.d_model),
            max_len=c.max_len,
        )
        self.config = config
        depth_scaled_init(self, c.n_layers)
