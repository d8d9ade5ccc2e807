"""Handwritten digits of 8 × 8 pixels, which come with scikit-learn."""

from __future__ import annotations

import random
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from attention_guide.data.cards import Card

CARD: Final = Card(
    name="digits",
    description="A handwritten digit, 8 × 8 pixels of 0 to 16, and which one it is.",
    source=(
        "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine "
        "Learning Repository, 1998: the test set, as scikit-learn's `load_digits` has it."
    ),
    licence="scikit-learn's copy comes under BSD-3-Clause; UCI's terms hold for the set itself",
    splits={"train": 1_497, "test": 300},
    checksum="3b6dc3ff518e36f93493da89e1b65d927d3c0234433ce311aae3504823a3e8f9",
    versions={"scikit-learn": "1.9.1"},
    notes=(
        "Of 13 writers; which of them wrote what isn't recorded, so that both splits have digits "
        "of the same hands. A score on `test` says nothing of other writers."
    ),
)

Digit = tuple[NDArray[np.uint8], int]


def load_digits() -> list[Digit]:
    """All 1,797 digits in scikit-learn's order.

    Returns:
        Pictures `(8, 8)` of 0 (paper) to 16 (ink), each with its digit.

    Raises:
        ModuleNotFoundError: scikit-learn isn't installed (it comes with the `book` extra).

    Examples:
        >>> picture, digit = load_digits()[0]
        >>> picture.shape, digit
        ((8, 8), 0)
    """
    # Imported here: only the chapters and recipes need the package.
    from sklearn import datasets

    raw: Any = datasets.load_digits()
    pairs = zip(raw.images, raw.target, strict=True)
    return [(picture.astype(np.uint8), int(digit)) for picture, digit in pairs]


def standard_splits() -> dict[str, list[Digit]]:
    """The splits that the card describes, drawn with seed 0.

    Returns:
        Split name to pictures and digits.

    Raises:
        ModuleNotFoundError: As `load_digits`.

    Examples:
        >>> sorted({digit for _, digit in standard_splits()["test"]})
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    digits = load_digits()
    random.Random("digits:split:0").shuffle(digits)
    return {"train": digits[300:], "test": digits[:300]}
