"""Numbers in words: a translation task with real reordering and endless exact data."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import permutations
from typing import Final, NamedTuple

from attention_guide.functional import _checks
from attention_guide.text import Vocabulary

LANGUAGES: Final = ("en", "de", "fr")
DIRECTIONS: Final = tuple(permutations(LANGUAGES, 2))
LIMIT: Final = 1_000_000

# The morphemes of German numerals. Whatever isn't listed here is an error, never a guess.
_GERMAN: Final = [
    "null",
    "ein",
    "eins",
    "zwei",
    "drei",
    "vier",
    "fünf",
    "sechs",
    "sieben",
    "acht",
    "neun",
    "zehn",
    "elf",
    "zwölf",
    "dreizehn",
    "vierzehn",
    "fünfzehn",
    "sechzehn",
    "siebzehn",
    "achtzehn",
    "neunzehn",
    "zwanzig",
    "dreißig",
    "vierzig",
    "fünfzig",
    "sechzig",
    "siebzig",
    "achtzig",
    "neunzig",
    "und",
    "hundert",
    "tausend",
]
_ENGLISH: Final = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
    "thirty",
    "forty",
    "fifty",
    "sixty",
    "seventy",
    "eighty",
    "ninety",
    "hundred",
    "thousand",
    "and",
    "-",
    ",",
]
_FRENCH: Final = [
    "zéro",
    "un",
    "deux",
    "trois",
    "quatre",
    "cinq",
    "six",
    "sept",
    "huit",
    "neuf",
    "dix",
    "onze",
    "douze",
    "treize",
    "quatorze",
    "quinze",
    "seize",
    "vingt",
    "vingts",
    "trente",
    "quarante",
    "cinquante",
    "soixante",
    "cent",
    "cents",
    "mille",
    "et",
    "-",
]

# The longest alternative first: "siebzehn" before "sieb…", "eins" before "ein".
_MORPHEME: Final = re.compile("|".join(sorted(_GERMAN, key=len, reverse=True)))
_WORD_OR_MARK: Final = re.compile(r"[^\W\d_]+|[-,]")


class Pair(NamedTuple):
    """One sentence pair: a number, from which language, into which, and both token lists."""

    number: int
    source_language: str
    target_language: str
    source: list[str]
    target: list[str]


def number_words(number: int, language: str) -> str:
    """Write a number out in words, as the `num2words` package does.

    Args:
        number: From 0 to 999,999.
        language: `"en"`, `"de"` or `"fr"`.

    Returns:
        The words.

    Raises:
        TypeError: The number isn't an int.
        ValueError: A number or a language outside of these.
        ModuleNotFoundError: `num2words` isn't installed (it comes with the `book` extra).

    Examples:
        >>> [number_words(21, language) for language in LANGUAGES]
        ['twenty-one', 'einundzwanzig', 'vingt et un']
    """
    _check(number, language)
    # Imported here: only the chapters and the recipe need the package.
    from num2words import num2words

    return str(num2words(number, lang=language))


def split_number(text: str, language: str) -> list[str]:
    """Cut number words into the pieces that the model reads, without losing anything.

    English and French are cut at spaces, and their hyphens and commas become pieces of their
    own. German writes a number below a million as one word; it is cut into morphemes, the
    longest that fits first. `join_number` puts the text together again.

    Args:
        text: Number words in one language.
        language: `"en"`, `"de"` or `"fr"`.

    Returns:
        The pieces.

    Raises:
        ValueError: The text holds something that no number word of the language has.

    Examples:
        >>> split_number("einundzwanzig", "de")
        ['ein', 'und', 'zwanzig']
        >>> split_number("quatre-vingt-un", "fr")
        ['quatre', '-', 'vingt', '-', 'un']
    """
    _check(0, language)
    pattern = _MORPHEME if language == "de" else _WORD_OR_MARK
    pieces: list[str] = pattern.findall(text)
    if any(piece not in _TOKENS[language] for piece in pieces) or (
        join_number(pieces, language) != text
    ):
        raise ValueError(f"text: {text!r} isn't a number in words in language {language!r}")
    return pieces


def join_number(pieces: Iterable[str], language: str) -> str:
    """Put the pieces together: the inverse of `split_number`.

    It also joins pieces in an order that no number has, as a model may put them out.

    Args:
        pieces: What `split_number` returned, or a model's output.
        language: `"en"`, `"de"` or `"fr"`.

    Returns:
        The text.

    Examples:
        >>> join_number(["twenty", "-", "one", "thousand", ",", "six", "hundred"], "en")
        'twenty-one thousand, six hundred'
    """
    _check(0, language)
    if language == "de":
        return "".join(pieces)
    return " ".join(pieces).replace(" - ", "-").replace(" ,", ",")


def target_tag(language: str) -> str:
    """The piece at the head of the source that says which language is wanted.

    >>> target_tag("de")
    '<2de>'
    """
    _check(0, language)
    return f"<2{language}>"


def number_vocabulary() -> Vocabulary:
    """The closed vocabulary: three tags and the pieces of all three languages.

    Languages that spell a piece alike ("six") share its id.

    Examples:
        >>> vocabulary = number_vocabulary()
        >>> vocabulary.decode(vocabulary.encode(["<2fr>", "ein", "und", "zwanzig"]))
        ['<2fr>', 'ein', 'und', 'zwanzig']
    """
    pieces = sorted({piece for tokens in _TOKENS.values() for piece in tokens})
    return Vocabulary([target_tag(language) for language in LANGUAGES] + pieces)


def draw_numbers(
    n: int, *, low: int = 0, high: int = LIMIT, seed: int = 0, exclude: Iterable[int] = ()
) -> list[int]:
    """Draw `n` different numbers uniformly from `low` to `high - 1`, in random order.

    Python's generator draws them, so a seed gives the same numbers under every version of
    torch.

    Args:
        n: How many.
        low: The smallest number that may be drawn.
        high: One more than the largest.
        seed: Seed of the draw.
        exclude: Numbers that may not be drawn: the training set's, say.

    Returns:
        The numbers.

    Raises:
        ValueError: The bounds are outside 0 … 1,000,000 or hold fewer than `n` numbers.

    Examples:
        >>> train = draw_numbers(5_000, seed=0)
        >>> test = draw_numbers(1_000, seed=1, exclude=train)
        >>> len(set(train)), len(set(test)), set(train) & set(test)
        (5000, 1000, set())
    """
    if not 0 <= low < high <= LIMIT:
        raise ValueError(f"low, high: expected 0 ≤ low < high ≤ {LIMIT}, got {low}, {high}")
    excluded = set(exclude)
    available = high - low - sum(low <= number < high for number in excluded)
    if not 0 <= n <= available:
        raise ValueError(f"n: expected 0 to {available} (the numbers left to draw), got {n}")
    generator = random.Random(seed)
    # A sample a little too large, so that enough is left when the excluded ones are out.
    overlap = high - low - available
    sample = generator.sample(range(low, high), n + overlap)
    return [number for number in sample if number not in excluded][:n]


def number_pairs(
    numbers: Iterable[int],
    directions: Sequence[tuple[str, str]] = DIRECTIONS,
    *,
    split: Callable[[str, str], list[str]] = split_number,
) -> list[Pair]:
    """Every number in every direction, as lists of pieces; the source begins with the tag.

    Args:
        numbers: The numbers.
        directions: `(source language, target language)` pairs; by default all six.
        split: How number words become pieces, as `split_number(text, language)`.

    Returns:
        The pairs, number by number.

    Examples:
        >>> number_pairs([21], [("en", "de")])[0][3:]
        (['<2de>', 'twenty', '-', 'one'], ['ein', 'und', 'zwanzig'])
    """
    pairs = []
    for number in numbers:
        pieces = {
            language: split(number_words(number, language), language)
            for language in {language for direction in directions for language in direction}
        }
        for source, target in directions:
            tagged = [target_tag(target), *pieces[source]]
            pairs.append(Pair(number, source, target, tagged, pieces[target]))
    return pairs


_TOKENS: Final = {"en": set(_ENGLISH), "de": set(_GERMAN), "fr": set(_FRENCH)}


def _check(number: int, language: str) -> None:
    _checks.integer("number", number)
    if not 0 <= number < LIMIT:
        raise ValueError(f"number: expected 0 ≤ number < {LIMIT}, got {number}")
    if language not in LANGUAGES:
        raise ValueError(f"language: expected one of {', '.join(LANGUAGES)}, got {language!r}")
