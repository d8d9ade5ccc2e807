"""Which piece of a number word says which digit: gold alignments by rule, and their measure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Final, NamedTuple

from attention_guide.data.numbers import LANGUAGES, LIMIT

_EN: Final = [
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
]
_EN_TENS: Final = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_DE: Final = [
    "null",
    "ein",
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
]
_DE_TENS: Final = [
    "zwanzig",
    "dreißig",
    "vierzig",
    "fünfzig",
    "sechzig",
    "siebzig",
    "achtzig",
    "neunzig",
]
_FR: Final = [
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
]
_FR_TENS: Final = ["vingt", "trente", "quarante", "cinquante", "soixante"]


class Piece(NamedTuple):
    """A piece of a number word and what it says: digits by their power of ten, and marks.

    `"3"` is the thousands' digit; `"hundred 3"` is the word *hundred* of the thousands,
    `"joint 0"` whatever ties the units to the tens, `"thousand"` the word itself. English
    *and* and its comma say nothing that the other languages say, so theirs is empty.
    """

    text: str
    says: frozenset[str]


def number_pieces(number: int, language: str) -> list[Piece]:
    """Spell a number by grammar, each piece with the digits that it stands for.

    The texts equal `split_number(number_words(number, language), language)`: this grammar is
    a second source beside `num2words`, and the tests hold the two against each other.

    Args:
        number: From 0 to 999,999.
        language: `"en"`, `"de"` or `"fr"`.

    Returns:
        The pieces in order.

    Raises:
        ValueError: A number or a language outside of these.

    Examples:
        >>> for piece in number_pieces(21, "de"):
        ...     print(piece.text, sorted(piece.says))
        ein ['0']
        und ['joint 0']
        zwanzig ['1']
    """
    if not 0 <= number < LIMIT:
        raise ValueError(f"number: expected 0 ≤ number < {LIMIT}, got {number}")
    if language not in LANGUAGES:
        raise ValueError(f"language: expected one of {', '.join(LANGUAGES)}, got {language!r}")
    if number == 0:
        return [_piece({"en": _EN, "de": _DE, "fr": _FR}[language][0], "0")]
    thousands, rest = divmod(number, 1000)
    spell = _SPELL[language]
    low = spell(rest, 0, True)
    if not thousands:
        return low
    if language == "fr" and thousands == 1:
        return [_piece("mille", "3", "thousand"), *low]
    high = [*spell(thousands, 3, False), _piece("thousand", "thousand")]
    if language != "en":
        return [*high[:-1], _piece({"de": "tausend", "fr": "mille"}[language], "thousand"), *low]
    glue = [] if not rest else [_piece("," if rest >= 100 else "and")]
    return [*high, *glue, *low]


def gold_links(number: int, source: str, target: str) -> set[tuple[int, int]]:
    """Pairs of (target piece, source piece) that say the same thing about the number.

    Args:
        number: From 0 to 999,999.
        source: The source language.
        target: The target language.

    Returns:
        The links, counted from 0 in each language's pieces (a tag in front isn't counted).

    Raises:
        ValueError: As `number_pieces`.

    Examples:
        >>> sorted(gold_links(21, "en", "de"))  # twenty - one → ein und zwanzig
        [(0, 2), (1, 1), (2, 0)]
    """
    return {
        (t, s)
        for t, target_piece in enumerate(number_pieces(number, target))
        for s, source_piece in enumerate(number_pieces(number, source))
        if target_piece.says & source_piece.says
    }


def alignment_error_rate(
    predicted: Iterable[Hashable],
    sure: Iterable[Hashable],
    possible: Iterable[Hashable] | None = None,
) -> float:
    """AER = 1 − (|A ∩ S| + |A ∩ P|) / (|A| + |S|): 0 is perfect, 1 is all wrong.

    Args:
        predicted: The links to judge, `A`.
        sure: Links that must be there, `S`.
        possible: Links that may be there, `P`; the sure ones are added. Default: the sure ones.

    Returns:
        The error rate.

    Raises:
        ValueError: Neither a predicted nor a sure link.

    Source:
        Och and Ney (2003), "A Systematic Comparison of Various Statistical Alignment Models",
        Computational Linguistics 29(1).

    Examples:
        >>> alignment_error_rate({(0, 0), (1, 1)}, sure={(0, 0), (1, 2)})
        0.5
    """
    a, s = set(predicted), set(sure)
    if not a and not s:
        raise ValueError("predicted, sure: expected at least one link, got none")
    p = s | set(possible or ())
    return 1 - (len(a & s) + len(a & p)) / (len(a) + len(s))


def _piece(text: str, *says: str) -> Piece:
    return Piece(text, frozenset(says))


def _teen(text: str, units: int, power: int) -> Piece:
    return _piece(text, f"{power + 1}", *([f"{power}"] if units else []))


def _english(number: int, power: int, last: bool) -> list[Piece]:
    hundreds, rest = divmod(number, 100)
    tens, units = divmod(rest, 10)
    pieces = []
    if hundreds:
        pieces += [_piece(_EN[hundreds], f"{power + 2}"), _piece("hundred", f"hundred {power}")]
    if hundreds and rest:
        pieces.append(_piece("and"))
    if tens == 1:
        return [*pieces, _teen(_EN[rest], units, power)]
    if tens:
        pieces.append(_piece(_EN_TENS[tens - 2], f"{power + 1}"))
    if tens and units:
        pieces.append(_piece("-", f"joint {power}"))
    if units:
        pieces.append(_piece(_EN[units], f"{power}"))
    return pieces


def _german(number: int, power: int, last: bool) -> list[Piece]:
    hundreds, rest = divmod(number, 100)
    tens, units = divmod(rest, 10)
    pieces = []
    if hundreds:
        pieces += [_piece(_DE[hundreds], f"{power + 2}"), _piece("hundert", f"hundred {power}")]
    if tens == 1:
        return [*pieces, _teen(_DE[rest], units, power)]
    if units:
        # "eins" stands alone or last. num2words also writes it in "einhunderteinstausend",
        # but not in "eintausend".
        alone = not tens and units == 1 and (last or hundreds > 0)
        pieces.append(_piece("eins" if alone else _DE[units], f"{power}"))
    if tens and units:
        pieces.append(_piece("und", f"joint {power}"))
    if tens:
        pieces.append(_piece(_DE_TENS[tens - 2], f"{power + 1}"))
    return pieces


def _french(number: int, power: int, last: bool) -> list[Piece]:
    hundreds, rest = divmod(number, 100)
    pieces = []
    if hundreds == 1:
        pieces.append(_piece("cent", f"{power + 2}", f"hundred {power}"))
    elif hundreds:
        plural = "cents" if last and not rest else "cent"
        pieces += [_piece(_FR[hundreds], f"{power + 2}"), _piece(plural, f"hundred {power}")]
    return [*pieces, *_french_below_100(rest, power, last)]


def _french_below_100(rest: int, power: int, last: bool) -> list[Piece]:
    tens, units = divmod(rest, 10)
    ten, joint = f"{power + 1}", f"joint {power}"
    if tens in (7, 9):  # sixty-ten, four-twenty-ten: the teens follow
        base = _french_below_100(rest - 10 - units, power, False)
        tie = "et" if rest == 71 else "-"
        simple = units in range(1, 7)  # onze … seize say ten and unit in one word
        return [
            *base,
            _piece(tie, joint if simple else ten),
            *_french_below_100(10 + units, power, last),
        ]
    pieces = []
    if rest in range(1, 17):
        return [_teen(_FR[rest], units, power) if tens else _piece(_FR[rest], f"{power}")]
    if tens == 1:
        pieces.append(_piece("dix", ten))
    elif tens == 8:
        twenty = "vingts" if last and not units else "vingt"
        pieces += [_piece("quatre", ten), _piece("-", ten), _piece(twenty, ten)]
    elif tens:
        pieces.append(_piece(_FR_TENS[tens - 2], ten))
    if units:
        pieces += [
            _piece("et" if units == 1 and tens != 8 else "-", joint),
            _piece(_FR[units], f"{power}"),
        ]
    return pieces


_SPELL: Final[dict[str, Callable[[int, int, bool], list[Piece]]]] = {
    "en": _english,
    "de": _german,
    "fr": _french,
}
