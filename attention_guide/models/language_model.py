"""What all decoder-only language models share: blocks on a residual stream, and how to decode."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attention_guide.layers import (
    Cache,
    KVCache,
    LatentAttention,
    LatentCache,
    MultiHeadAttention,
    SlidingCache,
)
from attention_guide.layers._check import check_caches, check_ids, check_real
from attention_guide.models.decoding import NextLogits

SelfAttentionCache = Cache | LatentCache


class LanguageModel(nn.Module):
    r"""Language model, $\text{logits}_t = W \, \mathrm{norm}(\mathrm{blocks}(x_{\le t}))$.

    ```
    ids (B, T) ─ embed ─▶ (B, T, D) ─ blocks, causal ─ norm ─ output_proj ─▶ logits (B, T, V)
    ```

    The families of this package are this with other parts in it: `GPT2`, `Llama`, `Gemma2`,
    `Bloom`, `DeepSeek`.

    Args:
        embedding: From ids `(B, T)` to `(B, T, D)`, with a `weight` `(V, D)`.
        blocks: Called as `block(x, mask=, causal=True, positions=, cache=)`: `EncoderBlock`.
        norm: The norm after the last block.
        max_len: Longest text, in tokens.
        tie_weights: The output layer is the embedding's matrix.

    Source:
        The decoder-only Transformer: Liu et al., "Generating Wikipedia by Summarizing Long
        Sequences", ICLR 2018, arXiv:1801.10198, section 4.2.3. Tied weights: Press and Wolf,
        "Using the Output Embedding to Improve Language Models", EACL 2017, arXiv:1608.05859.

    Examples:
        >>> from attention_guide.layers import EncoderBlock, FeedForward, LayerNorm
        >>> from attention_guide.layers import MultiHeadAttention, PreNorm, TokenEmbedding
        >>> block = EncoderBlock(MultiHeadAttention(8, 2), FeedForward(8, 32), 8, residual=PreNorm)
        >>> model = LanguageModel(TokenEmbedding(11, 8), [block], LayerNorm(8), max_len=16)
        >>> model(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 11])
    """

    def __init__(
        self,
        embedding: nn.Embedding,
        blocks: Iterable[nn.Module],
        norm: nn.Module,
        *,
        max_len: int,
        tie_weights: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = embedding
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm
        self.max_len = max_len
        vocab_size, d_model = embedding.weight.shape
        self.output_proj = nn.Linear(d_model, vocab_size, bias=False)
        if tie_weights:
            self.output_proj.weight = embedding.weight

    def forward(
        self,
        ids: Int[Tensor, "B T"],
        *,
        padding: Bool[Tensor, "B S"] | None = None,
        cache: Sequence[SelfAttentionCache] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token after each of `ids`.

        Args:
            ids: `(B, T)`. With a cache, only those that it hasn't seen.
            padding: `True` for a token, `False` for padding, for all S tokens so far, `(B, S)`.
                Positions count tokens, so that padding on the left changes nothing.
            cache: From `new_cache`; it grows by T tokens.

        Returns:
            Logits, `(B, T, V)`.

        Raises:
            TypeError: Ids that aren't integers, or padding that isn't bool.
            ValueError: A shape that doesn't fit, a text longer than `max_len` or than the cache
                has room for, or padding with a cache that isn't for it.
        """
        return self.logits(self.hidden(ids, padding=padding, cache=cache))

    def hidden(
        self,
        ids: Int[Tensor, "B T"],
        *,
        padding: Bool[Tensor, "B S"] | None = None,
        cache: Sequence[SelfAttentionCache] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """What the output layer reads, `(B, T, D)`.

        Args:
            ids: As in `forward`, `(B, T)`.
            padding: As in `forward`, `(B, S)`.
            cache: As in `forward`.
        """
        check_ids("ids", ids)
        seen = cache[0].length if cache else 0
        total = seen + ids.shape[1]
        if total > self.max_len:
            raise ValueError(f"ids: expected at most max_len = {self.max_len} tokens; got {total}")
        check_caches("ids", ids, cache)
        if padding is None:
            mask = None
            positions = torch.arange(seen, total, device=ids.device)
        else:
            check_real(padding, (ids.shape[0], total))
            if any(isinstance(entry, SlidingCache) for entry in cache or ()):
                raise ValueError(
                    "padding: expected None with a cache that forgets; make it with "
                    "new_cache(..., padded=True)"
                )
            mask = padding[:, None, None, :]
            positions = (padding.cumsum(dim=1) - 1).clamp(min=0)[:, seen:]
        x = self.embed(ids, positions)
        entries = [None] * len(self.blocks) if cache is None else cache
        for block, entry in zip(self.blocks, entries, strict=True):
            x = block(x, mask=mask, causal=True, positions=positions, cache=entry)
        return self.norm(x)  # type: ignore[no-any-return]

    def embed(
        self, ids: Int[Tensor, "B T"], positions: Int[Tensor, "*B T"]
    ) -> Float[Tensor, "B T D"]:
        """What the first block reads, `(B, T, D)`, of ids `(B, T)`.

        A family with positions to add adds them here, `(T,)` or `(B, T)`.
        """
        return self.embedding(ids)  # type: ignore[no-any-return]

    def logits(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B T V"]:
        """From what the last norm gave, `(B, T, D)`, to logits, `(B, T, V)`."""
        return self.output_proj(x)  # type: ignore[no-any-return]

    def new_cache(self, max_len: int, *, padded: bool = False) -> Sequence[SelfAttentionCache]:
        """Empty caches for one batch, with room for `max_len` tokens.

        A layer with a window keeps no more than that, unless the batch is `padded`: what is
        padding among the tokens kept is only known while all are.
        """
        return [_cache_for(block.self_attention, max_len, padded) for block in self.blocks]

    def decoding(self, source: Any = None, *, room: int, cached: bool = True) -> NextLogits:
        """Begin to decode one batch: what `generate` calls, see `Decodes`."""
        if source is not None:
            raise ValueError("source: a language model reads nothing but its own tokens")
        if room > self.max_len:
            raise ValueError(f"room: expected at most max_len = {self.max_len}; got {room}")
        cache: Sequence[SelfAttentionCache] | None = None

        def next_logits(tokens: Tensor, padding: Tensor | None) -> Tensor:
            nonlocal cache
            if cached and cache is None:
                cache = self.new_cache(room, padded=padding is not None)
            x = self.hidden(tokens, padding=padding, cache=cache)
            return self.logits(x[:, -1:])[:, 0]

        return next_logits


def _cache_for(layer: object, max_len: int, padded: bool) -> SelfAttentionCache:
    if isinstance(layer, LatentAttention):
        return LatentCache(max_len)
    window = layer.options.get("window") if isinstance(layer, MultiHeadAttention) else None
    left = None if window is None else window[0]
    return KVCache(max_len) if left is None or padded else SlidingCache(left)
