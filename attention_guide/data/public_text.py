"""Published texts: IMDb reviews, GLUE's SST-2, Multi30k. Opt-in: they need a network once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from attention_guide.data.archives import ArchiveError, Source, fetch, members
from attention_guide.data.cards import Card

Labelled = list[tuple[str, int]]

IMDB: Final = Source(
    "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz",
    "7c2ac02c03563afcf9b574c7e56c153a",
    "md5",
)
SST2: Final = Source(
    "https://dl.fbaipublicfiles.com/glue/data/SST-2.zip",
    "9f81648d4199384278b86e315dac217c",
    "md5",
)
_MULTI30K: Final = (
    "https://raw.githubusercontent.com/neychev/small_DL_repo/master/datasets/Multi30k"
)
MULTI30K: Final[Mapping[str, Source]] = {
    "train": Source(
        f"{_MULTI30K}/training.tar.gz",
        "20140d013d05dd9a72dfde46478663ba05737ce983f478f960c1123c6671be5e",
        "sha256",
    ),
    "valid": Source(
        f"{_MULTI30K}/validation.tar.gz",
        "a7aa20e9ebd5ba5adce7909498b94410996040857154dab029851af3a866da8c",
        "sha256",
    ),
    "test": Source(
        f"{_MULTI30K}/mmt16_task1_test.tar.gz",
        "6d1ca1dba99e2c5dd54cae1226ff11c2551e6ce63527ebb072a1f70f72a5cd36",
        "sha256",
    ),
}

CARDS_TEXT: Final = {
    "imdb": Card(
        name="imdb",
        description="A film review in English, positive (1) or negative (0).",
        source=f"Maas et al. (2011), ACL; {IMDB.url}",
        licence="none stated; the reviews are their authors'",
        splits={"train": 25_000, "test": 25_000},
        notes="At most 30 reviews a film; no film is in both splits; middling ratings left out.",
    ),
    "sst2": Card(
        name="sst2",
        description="A phrase or sentence from film reviews, positive (1) or negative (0).",
        source=f"Socher et al. (2013), EMNLP; as in GLUE, Wang et al. (2019); {SST2.url}",
        licence="none stated",
        splits={"train": 67_349, "dev": 872, "test": 1_821},
        notes="Training has phrases, the others whole sentences. GLUE keeps the labels of test.",
    ),
    "multi30k": Card(
        name="multi30k",
        description="A description of a photograph in English, and its German translation.",
        source="Elliott et al. (2016), Workshop on Vision and Language; torchtext's mirror",
        licence="none stated with the text",
        splits={"train": 29_000, "valid": 1_014, "test": 1_000},
        notes="Describes photographs of people, with the describers' assumptions about them.",
    ),
}


def imdb(folder: str | Path, *, download: bool = False, verify: bool = True) -> dict[str, Labelled]:
    """Film reviews, positive or negative, out of the published archive.

    Args:
        folder: Where the archive is, or goes.
        download: Whether to fetch it (80 MB) if it isn't there.
        verify: Whether to compare the archive with its published checksum.

    Returns:
        `"train"` and `"test"`: texts with 1 (positive) or 0, sorted by file name.

    Raises:
        FileNotFoundError: The archive isn't there, with what to do.
        ArchiveError: It is another file, damaged, or holds something else.

    Source:
        Maas et al. (2011), "Learning Word Vectors for Sentiment Analysis", ACL.
    """
    path = fetch(IMDB, folder, download=download, verify=verify)
    found: dict[str, dict[str, tuple[str, int]]] = {"train": {}, "test": {}}
    for name, content in members(path):
        match = re.fullmatch(r"aclImdb/(train|test)/(pos|neg)/(\d+_\d+)\.txt", name)
        if match:
            split, side, key = match.groups()
            found[split][f"{side}/{key}"] = content.decode("utf-8"), int(side == "pos")
    splits = {split: [texts[key] for key in sorted(texts)] for split, texts in found.items()}
    return _not_empty(path, splits)


def sst2(folder: str | Path, *, download: bool = False, verify: bool = True) -> dict[str, Labelled]:
    """Phrases and sentences of film reviews, out of GLUE's archive.

    Args:
        folder: Where the archive is, or goes.
        download: Whether to fetch it (7 MB) if it isn't there.
        verify: Whether to compare the archive with its published checksum.

    Returns:
        `"train"`, `"dev"` and `"test"`: texts with 1 (positive) or 0; in `"test"`, whose
        labels GLUE keeps, with -1.

    Raises:
        FileNotFoundError: The archive isn't there, with what to do.
        ArchiveError: It is another file, damaged, or holds something else.

    Source:
        Socher et al. (2013), EMNLP; Wang et al. (2019), "GLUE", ICLR.
    """
    path = fetch(SST2, folder, download=download, verify=verify)
    files = {name.removeprefix("SST-2/"): content for name, content in members(path)}
    readers: dict[str, Callable[[list[str]], tuple[str, int]]] = {
        "train": lambda row: (row[0].strip(), int(row[1])),
        "dev": lambda row: (row[0].strip(), int(row[1])),
        "test": lambda row: (row[1].strip(), -1),
    }
    splits: dict[str, Labelled] = {}
    for split, read in readers.items():
        if f"{split}.tsv" not in files:
            raise ArchiveError(f"{path}: has no SST-2/{split}.tsv")
        lines = files[f"{split}.tsv"].decode("utf-8").split("\n")[1:]  # the first names columns
        try:
            splits[split] = [read(line.rstrip("\r").split("\t")) for line in lines if line.strip()]
        except (IndexError, ValueError) as error:
            raise ArchiveError(f"{path}: {split}.tsv has a line of another form: {error}") from None
    return _not_empty(path, splits)


def multi30k(
    folder: str | Path,
    languages: tuple[str, str] = ("en", "de"),
    *,
    download: bool = False,
    verify: bool = True,
) -> dict[str, list[tuple[str, str]]]:
    """Sentence pairs in two languages, out of the three published archives.

    Args:
        folder: Where the archives are, or go.
        languages: `("en", "de")` or `("de", "en")`: source and target.
        download: Whether to fetch them (under 2 MB) if they aren't there.
        verify: Whether to compare the archives with their published checksums.

    Returns:
        `"train"`, `"valid"` and `"test"`: pairs of sentences.

    Raises:
        FileNotFoundError: An archive isn't there, with what to do.
        ArchiveError: One is another file, damaged, or its languages don't match line by line.
        ValueError: Other languages.

    Source:
        Elliott et al. (2016), "Multi30K: Multilingual English-German Image Descriptions".
    """
    if sorted(languages) != ["de", "en"]:
        raise ValueError(f"languages: expected 'en' and 'de', got {languages}")
    splits = {}
    for split, source in MULTI30K.items():
        path = fetch(source, folder, download=download, verify=verify)
        texts = {name.rsplit(".", 1)[-1]: content for name, content in members(path)}
        if not set(languages) <= set(texts):
            raise ArchiveError(f"{path}: expected a file for each of {languages}, got {set(texts)}")
        sides = [texts[lang].decode("utf-8").rstrip("\n").split("\n") for lang in languages]
        if len(sides[0]) != len(sides[1]):
            raise ArchiveError(f"{path}: {len(sides[0])} lines against {len(sides[1])}")
        splits[split] = [(a.strip(), b.strip()) for a, b in zip(*sides, strict=True)]
    return splits


def _not_empty(path: Path, splits: dict[str, Labelled]) -> dict[str, Labelled]:
    empty = [name for name, examples in splits.items() if not examples]
    if empty:
        raise ArchiveError(f"{path}: has no examples for {', '.join(empty)}")
    return splits
