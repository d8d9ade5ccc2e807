"""Spoken digits without speakers: "zero" to "nine" in any number of synthetic voices.

A word is a row of sounds. A voiced sound is a buzz at the voice's pitch, its harmonics as loud as
the resonances of a throat (the *formants*) make them; an unvoiced one is noise in a band. Both
change from sound to sound within a few hundredths of a second, as a mouth does. A voice is a
pitch, a length of throat, a pace and a breath, drawn at random.

It sounds like a machine. For a model that learns to listen, that is enough: words differ between
voices and are the same sounds in all of them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from attention_guide.data.cards import Card

SAMPLE_RATE: Final = 16_000
WORDS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
STEP: Final = 80  # samples from one set of resonances to the next: 5 ms
GLIDE: Final = 9  # steps over which one sound turns into the next
SILENCE: Final = 0.08  # seconds before and after each word

CARD: Final = Card(
    name="spoken-digits",
    description="A digit spoken by a synthetic voice, 16-bit samples at 16 kHz, and which it is.",
    source=(
        "Synthesised by rules: 20 voices for training, 5 others for the test, each saying every "
        "digit once. The formants are ours, of the order that Peterson and Barney (1952) "
        "measured, doi:10.1121/1.1906875."
    ),
    licence="MIT",
    splits={"train": 200, "test": 50},
    checksum="5dfd0b54ad89ed7b9495aac6bd7dbd5cc936bac074714d4743635e19197c6ad6",
    versions={"numpy": "2.4.6"},
    notes="No person's voice is in it. What is learned here says nothing of real speech.",
)


class Sound(NamedTuple):
    """One sound of speech.

    Attributes:
        seconds: How long it lasts at pace 1.
        voice: Loudness of the buzz, 0 to 1.
        formants: Three resonances, in Hz, for a throat of average length.
        noise: Loudness of the noise, 0 to 1.
        band: Middle and half-width of the noise, in Hz.
    """

    seconds: float
    voice: float = 0.0
    formants: tuple[float, float, float] = (500.0, 1500.0, 2500.0)
    noise: float = 0.0
    band: tuple[float, float] = (4000.0, 2000.0)


SOUNDS: Final = {
    "i": Sound(0.16, 1.0, (280, 2270, 3000)),
    "I": Sound(0.10, 1.0, (390, 2000, 2560)),
    "e": Sound(0.10, 1.0, (540, 1840, 2480)),
    "a": Sound(0.14, 1.0, (720, 1180, 2440)),
    "V": Sound(0.12, 1.0, (640, 1200, 2400)),
    "o": Sound(0.15, 0.9, (500, 860, 2400)),
    "u": Sound(0.16, 0.9, (310, 880, 2240)),
    "w": Sound(0.07, 0.6, (300, 620, 2200)),
    "r": Sound(0.08, 0.6, (330, 1080, 1500)),
    "n": Sound(0.09, 0.4, (260, 1350, 2500)),
    "v": Sound(0.06, 0.4, (300, 1100, 2300), 0.15, (5000, 3000)),
    "z": Sound(0.10, 0.3, (280, 1600, 2500), 0.5, (6000, 1500)),
    "s": Sound(0.12, 0.0, (280, 1600, 2500), 0.7, (6200, 1300)),
    "f": Sound(0.11, 0.0, (300, 1100, 2300), 0.25, (4500, 3500)),
    "th": Sound(0.10, 0.0, (300, 1400, 2500), 0.2, (5500, 2500)),
    "hold": Sound(0.05),
    "t": Sound(0.03, 0.0, (300, 1700, 2600), 0.8, (4200, 1600)),
    "k": Sound(0.03, 0.0, (300, 2000, 2400), 0.8, (2200, 700)),
}
SPELLING: Final = (
    ("z", "I", "r", "o", "u"), ("w", "V", "n"), ("hold", "t", "u"), ("th", "r", "i"),
    ("f", "o", "r"), ("f", "a", "i", "v"), ("s", "I", "hold", "k", "s"), ("s", "e", "v", "V", "n"),
    ("e", "i", "hold", "t"), ("n", "a", "i", "n"),
)  # fmt: skip


@dataclass(frozen=True)
class Voice:
    """Who speaks.

    Attributes:
        pitch: Of the buzz, in Hz.
        throat: Factor on all resonances; above 1 for a short throat.
        pace: Factor on all lengths; above 1 for a slow speaker.
        breath: Noise under everything, as a share of the whole.
        fall: Share of the pitch that is lost from a word's beginning to its end.
        seed: Of the noise.
    """

    pitch: float
    throat: float
    pace: float
    breath: float
    fall: float
    seed: int


def draw_voice(seed: int) -> Voice:
    """A voice between a low man's and a child's.

    Args:
        seed: The voice's name, so to speak.

    Returns:
        The voice.

    Examples:
        >>> draw_voice(1) == draw_voice(1), draw_voice(1) == draw_voice(2)
        (True, False)
    """
    generator = random.Random(f"voice:{seed}")
    throat = generator.uniform(0.92, 1.22)
    # Short throats come with high voices, on the whole.
    pitch = 110.0 * throat**3 * generator.uniform(0.85, 1.25)
    pace, breath = generator.uniform(1.1, 1.7), generator.uniform(0.02, 0.2)
    return Voice(pitch, throat, pace, breath, generator.uniform(0.05, 0.3), seed)


def speak(digit: int, voice: Voice) -> NDArray[np.int16]:
    """Say a digit.

    Args:
        digit: 0 to 9.
        voice: Who says it.

    Returns:
        Samples at 16 kHz, `(samples,)`, the loudest at 0.8 of the range.

    Raises:
        ValueError: No digit.

    Examples:
        >>> samples = speak(7, draw_voice(1))
        >>> samples.dtype, 8_000 < len(samples) < 20_000
        (dtype('int16'), True)
    """
    return say([digit], voice)[0]


def say(digits: Sequence[int], voice: Voice) -> tuple[NDArray[np.int16], list[tuple[int, int]]]:
    """Say several digits, and tell where each is: what a decoder's attention ought to find.

    Args:
        digits: Each 0 to 9, at least one.
        voice: Who says them.

    Returns:
        Samples at 16 kHz, and for each digit its first sample and the one after its last.

    Raises:
        ValueError: There are none, or one is no digit.

    Examples:
        >>> samples, spans = say([3, 1, 4], draw_voice(1))
        >>> len(spans), spans[0][1] <= spans[1][0], spans[2][1] < len(samples)
        (3, True, True)
    """
    if not digits or any(digit not in range(10) for digit in digits):
        raise ValueError(f"digits: expected one or more of 0 to 9, got {list(digits)}")
    # The frozen generator: its numbers are the same in every release of NumPy.
    key = f"{voice.seed}:{','.join(map(str, digits))}"
    chance = np.random.RandomState(random.Random(key).randrange(2**32))
    quiet = np.zeros(round(SILENCE * SAMPLE_RATE))
    parts, spans, length = [quiet], [], len(quiet)
    for digit in digits:
        track = _track([SOUNDS[name] for name in SPELLING[digit]], voice)
        word = _buzz(track, voice) + _noise(track, voice, chance)
        spans.append((length, length + len(word)))
        parts += [word, quiet]
        length += len(word) + len(quiet)
    wave = np.concatenate(parts)
    wave = wave + voice.breath * wave.std() * chance.standard_normal(len(wave))
    loudest = np.abs(wave).max()
    return np.asarray(np.round(wave / loudest * 0.8 * 32767), dtype=np.int16), spans


def waveform(samples: NDArray[np.int16]) -> NDArray[np.float32]:
    """Samples as numbers from -1 to 1, as the spectrograms take them.

    Examples:
        >>> waveform(np.array([0, -32768], dtype=np.int16)).tolist()
        [0.0, -1.0]
    """
    return samples.astype(np.float32) / np.float32(32768)


def standard_splits() -> dict[str, list[tuple[NDArray[np.int16], int]]]:
    """The splits that the card describes: samples and digits; no voice is in both.

    Examples:
        >>> {name: len(said) for name, said in standard_splits().items()}
        {'train': 200, 'test': 50}
    """
    voices = [draw_voice(seed) for seed in range(25)]
    parts = {"train": voices[:20], "test": voices[20:]}
    return {
        name: [(speak(digit, voice), digit) for voice in some for digit in range(10)]
        for name, some in parts.items()
    }


class _Track(NamedTuple):
    """What the mouth does, a row every 5 ms: loudnesses, formants in Hz, the noise's band."""

    voice: NDArray[np.float64]
    formants: NDArray[np.float64]
    noise: NDArray[np.float64]
    band: NDArray[np.float64]


