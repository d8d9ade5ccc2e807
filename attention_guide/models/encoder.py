"""The encoder: a stack of blocks in which every token sees every other."""

from collections.abc import Iterable

from jaxtyping import Bool, Float
from torch import Tensor, nn


class Encoder(nn.Module):
    r"""Encoder, $\mathrm{norm}(\mathrm{block}_L(\ldots \mathrm{block}_1(x)))$.

    Args:
        blocks: Called as `block(x, mask=)`, one after the other: `EncoderBlock`, `ParallelBlock`.
        norm: The norm after the last block; `None` for none. A pre-norm stack needs one, since
            nothing in it bounds the residual stream.

    Source:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, section
        3.1.

    Examples:
        >>> import torch
        >>> from attention_guide.layers import EncoderBlock, FeedForward, MultiHeadAttention
        >>> blocks = [EncoderBlock(MultiHeadAttention(8, 2), FeedForward(8, 32), 8) for _ in "ab"]
        >>> Encoder(blocks)(torch.ones(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """

    def __init__(self, blocks: Iterable[nn.Module], norm: nn.Module | None = None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.norm = nn.Identity() if norm is None else norm

    def forward(
        self, x: Float[Tensor, "B S D"], *, mask: Bool[Tensor, "..."] | None = None
    ) -> Float[Tensor, "B S D"]:
        """Pass `x`, `(B, S, D)`, through the stack; `mask` broadcasts to `(B, H, S, S)`."""
        for block in self.blocks:
            x = block(x, mask=mask)
        return self.norm(x)  # type: ignore[no-any-return]
