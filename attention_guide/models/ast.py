"""The Audio Spectrogram Transformer: a Vision Transformer that looks at sound."""

from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attention_guide.functional import _checks
from attention_guide.layers import (
    EncoderBlock,
    FeedForward,
    LayerNorm,
    MultiHeadAttention,
    PatchTokens,
    PreNorm,
    xavier_init,
)
from attention_guide.layers._check import check_dropout, check_sizes, head_width
from attention_guide.models.encoder import Encoder


@dataclass(frozen=True)
class ASTConfig:
    """Sizes of the Audio Spectrogram Transformer; the defaults are the paper's.

    Attributes:
        n_mels: Rows of the spectrogram.
        n_frames: Its columns: ten seconds are 1,024.
        patch_size: Mels and frames in a patch.
        mel_stride: Mels from one patch to the next: below `patch_size`, patches overlap.
        frame_stride: Frames from one patch to the next.
        n_classes: Size of the output; 0 for no head, the pooled token itself.
        d_model: Width D of the residual stream.
        n_heads: Heads H in each attention.
        d_ff: Width of the feed-forwards' hidden layer.
        n_layers: Blocks.
        dropout: One rate for embeddings, attention weights, hidden and sublayer outputs.
        norm_eps: What the norms add to the variance.

    Raises:
        ValueError: Sizes that don't fit each other.
        TypeError: A size isn't an int, or the dropout not a number.

    Source:
        Gong et al., "AST: Audio Spectrogram Transformer", Interspeech 2021, arXiv:2104.01778,
        sections 2.1 and 2.2.

    Examples:
        >>> ASTConfig(n_classes=35, n_frames=128).d_head
        64
    """

    n_mels: int = 128
    n_frames: int = 1024
    patch_size: int = 16
    mel_stride: int = 10
    frame_stride: int = 10
    n_classes: int = 527
    d_model: int = 768
    n_heads: int = 12
    d_ff: int = 3072
    n_layers: int = 12
    dropout: float = 0.0
    norm_eps: float = 1e-6

    def __post_init__(self) -> None:
        check_sizes(patch_size=self.patch_size, d_ff=self.d_ff, n_layers=self.n_layers)
        check_sizes(least=0, n_classes=self.n_classes)
        head_width(self.d_model, self.n_heads, None)
        check_dropout(self.dropout)
        for name in ("n_mels", "n_frames"):
            if getattr(self, name) < self.patch_size:
                raise ValueError(
                    f"{name}: expected at least patch_size = {self.patch_size}; "
                    f"got {getattr(self, name)}"
                )
        for name in ("mel_stride", "frame_stride"):
            if not 1 <= getattr(self, name) <= self.patch_size:
                raise ValueError(
                    f"{name}: expected 1 to patch_size = {self.patch_size}; "
                    f"got {getattr(self, name)}"
                )

    @property
    def d_head(self) -> int:
        """Head width K."""
        return self.d_model // self.n_heads


class AST(nn.Module):
    r"""Audio Spectrogram Transformer, $\text{logits} = W \, \mathrm{norm}((z_0 + z_1) / 2)$.

    ```
    spectrogram (B, frames, M) ─ patches (overlapping) ─ dropout ─ encoder ─▶ (B, 2 + N, D)
                            ── mean of the two class tokens ─ norm ─ head ─▶ (B, n_classes)
    ```

    The patches are read mel by mel: all frames of the lowest row of patches first. Of the two
    class tokens, one comes from DeiT, whose weights the paper starts from; there it learns from a
    teacher.

    Args:
        config: The sizes.

    Source:
        Gong et al., "AST: Audio Spectrogram Transformer", Interspeech 2021, arXiv:2104.01778.
        DeiT: Touvron et al., ICML 2021, arXiv:2012.12877.

    Examples:
        >>> import torch
        >>> config = ASTConfig(n_mels=16, n_frames=24, patch_size=8, mel_stride=4, frame_stride=4,
        ...                    n_classes=10, d_model=16, n_heads=2, d_ff=32, n_layers=1)
        >>> model, sound = AST(config), torch.ones(2, 24, 16)
        >>> model(sound).shape, model.encode(sound).shape
        (torch.Size([2, 10]), torch.Size([2, 17, 16]))
    """

    def __init__(self, config: ASTConfig) -> None:
        super().__init__()
        self.config = c = config
        norm = partial(LayerNorm, eps=c.norm_eps)
        self.tokens = PatchTokens(
            c.d_model,
            (c.n_mels, c.n_frames),
            c.patch_size,
            n_channels=1,
            stride=(c.mel_stride, c.frame_stride),
            n_class_tokens=2,
        )
        self.dropout = nn.Dropout(c.dropout)
        blocks = [
            EncoderBlock(
                MultiHeadAttention(c.d_model, c.n_heads, dropout=c.dropout),
                FeedForward(c.d_model, c.d_ff, activation=F.gelu, dropout=c.dropout),
                c.d_model,
                residual=partial(PreNorm, norm=norm, dropout=c.dropout),
            )
            for _ in range(c.n_layers)
        ]
        self.encoder = Encoder(blocks, norm(c.d_model))
        self.head_norm = norm(c.d_model) if c.n_classes else nn.Identity()
        self.head = nn.Linear(c.d_model, c.n_classes) if c.n_classes else nn.Identity()
        xavier_init(self)

    def forward(self, spectrogram: Float[Tensor, "B frames M"]) -> Float[Tensor, "B n_classes"]:
        """Logits `(B, n_classes)` of spectrograms `(B, frames, M)`.

        Raises:
            ValueError: A shape that doesn't fit.
            TypeError: Not floating point.
        """
        pooled = self.pool(self.encode(spectrogram))
        return self.head(self.head_norm(pooled))  # type: ignore[no-any-return]

    def encode(self, spectrogram: Float[Tensor, "B frames M"]) -> Float[Tensor, "B T D"]:
        """All tokens after the last norm, `(B, T, D)` with T = 2 + N: class tokens, patches.

        Args:
            spectrogram: As `filter_bank_energies` makes it, moved to mean 0 and deviation 1/2,
                `(B, frames, M)`. For another number of frames than the config's, the positions
                are interpolated.

        Raises:
            ValueError: A shape that doesn't fit.
            TypeError: Not floating point.
        """
        _checks.floating("spectrogram", spectrogram)
        mels, least = self.config.n_mels, self.config.patch_size
        shape = spectrogram.shape
        if len(shape) != 3 or shape[2] != mels or shape[1] < least:
            raise ValueError(
                f"spectrogram: expected (B, frames, M) with M = {mels} and at least {least} "
                f"frames; got {tuple(shape)}"
            )
        tokens = self.tokens(spectrogram.transpose(1, 2)[:, None])
        return self.encoder(self.dropout(tokens))  # type: ignore[no-any-return]

    def pool(self, tokens: Float[Tensor, "B T D"]) -> Float[Tensor, "B D"]:
        """The mean of the two class tokens, `(B, T, D)` → `(B, D)`."""
        return tokens[:, :2].mean(dim=1)
