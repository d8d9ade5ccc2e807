"""A speech encoder–decoder like Whisper: a spectrogram in, text out."""

import math
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from attention_guide.functional import _checks
from attention_guide.layers import (
    DecoderBlock,
    EncoderBlock,
    FeedForward,
    LayerNorm,
    MultiHeadAttention,
    PreNorm,
    xavier_init,
)
from attention_guide.layers._check import (
    check_dropout,
    check_dtype,
    check_sizes,
    check_token_ids,
    head_width,
)
from attention_guide.models.encoder import Encoder
from attention_guide.models.text_decoder import EncoderTextDecoder, TextDecoder


@dataclass(frozen=True)
class WhisperConfig:
    """Sizes of the speech encoder–decoder; the defaults are those of Whisper tiny.

    Attributes:
        vocab_size: Size of the vocabulary V.
        n_mels: Rows of the spectrogram.
        n_positions: Longest memory S: half as many as the frames of a spectrogram.
        max_len: Longest text, in tokens.
        d_model: Width D of the residual stream.
        n_heads: Heads H in each attention.
        d_ff: Width of the feed-forwards' hidden layer.
        n_encoder_layers: Blocks in the encoder.
        n_decoder_layers: Blocks in the decoder.
        dropout: One rate for embeddings, attention weights, hidden and sublayer outputs.
        pad_id: Id that follows a text's end in a batch; Whisper takes `eos_id` itself.
        bos_id: Id that starts a text.
        eos_id: Id that ends one.

    Raises:
        ValueError: Sizes that don't fit each other, or an id outside the vocabulary.
        TypeError: A size or an id isn't an int, or the dropout not a number.

    Source:
        Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", ICML 2023,
        arXiv:2212.04356, table 1.

    Examples:
        >>> WhisperConfig().n_frames
        3000
    """

    vocab_size: int = 51865
    n_mels: int = 80
    n_positions: int = 1500
    max_len: int = 448
    d_model: int = 384
    n_heads: int = 6
    d_ff: int = 1536
    n_encoder_layers: int = 4
    n_decoder_layers: int = 4
    dropout: float = 0.0
    pad_id: int = 50257
    bos_id: int = 50258
    eos_id: int = 50257

    def __post_init__(self) -> None:
        check_sizes(
            vocab_size=self.vocab_size,
            n_mels=self.n_mels,
            n_positions=self.n_positions,
            max_len=self.max_len,
            d_ff=self.d_ff,
            n_encoder_layers=self.n_encoder_layers,
            n_decoder_layers=self.n_decoder_layers,
        )
        head_width(self.d_model, self.n_heads, None)
        check_dropout(self.dropout)
        if self.d_model < 4 or self.d_model % 2:
            raise ValueError(f"d_model: expected an even number from 4; got {self.d_model}")
        check_token_ids(self.vocab_size, pad_id=self.pad_id, bos_id=self.bos_id, eos_id=self.eos_id)

    @property
    def n_frames(self) -> int:
        """Longest spectrogram, in frames."""
        return 2 * self.n_positions


