"""T5: encoder and decoder with one learned bias by distance, RMSNorm, and unscaled scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attention_guide.layers import (
    BlockCache,
    DecoderBlock,
    EncoderBlock,
    FeedForward,
    GatedFeedForward,
    MultiHeadAttention,
    PreNorm,
    RelativeBias,
    RMSNorm,
    TokenEmbedding,
)
from attention_guide.layers._check import (
    check_dropout,
    check_ids,
    check_real,
    check_sizes,
    check_token_ids,
)
from attention_guide.models.decoder import Decoder
from attention_guide.models.decoding import NextLogits
from attention_guide.models.encoder import Encoder


@dataclass(frozen=True)
class T5Config:
    """Sizes of a T5; the defaults are those of the small model.

    Attributes:
        vocab_size: Size of the vocabulary V.
        d_model: Width D of the residual stream.
        d_head: Head width K; H · K need not be D.
        n_heads: Heads H.
        d_ff: Width of the feed-forwards' hidden layer.
        n_layers: Blocks of the encoder.
        n_decoder_layers: Blocks of the decoder; `None` for as many.
        n_buckets: Buckets of distances, each with a bias a head.
        max_distance: From here on everything shares the last bucket.
        dropout: One rate for embeddings, attention weights, hidden and sublayer outputs.
        norm_eps: What RMSNorm adds to the mean square.
        gated: GEGLU feed-forwards (T5 1.1) instead of ReLU.
        tie_weights: The output layer is the embedding's matrix,
        scale_logits: and what it reads is divided by the root of D (both T5 1.0).
        pad_id: Id that fills up batches, and that a target starts with.

    Raises:
        ValueError: A size below 1, a dropout outside [0, 1), or an id outside the vocabulary.
        TypeError: A size or the id isn't an int, or the dropout not a number.

    Source:
        Raffel et al., JMLR 2020, arXiv:1910.10683, section 2.1 and 3.7; version 1.1: Shazeer,
        arXiv:2002.05202, and the notes published with the checkpoints.

    Examples:
        >>> T5Config().d_head
        64
    """

    vocab_size: int = 32_128
    d_model: int = 512
    d_head: int = 64
    n_heads: int = 8
    d_ff: int = 2048
    n_layers: int = 6
    n_decoder_layers: int | None = None
    n_buckets: int = 32
    max_distance: int = 128
    dropout: float = 0.1
    norm_eps: float = 1e-6
    gated: bool = False
    tie_weights: bool = True
    scale_logits: bool = True
    pad_id: int = 0

    def __post_init__(self) -> None:
        check_sizes(
            vocab_size=self.vocab_size,
            d_model=self.d_model,
            d_head=self.d_head,
            n_heads=self.n_heads,
            d_ff=self.d_ff,
            n_layers=self.n_layers,
            n_decoder_layers=self.n_decoder_layers,
        )
        check_dropout(self.dropout)
        check_token_ids(self.vocab_size, pad_id=self.pad_id)


class T5(nn.Module):
    r"""T5, an encoder–decoder whose scores are $q k^\top + b_{\text{bucket}(j - i)}$.

    Padding comes from the ids: `pad_id` in the source is hidden. In the target nothing is: a
    target starts with `pad_id`, and padding at its end is in the future of every token.

    Args:
        config: The sizes.

    Source:
        Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text
        Transformer", JMLR 2020, arXiv:1910.10683, section 2.1.

    Examples:
        >>> import torch
        >>> model = T5(T5Config(11, d_model=8, d_head=4, n_heads=2, d_ff=16, n_layers=2)).eval()
        >>> src = torch.tensor([[5, 6, 7, 1], [8, 1, 0, 0]])
        >>> model(src, torch.tensor([[0, 9], [0, 4]])).shape
        torch.Size([2, 2, 11])
        >>> from attention_guide.models import generate
        >>> generate(model, torch.tensor([[0], [0]]), 3, source=src).shape
        torch.Size([2, 3])
    """

    def __init__(self, config: T5Config) -> None:
        super().__init__()
        self.config = c = config
        self.embedding = TokenEmbedding(c.vocab_size, c.d_model, scale=1.0)
        self.dropout = nn.Dropout(c.dropout)
        norm = partial(RMSNorm, eps=c.norm_eps)
        residual = partial(PreNorm, norm=norm, dropout=c.dropout)

        def attend(bias: RelativeBias | None = None) -> nn.Module:
            return MultiHeadAttention(
                c.d_model, c.n_heads, d_head=c.d_head, bias=False, dropout=c.dropout,
                position_bias=bias, scale=1.0,
            )  # fmt: skip

        def feed() -> nn.Module:
            if c.gated:
                gelu = partial(F.gelu, approximate="tanh")
                return GatedFeedForward(c.d_model, c.d_ff, activation=gelu, dropout=c.dropout)
            return FeedForward(c.d_model, c.d_ff, dropout=c.dropout, bias=False)

        by_distance = partial(
            RelativeBias, c.n_heads, n_buckets=c.n_buckets, max_distance=c.max_distance
        )
        near, past = by_distance(), by_distance(causal=True)
        self.encoder = Encoder(
            [
                EncoderBlock(attend(near), feed(), c.d_model, residual=residual)
                for _ in range(c.n_layers)
            ],
            norm(c.d_model),
        )
        depth = c.n_layers if c.n_decoder_layers is None else c.n_decoder_layers
        self.decoder = Decoder(
            [
                DecoderBlock(attend(past), attend(), feed(), c.d_model, residual=residual)
                for _ in range(depth)
            ],
            norm(c.d_model),
        )
        self.output_proj = nn.Linear(c.d_model, c.vocab_size, bias=False)
        self._init()
        if c.tie_weights:
            self.output_proj.weight = self.embedding.weight

    def forward(self, src: Int[Tensor, "B S"], tgt: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Logits of the token after each of `tgt`.

        Args:
            src: Source ids, `(B, S)`, filled up with `pad_id`.
            tgt: Target ids from the start symbol on, `(B, T)`.

        Returns:
            Logits, `(B, T, V)`.

        Raises:
            TypeError: Ids that aren't integers.
            ValueError: A shape that doesn't fit.
        """
        return self.decode(tgt, self.encode(src), src)

    def encode(self, src: Int[Tensor, "B S"]) -> Float[Tensor, "B S D"]:
        """The memory, `(B, S, D)`, of source ids `(B, S)`."""
        check_ids("src", src, "B S")
        x = self.encoder(self.dropout(self.embedding(src)), mask=self.padding_mask(src))
        return self.dropout(x)  # type: ignore[no-any-return]

    def decode(
        self,
        tgt: Int[Tensor, "B T"],
        memory: Float[Tensor, "B S D"],
        src: Int[Tensor, "B S"],
        *,
        padding: Bool[Tensor, "B N"] | None = None,
        cache: Sequence[BlockCache] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token after each of `tgt`, given the memory.

        Args:
            tgt: Target ids, `(B, T)`. With a cache, only those that it hasn't seen.
            memory: What `encode` made of `src`, `(B, S, D)`.
            src: The source ids, `(B, S)`, for their padding.
            padding: `True` for a token, `False` for padding on the left, of all N target tokens
                so far, `(B, N)`; `None` for none.
            cache: From `decoder.new_cache`; it grows by T tokens.

        Returns:
            Logits, `(B, T, V)`.

        Raises:
            TypeError: Ids that aren't integers, or padding that isn't bool.
            ValueError: A shape that doesn't fit, or more tokens than the cache has room for.
        """
        check_ids("tgt", tgt)
        check_ids("src", src, "B S")
        if src.shape != memory.shape[:2] or tgt.shape[0] != src.shape[0]:
            raise ValueError(
                f"memory: expected (B, S, D) with src (B, S) and tgt (B, T); got "
                f"{tuple(memory.shape)}, {tuple(src.shape)} and {tuple(tgt.shape)}"
            )
        mask = None
        if padding is not None:
            seen = cache[0].self_attention.length if cache else 0
            check_real(padding, (tgt.shape[0], seen + tgt.shape[1]), "B N")
            mask = padding[:, None, None, :]
        x = self.decoder(
            self.dropout(self.embedding(tgt)), memory,
            mask=mask, memory_mask=self.padding_mask(src), cache=cache,
        )  # fmt: skip
        x = self.dropout(x)
        if self.config.scale_logits:
            x = x * self.config.d_model**-0.5
        return self.output_proj(x)  # type: ignore[no-any-return]

    def padding_mask(self, ids: Int[Tensor, "B S"]) -> Bool[Tensor, "B 1 1 S"]:
        """`True` where a key is a token, `False` for `pad_id`: `(B, S)` → `(B, 1, 1, S)`."""
        return (ids != self.config.pad_id)[:, None, None, :]

    def decoding(self, source: Any = None, *, room: int, cached: bool = True) -> NextLogits:
        """Begin to decode one batch of source ids `(B, S)`: what `generate` calls."""
        memory = self.encode(source)
        cache = self.decoder.new_cache(room) if cached else None

        def next_logits(tokens: Tensor, padding: Tensor | None) -> Tensor:
            return self.decode(tokens, memory, source, padding=padding, cache=cache)[:, -1]

        return next_logits

    def _init(self) -> None:
        """Normal; each matrix by its inputs, as Mesh TensorFlow does for unscaled scores."""
        c = self.config
        for name, parameter in self.named_parameters():
            kind = name.split(".")[-2]
            if kind == "q_proj":
                nn.init.normal_(parameter, std=(c.d_model * c.d_head) ** -0.5)
            elif kind in ("embedding", "position_bias"):
                nn.init.normal_(parameter, std=1.0 if kind == "embedding" else c.d_model**-0.5)
            elif parameter.ndim == 2:
                nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5)
