"""The decoder: a stack of blocks that see the past and the encoder's memory."""

from collections.abc import Iterable, Sequence

from jaxtyping import Bool, Float
from torch import Tensor, nn

from attention_guide.layers._check import check_caches
from attention_guide.layers.cache import BlockCache, KVCache, MemoryCache


class Decoder(nn.Module):
    r"""Decoder, $\mathrm{norm}(\mathrm{block}_L(\ldots \mathrm{block}_1(x, m)))$ with memory $m$.

    Args:
        blocks: Called as `block(x, memory, mask=, memory_mask=, cache=)`, one after the other.
        norm: The norm after the last block; `None` for none. A pre-norm stack needs one.

    Source:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, section
        3.1.

    Examples:
        >>> import torch
        >>> from attention_guide.layers import DecoderBlock, FeedForward, MultiHeadAttention
        >>> attentions = MultiHeadAttention(8, 2), MultiHeadAttention(8, 2)
        >>> decoder = Decoder([DecoderBlock(*attentions, FeedForward(8, 32), 8)])
        >>> decoder(torch.ones(2, 5, 8), torch.ones(2, 7, 8)).shape
        torch.Size([2, 5, 8])
    """

    def __init__(self, blocks: Iterable[nn.Module], norm: nn.Module | None = None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.Identity() if norm is None else norm

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        memory: Float[Tensor, "B S M"],
        *,
        mask: Bool[Tensor, "..."] | None = None,
        memory_mask: Bool[Tensor, "..."] | None = None,
        cache: Sequence[BlockCache] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Pass `x`, `(B, T, D)`, through the stack.

        Args:
            x: `(B, T, D)`.
            memory: `(B, S, M)`.
            mask: For the self-attentions, beside the causal one; broadcastable to
                `(B, H, T, T)`.
            memory_mask: For the cross-attentions, broadcastable to `(B, H, T, S)`.
            cache: One entry a block, as `new_cache` makes them.

        Returns:
            `(B, T, D)`.

        Raises:
            ValueError: A shape that doesn't fit, or more tokens than the cache has room for.
        """
        check_caches("x", x, cache and [getattr(e, "self_attention", None) for e in cache])
        entries = [None] * len(self.blocks) if cache is None else cache
        for block, entry in zip(self.blocks, entries, strict=True):
            x = block(x, memory, mask=mask, memory_mask=memory_mask, cache=entry)
        return self.norm(x)  # type: ignore[no-any-return]

    def new_cache(self, max_len: int) -> list[BlockCache]:
        """Empty caches for one batch, with room for `max_len` target tokens."""
        return [BlockCache(KVCache(max_len), MemoryCache()) for _ in self.blocks]
