"""The text half of an encoder–decoder: causal, with cross-attention, one matrix in and out."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attention_guide.functional.decoding import Choice, greedy
from attention_guide.layers import (
    BlockCache,
    KVCache,
    LearnedPositions,
    MemoryCache,
    TokenEmbedding,
)
from attention_guide.layers._check import check_caches, check_ids, check_real
from attention_guide.models.decoding import NextLogits, generate


class TextDecoder(nn.Module):
    r"""Text decoder, $\text{logits}_t = E \, \mathrm{norm}(\mathrm{blocks}(x_{\le t}, m))$.

    ```
    ids (B, T) ─ embedding + positions ─ dropout ─ blocks ◀─ memory (B, S, M)
                                                     └─ norm ─ · embeddingᵀ ─▶ logits (B, T, V)
    ```

    What the memory is made of, sound or pictures, is the encoder's business.

    Args:
        vocab_size: Size of the vocabulary V.
        d_model: Width D of the residual stream.
        blocks: Called as `block(x, memory, mask=, cache=)`: `DecoderBlock`.
        norm: The norm after the last block.
        max_len: Longest text, in tokens.
        dropout: Share of the embeddings that training zeroes.

    Source:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, section 3.1.
        Tied weights: Press and Wolf, "Using the Output Embedding to Improve Language Models",
        EACL 2017, arXiv:1608.05859.

    Examples:
        >>> from attention_guide.layers import DecoderBlock, FeedForward, LayerNorm
        >>> from attention_guide.layers import MultiHeadAttention
        >>> attentions = MultiHeadAttention(8, 2), MultiHeadAttention(8, 2)
        >>> block = DecoderBlock(*attentions, FeedForward(8, 32), 8)
        >>> decoder = TextDecoder(11, 8, [block], LayerNorm(8), max_len=16)
        >>> decoder(torch.tensor([[1, 2, 3]]), torch.ones(1, 7, 8)).shape
        torch.Size([1, 3, 11])
    """

    def __init__(
        self,
        vocab_size: int,
        d_model: int,
        blocks: Iterable[nn.Module],
        norm: nn.Module,
        *,
        max_len: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.max_len = max_len
        self.embedding = TokenEmbedding(vocab_size, d_model, scale=1.0)
        self.positions = LearnedPositions(d_model, max_len=max_len)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm
        self.output_proj = nn.Linear(d_model, vocab_size, bias=False)
        self.output_proj.weight = self.embedding.weight

    def forward(
        self,
        ids: Int[Tensor, "B T"],
        memory: Float[Tensor, "B S M"],
        *,
        padding: Bool[Tensor, "B N"] | None = None,
        cache: Sequence[BlockCache] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token after each of `ids`.

        Args:
            ids: `(B, T)`. With a cache, only those that it hasn't seen. Padding on the right needs
                no mask: it is in the future of every token.
            memory: What the encoder made, `(B, S, M)`.
            padding: `True` for a token, `False` for padding on the left, for all N tokens so far,
                `(B, N)`. Positions count tokens, so that it changes nothing.
            cache: From `new_cache`; it grows by T tokens.

        Returns:
            Logits, `(B, T, V)`.

        Raises:
            ValueError: A shape that doesn't fit, or a text longer than `max_len` or than the
                cache has room for.
            TypeError: Ids that aren't integers, or padding that isn't bool.
        """
        check_ids("ids", ids)
        if len(memory) != len(ids):
            raise ValueError(
                f"memory: expected (B, S, M) with B = {len(ids)} as ids have it; "
                f"got {tuple(memory.shape)}"
            )
        seen = cache[0].self_attention.length if cache else 0
        total = seen + ids.shape[1]
        if total > self.max_len:
            raise ValueError(f"ids: expected at most max_len = {self.max_len} tokens; got {total}")
        check_caches("ids", ids, cache and [entry.self_attention for entry in cache])
        mask, positions = None, torch.arange(seen, total, device=ids.device)
        if padding is not None:
            check_real(padding, (len(ids), total), "B N")
            mask = padding[:, None, None, :]
            positions = (padding.cumsum(dim=1) - 1).clamp(min=0)[:, seen:]
        x = self.dropout(self.embedding(ids) + self.positions.weight[positions])
        entries = [None] * len(self.blocks) if cache is None else cache
        for block, entry in zip(self.blocks, entries, strict=True):
            x = block(x, memory, mask=mask, cache=entry)
        return self.output_proj(self.norm(x))  # type: ignore[no-any-return]

    def new_cache(self, max_len: int) -> list[BlockCache]:
        """Empty caches for one batch, with room for `max_len` tokens."""
        return [BlockCache(KVCache(max_len), MemoryCache()) for _ in self.blocks]

    def decoding(
        self, memory: Float[Tensor, "B S M"], *, room: int, cached: bool = True
    ) -> NextLogits:
        """Begin to decode one batch, as `Decodes` has it, with its memory, `(B, S, M)`."""
        if room > self.max_len:
            raise ValueError(f"room: expected at most max_len = {self.max_len}; got {room}")
        cache = self.new_cache(room) if cached else None

        def next_logits(tokens: Tensor, padding: Tensor | None) -> Tensor:
            return self(tokens, memory, padding=padding, cache=cache)[:, -1]  # type: ignore[no-any-return]

        return next_logits


