"""Copying and sorting: with reversing, the smallest tasks whose alignment is known."""

from __future__ import annotations

from typing import Final, TypedDict, Unpack

from attention_guide.data.cards import Card
from attention_guide.data.reverse import reversal_pairs, split_reversal

Pairs = list[tuple[str, str]]

CARDS: Final = {
    "copy": Card(
        name="copy",
        description="A string of 3 to 10 lower-case letters, and the same string.",
        source="The strings of the set `reverse`, seed 0.",
        licence="MIT",
        splits={"train": 10_000, "test": 1_000},
        checksum="ff81d02f265216ea5116095f70c6820184f266a2e32e131db753a0161a0e2c01",
        notes="No string is in both splits. Output i attends to input i.",
    ),
    "sort": Card(
        name="sort",
        description="A string of 3 to 10 lower-case letters, and its letters in order.",
        source="The strings of the set `reverse`, seed 0.",
        licence="MIT",
        splits={"train": 10_000, "test": 1_000},
        checksum="6775b6424e8580bf44ad78f49eb4258b90ba5daa07c9adb65d85d63b42f4306d",
        notes="No string is in both splits; two strings of the same letters may be.",
    ),
}


class Drawing(TypedDict, total=False):
    """How strings are drawn: the keywords of `reversal_pairs`."""

    min_length: int
    max_length: int
    alphabet: str
    seed: int


def copy_pairs(n: int, **options: Unpack[Drawing]) -> Pairs:
    """Draw `n` different random strings, each with itself.

    Args:
        n: How many pairs.
        options: As `reversal_pairs` takes them: `min_length`, `max_length`, `alphabet`, `seed`.

    Returns:
        Pairs `(text, text)`; no text occurs twice.

    Raises:
        ValueError: As `reversal_pairs`.

    Examples:
        >>> all(source == target for source, target in copy_pairs(5))
        True
    """
    return [(text, text) for text, _ in reversal_pairs(n, **options)]


def sort_pairs(n: int, **options: Unpack[Drawing]) -> Pairs:
    """Draw `n` different random strings, each with its letters in alphabetical order.

    Args:
        n: How many pairs.
        options: As `reversal_pairs` takes them.

    Returns:
        Pairs `(text, sorted text)`; no text occurs twice.

    Raises:
        ValueError: As `reversal_pairs`.

    Examples:
        >>> all("".join(sorted(source)) == target for source, target in sort_pairs(5))
        True
    """
    pairs = reversal_pairs(n, **options)
    return [(text, "".join(sorted(text))) for text, _ in pairs]


def sort_alignment(text: str) -> list[int]:
    """Which input position each output of sorting comes from; equal letters keep their order.

    Examples:
        >>> sort_alignment("cab")
        [1, 2, 0]
    """
    return sorted(range(len(text)), key=lambda i: (text[i], i))


def standard_splits(name: str) -> dict[str, Pairs]:
    """The splits that a card describes.

    Args:
        name: `"copy"` or `"sort"`.

    Returns:
        Split name to pairs.

    Raises:
        KeyError: There is no such set.

    Examples:
        >>> standard_splits("sort")["test"] == standard_splits("copy")["test"]
        False
    """
    CARDS[name]  # a KeyError for a set that isn't here
    drawn = zip(("train", "test"), split_reversal(10_000, 1_000), strict=True)
    return {
        split: [(text, text if name == "copy" else "".join(sorted(text))) for text, _ in pairs]
        for split, pairs in drawn
    }
