"""The Vision Transformer: an encoder that reads patches, with class token and registers or not."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attention_guide.layers import (
    EncoderBlock,
    FeedForward,
    LayerNorm,
    MultiHeadAttention,
    PatchTokens,
    PreNorm,
    xavier_init,
)
from attention_guide.models.encoder import Encoder


@dataclass(frozen=True)
class ViTConfig:
    """Sizes of the Vision Transformer; the defaults are the paper's ViT-B/16.

    Attributes:
        image_size: Height and width of the images, in pixels: a number, or a pair.
        patch_size: Height and width of a patch.
        n_channels: Channels C of the images.
        n_classes: Size of the output; 0 for no head, the pooled token itself.
        d_model: Width D of the residual stream.
        n_heads: Heads H in each attention.
        d_ff: Width of the feed-forwards' hidden layer.
        n_layers: Blocks.
        class_token: Read the result from a learned token in front; otherwise from the mean over
            the patches.
        n_registers: Learned tokens beside the patches that nothing reads the result from.
        dropout: One rate for embeddings, attention weights, hidden and sublayer outputs.
        norm_eps: What the norms add to the variance.

    Raises:
        ValueError: Sizes that don't fit each other.

    Source:
        Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, arXiv:2010.11929, table 1.

    Examples:
        >>> config = ViTConfig(image_size=32, patch_size=4, n_classes=10)
        >>> config.image_shape, config.d_head
        ((32, 32), 64)
    """

    image_size: int | tuple[int, int] = 224
    patch_size: int = 16
    n_channels: int = 3
    n_classes: int = 1000
    d_model: int = 768
    n_heads: int = 12
    d_ff: int = 3072
    n_layers: int = 12
    class_token: bool = True
    n_registers: int = 0
    dropout: float = 0.0
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        for name in ("patch_size", "n_channels", "d_model", "n_heads", "d_ff", "n_layers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1; got {getattr(self, name)}")
        for name in ("n_classes", "n_registers"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected at least 0; got {getattr(self, name)}")
        if self.d_model % self.n_heads:
            raise ValueError(
                f"n_heads: expected a divisor of d_model = {self.d_model}; got {self.n_heads}"
            )
        if any(side % self.patch_size or side < 1 for side in self.image_shape):
            raise ValueError(
                f"image_size: expected multiples of patch_size = {self.patch_size}; "
                f"got {self.image_size}"
            )
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout: expected 0 ≤ dropout < 1; got {self.dropout}")

    @property
    def image_shape(self) -> tuple[int, int]:
        """Height and width of the images."""
        size = self.image_size
        return (size, size) if isinstance(size, int) else (size[0], size[1])

    @property
    def d_head(self) -> int:
        """Head width K."""
        return self.d_model // self.n_heads


class ViT(nn.Module):
    r"""Vision Transformer, $\text{logits} = W \, \mathrm{pool}(\mathrm{enc}(\text{patches}))$.

    ```
    images (B, C, height, width) ─ tokens ─ dropout ─ encoder ─▶ (B, F + R + N, D)
                                                   ── pool ─▶ (B, D) ── head ─▶ (B, n_classes)
    ```

    With a class token (F = 1), `pool` is that token; without, the mean over the N patches.
    Registers are in neither.

    Args:
        config: The sizes.
        attention: Makes an attention, called as `attention(d_model, n_heads, dropout=)`.
        feed_forward: Makes a feed-forward, called as `feed_forward(d_model, d_ff, dropout=)`;
            `None` for `FeedForward` with GELU.
        norm: Makes a norm of a given width; `None` for `LayerNorm` with the config's eps.

    Source:
        Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, arXiv:2010.11929,
        equations 1 to 4. Registers: Darcet et al., ICLR 2024, arXiv:2309.16588. Mean over the
        patches: Beyer et al., "Better plain ViT baselines for ImageNet-1k", 2022,
        arXiv:2205.01580.

    Examples:
        >>> import torch
        >>> config = ViTConfig(8, patch_size=4, n_classes=10, d_model=16, n_heads=2, d_ff=32,
        ...                    n_layers=2, n_registers=3)
        >>> model, images = ViT(config), torch.ones(2, 3, 8, 8)
        >>> model(images).shape, model.encode(images).shape
        (torch.Size([2, 10]), torch.Size([2, 8, 16]))
    """

    def __init__(
        self,
        config: ViTConfig,
        *,
        attention: Callable[..., nn.Module] = MultiHeadAttention,
        feed_forward: Callable[..., nn.Module] | None = None,
        norm: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.config = c = config
        feed_forward = feed_forward or partial(FeedForward, activation=F.gelu)
        norm = norm or partial(LayerNorm, eps=c.norm_eps)
        self.tokens = PatchTokens(
            c.d_model,
            c.image_shape,
            c.patch_size,
            c.n_channels,
            n_class_tokens=int(c.class_token),
            n_registers=c.n_registers,
        )
        self.dropout = nn.Dropout(c.dropout)
        residual = partial(PreNorm, norm=norm, dropout=c.dropout)
        self.encoder = Encoder(
            [
                EncoderBlock(
                    attention(c.d_model, c.n_heads, dropout=c.dropout),
                    feed_forward(c.d_model, c.d_ff, dropout=c.dropout),
                    c.d_model,
                    residual=residual,
                )
                for _ in range(c.n_layers)
            ],
            norm(c.d_model),
        )
        self.head = nn.Linear(c.d_model, c.n_classes) if c.n_classes else nn.Identity()
        xavier_init(self)

    def forward(self, images: Float[Tensor, "B C height width"]) -> Float[Tensor, "B n_classes"]:
        """Logits `(B, n_classes)` of images `(B, C, height, width)`.

        Raises:
            ValueError: A shape that doesn't fit.
            TypeError: Not floating point.
        """
        return self.head(self.pool(self.encode(images)))  # type: ignore[no-any-return]

    def encode(self, images: Float[Tensor, "B C height width"]) -> Float[Tensor, "B T D"]:
        """All tokens of images `(B, C, height, width)` after the last norm, `(B, T, D)`.

        The class token comes first, then registers, then patches. Images of another size than the
        config's have another grid of patches, for which the positions are interpolated.

        Raises:
            ValueError: A shape that doesn't fit.
            TypeError: Not floating point.
        """
        return self.encoder(self.dropout(self.tokens(images)))  # type: ignore[no-any-return]

    def pool(self, tokens: Float[Tensor, "B T D"]) -> Float[Tensor, "B D"]:
        """One vector an image, `(B, T, D)` → `(B, D)`: class token, or the mean of the patches."""
        if self.config.class_token:
            return tokens[:, 0]
        return tokens[:, self.tokens.n_extra :].mean(dim=1)
