"""English text that every Python brings along: the help topics of `pydoc`."""

from __future__ import annotations

import importlib
from typing import Final, NamedTuple

from attention_guide.data.cards import Card, checksum, installed

# What the book's own checkpoints saw.
CARD: Final = Card(
    name="pydoc-topics",
    description="The Python language reference, cut into topics: English prose and code.",
    source="`pydoc_data.topics` of Python's standard library.",
    licence="PSF-2.0",
    splits={"train": 72, "validation": 7},
    checksum="826e410308496b2d1adea3212b9e85549b6e021ce4a1ca93cfb5f5f5383e8fb9",
    versions={"python": "3.11.7"},
    notes="The texts differ between Python versions: compare cards before you compare losses.",
)


class Corpus(NamedTuple):
    """Texts, and the card that says which Python they came from and what their hash is.

    Attributes:
        train: Texts to train on.
        validation: Texts to validate on: whole topics, so that no sentence is in both.
        card: The card of what is here.
    """

    train: list[str]
    validation: list[str]
    card: Card


def pydoc_topics() -> Corpus:
    """The help topics of this Python, every tenth (by name) held out.

    Keep the card beside a checkpoint; `card.warn_if_changed(seen)` warns where another Python
    has other texts, and `Seen(card)` does it whenever a run goes on from a checkpoint.

    Returns:
        The corpus with a card of its own.

    Raises:
        ModuleNotFoundError: This Python comes without the module, with what to do.

    Examples:
        >>> corpus = pydoc_topics()
        >>> len("".join(corpus.train)) > 300_000 and list(corpus.card.versions)
        ['python']
    """
    try:
        topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "this Python comes without pydoc_data, which a full installation has: take one from "
            "python.org, or your distribution's complete package"
        ) from error
    texts = [topics[name] for name in sorted(topics)]
    train = [text for i, text in enumerate(texts) if i % 10 != 9]
    validation = texts[9::10]
    splits = {"train": train, "validation": validation}
    card = Card(
        name=CARD.name,
        description=CARD.description,
        source=CARD.source,
        licence=CARD.licence,
        splits={name: len(part) for name, part in splits.items()},
        checksum=checksum(splits),
        versions=installed("python"),
        notes=CARD.notes,
    )
    return Corpus(train, validation, card)


def standard_splits() -> dict[str, list[str]]:
    """The splits that the card describes, where this Python's texts are the same.

    Returns:
        Split name to texts.

    Examples:
        >>> sorted(standard_splits())
        ['train', 'validation']
    """
    corpus = pydoc_topics()
    return {"train": corpus.train, "validation": corpus.validation}
