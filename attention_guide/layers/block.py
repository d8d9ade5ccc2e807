"""The Transformer block: attention and a feed-forward on a residual stream."""

from collections.abc import Callable
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attention_guide.functional import _checks
from attention_guide.layers._check import (
    build,
    check_dropout,
    check_made,
    check_sequence,
    check_sizes,
)
from attention_guide.layers.cache import BlockCache, Cache, LatentCache
from attention_guide.layers.linear import LinearCache
from attention_guide.layers.norm import LayerNorm
from attention_guide.layers.residual import MakeNorm, PostNorm

# Whatever the block's attention keeps: the block only hands it on.
AttentionCache: TypeAlias = Cache | LatentCache | LinearCache
# Makes a residual connection of a given width: PostNorm, PreNorm, SandwichNorm, or one of them
# with its norm and dropout bound by functools.partial.
MakeResidual: TypeAlias = Callable[[int], nn.Module]


class EncoderBlock(nn.Module):
    """Self-attention, then a feed-forward, each on a residual connection.

    ```
    x ──▶ residual(self_attention) ──▶ residual(feed_forward) ──▶ x
    ```

    With `causal=True` (and a cache) this is also the block of a decoder-only model.

    Args:
        self_attention: Called as `self_attention(x, mask=, causal=, positions=, cache=)`, like
            `MultiHeadAttention`.
        feed_forward: Called as `feed_forward(x)`: `FeedForward`, `MixtureOfExperts`, ...
        d_model: Width D of the residual stream.
        residual: Makes the residual connections, and so says where the norms stand and which they
            are: `PostNorm` (2017), `PreNorm`, `partial(PreNorm, norm=RMSNorm, dropout=0.1)`, ...

    Source:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, section
        3.1.

    Examples:
        >>> import torch
        >>> from attention_guide.layers import FeedForward, MultiHeadAttention, PreNorm
        >>> block = EncoderBlock(MultiHeadAttention(8, 2), FeedForward(8, 32), 8, residual=PreNorm)
        >>> block(torch.ones(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        self_attention: nn.Module,
        feed_forward: nn.Module,
        d_model: int,
        *,
        residual: MakeResidual = PostNorm,
    ) -> None:
        super().__init__()
        check_sizes(d_model=d_model)
        _checks.instance("self_attention", self_attention, nn.Module)
        _checks.instance("feed_forward", feed_forward, nn.Module)
        self.self_attention = self_attention
        self.feed_forward = feed_forward
        self.attention_residual = build("residual", residual, d_model)
        self.feed_forward_residual = build("residual", residual, d_model)
        self.d_model = d_model

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        *,
        mask: Bool[Tensor, "..."] | None = None,
        causal: bool = False,
        positions: Int[Tensor, "*B T"] | None = None,
        cache: AttentionCache | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Pass `x`, `(B, T, D)`, through both sublayers; the rest is for the attention.

        Args:
            x: `(B, T, D)`.
            mask: Broadcastable to `(B, H, T, S)`.
            causal: No query sees a key to the right of it.
            positions: Of x, `(T,)` or `(B, T)`.
            cache: What the attention keeps while decoding.

        Returns:
            `(B, T, D)`.
        """
        check_sequence("x", x, self.d_model)

        def attend(x: Tensor) -> Tensor:
            return self.self_attention(  # type: ignore[no-any-return]
                x, mask=mask, causal=causal, positions=positions, cache=cache
            )

        x = self.attention_residual(x, attend)
        return self.feed_forward_residual(x, self.feed_forward)  # type: ignore[no-any-return]


