"""The published sets by name: their cards, and what loads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from attention_guide.data.cards import Card
from attention_guide.data.public_media import CARDS_MEDIA, cifar10, speech_commands
from attention_guide.data.public_text import CARDS_TEXT, imdb, multi30k, sst2

PUBLIC_CARDS: Final[Mapping[str, Card]] = {**CARDS_TEXT, **CARDS_MEDIA}
LOADERS: Final[Mapping[str, Callable[..., Mapping[str, Any]]]] = {
    "cifar10": cifar10,
    "imdb": imdb,
    "multi30k": multi30k,
    "speech_commands": speech_commands,
    "sst2": sst2,
}


def load_public(name: str, folder: str | Path, *, download: bool = False, **options: Any) -> Any:
    """Load a published set by its name.

    Args:
        name: One of `LOADERS`.
        folder: Where its archive is, or goes.
        download: Whether to fetch it if it isn't there. Nothing else uses the network.
        options: What else the set's loader takes.

    Returns:
        Split name to examples, as the set's loader says.

    Raises:
        ValueError: There is no such set.
        FileNotFoundError: The archive isn't there, with what to do.
        ArchiveError: The archive is another file, damaged, or holds something else.

    Examples:
        >>> load_public("imdb", "no-such-folder")
        Traceback (most recent call last):
        FileNotFoundError: ...pass download=True to fetch it, or put the file of https://...
    """
    if name not in LOADERS:
        raise ValueError(f"name: expected one of {', '.join(LOADERS)}, got {name!r}")
    return LOADERS[name](folder, download=download, **options)
