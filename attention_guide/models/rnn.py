"""The recurrent encoder–decoder with attention: what the Transformer took the place of."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from attention_guide.layers._check import check_ids, check_sequence
from attention_guide.layers.alignment import LUONG_SCORES
from attention_guide.layers.recurrent import BahdanauDecoder, LuongDecoder


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
        ValueError: A size below 1, an unknown attention, or a dropout outside [0, 1).
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
        for name in ("src_vocab_size", "tgt_vocab_size", "d_model", "d_embed"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}: expected at least 1, got {value}")
        if self.attention not in ("additive", *LUONG_SCORES):
            raise ValueError(
                f"attention: expected one of additive, {', '.join(LUONG_SCORES)}, "
                f"got {self.attention!r}"
            )
        if not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"dropout: expected 0 ≤ dropout < 1, got {self.dropout}")


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
            ValueError: Not two axes, an empty row, or padding before a token.
            TypeError: The ids aren't integers.
        """
        check_ids("src", src, "B S")
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
            ValueError: A shape doesn't fit.
            TypeError: The ids aren't integers.
        """
        check_ids("tgt", tgt)
        check_sequence("memory", memory, self.decoder.d_memory, "B S M")
        mask = self._source_mask(src)
        inputs = self.dropout(self.tgt_embedding(tgt))
        outputs, state = self.decoder(inputs, memory, state, mask=mask, resumed=resumed)
        return self.head(self.dropout(outputs)), state

    @torch.no_grad()
    def generate(self, src: Int[Tensor, "B S"], *, max_len: int = 64) -> Int[Tensor, "B T"]:
        """Write targets token by token, each the likeliest after those before it.

        Dropout follows the model's mode: call `eval()` first.

        Args:
            src: Source ids, padded on the right, shape `(B, S)`.
            max_len: Most tokens to write.

        Returns:
            Ids `(B, T)` without the start symbol; each row up to its `eos_id`, then `pad_id`.

        Raises:
            ValueError: `max_len` below 1, or a shape doesn't fit.
            TypeError: The ids aren't integers.
        """
        if max_len < 1:
            raise ValueError(f"max_len: expected at least 1, got {max_len}")
        memory, state = self.encode(src)
        token = src.new_full((src.shape[0], 1), self.config.bos_id)
        finished = torch.zeros_like(token, dtype=torch.bool)
        written: list[Tensor] = []
        while len(written) < max_len and not bool(finished.all()):
            logits, state = self.decode(token, memory, src, state, resumed=bool(written))
            token = logits.argmax(dim=-1).masked_fill(finished, self.config.pad_id)
            finished = finished | (token == self.config.eos_id)
            written.append(token)
        return torch.cat(written, dim=1)

    def _source_mask(self, src: Int[Tensor, "B S"]) -> Bool[Tensor, "B 1 1 S"]:
        """`True` where a key is a token, `(B, S)` → `(B, 1, 1, S)`."""
        return (src != self.config.pad_id)[:, None, None]

    def _lengths(self, src: Tensor) -> Tensor:
        real = src != self.config.pad_id
        lengths = real.sum(dim=1)
        if not bool((lengths > 0).all()):
            raise ValueError("src: expected at least one token in each row, got a row of padding")
        if not bool((real.cumsum(dim=1)[real] == real.nonzero()[:, 1] + 1).all()):
            raise ValueError("src: expected padding on the right, got padding before a token")
        return lengths.cpu()
