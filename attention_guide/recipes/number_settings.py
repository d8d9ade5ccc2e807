"""The rows of the number-word recipe: which numbers each trains on, and which it is tested on."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from attention_guide.data.numbers import LIMIT, draw_numbers, number_words, split_number
from attention_guide.recipes.bpe import apply_merges, learn_merges

Split = Callable[[str, str], list[str]]


@dataclass(frozen=True)
class Setting:
    """One row: which model, on which numbers, tested on which.

    Attributes:
        what: One sentence for the ledger.
        family: `"transformer"` or `"recurrent"`.
        n_train: Training numbers, each in all six directions.
        train: Which numbers it may train on (and is tested on as held-out).
        tests: Further test sets: name to (which numbers, how many).
        gaps: How many of the training numbers are drawn with gaps: half of their digits 0.
        merges: Cut German by this many byte-pair merges, not into morphemes.
        checkpoint: Name under which the first seed's weights are kept.
        steps: Optimiser steps.
        batch_size: Pairs a step.
        rate: Peak learning rate of AdamW; linear warm-up over a tenth, then cosine to 0.
        n_test: Held-out numbers.
    """

    what: str
    family: str
    n_train: int = 5000
    train: str = "all"
    tests: tuple[tuple[str, int], ...] = ()
    gaps: int = 0
    merges: int | None = None
    checkpoint: str | None = None
    steps: int = 1000
    batch_size: int = 64
    rate: float = 3e-3
    n_test: int = 500


# The side questions need no last per mille, and every step costs electricity.
SIDE: Final = 600
ABOVE: Final = (("above", 100), ("round above", 100))
SETTINGS: Final = {
    "transformer": Setting(
        "Transformer, 5,000 training numbers below a million.",
        "transformer",
        tests=(("sparse", 200),),
        checkpoint="number-words-transformer",
    ),
    "gru": Setting(
        "Recurrent encoder-decoder with Bahdanau attention, same numbers, same steps.",
        "recurrent",
        tests=(("sparse", 200),),
        checkpoint="number-words-gru",
    ),
    "transformer-gaps": Setting(
        "Transformer, 5,000 training numbers, 1,000 of them with about half of their digits 0.",
        "transformer",
        gaps=1000,
        tests=(("sparse", 200),),
        checkpoint="number-words-gaps",
    ),
    "transformer-600": Setting(
        "Transformer, 5,000 training numbers, as few steps as the side questions get.",
        "transformer",
        steps=SIDE,
        n_test=200,
    ),
    "transformer-300": Setting(
        "Transformer, 300 training numbers.", "transformer", n_train=300, steps=SIDE, n_test=200
    ),
    "gru-300": Setting(
        "Recurrent model, 300 training numbers.", "recurrent", n_train=300, steps=SIDE, n_test=200
    ),
    "transformer-below": Setting(
        "Transformer, 5,000 training numbers below 100,000, tested above as well.",
        "transformer",
        train="below",
        tests=ABOVE,
        checkpoint="number-words-below-100000",
        steps=SIDE,
        n_test=200,
    ),
    "gru-below": Setting(
        "Recurrent model, 5,000 training numbers below 100,000, tested above as well.",
        "recurrent",
        train="below",
        tests=ABOVE,
        steps=SIDE,
        n_test=200,
    ),
    "transformer-four": Setting(
        "Transformer, 5,000 training numbers with at most four digits that aren't 0.",
        "transformer",
        train="four",
        tests=(("five", 100), ("six", 100)),
        steps=SIDE,
        n_test=200,
    ),
    "gru-four": Setting(
        "Recurrent model, 5,000 training numbers with at most four digits that aren't 0.",
        "recurrent",
        train="four",
        tests=(("five", 100), ("six", 100)),
        steps=SIDE,
        n_test=200,
    ),
    "transformer-bpe": Setting(
        "Transformer, German cut by byte-pair merges into about as many kinds of pieces.",
        "transformer",
        merges=18,
        steps=SIDE,
        n_test=200,
    ),
}
"""The rows of the ledger by name, each with what it trains on and is tested on."""


def _nonzero(number: int) -> int:
    return len(str(number)) - str(number).count("0")


POOLS: Final[dict[str, Callable[[int], bool]]] = {
    "all": lambda number: True,
    "below": lambda number: number < 100_000,
    "above": lambda number: number >= 100_000,
    "round above": lambda number: number >= 100_000 and number % 1000 == 0,
    "four": lambda number: _nonzero(number) <= 4,
    "five": lambda number: _nonzero(number) == 5,
    "six": lambda number: _nonzero(number) == 6,
    "sparse": lambda number: number >= 1000 and _nonzero(number) <= 2,
}
"""Which numbers a row may draw, by the pool's name; "four" counts the digits that aren't 0."""


def draw_from(pool: str, n: int, *, seed: int, exclude: Sequence[int] = ()) -> list[int]:
    """Draw `n` different numbers of a pool, uniformly.

    Args:
        pool: One of `POOLS`.
        n: How many.
        seed: Seed of the draw.
        exclude: Numbers that may not be drawn.

    Returns:
        The numbers.

    Raises:
        ValueError: The pool has fewer than `n`.

    Examples:
        >>> draw_from("sparse", 3, seed=0) == draw_from("sparse", 3, seed=0)
        True
    """
    shuffled = draw_numbers(LIMIT - len(set(exclude)), seed=seed, exclude=exclude)
    chosen = [number for number in shuffled if POOLS[pool](number)][:n]
    if len(chosen) < n:
        raise ValueError(f"n: expected at most {len(chosen)} for pool {pool!r}, got {n}")
    return chosen


def training_numbers(setting: Setting, seed: int) -> list[int]:
    """The numbers that a seed of a row trains on.

    Args:
        setting: The row's setting.
        seed: Seed of the draw.

    Returns:
        `setting.n_train` different numbers.

    Examples:
        >>> len(training_numbers(SETTINGS["transformer-gaps"], seed=0))
        5000
    """
    numbers = draw_from(setting.train, setting.n_train - setting.gaps, seed=seed)
    drawn = dict.fromkeys(numbers)
    generator = random.Random(f"{seed}:gaps")
    while len(drawn) < setting.n_train:
        digits = f"{generator.randrange(LIMIT):06}"
        drawn[int("".join(generator.choice((digit, "0")) for digit in digits))] = None
    return list(drawn)


def german_merges(numbers: Sequence[int], n: int) -> Split:
    """A `split` for `number_pairs` that cuts German by merges learned from these numbers.

    Args:
        numbers: The training numbers.
        n: How many merges.

    Returns:
        The function; English and French are cut as ever.
    """
    merges = learn_merges([number_words(number, "de") for number in numbers], n)

    def split(text: str, language: str) -> list[str]:
        return apply_merges(text, merges) if language == "de" else split_number(text, language)

    return split
