"""Published pictures and sounds: CIFAR-10, Speech Commands. Opt-in: they need a network once."""

from __future__ import annotations

import io
import re
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from attention_guide.data.archives import ArchiveError, Source, fetch, members
from attention_guide.data.cards import Card

# The version for C programs: bytes. The one for Python is pickles, which can run code.
CIFAR10: Final = Source(
    "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    "c32a1d4ab5d03f1284b67883e8d87530",
    "md5",
    170_052_171,
)
CLASSES: Final = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip
SPEECH_COMMANDS: Final = Source(
    "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
    "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
    "sha256",
    2_428_923_189,
)
DIGITS: Final = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
)  # fmt: skip
SAMPLE_RATE: Final = 16_000

CARDS_MEDIA: Final = {
    "cifar10": Card(
        name="cifar10",
        description="A colour photograph of 32 × 32 pixels, and which of ten things it shows.",
        source=f'Krizhevsky (2009), "Learning Multiple Layers of Features"; {CIFAR10.url}',
        licence="none stated",
        splits={"train": 50_000, "test": 10_000},
        size_bytes=CIFAR10.size_bytes,
    ),
    "speech_commands": Card(
        name="speech_commands",
        description="One second of one spoken English word out of 35, at 16 kHz.",
        source=f"Warden (2018), arXiv:1804.03209, version 0.02; {SPEECH_COMMANDS.url}",
        licence="CC BY 4.0",
        splits={"train": 84_843, "validation": 9_981, "test": 11_005},
        size_bytes=SPEECH_COMMANDS.size_bytes,
        notes="Voices of volunteers; no speaker is in two splits.",
    ),
}


class Pictures(NamedTuple):
    """Pictures and their classes.

    Attributes:
        images: Bytes from 0 to 255, red, green and blue, shape `(N, 3, 32, 32)`.
        labels: Numbers of `CLASSES`, int64, shape `(N,)`.
    """

    images: UInt8[Tensor, "N 3 32 32"]
    labels: Int[Tensor, " N"]


class Clip(NamedTuple):
    """A spoken word.

    Attributes:
        word: The word.
        speaker: Eight hexadecimal digits that stand for a person.
        samples: 16-bit samples at 16 kHz, int16, shape `(samples,)`.
    """

    word: str
    speaker: str
    samples: Int[Tensor, " samples"]


def cifar10(
    folder: str | Path, *, download: bool = False, verify: bool = True
) -> dict[str, Pictures]:
    """Small photographs of ten kinds of things, out of the published binary archive.

    Args:
        folder: Where the archive is, or goes.
        download: Whether to fetch it (170 MB) if it isn't there.
        verify: Whether to compare the archive with its published checksum.

    Returns:
        `"train"` and `"test"`.

    Raises:
        FileNotFoundError: The archive isn't there, with what to do.
        ArchiveError: It is another file, damaged, or holds something else.

    Source:
        Krizhevsky (2009), "Learning Multiple Layers of Features from Tiny Images"; the format
        is described on its page: one byte of class, then 1,024 each of red, green and blue.
    """
    path = fetch(CIFAR10, folder, download=download, verify=verify)
    files = {name.rsplit("/", 1)[-1]: content for name, content in members(path)}
    train = [f"data_batch_{i}.bin" for i in range(1, 6)]
    missing = [name for name in [*train, "test_batch.bin"] if name not in files]
    if missing:
        raise ArchiveError(f"{path}: has no {', '.join(missing)}")
    return {
        "train": _pictures(path, b"".join(files[name] for name in train)),
        "test": _pictures(path, files["test_batch.bin"]),
    }


def speech_commands(
    folder: str | Path,
    words: Sequence[str] = DIGITS,
    *,
    download: bool = False,
    verify: bool = True,
) -> dict[str, list[Clip]]:
    """Spoken words, out of the published archive, by its own lists of the splits.

    Args:
        folder: Where the archive is, or goes.
        words: Which words to keep; all 35 take 3.4 GB of memory.
        download: Whether to fetch it (2.4 GB) if it isn't there.
        verify: Whether to compare the archive with its published checksum.

    Returns:
        `"train"`, `"validation"` and `"test"`, sorted by file name.

    Raises:
        FileNotFoundError: The archive isn't there, with what to do.
        ArchiveError: It is another file, damaged, lacks a word, or has another sound format.

    Source:
        Warden (2018), arXiv:1804.03209.
    """
    path = fetch(SPEECH_COMMANDS, folder, download=download, verify=verify)
    clips: dict[str, Clip] = {}
    lists: dict[str, set[str]] = {}
    for name, content in members(path):
        match = re.fullmatch(r"(\w+)/([0-9a-f]+)_nohash_\d+\.wav", name)
        if name in ("validation_list.txt", "testing_list.txt"):
            lists[name.split("_")[0]] = set(content.decode("utf-8").split())
        elif match and match[1] in words:
            clips[name] = Clip(match[1], match[2], _samples(path, name, content))
    lacking = set(words) - {clip.word for clip in clips.values()}
    if lacking or len(lists) < 2:
        raise ArchiveError(
            f"{path}: lacks the words {sorted(lacking)} or a list of the splits ({sorted(lists)})"
        )
    splits: dict[str, list[Clip]] = {"train": [], "validation": [], "test": []}
    for name in sorted(clips):
        held = "validation" if name in lists["validation"] else "train"
        splits["test" if name in lists["testing"] else held].append(clips[name])
    return splits


def _pictures(path: Path, data: bytes) -> Pictures:
    record = 1 + 3 * 32 * 32
    if not data or len(data) % record:
        raise ArchiveError(f"{path}: expected records of {record} bytes, got {len(data)} bytes")
    table = torch.from_numpy(np.frombuffer(data, dtype=np.uint8).reshape(-1, record).copy())
    labels = table[:, 0].long()
    if int(labels.max()) >= len(CLASSES):
        raise ArchiveError(f"{path}: expected classes from 0 to 9, got {int(labels.max())}")
    return Pictures(table[:, 1:].reshape(-1, 3, 32, 32), labels)


def _samples(path: Path, name: str, content: bytes) -> Tensor:
    try:
        with wave.open(io.BytesIO(content)) as file:
            form = file.getnchannels(), file.getsampwidth(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise ArchiveError(f"{path}: {name} is no sound file ({error})") from error
    if form != (1, 2, SAMPLE_RATE):
        raise ArchiveError(f"{path}: {name}: expected one channel of 16 bits at 16 kHz, got {form}")
    return torch.from_numpy(np.frombuffer(data, dtype="<i2").astype(np.int16))
