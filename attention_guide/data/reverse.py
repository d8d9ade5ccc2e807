"""Reversing strings: a translation task whose right answer is known and whose alignment is, too."""

from __future__ import annotations

import random
import string
from typing import Final

from attention_guide.data.cards import Card
from attention_guide.functional import _checks

ALPHABET: Final = string.ascii_lowercase
"""The letters of which the strings are made."""

CARD: Final = Card(
    name="reverse",
    description="A string of 3 to 10 lower-case letters, and the string read backwards.",
    source="Drawn by `split_reversal(10_000, 1_000)`, seed 0.",
    licence="MIT",
    splits={"train": 10_000, "test": 1_000},
    checksum="f158e9b894c18264fb024a99e99ad7d58f3dc8a63f0b7f0cfd67d6e634f9bf5f",
    notes="No string is in both splits.",
)


def standard_splits() -> dict[str, list[tuple[str, str]]]:
    """The splits that the card describes.

    Returns:
        Split name to pairs.

    Examples:
        >>> {name: len(pairs) for name, pairs in standard_splits().items()} == CARD.splits
        True
    """
    train, test = split_reversal(10_000, 1_000)
    return {"train": train, "test": test}


def reversal_pairs(
    n: int,
    *,
    min_length: int = 3,
    max_length: int = 10,
    alphabet: str = ALPHABET,
    seed: int = 0,
) -> list[tuple[str, str]]:
    """Draw `n` different random strings, each with its reverse.

    The length is uniform between the bounds, each letter uniform over the alphabet. Python's
    generator draws them, so a seed gives the same strings under every version of torch.

    Args:
        n: How many pairs.
        min_length: The shortest string, at least 1.
        max_length: The longest string.
        alphabet: The letters to draw from.
        seed: Seed of the draw.

    Returns:
        Pairs `(text, reversed text)`; no text occurs twice.

    Raises:
        ValueError: The bounds are out of order, or there aren't enough different strings.

    Examples:
        >>> pairs = reversal_pairs(3, min_length=4, max_length=4, seed=1)
        >>> all(target == source[::-1] for source, target in pairs)
        True
    """
    if not 1 <= min_length <= max_length:
        raise ValueError(
            f"min_length, max_length: expected 1 ≤ min ≤ max, got {min_length}, {max_length}"
        )
    letters = sorted(set(alphabet))
    # Uniform lengths exhaust the short strings first; half of all is a safe, simple bound.
    available = sum(len(letters) ** length for length in range(min_length, max_length + 1))
    if not 0 <= n <= available // 2:
        raise ValueError(f"n: expected 0 to {available // 2} (half of all strings), got {n}")
    generator = random.Random(seed)
    drawn: dict[str, str] = {}
    while len(drawn) < n:
        length = generator.randint(min_length, max_length)
        text = "".join(generator.choices(letters, k=length))
        drawn.setdefault(text, text[::-1])
    return list(drawn.items())


def split_reversal(
    n_train: int,
    n_test: int,
    *,
    min_length: int = 3,
    max_length: int = 10,
    alphabet: str = ALPHABET,
    seed: int = 0,
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Draw training and held-out pairs that share no string.

    Args:
        n_train: Pairs to train on.
        n_test: Pairs to hold out.
        min_length: The shortest string, at least 1.
        max_length: The longest string.
        alphabet: The letters to draw from.
        seed: Seed of the draw.

    Returns:
        Two lists of pairs `(text, reversed text)`.

    Raises:
        TypeError: A number of pairs isn't an int.
        ValueError: A negative number of pairs, or as `reversal_pairs`.

    Examples:
        >>> train, test = split_reversal(100, 20)
        >>> len(train), len(test), {s for s, _ in train} & {s for s, _ in test}
        (100, 20, set())
    """
    _checks.integer("n_train", n_train, least=0)
    _checks.integer("n_test", n_test, least=0)
    pairs = reversal_pairs(
        n_train + n_test,
        min_length=min_length,
        max_length=max_length,
        alphabet=alphabet,
        seed=seed,
    )
    # Late in the draw the short strings run out; mixing gives both parts the same lengths.
    random.Random(f"{seed}:split").shuffle(pairs)
    return pairs[:n_train], pairs[n_train:]
