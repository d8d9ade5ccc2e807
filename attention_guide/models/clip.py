"""CLIP: a tower for images and one for texts, trained to put pairs side by side."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from attention_guide.functional import _checks, causal_mask
from attention_guide.layers import (
    EncoderBlock,
    FeedForward,
    LayerNorm,
    LearnedPositions,
    MultiHeadAttention,
    PatchTokens,
    PreNorm,
    TokenEmbedding,
    xavier_init,
)
from attention_guide.layers._check import check_ids, check_sizes, check_token_ids
from attention_guide.models.encoder import Encoder


@dataclass(frozen=True)
class CLIPConfig:
    """Sizes of CLIP; the defaults are those of the published ViT-B/32.

    Feed-forwards are four times as wide as their tower.

    Attributes:
        vocab_size: Size of the vocabulary V.
        max_len: Longest text, in tokens.
        eos_id: Id that ends a text; the text is read from there.
        d_text: Width of the text tower.
        n_text_heads: Heads in each of its attentions.
        n_text_layers: Its blocks.
        image_size: Height and width of the images, in pixels.
        patch_size: Height and width of a patch.
        n_channels: Channels C of the images.
        d_image: Width of the image tower.
        n_image_heads: Heads in each of its attentions.
        n_image_layers: Its blocks.
        d_joint: Width of the space where images and texts meet.
        norm_eps: What the norms add to the variance.

    Raises:
        ValueError: Sizes that don't fit each other, or an id outside the vocabulary.
        TypeError: A size or the id isn't an int.

    Source:
        Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
        ICML 2021, arXiv:2103.00020.

    Examples:
        >>> CLIPConfig(eos_id=99, vocab_size=100).d_joint
        512
    """

    vocab_size: int = 49408
    max_len: int = 77
    eos_id: int = 49407
    d_text: int = 512
    n_text_heads: int = 8
    n_text_layers: int = 12
    image_size: int = 224
    patch_size: int = 32
    n_channels: int = 3
    d_image: int = 768
    n_image_heads: int = 12
    n_image_layers: int = 12
    d_joint: int = 512
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        check_sizes(
            vocab_size=self.vocab_size,
            max_len=self.max_len,
            n_text_layers=self.n_text_layers,
            image_size=self.image_size,
            patch_size=self.patch_size,
            n_channels=self.n_channels,
            n_image_layers=self.n_image_layers,
            d_joint=self.d_joint,
        )
        for width, heads in (("d_text", "n_text_heads"), ("d_image", "n_image_heads")):
            d, h = getattr(self, width), getattr(self, heads)
            if d < 1 or h < 1 or d % h:
                raise ValueError(f"{heads}: expected a divisor of {width} = {d}; got {h}")
        if self.image_size % self.patch_size:
            raise ValueError(
                f"image_size: expected a multiple of patch_size = {self.patch_size}; "
                f"got {self.image_size}"
            )
        check_token_ids(self.vocab_size, eos_id=self.eos_id)


def quick_gelu(x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
    r"""GELU's quick approximation, $x \, \sigma(1.702 \, x)$, at most 0.021 off.

    Args:
        x: Any floating-point tensor, `(..., D)`.

    Returns:
        The same shape, `(..., D)`.

    Source:
        Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415, section 2.

    Examples:
        >>> import torch
        >>> quick_gelu(torch.tensor([0.0, 1.0]))
        tensor([0.0000, 0.8458])
    """
    return x * torch.sigmoid(1.702 * x)


def contrastive_loss(logits: Float[Tensor, "B B"]) -> Float[Tensor, ""]:
    r"""CLIP's loss: the cross-entropy of finding each image's text, and each text's image.

    $$-(2B)^{-1} \sum_i \Big(\log \mathrm{softmax}_j(s_{ij})_i
    + \log \mathrm{softmax}_j(s_{ji})_i\Big)$$

    Args:
        logits: Similarity of image i and text j, `(B, B)`; pairs are on the diagonal.

    Returns:
        A scalar; $\ln B$ where nothing is told apart.

    Raises:
        ValueError: Not square.
        TypeError: Not floating point.

    Source:
        Radford et al., ICML 2021, arXiv:2103.00020, figure 3.

    Examples:
        >>> import torch
        >>> contrastive_loss(torch.zeros(4, 4))
        tensor(1.3863)
    """
    _checks.floating("logits", logits)
    if logits.ndim != 2 or logits.shape[0] != logits.shape[1]:
        raise ValueError(f"logits: expected (B, B), images by texts; got {_checks.shape(logits)}")
    pairs = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, pairs) + F.cross_entropy(logits.T, pairs)) / 2


class CLIP(nn.Module):
    r"""CLIP, $\text{logits}_{ij} = e^\tau \cos(\text{image}_i, \text{text}_j)$.

    ```
    images (B, C, height, width) ─ patches ─ norm ─ encoder ─ class token ─ proj ─▶ (B, J) ┐
                                                                                 cosines · e^τ
    texts (B2, T) ─ embed + positions ─ causal encoder ─ token at eos ─ proj ─▶ (B2, J) ┘
    ```

    The temperature is learned as $\tau$, so that it stays positive. Texts need no padding mask:
    what follows `eos_id` is in the future of the only token that is read.

    Args:
        config: The sizes.
        activation: Between the two matrices of each feed-forward. The published weights were
            trained with `quick_gelu`.

    Source:
        Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
        ICML 2021, arXiv:2103.00020, sections 2.3 to 2.5.

    Examples:
        >>> import torch
        >>> config = CLIPConfig(vocab_size=20, max_len=8, eos_id=19, d_text=16, n_text_heads=2,
        ...                     n_text_layers=1, image_size=8, patch_size=4, d_image=16,
        ...                     n_image_heads=2, n_image_layers=1, d_joint=12)
        >>> texts = torch.tensor([[5, 6, 19, 0], [7, 8, 9, 19]])
        >>> logits = CLIP(config)(torch.ones(2, 3, 8, 8), texts)
        >>> logits.shape, contrastive_loss(logits).ndim
        (torch.Size([2, 2]), 0)
    """

    def __init__(
        self, config: CLIPConfig, *, activation: Callable[[Tensor], Tensor] = quick_gelu
    ) -> None:
        super().__init__()
        self.config = c = config
        self.activation = activation
        norm = partial(LayerNorm, eps=c.norm_eps)
        size = (c.image_size, c.image_size)
        self.image_tokens = PatchTokens(c.d_image, size, c.patch_size, c.n_channels, bias=False)
        self.image_norm = norm(c.d_image)
        self.image_encoder = _tower(c.d_image, c.n_image_heads, c.n_image_layers, activation, norm)
        self.image_proj = nn.Linear(c.d_image, c.d_joint, bias=False)
        self.text_embedding = TokenEmbedding(c.vocab_size, c.d_text, scale=1.0)
        self.text_positions = LearnedPositions(c.d_text, max_len=c.max_len)
        self.text_encoder = _tower(c.d_text, c.n_text_heads, c.n_text_layers, activation, norm)
        self.text_proj = nn.Linear(c.d_text, c.d_joint, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        xavier_init(self)

    def forward(
        self, images: Float[Tensor, "B C height width"], texts: Int[Tensor, "B2 T"]
    ) -> Float[Tensor, "B B2"]:
        """Logits of every image with every text, `(B, B2)`.

        Args:
            images: `(B, C, height, width)`.
            texts: Ids, `(B2, T)`.

        Raises:
            ValueError: A shape that doesn't fit, or a text without `eos_id`.
            TypeError: Images that aren't floating point, or ids that aren't integers.
        """
        return self.log_scale.exp() * self.embed_images(images) @ self.embed_texts(texts).T

    def embed_images(self, images: Float[Tensor, "B C height width"]) -> Float[Tensor, "B J"]:
        """Unit vectors `(B, J)` of images `(B, C, height, width)`."""
        x = self.image_encoder(self.image_norm(self.image_tokens(images)))
        return F.normalize(self.image_proj(x[:, 0]), dim=-1)

    def embed_texts(self, texts: Int[Tensor, "B T"]) -> Float[Tensor, "B J"]:
        """Unit vectors `(B, J)` of texts `(B, T)`; each is read at its first `eos_id`."""
        check_ids("texts", texts)
        ends = texts == self.config.eos_id
        if not bool(ends.any(dim=1).all()):
            raise ValueError(f"texts: expected eos_id = {self.config.eos_id} in every row")
        x = self.text_positions(self.text_embedding(texts))
        x = self.text_encoder(x, mask=causal_mask(texts.shape[1], device=texts.device))
        rows = torch.arange(len(texts), device=texts.device)
        return F.normalize(self.text_proj(x[rows, ends.int().argmax(dim=1)]), dim=-1)

    @torch.no_grad()
    def clip_scale(self, most: float = 100.0) -> None:
        """Hold the factor on the cosines at `most`; call it after each step of the optimiser.

        Source:
            Radford et al., ICML 2021, arXiv:2103.00020, section 2.5.
        """
        self.log_scale.clamp_(max=math.log(most))


def _tower(
    d_model: int,
    n_heads: int,
    n_layers: int,
    activation: Callable[[Tensor], Tensor],
    norm: Callable[[int], nn.Module],
) -> Encoder:
    blocks = [
        EncoderBlock(
            MultiHeadAttention(d_model, n_heads),
            FeedForward(d_model, 4 * d_model, activation=activation),
            d_model,
            residual=partial(PreNorm, norm=norm),
        )
        for _ in range(n_layers)
    ]
    return Encoder(blocks, norm(d_model))
