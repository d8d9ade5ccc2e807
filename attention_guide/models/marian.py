"""Marian's translation models: the Transformer of 2017 with its sines before its cosines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from attention_guide.layers import BlockCache, FeedForward, MultiHeadAttention, SinusoidalPositions
from attention_guide.layers.feedforward import Activation
from attention_guide.models.config import TransformerConfig
from attention_guide.models.seq2seq import Transformer

ACTIVATIONS: dict[str, Activation] = {"relu": F.relu, "swish": F.silu, "gelu": F.gelu}


@dataclass(frozen=True)
class MarianConfig:
    """Sizes of a Marian model; the defaults are those of the Opus-MT models.

    Attributes:
        vocab_size: Size of the one vocabulary of source and target, V.
        d_model: Width D of the residual stream.
        n_heads: Heads H.
        d_ff: Width of the feed-forwards' hidden layer.
        n_layers: Blocks of the encoder.
        n_decoder_layers: Blocks of the decoder; `None` for as many.
        max_len: Longest sequence, in tokens.
        dropout: Share of embeddings and of sublayer outputs that training zeroes.
        activation: Of the feed-forwards: "relu" (2017), "swish" or "gelu".
        pad_id: Id that fills up sources, and that a target starts with.
        eos_id: Id that ends one.

    Source:
        Junczys-Dowmunt et al., "Marian: Fast Neural Machine Translation in C++", ACL 2018,
        arXiv:1804.00344; Tiedemann and Thottingal, "OPUS-MT", EAMT 2020.

    Examples:
        >>> MarianConfig(100, pad_id=99).bos_id
        99
    """

    vocab_size: int
    d_model: int = 512
    n_heads: int = 8
    d_ff: int = 2048
    n_layers: int = 6
    n_decoder_layers: int | None = None
    max_len: int = 512
    dropout: float = 0.1
    activation: Literal["relu", "swish", "gelu"] = "swish"
    pad_id: int = 0
    eos_id: int = 1

    @property
    def bos_id(self) -> int:
        """Id that starts a target."""
        return self.pad_id


class Marian(Transformer):
    r"""Marian, the `Transformer` of 2017 with a bias on its logits and one vocabulary.

    Args:
        config: The sizes.

    Source:
        Vaswani et al., arXiv:1706.03762, as Marian has it: Junczys-Dowmunt et al., ACL 2018,
        arXiv:1804.00344.

    Examples:
        >>> config = MarianConfig(11, d_model=16, n_heads=2, d_ff=32, n_layers=1)
        >>> src, tgt = torch.tensor([[5, 6, 7, 1], [8, 1, 0, 0]]), torch.tensor([[0, 9], [0, 4]])
        >>> Marian(config)(src, tgt).shape
        torch.Size([2, 2, 11])
    """

    logits_bias: Tensor

    def __init__(self, config: MarianConfig) -> None:
        c = config
        if c.activation not in ACTIVATIONS:
            raise ValueError(f"activation: expected one of {list(ACTIVATIONS)}; got {c.activation}")
        sizes = TransformerConfig(
            c.vocab_size, c.vocab_size, c.d_model, c.n_heads,
            d_ff=c.d_ff, n_layers=c.n_layers, n_decoder_layers=c.n_decoder_layers,
            dropout=c.dropout, tie_weights="all", max_len=c.max_len,
            pad_id=c.pad_id, bos_id=c.bos_id, eos_id=c.eos_id,
        )  # fmt: skip

        def attention(d_model: int, n_heads: int, dropout: float) -> nn.Module:
            return MultiHeadAttention(d_model, n_heads)

        def feed_forward(d_model: int, d_ff: int, dropout: float) -> nn.Module:
            return FeedForward(d_model, d_ff, activation=ACTIVATIONS[c.activation])

        super().__init__(sizes, attention=attention, feed_forward=feed_forward)
        self.config = config  # type: ignore[assignment]
        # As in Marian: what is looked up there teaches nothing, although targets start with it.
        self.src_embedding.padding_idx = self.tgt_embedding.padding_idx = c.pad_id
        self.positions = SplitSinusoidalPositions(c.d_model, max_len=c.max_len)
        self.register_buffer("logits_bias", torch.zeros(1, c.vocab_size))

    def decode(
        self,
        tgt: Int[Tensor, "B T"],
        memory: Float[Tensor, "B S D"],
        src: Int[Tensor, "B S"],
        *,
        cache: Sequence[BlockCache] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token after each of `tgt`, given the memory; as in `Transformer`.

        `tgt` is `(B, T)`, `memory` `(B, S, D)`, `src` `(B, S)`, what comes out `(B, T, V)`.
        Nothing is hidden in the target but the future: it starts with `pad_id`, and padding at
        its end is in the future of every token.
        """
        self._check_decode(tgt, memory, src)
        offset = cache[0].self_attention.length if cache else 0
        x = self.dropout(self.positions(self.tgt_embedding(tgt), offset))
        x = self.decoder(x, memory, memory_mask=self.padding_mask(src), cache=cache)
        return self.output_proj(x) + self.logits_bias  # type: ignore[no-any-return]


class SplitSinusoidalPositions(SinusoidalPositions):
    """Sinusoidal positions with all sines before all cosines.

    The features of the paper's table in another order, which a trained model isn't indifferent to.

    Args:
        d_model: Width D, even.
        max_len: Rows of the table, made once; it isn't part of the state dict.

    Source:
        Vaswani et al., arXiv:1706.03762, section 3.5, where they alternate; the order of
        tensor2tensor, and so of Marian.

    Examples:
        >>> SplitSinusoidalPositions(4, max_len=10)(torch.zeros(1, 1, 4))
        tensor([[[0., 0., 1., 1.]]])
    """

    def __init__(self, d_model: int, *, max_len: int = 1024) -> None:
        super().__init__(d_model, max_len=max_len)
        self.table = _split(self.table)

    def _apply(
        self, fn: Callable[[Tensor], Tensor], recurse: bool = True
    ) -> "SplitSinusoidalPositions":
        super()._apply(fn, recurse)
        self.table = _split(self.table)
        return self


def _split(table: Tensor) -> Tensor:
    return torch.cat([table[:, 0::2], table[:, 1::2]], dim=1)
