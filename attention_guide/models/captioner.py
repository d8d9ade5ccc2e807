"""A captioner: a Vision Transformer that looks, and a text decoder that tells what it sees."""

from dataclasses import dataclass, field, replace
from functools import partial

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from attention_guide.layers import (
    DecoderBlock,
    FeedForward,
    LayerNorm,
    MultiHeadAttention,
    PreNorm,
    xavier_init,
)
from attention_guide.layers._check import (
    check_dropout,
    check_sizes,
    check_token_ids,
    head_width,
)
from attention_guide.models.text_decoder import EncoderTextDecoder, TextDecoder
from attention_guide.models.vit import ViT, ViTConfig


@dataclass(frozen=True)
class CaptionerConfig:
    """Sizes of the captioner: a `ViTConfig` for the eyes, the rest for the mouth.

    Attributes:
        vocab_size: Size of the vocabulary V.
        image: Sizes of the Vision Transformer; its `n_classes` doesn't matter.
        max_len: Longest caption, in tokens.
        d_model: Width D of the decoder's residual stream.
        n_heads: Heads H in each of its attentions.
        d_ff: Width of its feed-forwards' hidden layer.
        n_layers: Its blocks.
        dropout: Its one rate for embeddings, attention weights, hidden and sublayer outputs.
        norm_eps: What its norms add to the variance.
        pad_id: Id that follows a caption's end in a batch.
        bos_id: Id that starts a caption.
        eos_id: Id that ends one.

    Raises:
        ValueError: Sizes that don't fit each other, or an id outside the vocabulary.
        TypeError: A size or an id isn't an int, or the dropout not a number.

    Examples:
        >>> CaptionerConfig(100, ViTConfig(32, 8), d_model=64, n_heads=4).d_head
        16
    """

    vocab_size: int
    image: ViTConfig = field(default_factory=ViTConfig)
    max_len: int = 64
    d_model: int = 768
    n_heads: int = 12
    d_ff: int = 3072
    n_layers: int = 12
    dropout: float = 0.0
    norm_eps: float = 1e-5
    pad_id: int = 0
    bos_id: int = 1
    eos_id: int = 2

    def __post_init__(self) -> None:
        check_sizes(
            vocab_size=self.vocab_size,
            max_len=self.max_len,
            d_ff=self.d_ff,
            n_layers=self.n_layers,
        )
        head_width(self.d_model, self.n_heads, None)
        check_dropout(self.dropout)
        check_token_ids(self.vocab_size, pad_id=self.pad_id, bos_id=self.bos_id, eos_id=self.eos_id)

    @property
    def d_head(self) -> int:
        """Head width K of the decoder."""
        return self.d_model // self.n_heads


class Captioner(EncoderTextDecoder):
    r"""Captioner, $\text{logits} = E \, \mathrm{dec}(\text{caption}, \mathrm{vit}(\text{image}))$.

    ```
    images (B, C, height, width) ─ vit ─▶ memory (B, S, M): a token a patch
                                             │
    captions (B, T) ─ embed + positions ─ decoder ◀─┘
                                             └─ · embeddingᵀ ─▶ logits (B, T, V)
    ```

    The cross-attention's weights say where in the image a word looked: row t, column s is patch
    `s - vit.tokens.n_extra`, patches read as a book is.

    Args:
        config: The sizes.

    Source:
        Attention from words to places in an image: Xu et al., "Show, Attend and Tell", ICML 2015,
        arXiv:1502.03044. The decoder is GPT-2's with cross-attention in each block: Radford et
        al., "Language Models are Unsupervised Multitask Learners", 2019.

    Examples:
        >>> import torch
        >>> image = ViTConfig(8, 4, d_model=24, n_heads=2, d_ff=32, n_layers=1)
        >>> config = CaptionerConfig(20, image, d_model=16, n_heads=2, d_ff=32, n_layers=1)
        >>> model, images = Captioner(config).eval(), torch.ones(2, 3, 8, 8)
        >>> captions = torch.tensor([[1, 5, 6], [1, 7, 0]])
        >>> model(images, captions).shape, model.generate(images, max_new=4).shape[0]
        (torch.Size([2, 3, 20]), 2)
    """

    def __init__(self, config: CaptionerConfig) -> None:
        super().__init__()
        self.config = c = config
        self.vit = ViT(replace(c.image, n_classes=0))
        norm = partial(LayerNorm, eps=c.norm_eps)
        attend = partial(MultiHeadAttention, c.d_model, c.n_heads, dropout=c.dropout)
        activation = partial(F.gelu, approximate="tanh")
        blocks = [
            DecoderBlock(
                attend(),
                attend(d_memory=c.image.d_model),
                FeedForward(c.d_model, c.d_ff, activation=activation, dropout=c.dropout),
                c.d_model,
                residual=partial(PreNorm, norm=norm, dropout=c.dropout),
            )
            for _ in range(c.n_layers)
        ]
        self.decoder = TextDecoder(
            c.vocab_size, c.d_model, blocks, norm(c.d_model), max_len=c.max_len, dropout=c.dropout
        )
        xavier_init(self)

    def forward(
        self, images: Float[Tensor, "B C height width"], captions: Int[Tensor, "B T"]
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token after each of `captions`.

        Args:
            images: `(B, C, height, width)`.
            captions: Ids from `bos_id` on, `(B, T)`, filled up on the right with anything.

        Returns:
            Logits, `(B, T, V)`.

        Raises:
            ValueError: A shape that doesn't fit, or a caption longer than `max_len`.
            TypeError: Images that aren't floating point, or ids that aren't integers.
        """
        return self.decode(captions, self.encode(images))

    def encode(self, images: Float[Tensor, "B C height width"]) -> Float[Tensor, "B S M"]:
        """The memory of images `(B, C, height, width)`: all tokens of the ViT, `(B, S, M)`."""
        return self.vit.encode(images)
