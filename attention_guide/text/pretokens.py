"""Where byte-level BPE may not merge: GPT-2's cut of a text into words, numbers and marks."""

from __future__ import annotations

import re
import sys
import unicodedata
from functools import cache
from itertools import groupby

# Unicode's White_Space. Python's `\s` has four control characters more (U+001C to U+001F).
_SPACE = r"\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"


def pretokens(text: str) -> list[str]:
    r"""Cut a text as GPT-2 does: `' ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+'`.

    A word takes one space before it along; English contractions (`'s`, `'ll`) are cut off. The
    standard library's `re` has no `\p{L}` and `\p{N}`, so that they are spelled out from
    `unicodedata`: they are those of Python's Unicode version.

    Args:
        text: Any text.

    Returns:
        The pieces; joined, they are the text.

    Source:
        Radford et al. (2019), section 2.2, and OpenAI's published `encoder.py`.

    Examples:
        >>> pretokens("We'll see 2 cats,  won't we?")
        ['We', "'ll", ' see', ' 2', ' cats', ',', ' ', ' won', "'t", ' we', '?']
    """
    return _pattern().findall(text)


@cache
def _pattern() -> re.Pattern[str]:
    letter, number = class_of("L"), class_of("N")
    return re.compile(
        rf"'(?:s|t|re|ve|m|ll|d)| ?[{letter}]+| ?[{number}]+"
        rf"| ?[^{_SPACE}{letter}{number}]+|[{_SPACE}]+(?![^{_SPACE}])|[{_SPACE}]+"
    )


def class_of(category: str) -> str:
    """The ranges of all characters whose general category begins with a letter."""
    codes = (c for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c))[0] == category)
    ranges = []
    # Neighbours have the same difference between their code and their place in the row.
    for _, group in groupby(enumerate(codes), key=lambda item: item[1] - item[0]):
        run = [code for _, code in group]
        ranges.append(f"\\U{run[0]:08x}-\\U{run[-1]:08x}")
    return "".join(ranges)
