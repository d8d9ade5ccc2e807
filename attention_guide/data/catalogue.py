"""Every set that the package makes, found by its card."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from attention_guide.data.cards import Card, Splits

__all__ = ["Entry", "catalogue"]


@dataclass(frozen=True)
class Entry:
    """A set in the catalogue: its card, and what makes it.

    Attributes:
        card: The card.
        module: The module that makes it.
        make: Makes the splits that the card describes.
    """

    card: Card
    module: str
    make: Callable[[], Splits]

    def load(self) -> Splits:
        """Make the splits and compare them with the card, see `Card.check`."""
        splits = self.make()
        self.card.check(splits)
        return splits


def catalogue() -> dict[str, Entry]:
    """Name to entry, for every module of `attention_guide.data` that has a card of its own.

    A module takes part by two names: `CARD` (or `CARDS`, a mapping from a set's name to its
    card) and `standard_splits()` (then with the set's name as its argument).

    Returns:
        The entries, sorted by name.

    Raises:
        ValueError: Two sets have the same name.

    Examples:
        >>> catalogue()["reverse"].card.licence
        'MIT'
    """
    found: dict[str, Entry] = {}
    for info in pkgutil.iter_modules(importlib.import_module("attention_guide.data").__path__):
        name = f"attention_guide.data.{info.name}"
        module = importlib.import_module(name)
        make = getattr(module, "standard_splits", None)
        if make is None:
            continue
        cards: dict[str, Card] = getattr(module, "CARDS", None) or {module.CARD.name: module.CARD}
        for key, card in cards.items():
            if key in found:
                raise ValueError(f"{key}: {found[key].module} and {name} both have this set")
            several = hasattr(module, "CARDS")
            found[key] = Entry(card, name, _named(make, key) if several else make)
    return dict(sorted(found.items()))


def _named(make: Callable[[str], Splits], name: str) -> Callable[[], Splits]:
    return lambda: make(name)