class DecoderBlock(nn.Module):
    """Causal self-attention, attention to the memory, then a feed-forward, each on a residual.

    ```
    x ──▶ residual(self_attention) ──▶ residual(cross_attention) ──▶ residual(feed_forward) ──▶ x
                                            ▲ memory
    ```

    Args:
        self_attention: Called as `self_attention(x, mask=, causal=True, positions=, cache=)`.
        cross_attention: Called as `cross_attention(x, memory, mask=, positions=, cache=)`.
        feed_forward: Called as `feed_forward(x)`.
        d_model: Width D of the residual stream.
        residual: Makes the residual connections, and so says where the norms stand and which they
            are: `PostNorm` (2017), `PreNorm`, `partial(PreNorm, norm=RMSNorm, dropout=0.1)`, ...

    Source:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, section
        3.1.

    Examples:
        >>> import torch
        >>> from attention_guide.layers import FeedForward, MultiHeadAttention
        >>> attentions = MultiHeadAttention(8, 2), MultiHeadAttention(8, 2)
        >>> block = DecoderBlock(*attentions, FeedForward(8, 32), 8)
        >>> block(torch.ones(2, 5, 8), memory=torch.ones(2, 7, 8)).shape
        torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        self_attention: nn.Module,
        cross_attention: nn.Module,
        feed_forward: nn.Module,
        d_model: int,
        *,
        residual: MakeResidual = PostNorm,
    ) -> None:
        super().__init__()
        check_sizes(d_model=d_model)
        _checks.instance("self_attention", self_attention, nn.Module)
        _checks.instance("cross_attention", cross_attention, nn.Module)
        _checks.instance("feed_forward", feed_forward, nn.Module)
        self.self_attention = self_attention
        self.cross_attention = cross_attention
        self.feed_forward = feed_forward
        self.self_attention_residual = build("residual", residual, d_model)
        self.cross_attention_residual = build("residual", residual, d_model)
        self.feed_forward_residual = build("residual", residual, d_model)
        self.d_model = d_model

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        memory: Float[Tensor, "B S M"],
        *,
        mask: Bool[Tensor, "..."] | None = None,
        memory_mask: Bool[Tensor, "..."] | None = None,
        positions: Int[Tensor, "*B T"] | None = None,
        cache: BlockCache | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Pass `x`, `(B, T, D)`, through the three sublayers.

        Args:
            x: `(B, T, D)`.
            memory: The encoder's output, `(B, S, M)`.
            mask: For the self-attention, beside its causal one; broadcastable to
                `(B, H, T, T)`.
            memory_mask: For the cross-attention, broadcastable to `(B, H, T, S)`.
            positions: Of x, `(T,)` or `(B, T)`, for rotary encodings.
            cache: What this block keeps while decoding.

        Returns:
            `(B, T, D)`.

        Raises:
            ValueError: A shape that doesn't fit.
            TypeError: Not floating point, or a cache that isn't a `BlockCache`.
        """
        check_sequence("x", x, self.d_model)
        check_sequence("memory", memory, None, "B S M")
        if cache is not None:
            _checks.instance("cache", cache, BlockCache)
        own, of_memory = (None, None) if cache is None else cache
        if positions is None and own is not None:
            # Both attentions stand at the same place, which the self-attention's cache knows.
            start = _checks.integer("cache.self_attention.length", getattr(own, "length", None))
            positions = torch.arange(start, start + x.shape[1], device=x.device)

        def attend(x: Tensor) -> Tensor:
            return self.self_attention(  # type: ignore[no-any-return]
                x, mask=mask, causal=True, positions=positions, cache=own
            )

        def attend_to_memory(x: Tensor) -> Tensor:
            return self.cross_attention(  # type: ignore[no-any-return]
                x, memory, mask=memory_mask, positions=positions, cache=of_memory
            )

        x = self.self_attention_residual(x, attend)
        x = self.cross_attention_residual(x, attend_to_memory)
        return self.feed_forward_residual(x, self.feed_forward)  # type: ignore[no-any-return]


class ParallelBlock(nn.Module):
    r"""Both at once: $x + \mathrm{attention}(\mathrm{norm}(x)) + \mathrm{ff}(\mathrm{norm}(x))$.

    One norm and one sum: the two sublayers' matrices can be multiplied side by side.

    Args:
        self_attention: Called as `self_attention(x, mask=, causal=, positions=, cache=)`.
        feed_forward: Called as `feed_forward(x)`.
        d_model: Width D of the residual stream.
        norm: Makes the norm.
        dropout: Share of each sublayer's output that training zeroes.

    Source:
        Chowdhery et al., "PaLM: Scaling Language Modeling with Pathways", JMLR 2023,
        arXiv:2204.02311. GPT-J has such a block, too.

    Examples:
        >>> import torch
        >>> from attention_guide.layers import FeedForward, MultiHeadAttention
        >>> block = ParallelBlock(MultiHeadAttention(8, 2), FeedForward(8, 32), 8)
        >>> block(torch.ones(2, 5, 8), causal=True).shape
        torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        self_attention: nn.Module,
        feed_forward: nn.Module,
        d_model: int,
        *,
        norm: MakeNorm = LayerNorm,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_sizes(d_model=d_model)
        check_dropout(dropout)
        _checks.instance("self_attention", self_attention, nn.Module)
        _checks.instance("feed_forward", feed_forward, nn.Module)
        self.self_attention = self_attention
        self.feed_forward = feed_forward
        self.norm = build("norm", norm, d_model)
        self.dropout = nn.Dropout(dropout)
        self.d_model = d_model

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        *,
        mask: Bool[Tensor, "..."] | None = None,
        causal: bool = False,
        positions: Int[Tensor, "*B T"] | None = None,
        cache: AttentionCache | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Pass `x`, `(B, T, D)`, through both sublayers; the rest is for the attention.

        Args:
            x: `(B, T, D)`.
            mask: Broadcastable to `(B, H, T, S)`.
            causal: No query sees a key to the right of it.
            positions: Of x, `(T,)` or `(B, T)`.
            cache: What the attention keeps while decoding.

        Returns:
            `(B, T, D)`.
        """
        check_sequence("x", x, self.d_model)
        normed = self.norm(x)
        attended = self.self_attention(
            normed, mask=mask, causal=causal, positions=positions, cache=cache
        )
        fed = self.feed_forward(normed)
        for name, made in (("self_attention", attended), ("feed_forward", fed)):
            check_made(name, made, x)
        return x + self.dropout(attended) + self.dropout(fed)  # type: ignore[no-any-return]
