"""Spectrograms: where tones land, what silence gives, what is refused."""

from __future__ import annotations

import math

import pytest
import torch

from attention_guide.functional import filter_bank_energies, log_mel_spectrogram, mel_filters

RATE = 16_000


def tone(hertz: float, seconds: float = 0.5) -> torch.Tensor:
    time = torch.arange(int(RATE * seconds), dtype=torch.float64) / RATE
    return 0.5 * torch.sin(2 * math.pi * hertz * time)


def test_filters_are_triangles_of_one_area() -> None:
    filters = mel_filters(20, 4096, RATE, dtype=torch.float64)
    assert filters.shape == (20, 2049)
    assert (filters >= 0).all()
    area = filters.sum(1) * RATE / 4096
    assert torch.allclose(area, torch.ones(20, dtype=torch.float64), atol=0.02)
    peaks = filters.argmax(1)
    assert (peaks[1:] > peaks[:-1]).all()


def test_kaldi_filters_reach_one_and_share_each_frequency() -> None:
    filters = mel_filters(20, 4096, RATE, lowest=20.0, scale="kaldi", dtype=torch.float64)
    # Between the first peak and the last, where each frequency lies under two triangles.
    inner = filters.sum(0)[filters.argmax(1)[0] + 1 : filters.argmax(1)[-1]]
    assert torch.allclose(inner, torch.ones_like(inner), atol=1e-9)
    assert filters.max() <= 1


@pytest.mark.parametrize("hertz", [300.0, 1000.0, 3500.0])
def test_a_tone_is_loudest_in_its_own_filter(hertz: float) -> None:
    for features, filters in [
        (log_mel_spectrogram(tone(hertz)), mel_filters(80, 400, RATE)),
        (
            filter_bank_energies(tone(hertz), n_mels=40).T,
            mel_filters(40, 512, RATE, lowest=20.0, scale="kaldi"),
        ),
    ]:
        bins = 2 * (filters.shape[1] - 1)
        wanted = filters[:, round(hertz * bins / RATE)].argmax()
        middle = features[:, features.shape[1] // 2]
        assert abs(int(middle.argmax() - wanted)) <= 1


def test_silence_is_flat_and_the_floor_is_eighty_decibels_down() -> None:
    silence = log_mel_spectrogram(torch.zeros(RATE))
    assert silence.shape == (80, 100)
    assert torch.allclose(silence, torch.full_like(silence, (-10 + 4) / 4))
    features = log_mel_spectrogram(tone(500))
    assert features.max() - features.min() == pytest.approx(2.0)
    quiet = filter_bank_energies(torch.zeros(RATE))
    assert torch.allclose(quiet, torch.full_like(quiet, math.log(torch.finfo(torch.float32).eps)))


def test_a_batch_is_its_rows() -> None:
    batch = torch.stack([tone(300), 0.01 * tone(2000)])
    for make in (log_mel_spectrogram, filter_bank_energies):
        rows = torch.stack([make(row) for row in batch])
        assert torch.allclose(make(batch), rows)
        assert make(batch[:, None]).shape == (2, 1, *rows.shape[1:])


def test_an_empty_batch() -> None:
    for make in (log_mel_spectrogram, filter_bank_energies):
        wanted = make(tone(300)).shape
        assert make(tone(300).expand(0, -1)).shape == (0, *wanted)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ValueError, match="more than 200 samples"):
        log_mel_spectrogram(torch.zeros(200))
    with pytest.raises(ValueError, match="at least 400 samples"):
        filter_bank_energies(torch.zeros(399))
    with pytest.raises(TypeError, match="waveform: expected a floating-point tensor"):
        log_mel_spectrogram(torch.zeros(999, dtype=torch.int16))
    with pytest.raises(ValueError, match='scale: expected "slaney" or "kaldi"'):
        mel_filters(8, 400, RATE, scale="htk")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="lowest, highest: expected 0 ≤ lowest < highest ≤ 8000"):
        mel_filters(8, 400, RATE, highest=9000.0)
    with pytest.raises(ValueError, match="n_mels: expected an int of at least 1"):
        mel_filters(0, 400, RATE)


def test_a_hop_beyond_the_end_leaves_no_frame() -> None:
    assert log_mel_spectrogram(torch.randn(2, 1000), hop=2000).shape == (2, 80, 0)
