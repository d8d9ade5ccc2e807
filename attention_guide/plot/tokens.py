"""Tokens as labels: any script, nothing invisible, no formulas, and a clear word on missing glyphs.

matplotlib shapes text since 3.11 (ligatures of Arabic, marks of Devanagari, right-to-left order
inside a label), so a label needs nothing but a font that has its characters. Fonts are looked for
among those that matplotlib finds on the machine; what none of them has is written as its code
point.
"""

import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache

import matplotlib as mpl
from matplotlib import font_manager

# A label longer than this would push the map off the page; tables keep the whole token.
LONGEST = 40
# Characters that are blank, or reorder, hide or join what stands beside them: a label must show
# that they are there.
HIDDEN = {
    *map(chr, (0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x200B, 0x200E, 0x200F, 0x2060)),
    *map(chr, (0x2800, 0x3164, 0xFEFF, 0xFFA0)),
    *map(chr, range(0x180B, 0x1810)),
    *map(chr, range(0x202A, 0x202F)),
    *map(chr, range(0x2061, 0x2070)),
    *map(chr, range(0xFFF9, 0xFFFC)),
    *map(chr, range(0xE0000, 0xE0080)),
}
# Persian and the scripts of India are written with them; inside a word they stay.
JOINERS = {"\u200c", "\u200d"}
VIRAMA = 9  # its combining class: a joiner behind it shapes the letter, even at a word's end
SIGNS = {"\n": "⏎", "\r": "⏎", "\u2028": "⏎", "\u2029": "⏎", "\t": "⇥"}


SPECIAL = re.compile(r"\[[^\[\]]+\]|<[^<>]+>|‹[^‹›]+›")


class MissingGlyphs(UserWarning):
    """A token has characters that no font on this machine can draw."""


def visible(token: object) -> str:
    r"""A token in which white space, control and format characters can be seen.

    Args:
        token: Usually a string; anything else is written as `str` writes it.

    Returns:
        The token with ␣ for spaces, ⏎ for ends of lines, ⇥ for a tab, ⟨code point⟩ for other
        characters that show nothing, ⟨⟩ for an empty token, and a dotted circle under a mark that
        has no letter.

    Examples:
        >>> visible(" new\nline"), visible("a\u202eb"), visible("\u0301")
        ('␣new⏎line', 'a⟨202E⟩b', '◌́')
    """
    signs = str(token)
    text = "".join(map(_sign, signs, " " + signs, signs[1:] + " ")) or "⟨⟩"
    return f"◌{text}" if unicodedata.category(text[0]) == "Mn" else text


def drawable(tokens: Iterable[object], longest: int = LONGEST) -> list[str]:
    r"""Labels for matplotlib: visible, no formulas, of bearable length, no glyph missing.

    Args:
        tokens: The tokens.
        longest: Characters of a label, before code points stand for any; the rest is cut off.

    Returns:
        One label a token.

    Warns:
        MissingGlyphs: No font on this machine has a character; it stands there as ⟨code point⟩.

    Examples:
        >>> drawable(["cat", "$x$"])
        ['cat', '\\$x\\$']
    """
    shown = [_shorten(visible(token), longest) for token in tokens]
    missing = _split(frozenset("".join(shown)))[1]
    if missing:
        some = ", ".join(f"{c} (U+{ord(c):04X})" for c in sorted(missing)[:5])
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        warnings.warn(
            f"no font on this machine has {some}{more}: their code points are drawn instead; "
            "install a font that has them (Noto, for one) where matplotlib finds it",
            MissingGlyphs,
            stacklevel=2,
        )
        shown = [_coded(text, missing) for text in shown]
    # A dollar sign would start a formula.
    return [text.replace("$", r"\$") for text in shown]


def families(labels: Iterable[str]) -> list[str]:
    """Font families for labels: the one that is set, then those that have what it lacks.

    Args:
        labels: What is to be drawn.

    Returns:
        Names for a text's `fontfamily`.

    Examples:
        >>> families(["plain"]) == list(mpl.rcParams["font.family"])
        True
    """
    return [*mpl.rcParams["font.family"], *_split(frozenset("".join(labels)))[0]]


def reads_right_to_left(tokens: Sequence[object]) -> bool:
    """Whether most letters of the tokens belong to a script that runs from right to left.

    Latin letters in brackets, as in [PAD] or </s>, don't count.

    Args:
        tokens: The tokens, in the order in which they are read.

    Returns:
        True for Hebrew, Arabic, Syriac and their like.

    Examples:
        >>> peace, world = chr(0x5E9) + chr(0x5DC), chr(0x5E2) + chr(0x5D5)  # Hebrew letters
        >>> reads_right_to_left([peace, world]), reads_right_to_left(["peace", "world"])
        (True, False)
    """
    # The names of special tokens ([PAD], </s>) are Latin in every language.
    texts = [re.sub(r"[A-Za-z]", "", text) if SPECIAL.fullmatch(text) else text
             for text in map(str, tokens)]  # fmt: skip
    kinds = [unicodedata.bidirectional(c) for text in texts for c in text]
    return sum(kind in ("R", "AL") for kind in kinds) > sum(kind == "L" for kind in kinds)


