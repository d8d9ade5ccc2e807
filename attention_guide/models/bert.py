"""BERT: an encoder that reads in both directions, with heads for masked words and for classes."""

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attention_guide.layers import (
    EncoderBlock,
    FeedForward,
    LayerNorm,
    LearnedPositions,
    MultiHeadAttention,
    PostNorm,
    TokenEmbedding,
)
from attention_guide.layers._check import (
    check_dropout,
    check_ids,
    check_real,
    check_rows,
    check_sizes,
    check_token_ids,
    head_width,
)
from attention_guide.models.encoder import Encoder


@dataclass(frozen=True)
class BertConfig:
    """Sizes of a BERT; the defaults are those of the base model.

    Attributes:
        vocab_size: Size of the vocabulary V.
        d_model: Width D of the residual stream.
        n_heads: Heads H.
        n_layers: Blocks.
        d_ff: Width of the feed-forwards' hidden layer.
        max_len: Longest text, in tokens: rows of the table of positions.
        n_segments: Kinds of segment: first and second sentence.
        dropout: One rate for embeddings, attention weights and sublayer outputs.
        norm_eps: What LayerNorm adds to the variance.
        pad_id: Id that fills up batches: masked as a key, everywhere.

    Raises:
        ValueError: Sizes that don't fit each other, or an id outside the vocabulary.
        TypeError: A size or the id isn't an int, or the dropout not a number.

    Source:
        Devlin et al., "BERT", NAACL 2019, arXiv:1810.04805, section 3.

    Examples:
        >>> BertConfig().d_ff
        3072
    """

    vocab_size: int = 30_522
    d_model: int = 768
    n_heads: int = 12
    n_layers: int = 12
    d_ff: int = 3072
    max_len: int = 512
    n_segments: int = 2
    dropout: float = 0.1
    norm_eps: float = 1e-12
    pad_id: int = 0

    def __post_init__(self) -> None:
        check_sizes(
            vocab_size=self.vocab_size,
            n_layers=self.n_layers,
            d_ff=self.d_ff,
            max_len=self.max_len,
            n_segments=self.n_segments,
        )
        head_width(self.d_model, self.n_heads, None)
        check_dropout(self.dropout)
        check_token_ids(self.vocab_size, pad_id=self.pad_id)


