"""The encoder–decoder Transformer of 2017."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attention_guide.functional.decoding import Choice, generate, greedy
from attention_guide.layers import (
    BlockCache,
    DecoderBlock,
    EncoderBlock,
    FeedForward,
    LayerNorm,
    MultiHeadAttention,
    PostNorm,
    PreNorm,
    SinusoidalPositions,
    TokenEmbedding,
    xavier_init,
)
from attention_guide.layers._check import check_ids
from attention_guide.models.config import TransformerConfig
from attention_guide.models.decoder import Decoder
from attention_guide.models.decoding import NextLogits
from attention_guide.models.encoder import Encoder


class Transformer(nn.Module):
    r"""Transformer, $\text{logits} = W \, \mathrm{dec}(\text{tgt}, \mathrm{enc}(\text{src}))$.

    ```
    src (B, S) ─ embed · sqrt(D) + positions ─ dropout ─ encoder ─▶ memory (B, S, D)
                                                                       │
    tgt (B, T) ─ embed · sqrt(D) + positions ─ dropout ─ decoder ◀─────┘
                                                            └─ output_proj ─▶ logits (B, T, V)
    ```

    Masks come from the ids: `pad_id` is hidden as a key in all three attentions, the future in
    the decoder's. Nothing else needs masking; what padded queries compute is for the loss to
    ignore.

    Args:
        config: The sizes.
        attention: Makes an attention, called as `attention(d_model, n_heads, dropout=)`:
            `MultiHeadAttention`, `partial(MultiHeadAttention, n_kv_heads=2)`.
        feed_forward: Makes a feed-forward, called as `feed_forward(d_model, d_ff, dropout=)`:
            `FeedForward`, `GatedFeedForward`.
        norm: Makes a norm of a given width: `LayerNorm`, `RMSNorm`.

    Source:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, sections 3
        and 5.4 (dropout). Initialisation: Glorot and Bengio's uniform, as tensor2tensor has it.

    Examples:
        >>> import torch
        >>> config = TransformerConfig(11, 13, d_model=16, n_heads=2, d_ff=32, n_layers=2)
        >>> model = Transformer(config)
        >>> src, tgt = torch.tensor([[5, 6, 7, 2], [8, 2, 0, 0]]), torch.tensor([[1, 9], [1, 4]])
        >>> model(src, tgt).shape
        torch.Size([2, 2, 13])
    """

    def __init__(
        self,
        config: TransformerConfig,
        *,
        attention: Callable[..., nn.Module] = MultiHeadAttention,
        feed_forward: Callable[..., nn.Module] = FeedForward,
        norm: Callable[[int], nn.Module] = LayerNorm,
    ) -> None:
        super().__init__()
        self.config = c = config
        self.src_embedding = TokenEmbedding(c.src_vocab_size, c.d_model)
        self.tgt_embedding = TokenEmbedding(c.tgt_vocab_size, c.d_model)
        self.positions = SinusoidalPositions(c.d_model, max_len=c.max_len)
        self.dropout = nn.Dropout(c.dropout)

        def attend() -> nn.Module:
            return attention(c.d_model, c.n_heads, dropout=c.dropout)

        def feed() -> nn.Module:
            return feed_forward(c.d_model, c.d_ff, dropout=c.dropout)

        residual = partial(PreNorm if c.norm_first else PostNorm, norm=norm, dropout=c.dropout)
        self.encoder = Encoder(
            [
                EncoderBlock(attend(), feed(), c.d_model, residual=residual)
                for _ in range(c.n_layers)
            ],
            norm(c.d_model) if c.has_final_norm else None,
        )
        self.decoder = Decoder(
            [
                DecoderBlock(attend(), attend(), feed(), c.d_model, residual=residual)
                for _ in range(c.decoder_depth)
            ],
            norm(c.d_model) if c.has_final_norm else None,
        )
        self.output_proj = nn.Linear(c.d_model, c.tgt_vocab_size, bias=False)
        xavier_init(self)
        if c.tie_weights != "none":
            self.output_proj.weight = self.tgt_embedding.weight
        if c.tie_weights == "all":
            self.src_embedding.weight = self.tgt_embedding.weight

    def forward(self, src: Int[Tensor, "B S"], tgt: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Logits of the token after each of `tgt`.

        Args:
            src: Source ids, `(B, S)`, filled up with `pad_id`.
            tgt: Target ids from the start symbol on, `(B, T)`, filled up with `pad_id`.

        Returns:
            Logits, `(B, T, V)`.

        Raises:
            ValueError: A shape that doesn't fit, or a sequence longer than `max_len`.
            TypeError: Ids that aren't integers.
        """
        return self.decode(tgt, self.encode(src), src)

    def encode(self, src: Int[Tensor, "B S"]) -> Float[Tensor, "B S D"]:
        """The memory, `(B, S, D)`, of source ids `(B, S)`."""
        check_ids("src", src, "B S")
        x = self.dropout(self.positions(self.src_embedding(src)))
        return self.encoder(x, mask=self.padding_mask(src))  # type: ignore[no-any-return]

    def decode(
        self,
        tgt: Int[Tensor, "B T"],
        memory: Float[Tensor, "B S D"],
        src: Int[Tensor, "B S"],
        *,
        cache: Sequence[BlockCache] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token after each of `tgt`, given the memory.

        Args:
            tgt: Target ids, `(B, T)`. With a cache, only those that it hasn't seen.
            memory: What `encode` made of `src`, `(B, S, D)`.
            src: The source ids, `(B, S)`, for their padding.
            cache: From `decoder.new_cache`; it grows by T tokens. Padding of the target isn't
                masked then: it may only follow the end of a sequence.

        Returns:
            Logits, `(B, T, V)`.

        Raises:
            ValueError: A shape that doesn't fit, or a sequence longer than `max_len`.
            TypeError: Ids that aren't integers.
        """
        self._check_decode(tgt, memory, src)
        offset = cache[0].self_attention.length if cache else 0
        x = self.dropout(self.positions(self.tgt_embedding(tgt), offset))
        mask = None if cache else self.padding_mask(tgt)
        x = self.decoder(x, memory, mask=mask, memory_mask=self.padding_mask(src), cache=cache)
        return self.output_proj(x)  # type: ignore[no-any-return]

    def padding_mask(self, ids: Int[Tensor, "B S"]) -> Bool[Tensor, "B 1 1 S"]:
        """`True` where a key is a token, `False` for `pad_id`: `(B, S)` → `(B, 1, 1, S)`."""
        return (ids != self.config.pad_id)[:, None, None, :]

    def decoding(self, source: Any = None, *, room: int, cached: bool = True) -> NextLogits:
        """Begin to decode one batch of source ids `(B, S)`.

        This is what `attention_guide.models.generate` calls; prompts may not be padded.
        """
        if room > self.config.max_len:
            raise ValueError(f"room: expected at most max_len = {self.config.max_len}; got {room}")
        memory = self.encode(source)
        cache = self.decoder.new_cache(room) if cached else None

        def next_logits(tokens: Tensor, padding: Tensor | None) -> Tensor:
            if padding is not None:
                raise ValueError("padding: the positions of this model count columns, not tokens")
            return self.decode(tokens, memory, source, cache=cache)[:, -1]

        return next_logits

    @torch.no_grad()
    def generate(
        self,
        src: Int[Tensor, "B S"],
        *,
        max_len: int | None = None,
        cached: bool = True,
        choose: Choice = greedy,
    ) -> Int[Tensor, "B T"]:
        """Write targets token by token, each chosen after those before it.

        Dropout follows the model's mode: call `eval()` first.

        Args:
            src: Source ids, `(B, S)`.
            max_len: Most tokens to write, `pad_id` never among them; `None` for as many as the
                model can read.
            cached: Keep keys and values instead of computing them anew at every step. The same
                result, sooner.
            choose: Picks ids `(B,)` from logits `(B, V)`.

        Returns:
            Ids, `(B, T)`, without the start symbol; each row up to its `eos_id`, then `pad_id`.

        Raises:
            ValueError: A shape that doesn't fit, or `max_len` above the model's.
            TypeError: Ids that aren't integers.

        Cost:
            With the cache, step t costs one token's projections and t + S keys; without, all t
            tokens again.

        Examples:
            >>> import torch
            >>> config = TransformerConfig(11, 13, d_model=16, n_heads=2, d_ff=32, n_layers=2)
            >>> model = Transformer(config).eval()
            >>> model.generate(torch.tensor([[5, 6, 7, 2]]), max_len=4).shape[1] <= 4
            True
        """
        c = self.config
        max_len = c.max_len if max_len is None else max_len
        if not 1 <= max_len <= c.max_len:
            raise ValueError(f"max_len: expected 1 to {c.max_len}; got {max_len}")
        memory = self.encode(src)
        cache = self.decoder.new_cache(max_len) if cached else None

        def step(tokens: Tensor) -> Tensor:
            new = tokens if cache is None else tokens[:, -1:]
            logits = self.decode(new, memory, src, cache=cache)[:, -1]
            # Padding is no token: written, it would be masked by the next step or by none.
            logits[:, c.pad_id] = float("-inf")
            return logits

        start = torch.full((src.shape[0], 1), c.bos_id, dtype=torch.long, device=src.device)
        written = generate(step, start, max_len, choose=choose, eos_id=c.eos_id, pad_id=c.pad_id)
        return written[:, 1:]

    def _check_decode(self, tgt: Tensor, memory: Tensor, src: Tensor) -> None:
        check_ids("tgt", tgt)
        check_ids("src", src, "B S")
        if src.shape != memory.shape[:2] or tgt.shape[0] != src.shape[0]:
            raise ValueError(
                f"memory: expected (B, S, D) with src (B, S) and tgt (B, T); got "
                f"{tuple(memory.shape)}, {tuple(src.shape)} and {tuple(tgt.shape)}"
            )
