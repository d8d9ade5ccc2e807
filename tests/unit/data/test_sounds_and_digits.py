"""Spoken digits can be told apart by ear-like features; handwritten ones are scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from attention_guide.data import digits
from attention_guide.data.spoken_digits import (
    SAMPLE_RATE,
    SOUNDS,
    SPELLING,
    WORDS,
    draw_voice,
    say,
    speak,
    standard_splits,
    waveform,
)
from attention_guide.functional import log_mel_spectrogram

Said = list[tuple[NDArray[np.int16], int]]


@pytest.fixture(scope="module")
def spoken() -> dict[str, Said]:
    return standard_splits()


def features(said: Said) -> tuple[torch.Tensor, torch.Tensor]:
    """A spectrogram of 20 mels, stretched to 20 frames, for each."""
    pictures = [
        F.interpolate(
            log_mel_spectrogram(torch.from_numpy(waveform(samples)), n_mels=20)[None], size=20
        ).flatten()
        for samples, _ in said
    ]
    return torch.stack(pictures), torch.tensor([digit for _, digit in said])


def test_voices_that_were_never_heard_are_understood(spoken: dict[str, Said]) -> None:
    heard, named = features(spoken["train"])
    new, wanted = features(spoken["test"])
    means = torch.stack([heard[named == digit].mean(dim=0) for digit in range(10)])
    guessed = torch.cdist(new, means).argmin(dim=1)
    assert (guessed == wanted).float().mean() > 0.9


def test_voices_differ(spoken: dict[str, Said]) -> None:
    sevens = [samples for samples, digit in spoken["train"] if digit == 7]
    assert len({samples.tobytes() for samples in sevens}) == len(sevens) == 20
    assert max(map(len, sevens)) > 1.3 * min(map(len, sevens))


def test_samples_are_loud_but_never_clipped(spoken: dict[str, Said]) -> None:
    for samples, _ in spoken["train"][:50]:
        assert np.abs(samples.astype(int)).max() == round(0.8 * 32767)
        assert 0.2 < len(samples) / SAMPLE_RATE < 1.5


def test_the_pitch_is_the_voices_and_s_has_none() -> None:
    voice = draw_voice(2)
    samples = waveform(speak(1, voice)).astype(np.float64)
    middle = samples[len(samples) // 2 - 1024 : len(samples) // 2 + 1024]
    echo = np.correlate(middle, middle, mode="full")[2048:]
    low, high = int(SAMPLE_RATE / (1.3 * voice.pitch)), int(SAMPLE_RATE / (0.65 * voice.pitch))
    period = low + int(echo[low:high].argmax())
    assert voice.pitch * (1 - voice.fall) * 0.97 < SAMPLE_RATE / period < voice.pitch * 1.03
    hiss = np.abs(np.fft.rfft(waveform(speak(6, voice))[1280:3000].astype(np.float64)))
    assert hiss.argmax() * SAMPLE_RATE / 1720 > 3000


def test_a_row_of_digits_is_the_digits_one_by_one() -> None:
    voice = draw_voice(4)
    samples, spans = say([1, 9, 1], voice)
    lengths = [end - start for start, end in spans]
    assert lengths[0] == lengths[2] != lengths[1]
    assert lengths[1] == say([9], voice)[1][0][1] - say([9], voice)[1][0][0]
    loud = np.abs(waveform(samples))
    inside = np.concatenate([loud[start:end] for start, end in spans])
    between = loud[spans[0][1] : spans[1][0]]
    assert inside.mean() > 3 * between.mean()
    again = say([1, 9, 1], voice)
    assert np.array_equal(samples, again[0])
    assert spans == again[1]
    for wrong in ([], [10], [-1]):
        with pytest.raises(ValueError, match="digits: expected one or more of 0 to 9"):
            say(wrong, voice)


def test_every_word_is_spelled_in_known_sounds() -> None:
    assert len(SPELLING) == len(WORDS) == len(set(SPELLING)) == 10
    assert {name for word in SPELLING for name in word} == set(SOUNDS)


def test_handwritten_digits_are_scikit_learns() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    raw, ours = datasets.load_digits(), digits.load_digits()
    assert len(ours) == 1797
    assert all(np.array_equal(x, y) for (x, _), y in zip(ours, raw.images, strict=True))
    assert [digit for _, digit in ours] == raw.target.tolist()
    splits = digits.standard_splits()
    everything = [picture.tobytes() for pairs in splits.values() for picture, _ in pairs]
    assert sorted(everything) == sorted(picture.tobytes() for picture, _ in ours)