def _track(sounds: list[Sound], voice: Voice) -> _Track:
    steps = [max(2, round(s.seconds * voice.pace * SAMPLE_RATE / STEP)) for s in sounds]
    rows = np.repeat(np.arange(len(sounds)), steps)

    def smooth(values: list[tuple[float, ...]], glide: int) -> NDArray[np.float64]:
        table = np.asarray(values, dtype=np.float64)[rows]
        padded = np.pad(table, ((glide // 2, glide // 2), (0, 0)), mode="edge")
        window = np.hanning(glide + 2)[1:-1]
        columns = [np.convolve(c, window / window.sum(), mode="valid") for c in padded.T]
        return np.stack(columns, axis=1)

    return _Track(
        smooth([(s.voice,) for s in sounds], 5)[:, 0],
        smooth([s.formants for s in sounds], GLIDE) * voice.throat,
        smooth([(s.noise,) for s in sounds], 3)[:, 0],
        smooth([s.band for s in sounds], 3),
    )


def _buzz(track: _Track, voice: Voice) -> NDArray[np.float64]:
    """Harmonics of a falling pitch, each as loud as the resonances are at its frequency."""
    n = len(track.voice)
    fall = voice.fall / (n * STEP)
    pitch: NDArray[np.float64] = voice.pitch * (1.0 - fall * np.arange(float(n * STEP)))
    turn = np.exp(2j * np.pi * np.cumsum(pitch) / SAMPLE_RATE)
    harmonic, wave = np.ones_like(turn), np.zeros(n * STEP)
    at_rows = pitch[::STEP]
    for k in range(1, int(5_000 / voice.pitch) + 1):
        harmonic = harmonic * turn
        loudness = track.voice * _resonance(k * at_rows, track.formants) / k
        wave += _between_rows(loudness) * harmonic.imag
    return wave


def _between_rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Every row's value at its first sample, and straight lines in between."""
    after = np.append(values[1:], values[-1])
    share = np.arange(STEP) / STEP
    return (values[:, None] + (after - values)[:, None] * share).reshape(-1)


def _resonance(hertz: NDArray[np.float64], formants: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much three resonators in a row let through, 80 to 160 Hz wide."""
    gain = np.ones_like(hertz)
    for i, width in enumerate((80.0, 110.0, 160.0)):
        centre = formants[:, i]
        away = (centre**2 - hertz**2) ** 2 + (width * hertz) ** 2
        gain = gain * centre**2 / np.sqrt(away)
    return gain


def _noise(track: _Track, voice: Voice, chance: np.random.RandomState) -> NDArray[np.float64]:
    """White noise through a band that moves, 5 ms at a time with overlaps."""
    n, size = len(track.noise), 4 * STEP
    white = chance.standard_normal((n + 3) * STEP)
    frames = np.lib.stride_tricks.sliding_window_view(white, size)[::STEP][:n]
    window = np.hanning(size + 1)[:-1]
    hertz = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    centre, width = (track.band * voice.throat**0.5).T[:, :, None]
    gain = track.noise[:, None] * np.exp(-(((hertz - centre) / width) ** 2))
    shaped = np.fft.irfft(np.fft.rfft(frames * window) * gain, size) * window
    wave = np.zeros((n + 3) * STEP)
    for i, frame in enumerate(shaped):
        wave[i * STEP : i * STEP + size] += frame
    middle = wave[3 * STEP // 2 :][: n * STEP]
    return np.asarray(middle)