def stacked_sinusoids(n_positions: int, d_model: int) -> Float[Tensor, "S D"]:
    r"""Whisper's sinusoids: all sines, then all cosines, $\sin(t \, 10000^{-2i/(D-2)})$.

    The 2017 table alternates sines and cosines, and its slowest wave is a little faster: the
    exponent there is $-2i/D$.

    Args:
        n_positions: Rows S.
        d_model: Width D, even.

    Returns:
        `(S, D)`.

    Raises:
        ValueError: The width is odd or below 4.

    Source:
        The published weights of Radford et al., ICML 2023, arXiv:2212.04356, whose section 2.2
        only says "sinusoidal".

    Examples:
        >>> stacked_sinusoids(2, 4)[0]
        tensor([0., 0., 1., 1.])
    """
    if d_model < 4 or d_model % 2:
        raise ValueError(f"d_model: expected an even number from 4; got {d_model}")
    half = d_model // 2
    steps = torch.exp(torch.arange(half) * (-math.log(10_000) / (half - 1)))
    angles = torch.arange(n_positions)[:, None] * steps
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class SpeechStem(nn.Module):
    r"""Two convolutions over time, GELU after each: $(B, M, 2S) \to (B, S, D)$, plus positions.

    The second takes every other frame, so that the attention that follows costs a quarter.

    Args:
        n_mels: Rows M of the spectrogram.
        d_model: Width D.
        n_positions: Longest output S.

    Source:
        Radford et al., ICML 2023, arXiv:2212.04356, section 2.2.

    Examples:
        >>> SpeechStem(8, 16, 10)(torch.ones(1, 8, 20)).shape
        torch.Size([1, 10, 16])
    """

    positions: Tensor

    def __init__(self, n_mels: int, d_model: int, n_positions: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(n_mels, d_model, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(d_model, d_model, kernel_size=3, stride=2, padding=1)
        # In the state dict, although it isn't learned: published files carry their own rounding.
        self.register_buffer("positions", stacked_sinusoids(n_positions, d_model))

    def forward(self, spectrogram: Float[Tensor, "B M frames"]) -> Float[Tensor, "B S D"]:
        """Features `(B, S, D)` of a spectrogram `(B, M, frames)`, two frames each."""
        _checks.floating("spectrogram", spectrogram)
        mels, most = self.conv1.in_channels, 2 * len(self.positions)
        shape = spectrogram.shape
        if len(shape) != 3 or shape[1] != mels or not 1 <= shape[2] <= most:
            raise ValueError(
                f"spectrogram: expected (B, M, frames) with M = {mels} and 1 to {most} frames; "
                f"got {tuple(shape)}"
            )
        check_dtype("spectrogram", spectrogram, self.conv1.weight)
        x = F.gelu(self.conv2(F.gelu(self.conv1(spectrogram)))).transpose(1, 2)
        return x + self.positions[: x.shape[1]]


class Whisper(EncoderTextDecoder):
    r"""Whisper, $\text{logits} = E \, \mathrm{dec}(\text{text}, \mathrm{enc}(\text{sound}))$.

    ```
    spectrogram (B, M, 2S) ─ stem ─ dropout ─ encoder ─▶ memory (B, S, D)
                                                            │
    text (B, T) ─ embed + positions ─ dropout ─ decoder ◀───┘
                                          └─ · embeddingᵀ ─▶ logits (B, T, V)
    ```

    Nothing is masked but the future: silence is sound, too, and what follows `eos_id` in a batch
    is in the future of everything that counts. Keys have no bias: it would add the same to all of
    a query's scores, and the softmax takes that out again.

    Args:
        config: The sizes.

    Source:
        Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", ICML 2023,
        arXiv:2212.04356, section 2.2. Keys without bias are the published code's.

    Examples:
        >>> config = WhisperConfig(vocab_size=20, n_mels=8, n_positions=10, max_len=12, d_model=16,
        ...                        n_heads=2, d_ff=32, n_encoder_layers=1, n_decoder_layers=1,
        ...                        pad_id=0, bos_id=1, eos_id=2)
        >>> model = Whisper(config).eval()
        >>> sound, text = torch.ones(2, 8, 20), torch.tensor([[1, 5, 6], [1, 7, 8]])
        >>> model(sound, text).shape, model.generate(sound, max_new=4).shape[0]
        (torch.Size([2, 3, 20]), 2)
    """

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.config = c = config
        self.stem = SpeechStem(c.n_mels, c.d_model, c.n_positions)
        self.dropout = nn.Dropout(c.dropout)
        feed = partial(FeedForward, c.d_model, c.d_ff, activation=F.gelu, dropout=c.dropout)
        residual = partial(PreNorm, dropout=c.dropout)
        self.encoder = Encoder(
            [
                EncoderBlock(_keys_without_bias(c), feed(), c.d_model, residual=residual)
                for _ in range(c.n_encoder_layers)
            ],
            LayerNorm(c.d_model),
        )
        blocks = [
            DecoderBlock(
                _keys_without_bias(c), _keys_without_bias(c), feed(), c.d_model, residual=residual
            )
            for _ in range(c.n_decoder_layers)
        ]
        self.decoder = TextDecoder(
            c.vocab_size,
            c.d_model,
            blocks,
            LayerNorm(c.d_model),
            max_len=c.max_len,
            dropout=c.dropout,
        )
        xavier_init(self)

    def forward(
        self, spectrogram: Float[Tensor, "B M frames"], text: Int[Tensor, "B T"]
    ) -> Float[Tensor, "B T V"]:
        """Logits of the token after each of `text`.

        Args:
            spectrogram: As `log_mel_spectrogram` makes it, `(B, M, frames)`.
            text: Ids from `bos_id` on, `(B, T)`.

        Returns:
            Logits, `(B, T, V)`.

        Raises:
            ValueError: A shape that doesn't fit, or a sequence that is too long.
            TypeError: Sound that isn't floating point, or ids that aren't integers.
        """
        return self.decode(text, self.encode(spectrogram))

    def encode(self, spectrogram: Float[Tensor, "B M frames"]) -> Float[Tensor, "B S D"]:
        """The memory, `(B, S, D)`, of a spectrogram `(B, M, frames)`.

        The published weights know whole windows of 30 seconds: fill the waveform up with zeros.
        """
        return self.encoder(self.dropout(self.stem(spectrogram)))  # type: ignore[no-any-return]


def _keys_without_bias(c: WhisperConfig) -> MultiHeadAttention:
    attention = MultiHeadAttention(c.d_model, c.n_heads, dropout=c.dropout)
    attention.k_proj = nn.Linear(c.d_model, c.d_model, bias=False)
    return attention
