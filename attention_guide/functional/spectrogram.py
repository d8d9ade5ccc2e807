"""Sound to pictures: mel filters, and the two log-mel spectrograms that audio models read."""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from attention_guide.functional import _checks

__all__ = ["MelScale", "filter_bank_energies", "log_mel_spectrogram", "mel_filters"]

MelScale = Literal["slaney", "kaldi"]
"""Whose mel scale: linear below 1000 Hz (Slaney), or logarithmic throughout (Kaldi)."""


def mel_filters(
    n_mels: int,
    n_fft: int,
    sample_rate: int,
    *,
    lowest: float = 0.0,
    highest: float | None = None,
    scale: MelScale = "slaney",
    dtype: torch.dtype = torch.float32,
    device: torch.device | None = None,
) -> Float[Tensor, "n_mels n_bins"]:
    r"""Mel filters: triangles over the spectrum, evenly spaced on the mel scale.

    The ear tells 200 from 300 Hz easily and 5,000 from 5,100 Hz hardly; equal steps on the mel
    scale sound equally large. "slaney" is linear up to 1 kHz and logarithmic above, its triangles
    have equal areas in Hz; "kaldi" is $1127 \ln(1 + f / 700)$, its triangles have straight sides
    in mels and height 1. Where filters are many and bins few, the lowest triangles fall between
    two bins and are empty.

    Args:
        n_mels: How many.
        n_fft: Length of the Fourier transform; it has `n_fft // 2 + 1` bins.
        sample_rate: Samples a second.
        lowest: Where the first triangle begins, in Hz.
        highest: Where the last one ends; `None` for half the sample rate.
        scale: Which mel scale, with its kind of triangles.
        dtype: Of the result; it is computed in float64.
        device: Of the result.

    Returns:
        Filters, `(n_mels, n_bins)` with n_bins = `n_fft // 2 + 1`.

    Raises:
        TypeError: A size isn't an int, or the dtype not floating point.
        ValueError: A number is out of range, or an unknown scale.

    Source:
        Slaney, "Auditory Toolbox", version 2, Technical Report 1998-010, Interval Research, 1998.
        Kaldi's scale is that of its feature extraction; both are held against `transformers`' in
        the tests.

    Examples:
        >>> mel_filters(80, 400, 16_000).shape
        torch.Size([80, 201])
    """
    _checks.integer("n_mels", n_mels, least=1)
    _checks.integer("n_fft", n_fft, least=2)
    _checks.integer("sample_rate", sample_rate, least=1)
    _checks.float_dtype("dtype", dtype)
    _checks.maybe_device(device)
    _checks.number("lowest", lowest)
    top = _checks.number("highest", sample_rate / 2 if highest is None else highest)
    if not 0 <= lowest < top <= sample_rate / 2:
        raise ValueError(
            f"lowest, highest: expected 0 ≤ lowest < highest ≤ {sample_rate / 2}; "
            f"got {lowest}, {top}"
        )
    ends = _to_mel(torch.tensor([lowest, top], dtype=torch.float64), scale)
    corners = torch.linspace(float(ends[0]), float(ends[1]), n_mels + 2, dtype=torch.float64)
    bins = torch.linspace(0, sample_rate / 2, n_fft // 2 + 1, dtype=torch.float64)
    if scale == "kaldi":
        filters = _triangles(_to_mel(bins, scale), corners)
    else:
        corners = _slaney_to_hertz(corners)
        area = (corners[2:] - corners[:-2]) / 2
        filters = _triangles(bins, corners) / area[:, None]
    return filters.to(dtype=dtype, device=device)


def log_mel_spectrogram(
    waveform: Float[Tensor, "*B samples"],
    *,
    n_mels: int = 80,
    sample_rate: int = 16_000,
    n_fft: int = 400,
    hop: int = 160,
) -> Float[Tensor, "*B n_mels frames"]:
    r"""Whisper's log-mel spectrogram, $(\max(\log_{10} m, \max \log_{10} m - 8) + 4) / 4$.

    A window of 25 ms steps on by 10 ms; each window's power spectrum is summed by the mel filters
    into m. What is more than 80 dB below the loudest is cut off there.

    Args:
        waveform: Samples between -1 and 1, `(..., samples)`, filled up with silence.
        n_mels: Filters; large Whispers have 128.
        sample_rate: Samples a second.
        n_fft: Samples in a window.
        hop: Samples from one window to the next.

    Returns:
        Features, `(..., n_mels, frames)`, with `samples // hop` frames.

    Raises:
        TypeError: The samples are neither float32 nor float64, or a size isn't an int.
        ValueError: Fewer samples than half a window, or a size is too small.

    Cost:
        About `5·n_fft·log2(n_fft)` flops a frame for the Fourier transform and
        `n_mels·n_fft` for the filters.

    Source:
        Radford et al., "Robust Speech Recognition via Large-Scale Weak Supervision", ICML 2023,
        arXiv:2212.04356, section 2.2. The constants are those of the published feature extractor.

    Examples:
        >>> second = torch.sin(torch.arange(16_000) * 0.2)
        >>> log_mel_spectrogram(second).shape
        torch.Size([80, 100])
    """
    _check_waveform(waveform, n_mels, hop)
    _checks.integer("n_fft", n_fft, least=2)
    if waveform.shape[-1] <= n_fft // 2:
        raise ValueError(
            f"waveform: expected more than {n_fft // 2} samples (half a window); "
            f"got {_checks.shape(waveform)}"
        )
    dtype, device = waveform.dtype, waveform.device
    window = torch.hann_window(n_fft, dtype=dtype, device=device)
    n_frames = waveform.shape[-1] // hop
    # torch transforms no empty batch, and where there is no frame, none is the loudest.
    if waveform.numel() == 0 or n_frames == 0:
        return waveform.new_zeros(*waveform.shape[:-1], n_mels, n_frames)
    flat = waveform.reshape(-1, waveform.shape[-1])
    spectrum = torch.stft(flat, n_fft, hop, window=window, return_complex=True)
    # The last frame is the one centred on the end: the field's extractors drop it.
    power = spectrum[..., :-1].abs().square()
    filters = mel_filters(n_mels, n_fft, sample_rate, dtype=dtype, device=device)
    logs = (filters @ power).clamp(min=1e-10).log10()
    logs = torch.maximum(logs, logs.amax(dim=(1, 2), keepdim=True) - 8.0)
    return ((logs + 4.0) / 4.0).reshape(*waveform.shape[:-1], *logs.shape[1:])


def filter_bank_energies(
    waveform: Float[Tensor, "*B samples"],
    *,
    n_mels: int = 128,
    sample_rate: int = 16_000,
    frame: int = 400,
    hop: int = 160,
) -> Float[Tensor, "*B frames n_mels"]:
    r"""Kaldi's log filter-bank energies, $\ln \max(m, \epsilon)$: what AST reads.

    Unlike `log_mel_spectrogram`: natural logarithm, no centring, each frame freed of its mean,
    differences of neighbours instead of samples ($x_t - 0.97 x_{t-1}$, which lifts the high
    frequencies), the transform as long as the next power of two.

    Args:
        waveform: Samples between -1 and 1, `(..., samples)`.
        n_mels: Filters.
        sample_rate: Samples a second.
        frame: Samples in a frame.
        hop: Samples from one frame to the next.

    Returns:
        Energies, `(..., frames, n_mels)`: time first, as AST has it, with
        `1 + (samples - frame) // hop` frames.

    Raises:
        TypeError: The samples are neither float32 nor float64, or a size isn't an int.
        ValueError: Fewer samples than a frame, or a size is too small.

    Cost:
        As `log_mel_spectrogram`.

    Source:
        Gong et al., "AST: Audio Spectrogram Transformer", Interspeech 2021, arXiv:2104.01778,
        section 2.1. The details are those of the published feature extractor.

    Examples:
        >>> second = torch.sin(torch.arange(16_000) * 0.2)
        >>> filter_bank_energies(second).shape
        torch.Size([98, 128])
    """
    _check_waveform(waveform, n_mels, hop)
    _checks.integer("frame", frame, least=2)
    if waveform.shape[-1] < frame:
        raise ValueError(
            f"waveform: expected at least {frame} samples (a frame); got {_checks.shape(waveform)}"
        )
    frames = waveform.unfold(-1, frame, hop)
    if frames.numel() == 0:  # torch transforms no empty batch
        return waveform.new_zeros(*frames.shape[:-1], n_mels)
    frames = frames - frames.mean(dim=-1, keepdim=True)
    # The first sample has no neighbour: its own value stands for it.
    before = torch.cat([frames[..., :1], frames[..., :-1]], dim=-1)
    dtype, device = waveform.dtype, waveform.device
    window = torch.hann_window(frame, periodic=False, dtype=dtype, device=device)
    n_fft = 2 ** math.ceil(math.log2(frame))
    framed = F.pad((frames - 0.97 * before) * window, (0, n_fft - frame))
    power = torch.fft.rfft(framed).abs().square()
    filters = mel_filters(
        n_mels, n_fft, sample_rate, lowest=20.0, scale="kaldi", dtype=dtype, device=device
    )
    floor = torch.finfo(torch.float32).eps
    energies: Tensor = (power @ filters.T).clamp(min=floor).log()
    return energies


def _check_waveform(waveform: Tensor, n_mels: int, hop: int) -> None:
    _checks.trailing("waveform", _checks.floating("waveform", waveform), "samples")
    # torch's Fourier transforms know no half precision on CPUs.
    if waveform.dtype not in (torch.float32, torch.float64):
        raise TypeError(f"waveform: expected torch.float32 or float64; got {waveform.dtype}")
    _checks.integer("n_mels", n_mels, least=1)
    _checks.integer("hop", hop, least=1)


def _to_mel(hertz: Tensor, scale: MelScale) -> Tensor:
    if scale == "kaldi":
        return 1127.0 * torch.log1p(hertz / 700.0)
    if scale != "slaney":
        raise ValueError(f'scale: expected "slaney" or "kaldi"; got {scale!r}')
    above = 15.0 + torch.log(hertz / 1000.0) * (27.0 / math.log(6.4))
    return torch.where(hertz >= 1000.0, above, hertz * 3.0 / 200.0)


def _slaney_to_hertz(mels: Tensor) -> Tensor:
    above = 1000.0 * torch.exp((mels - 15.0) * (math.log(6.4) / 27.0))
    return torch.where(mels >= 15.0, above, mels * 200.0 / 3.0)


def _triangles(at: Tensor, corners: Tensor) -> Tensor:
    """Triangle i rises from corner i to i + 1 and falls to i + 2; its values `at` some points."""
    left, peak, right = (x[:, None] for x in (corners[:-2], corners[1:-1], corners[2:]))
    rising, falling = (at - left) / (peak - left), (right - at) / (right - peak)
    return torch.minimum(rising, falling).clamp(min=0)
