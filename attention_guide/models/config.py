"""One frozen dataclass for each family of models."""

from dataclasses import dataclass
from typing import Literal

from attention_guide.layers._check import (
    check_choice,
    check_dropout,
    check_sizes,
    check_token_ids,
    head_width,
)


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of the encoder–decoder Transformer; the defaults are the paper's base model.

    Attributes:
        src_vocab_size: Size of the source vocabulary.
        tgt_vocab_size: Size of the target vocabulary V.
        d_model: Width D of the residual stream.
        n_heads: Heads H in each attention.
        d_ff: Width of the feed-forwards' hidden layer.
        n_layers: Blocks in the encoder.
        n_decoder_layers: Blocks in the decoder; `None` for as many.
        dropout: One rate for embeddings, attention weights, hidden and sublayer outputs.
        norm_first: Norms before the sublayers (pre-norm) instead of after the sums (2017).
        final_norm: A last norm after each stack; `None` for "where `norm_first`".
        tie_weights: "none"; "output": the output layer is the target embedding's matrix; "all":
            and so is the source embedding (one vocabulary), as in the paper.
        max_len: Longest sequence, in tokens.
        pad_id: Id that fills up batches: masked as a key, everywhere.
        bos_id: Id that starts a target.
        eos_id: Id that ends one.

    Raises:
        ValueError: Sizes that don't fit each other, or an id outside its vocabulary.
        TypeError: A size or an id isn't an int, or the dropout not a number.

    Source:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, table 3.
        Post-norm stacks have no last norm there (`torch.nn.Transformer` has one all the same).

    Examples:
        >>> config = TransformerConfig(32_000, 32_000, n_layers=3, norm_first=True)
        >>> config.d_head, config.decoder_depth, config.has_final_norm
        (64, 3, True)
    """

    src_vocab_size: int
    tgt_vocab_size: int
    d_model: int = 512
    n_heads: int = 8
    d_ff: int = 2048
    n_layers: int = 6
    n_decoder_layers: int | None = None
    dropout: float = 0.1
    norm_first: bool = False
    final_norm: bool | None = None
    tie_weights: Literal["none", "output", "all"] = "none"
    max_len: int = 1024
    pad_id: int = 0
    bos_id: int = 1
    eos_id: int = 2

    def __post_init__(self) -> None:
        check_sizes(
            src_vocab_size=self.src_vocab_size,
            tgt_vocab_size=self.tgt_vocab_size,
            d_ff=self.d_ff,
            n_layers=self.n_layers,
            n_decoder_layers=self.n_decoder_layers,
            max_len=self.max_len,
        )
        head_width(self.d_model, self.n_heads, None)
        check_dropout(self.dropout)
        check_choice("tie_weights", self.tie_weights, ("none", "output", "all"))
        check_token_ids(self.src_vocab_size, pad_id=self.pad_id)
        check_token_ids(
            self.tgt_vocab_size, pad_id=self.pad_id, bos_id=self.bos_id, eos_id=self.eos_id
        )
        if self.tie_weights == "all" and self.src_vocab_size != self.tgt_vocab_size:
            raise ValueError(
                'tie_weights: "all" wants one vocabulary; got sizes '
                f"{self.src_vocab_size} and {self.tgt_vocab_size}"
            )

    @property
    def d_head(self) -> int:
        """Head width K."""
        return self.d_model // self.n_heads

    @property
    def decoder_depth(self) -> int:
        """Blocks in the decoder."""
        return self.n_layers if self.n_decoder_layers is None else self.n_decoder_layers

    @property
    def has_final_norm(self) -> bool:
        """Whether a norm follows each stack."""
        return self.norm_first if self.final_norm is None else self.final_norm
