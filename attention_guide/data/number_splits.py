"""Standard splits of the number words, with their card."""

from __future__ import annotations

from typing import Final

from attention_guide.data.cards import Card
from attention_guide.data.numbers import draw_numbers, number_pairs

CARD: Final = Card(
    name="number-words",
    description="A number below a million in words, from English, German or French into another.",
    source="Drawn uniformly, seed 0; written by the package num2words, cut into pieces by us.",
    licence="MIT; num2words itself is LGPL",
    splits={"train": 3_000, "test": 600},
    checksum="accd1d3ae47038d2f579a2bad9dc6baf40d729dc6307777684d17dba686bf984",
    versions={"num2words": "0.5.14"},
    notes="Each number in all six directions; no number is in both splits.",
)


def standard_splits() -> dict[str, list[tuple[list[str], list[str]]]]:
    """The splits that the card describes: pieces of the source (with its tag) and the target.

    Returns:
        Split name to pairs.

    Raises:
        ModuleNotFoundError: `num2words` isn't installed (it comes with the `book` extra).

    Examples:
        >>> {name: len(pairs) for name, pairs in standard_splits().items()} == CARD.splits
        True
    """
    train = draw_numbers(500)
    test = draw_numbers(100, seed=1, exclude=train)
    return {
        name: [(pair.source, pair.target) for pair in number_pairs(numbers)]
        for name, numbers in {"train": train, "test": test}.items()
    }