def _sign(character: str, before: str, after: str) -> str:
    if character in SIGNS:
        return SIGNS[character]
    category = unicodedata.category(character)
    if character in JOINERS:
        inside = _is_word(before) and _is_word(after)
        return character if inside or unicodedata.combining(before) == VIRAMA else _code(character)
    if category == "Zs":
        return "␣"
    if category in ("Cc", "Cs") or character in HIDDEN:
        return _code(character)
    # Variation selectors choose between pictures of one character; fonts here have one.
    if "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef":
        return "" if _is_word(before) else _code(character)
    return character


def _is_word(character: str) -> bool:
    """Whether a joiner or a variation selector beside it has something to act on."""
    return unicodedata.category(character)[0] in "LMNS" and character not in HIDDEN


def _code(character: str) -> str:
    return f"⟨{ord(character):04X}⟩"


def _coded(text: str, missing: set[str]) -> str:
    """Code points for what no font has, three of them at most: they are long."""
    places = [place for place, character in enumerate(text) if character in missing]
    end = f"{text[: places[3]]}…" if len(places) > 3 else text
    return "".join(_code(c) if c in missing else c for c in end)


def _shorten(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    cut = longest - 1
    while cut > 1 and unicodedata.combining(text[cut]):
        cut -= 1  # an accent stays with its letter
    return text[:cut] + "…"


def _split(characters: frozenset[str]) -> tuple[list[str], set[str]]:
    """Families beyond the one that is set, and what no family has."""
    base = tuple(mpl.rcParams["font.family"])
    return _search(frozenset(c for c in characters if ord(c) > 0x7E), base)


@lru_cache(maxsize=256)
def _search(characters: frozenset[str], base: tuple[str, ...]) -> tuple[list[str], set[str]]:
    # Joiners are instructions to the shaper; a font that has no glyph for them obeys them, too.
    wanted = set(characters) - {"\u200c", "\u200d"}
    for family in base:
        file = str(font_manager.findfont(font_manager.FontProperties(family=[family])))
        wanted -= _covered(file, frozenset(wanted))
    found: list[str] = []
    for name, path in _fonts():
        if not wanted:
            break
        has = _covered(path, frozenset(wanted))
        if has:
            found.append(name)
            wanted -= has
    return found, wanted


def _fonts() -> Iterator[tuple[str, str]]:
    yield from _known_fonts()
    yield from _new_fonts()


@lru_cache(maxsize=1)
def _known_fonts() -> list[tuple[str, str]]:
    return _families(font_manager.fontManager.ttflist)


@lru_cache(maxsize=1)
def _new_fonts() -> list[tuple[str, str]]:
    """Fonts installed since matplotlib made its list, which it keeps from one run to the next."""
    known = list(font_manager.fontManager.ttflist)
    files = {entry.fname for entry in known}
    for path in sorted(font_manager.findSystemFonts()):
        if path not in files:
            with suppress(RuntimeError, OSError):  # a font that matplotlib can't open
                font_manager.fontManager.addfont(path)
    return _families(font_manager.fontManager.ttflist[len(known) :])


def _families(entries: Iterable[font_manager.FontEntry]) -> list[tuple[str, str]]:
    """One upright file a family, by name, so that every run picks alike; DejaVu and Noto first."""
    files: dict[str, str] = {}
    for entry in sorted(entries, key=lambda entry: entry.fname):
        regular = entry.style == "normal" and str(entry.weight) in ("400", "normal", "regular")
        # The font of last resort has a box for everything and a letter for nothing.
        if regular and entry.name not in files and not entry.name.startswith("Last Resort"):
            files[entry.name] = entry.fname
    first = ("DejaVu Sans", "Noto Sans", "Noto")
    order = [next((i for i, f in enumerate(first) if name.startswith(f)), 3) for name in files]
    ranked = sorted(zip(order, files, strict=True))
    return [(name, files[name]) for _, name in ranked]


def _covered(path: str, characters: frozenset[str]) -> set[str]:
    try:
        font = font_manager.get_font(path)
    except (RuntimeError, OSError):
        return set()  # a font that matplotlib can't open (colour bitmaps) draws nothing
    return {c for c in characters if font.get_char_index(ord(c))}