class Bert(nn.Module):
    r"""BERT, $\mathrm{blocks}(\mathrm{norm}(E_{\text{id}_t} + p_t + s_{\text{segment}_t}))$.

    ```
    ids (B, T) ─ embedding + positions + segments ─ norm ─ post-norm blocks ─▶ (B, T, D)
    ```

    Args:
        config: The sizes.
        pooler: Have a layer that makes one vector of a text, see `pool`.

    Source:
        Devlin et al., "BERT", NAACL 2019, arXiv:1810.04805, section 3. The norm after the
        embeddings, the pooler and the exact GELU are those of the code published with it.

    Examples:
        >>> model = Bert(BertConfig(11, d_model=8, n_heads=2, n_layers=1, d_ff=16))
        >>> x = model(torch.tensor([[1, 2, 3], [4, 5, 0]]))
        >>> x.shape, model.pool(x).shape
        (torch.Size([2, 3, 8]), torch.Size([2, 8]))
    """

    def __init__(self, config: BertConfig, *, pooler: bool = True) -> None:
        super().__init__()
        self.config = c = config
        norm = partial(LayerNorm, eps=c.norm_eps)
        self.embedding = TokenEmbedding(c.vocab_size, c.d_model, scale=1.0)
        self.positions = LearnedPositions(c.d_model, max_len=c.max_len)
        self.segments = nn.Embedding(c.n_segments, c.d_model)
        self.norm = norm(c.d_model)
        self.dropout = nn.Dropout(c.dropout)
        self.encoder = Encoder(
            EncoderBlock(
                MultiHeadAttention(c.d_model, c.n_heads, dropout=c.dropout),
                FeedForward(c.d_model, c.d_ff, activation=F.gelu),
                c.d_model,
                residual=partial(PostNorm, norm=norm, dropout=c.dropout),
            )
            for _ in range(c.n_layers)
        )
        self.pooler = nn.Linear(c.d_model, c.d_model) if pooler else None
        _init(self)

    def forward(
        self,
        ids: Int[Tensor, "B T"],
        *,
        segments: Int[Tensor, "B T"] | None = None,
        padding: Bool[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T D"]:
        """A vector for each token, made of the whole text.

        Args:
            ids: `(B, T)`, filled up with `pad_id` on the right.
            segments: Which segment a token is in, `(B, T)`; `None` for the first.
            padding: `True` for a token, `False` for padding, `(B, T)`; `None` for "where the id
                isn't `pad_id`".

        Returns:
            `(B, T, D)`.

        Raises:
            TypeError: Ids or segments that aren't integers, or padding that isn't bool.
            ValueError: A shape that doesn't fit, a text longer than `max_len`, or (on CPU) an id
                or segment that there is no row for.
        """
        check_ids("ids", ids)
        padding = ids != self.config.pad_id if padding is None else padding
        check_real(padding, tuple(ids.shape), "B T")
        segments = torch.zeros_like(ids) if segments is None else segments
        check_ids("segments", segments)
        if segments.shape != ids.shape:
            raise ValueError(
                f"segments: expected {tuple(ids.shape)} as ids; got {tuple(segments.shape)}"
            )
        check_rows("segments", segments, self.segments)
        x = self.positions(self.embedding(ids)) + self.segments(segments)
        x = self.dropout(self.norm(x))
        return self.encoder(x, mask=padding[:, None, None, :])  # type: ignore[no-any-return]

    def pool(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B D"]:
        r"""One vector for a text, $\tanh(W x_0 + b)$, made of its first token, `[CLS]`.

        Args:
            x: What `forward` gave, `(B, T, D)`.

        Returns:
            `(B, D)`.

        Raises:
            ValueError: The model was made without a pooler.
        """
        if self.pooler is None:
            raise ValueError("pooler: this model was made without one")
        return torch.tanh(self.pooler(x[:, 0]))


class BertForMaskedWords(nn.Module):
    r"""BERT that fills gaps, $\text{logits}_t = E \, \mathrm{norm}(\mathrm{gelu}(W x_t)) + b$.

    Args:
        config: The sizes.

    Source:
        Devlin et al., "BERT", NAACL 2019, arXiv:1810.04805, section 3.1, task 1; the layer
        before the embedding's matrix is that of the code published with it.

    Examples:
        >>> model = BertForMaskedWords(BertConfig(11, d_model=8, n_heads=2, n_layers=1, d_ff=16))
        >>> model(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 11])
    """

    def __init__(self, config: BertConfig) -> None:
        super().__init__()
        self.bert = Bert(config, pooler=False)
        self.transform = nn.Linear(config.d_model, config.d_model)
        self.norm = LayerNorm(config.d_model, eps=config.norm_eps)
        self.output_proj = nn.Linear(config.d_model, config.vocab_size)
        _init(self)
        self.output_proj.weight = self.bert.embedding.weight

    @property
    def config(self) -> BertConfig:
        """The sizes."""
        return self.bert.config

    def forward(
        self,
        ids: Int[Tensor, "B T"],
        *,
        segments: Int[Tensor, "B T"] | None = None,
        padding: Bool[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B T V"]:
        """Logits of the word at each place, `(B, T, V)`; arguments, `(B, T)`, as in `Bert`."""
        x = self.bert(ids, segments=segments, padding=padding)
        return self.output_proj(self.norm(F.gelu(self.transform(x))))  # type: ignore[no-any-return]


class BertClassifier(nn.Module):
    r"""BERT that sorts texts, $\text{logits} = W \tanh(W_p x_0 + b_p) + b$.

    Args:
        config: The sizes.
        n_classes: Classes C.

    Raises:
        ValueError: No class.
        TypeError: `n_classes` isn't an int.

    Source:
        Devlin et al., "BERT", NAACL 2019, arXiv:1810.04805, section 4.1.

    Examples:
        >>> model = BertClassifier(BertConfig(11, d_model=8, n_heads=2, n_layers=1, d_ff=16), 3)
        >>> model(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3])
    """

    def __init__(self, config: BertConfig, n_classes: int) -> None:
        super().__init__()
        check_sizes(n_classes=n_classes)
        self.bert = Bert(config)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(config.d_model, n_classes)
        _init(self)

    @property
    def config(self) -> BertConfig:
        """The sizes."""
        return self.bert.config

    def forward(
        self,
        ids: Int[Tensor, "B T"],
        *,
        segments: Int[Tensor, "B T"] | None = None,
        padding: Bool[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B C"]:
        """Logits of each text's class, `(B, C)`; arguments, `(B, T)`, as in `Bert`."""
        x = self.bert(ids, segments=segments, padding=padding)
        return self.classifier(self.dropout(self.bert.pool(x)))  # type: ignore[no-any-return]


def _init(model: nn.Module) -> None:
    """Normal with deviation 0.02, as the code published with the paper."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