class EncoderTextDecoder(nn.Module, ABC):
    r"""Encoder–decoder that writes, $\text{logits} = \mathrm{dec}(\text{text}, \mathrm{enc}(\text{source}))$.

    A family adds what makes the memory: it sets `config`, with `max_len`, `pad_id`, `bos_id` and
    `eos_id`, and `decoder`, a `TextDecoder`, and defines `encode`. See `Whisper` and `Captioner`.

    Source:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, section 3.

    Examples:
        >>> from attention_guide.models import Captioner, Whisper
        >>> issubclass(Whisper, EncoderTextDecoder) and issubclass(Captioner, EncoderTextDecoder)
        True
    """  # noqa: E501 - the formula line

    config: Any
    decoder: TextDecoder

    @abstractmethod
    def encode(self, source: Float[Tensor, "B ..."]) -> Float[Tensor, "B S M"]:
        """The memory, `(B, S, M)`, of a source, `(B, ...)`."""

    def decode(
        self,
        text: Int[Tensor, "B T"],
        memory: Float[Tensor, "B S M"],
        *,
        padding: Bool[Tensor, "B N"] | None = None,
        cache: Sequence[BlockCache] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token after each of `text`, given the memory: as `TextDecoder` has it.

        Args:
            text: `(B, T)`.
            memory: `(B, S, M)`.
            padding: `(B, N)`.
            cache: From `new_cache`.

        Returns:
            Logits, `(B, T, V)`.
        """
        return self.decoder(text, memory, padding=padding, cache=cache)  # type: ignore[no-any-return]

    def decoding(self, source: Any = None, *, room: int, cached: bool = True) -> NextLogits:
        """Begin to decode a batch of sources: what `generate` calls, see `Decodes`."""
        return self.decoder.decoding(self.encode(source), room=room, cached=cached)

    def generate(
        self,
        source: Float[Tensor, "B ..."],
        prompt: Int[Tensor, "B P"] | None = None,
        *,
        max_new: int | None = None,
        cached: bool = True,
        choose: Choice = greedy,
    ) -> Int[Tensor, "B T"]:
        """Write a text for each source: `generate` with this model's start, end and padding.

        Args:
            source: What `encode` takes, `(B, ...)`.
            prompt: What each text begins with, `(B, P)`: `bos_id`, then language and task, say,
                where the vocabulary has such tokens; `None` for `bos_id` alone.
            max_new: Most tokens to write after the prompt; `None` for as many as the
                model can write: it reads `max_len`, and never the last.
            cached: Keep keys and values instead of computing them anew at every step. The same
                result, sooner.
            choose: Picks ids `(B,)` from logits `(B, V)`.

        Returns:
            Ids, `(B, T)`, without the prompt; each row up to its `eos_id`, then `pad_id`.

        Raises:
            ValueError: A shape that doesn't fit, or more tokens than the model reads.
            TypeError: Ids that aren't integers.
        """
        c = self.config
        if prompt is None:
            prompt = torch.full((len(source), 1), c.bos_id, device=source.device)
        if max_new is None:  # the last token written is never read
            max_new = max(0, c.max_len - prompt.shape[1] + 1)
        return generate(
            self, prompt, max_new, source=source, cached=cached, choose=choose,
            eos_id=c.eos_id, pad_id=c.pad_id,
        )  # fmt: skip
