"""The recurrent encoder–decoder with attention: what the Transformer took the place of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from attention_guide.functional import _checks
from attention_guide.functional.decoding import Choice, greedy
from attention_guide.layers._check import (
    check_choice,
    check_dropout,
    check_ids,
    check_rows,
    check_sequence,
    check_sizes,
    check_token_ids,
)
from attention_guide.layers.alignment import LUONG_SCORES
from attention_guide.layers.recurrent import BahdanauDecoder, LuongDecoder
from attention_guide.models.decoding import NextLogits, generate


@dataclass(frozen=True)
class RecurrentConfig:
    """Sizes of a `RecurrentSeq2Seq`.

    Attributes:
        src_vocab_size: Source ids.
        tgt_vocab_size: Target ids.
        d_model: Width of the decoder's state and of each direction of the encoder's.
        d_embed: Width of the embeddings; `None` for `d_model`.
        attention: `"additive"` (Bahdanau), or Luong's `"dot"`, `"general"`, `"concat"`.
        dropout: Probability of dropping an entry of the embeddings and of the output.
        pad_id: The id of padding, in source and target.
        bos_id: The id that starts a target.
        eos_id: The id that ends one.

    Raises:
        ValueError: A size below 1, an unknown attention, a dropout outside [0, 1), or an id
            outside its vocabulary.
        TypeError: A size or an id isn't an int, or the dropout not a number.
    """

    src_vocab_size: int
    tgt_vocab_size: int
    d_model: int = 256
    d_embed: int | None = None
    attention: str = "additive"
    dropout: float = 0.0
    pad_id: int = 0
    bos_id: int = 1
    eos_id: int = 2

    def __post_init__(self) -> None:
        """Check every field."""
        check_sizes(
            src_vocab_size=self.src_vocab_size,
            tgt_vocab_size=self.tgt_vocab_size,
            d_model=self.d_model,
            d_embed=self.d_embed,
        )
        check_choice("attention", self.attention, ("additive", *LUONG_SCORES))
        check_dropout(self.dropout)
        check_token_ids(self.src_vocab_size, pad_id=self.pad_id)
        check_token_ids(
            self.tgt_vocab_size, pad_id=self.pad_id, bos_id=self.bos_id, eos_id=self.eos_id
        )


class RecurrentSeq2Seq(nn.Module):
    """`h = BiGRU(src)`, then a decoder that attends to `h` at every target position.

    ```
    src (B, S) ─ embed ─▶ BiGRU ─▶ memory (B, S, 2D) ──┐ attention, at each step
    tgt (B, T) ─ embed ─▶ decoder (Bahdanau or Luong) ◀┘ ─▶ (B, T, D) ─▶ logits (B, T, V)
    ```

    The decoder begins at `tanh(W_s ←h_1)`: the backward direction has then read everything.

    Args:
        config: The sizes.

    Source:
        Bahdanau et al. (2015), sections 3 and A.2; Luong et al. (2015), section 3, for the other
        three scores. Both papers train wider and (Luong) deeper networks.

    Examples:
        >>> config = RecurrentConfig(src_vocab_size=11, tgt_vocab_size=13, d_model=8)
        >>> model = RecurrentSeq2Seq(config)
        >>> model(torch.tensor([[4, 5, 0]]), torch.tensor([[1, 7]])).shape
        torch.Size([1, 2, 13])
    """

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__()
        self.config = config
        d_model = config.d_model
        d_embed = config.d_embed or d_model
        self.src_embedding = nn.Embedding(config.src_vocab_size, d_embed, config.pad_id)
        self.tgt_embedding = nn.Embedding(config.tgt_vocab_size, d_embed, config.pad_id)
        self.encoder = nn.GRU(d_embed, d_model, batch_first=True, bidirectional=True)
        self.decoder: BahdanauDecoder | LuongDecoder
        if config.attention == "additive":
            self.decoder = BahdanauDecoder(d_embed, d_model, 2 * d_model)
        else:
            self.decoder = LuongDecoder(d_embed, d_model, d_model, config.attention)
        # Luong's "dot" needs a memory as wide as the state, so his decoders read a projection.
        additive = config.attention == "additive"
        self.bridge = nn.Identity() if additive else nn.Linear(2 * d_model, d_model)
        self.initial = nn.Linear(d_model, d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(d_model, config.tgt_vocab_size)

    def forward(self, src: Int[Tensor, "B S"], tgt: Int[Tensor, "B T"]) -> Float[Tensor, "B T V"]:
        """Logits of the token after each target token (teacher forcing).

        Args:
            src: Source ids, padded on the right, shape `(B, S)`.
            tgt: Target ids from the beginning-of-sequence id on, shape `(B, T)`.

        Returns:
            The logits, shape `(B, T, V)`.

        Raises:
            ValueError: A shape doesn't fit.
            TypeError: The ids aren't integers.
        """
        memory, state = self.encode(src)
        return self.decode(tgt, memory, src, state)[0]

    def encode(
        self, src: Int[Tensor, "B S"]
    ) -> tuple[Float[Tensor, "B S M"], Float[Tensor, "B N"]]:
        """What the decoder attends to, and the state that it begins with.

        Args:
            src: Source ids, padded on the right, shape `(B, S)`; no row may be all padding.

        Returns:
            The memory `(B, S, M)` and the first state `(B, N)`.

        Raises:
            ValueError: Not two axes, no row, an empty row, padding before a token, or (on CPU) an
                id outside the vocabulary.
            TypeError: The ids are neither int64 nor int32.
        """
        check_ids("src", src, "B S")
        check_rows("src", src, self.src_embedding)
        lengths = self._lengths(src)
        # Packed, so that the backward direction begins at each row's last token, not at padding.
        packed = pack_padded_sequence(
            self.dropout(self.src_embedding(src)), lengths, batch_first=True, enforce_sorted=False
        )
        states, last = self.encoder(packed)
        memory, _ = pad_packed_sequence(states, batch_first=True, total_length=src.shape[1])
        state = torch.tanh(self.initial(last[1]))
        if isinstance(self.decoder, LuongDecoder):
            state = torch.cat([state, torch.zeros_like(state)], dim=-1)
        return self.bridge(memory), state

    def decode(
        self,
        tgt: Int[Tensor, "B T"],
        memory: Float[Tensor, "B S M"],
        src: Int[Tensor, "B S"],
        state: Float[Tensor, "B N"],
        *,
        resumed: bool = False,
    ) -> tuple[Float[Tensor, "B T V"], Float[Tensor, "B N"]]:
        """Logits after each target token, and the state to go on from.

        Args:
            tgt: Target ids, shape `(B, T)`.
            memory: What `encode` gave, shape `(B, S, M)`.
            src: The source ids, for their padding, shape `(B, S)`.
            state: The state before the first of these tokens, shape `(B, N)`.
            resumed: Whether these tokens continue the last call's, for a recorder.

        Returns:
            The logits `(B, T, V)` and the state `(B, N)`.

        Raises:
            ValueError: A shape doesn't fit, or (on CPU) an id outside the vocabulary.
            TypeError: The ids are neither int64 nor int32.
        """
        check_ids("tgt", tgt)
        check_rows("tgt", tgt, self.tgt_embedding)
        check_sequence("memory", memory, self.decoder.d_memory, "B S M")
        mask = self._source_mask(src)
        inputs = self.dropout(self.tgt_embedding(tgt))
        outputs, state = self.decoder(inputs, memory, state, mask=mask, resumed=resumed)
        return self.head(self.dropout(outputs)), state

    def decoding(self, source: Any = None, *, room: int, cached: bool = True) -> NextLogits:
        """Begin to decode one batch of source ids `(B, S)`: what `generate` calls, see `Decodes`.

        All that is kept is the state, whatever the `room`; without it, every step starts anew.
        Padding of a prompt leaves the state as it was.
        """
        check_ids("source", source, "B S")
        memory, start = self.encode(source)
        state, resumed = start, False

        def next_logits(tokens: Tensor, padding: Tensor | None) -> Tensor:
            nonlocal state, resumed
            if not cached:
                state, resumed = start, False
            real = torch.ones_like(tokens, dtype=torch.bool)
            if padding is not None:
                real = padding[:, -tokens.shape[1] :]
            for t in range(tokens.shape[1]):
                token = tokens[:, t : t + 1]
                logits, after = self.decode(token, memory, source, state, resumed=resumed)
                state, resumed = after.where(real[:, t, None], state), True
            return logits[:, -1]

        return next_logits

    def generate(
        self,
        src: Int[Tensor, "B S"],
        *,
        max_len: int = 64,
        cached: bool = True,
        choose: Choice = greedy,
    ) -> Int[Tensor, "B T"]:
        """Write targets token by token: `generate` with this model's start, end and padding.

        Dropout follows the model's mode: call `eval()` first.

        Args:
            src: Source ids, padded on the right, shape `(B, S)`.
            max_len: Most tokens to write.
            cached: Keep the state instead of computing it anew at every step. The same result,
                sooner.
            choose: Picks ids `(B,)` from logits `(B, V)`.

        Returns:
            Ids `(B, T)` without the start symbol; each row up to its `eos_id`, then `pad_id`.

        Raises:
            ValueError: `max_len` below 1, a shape doesn't fit, or logits that aren't numbers.
            TypeError: The ids aren't integers, or `max_len` isn't an int.
        """
        c = self.config
        check_sizes(max_len=max_len)
        check_ids("src", src, "B S")
        start = torch.full((src.shape[0], 1), c.bos_id, device=src.device)
        return generate(
            self, start, max_len, source=src, cached=cached, choose=choose,
            eos_id=c.eos_id, pad_id=c.pad_id,
        )  # fmt: skip

    def _source_mask(self, src: Int[Tensor, "B S"]) -> Bool[Tensor, "B 1 1 S"]:
        """`True` where a key is a token, `(B, S)` → `(B, 1, 1, S)`."""
        return (src != self.config.pad_id)[:, None, None]

    def _lengths(self, src: Tensor) -> Tensor:
        if src.shape[0] < 1:
            raise ValueError(f"src: expected (B, S) with B at least 1; got {_checks.shape(src)}")
        real = src != self.config.pad_id
        lengths = real.sum(dim=1)
        if not bool((lengths > 0).all()):
            raise ValueError("src: expected at least one token in each row, got a row of padding")
        if not bool((real.cumsum(dim=1)[real] == real.nonzero()[:, 1] + 1).all()):
            raise ValueError("src: expected padding on the right, got padding before a token")
        return lengths.cpu()
