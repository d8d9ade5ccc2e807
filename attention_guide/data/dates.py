"""Dates as people write them, in ten languages, and the one way in which machines write them."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from attention_guide.data.cards import Card

LANGUAGES: Final = ("en", "de", "fr", "es", "it", "pl", "tr", "ar", "hi", "zh")
STYLES: Final = ("long", "full")
FIRST: Final = datetime.date(1900, 1, 1)
LAST: Final = datetime.date(2099, 12, 31)

CARD: Final = Card(
    name="dates",
    description="A date in one of ten languages, long or with its weekday, and in ISO 8601.",
    source="Drawn uniformly from 1900 to 2099, seed 0; written by babel from Unicode's CLDR.",
    licence="MIT; the words are CLDR's (Unicode License v3)",
    splits={"train": 2_000, "test": 500},
    checksum="8a4749350eff74392ee35692174679aa0f7df31fdf63cef9de8dd53a2240f471",
    versions={"babel": "2.18.0"},
    notes="Every date is in one split only. CLDR changes how dates are written now and then.",
)


class DatePair(NamedTuple):
    """One pair: a date, the language and style of the source, and both texts."""

    date: datetime.date
    language: str
    source: str
    target: str


def date_text(date: datetime.date, language: str, style: str = "long") -> str:
    """Write a date as people who speak the language do.

    Args:
        date: The date, without a time.
        language: One of `LANGUAGES`, or `"iso"` for `2024-03-01`.
        style: `"long"`, or `"full"` with the weekday; of no effect on `"iso"`.

    Returns:
        The text. Directional marks, which no reader sees, are left out.

    Raises:
        TypeError: Not a date, or one with a time.
        ValueError: An unknown language or style.
        ModuleNotFoundError: babel isn't installed (it comes with the `book` extra).

    Examples:
        >>> day = datetime.date(2024, 3, 1)
        >>> [date_text(day, language) for language in ("en", "de", "fr", "iso")]
        ['March 1, 2024', '1. März 2024', '1 mars 2024', '2024-03-01']
    """
    # A datetime is a date to isinstance, and writes its time, too.
    if not isinstance(date, datetime.date) or isinstance(date, datetime.datetime):
        raise TypeError(f"date: expected a datetime.date; got {type(date).__name__}")
    if language == "iso":
        return date.isoformat()
    if language not in LANGUAGES:
        raise ValueError(
            f"language: expected one of {', '.join(LANGUAGES)} or iso, got {language!r}"
        )
    if style not in STYLES:
        raise ValueError(f"style: expected one of {', '.join(STYLES)}, got {style!r}")
    # Imported here: only the chapters and recipes need the package.
    from babel.dates import format_date

    text = str(format_date(date, style, locale=language))
    return text.replace("\u200f", "").replace("\u200e", "")


def draw_dates(
    n: int, *, seed: int = 0, exclude: Iterable[datetime.date] = ()
) -> list[datetime.date]:
    """Draw `n` different dates uniformly from `FIRST` to `LAST`, in random order.

    Args:
        n: How many.
        seed: Seed of the draw.
        exclude: Dates that may not be drawn: the training set's, say.

    Returns:
        The dates.

    Raises:
        ValueError: There aren't that many.

    Examples:
        >>> train = draw_dates(100)
        >>> set(train) & set(draw_dates(100, seed=1, exclude=train))
        set()
    """
    days = (LAST - FIRST).days + 1
    excluded = {(date - FIRST).days for date in exclude} & set(range(days))
    if not 0 <= n <= days - len(excluded):
        raise ValueError(f"n: expected 0 to {days - len(excluded)}, got {n}")
    drawn = random.Random(seed).sample(range(days), n + len(excluded))
    kept = [day for day in drawn if day not in excluded][:n]
    return [FIRST + datetime.timedelta(days=day) for day in kept]


def date_pairs(
    dates: Iterable[datetime.date],
    languages: Sequence[str] = LANGUAGES,
    *,
    target: str = "iso",
    seed: int = 0,
) -> list[DatePair]:
    """Each date in a language and a style drawn for it, and in the target's way.

    Args:
        dates: The dates.
        languages: The languages to draw from.
        target: `"iso"`, or a language.
        seed: Seed of the draw.

    Returns:
        A pair for each date.

    Raises:
        ValueError: An unknown language.

    Examples:
        >>> pair = date_pairs([datetime.date(2024, 3, 1)], ["fr"])[0]
        >>> pair.source.endswith("1 mars 2024"), pair.target
        (True, '2024-03-01')
    """
    generator = random.Random(f"{seed}:dates")
    pairs = []
    for date in dates:
        language, style = generator.choice(languages), generator.choice(STYLES)
        source = date_text(date, language, style)
        pairs.append(DatePair(date, language, source, date_text(date, target)))
    return pairs


def standard_splits() -> dict[str, list[tuple[str, str, str]]]:
    """The splits that the card describes: language, source and target.

    Returns:
        Split name to triples.

    Examples:
        >>> {name: len(pairs) for name, pairs in standard_splits().items()} == CARD.splits
        True
    """
    train = draw_dates(2_000)
    test = draw_dates(500, seed=1, exclude=train)
    splits = {"train": date_pairs(train), "test": date_pairs(test, seed=1)}
    return {
        name: [(pair.language, pair.source, pair.target) for pair in pairs]
        for name, pairs in splits.items()
    }
