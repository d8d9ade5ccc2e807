"""Byte-pair merges, small: only to ask whether German numbers need their morphemes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise


def learn_merges(words: Iterable[str], n: int) -> list[tuple[str, str]]:
    """Merge the most frequent pair of neighbours, `n` times.

    Args:
        words: The words to learn from, one entry an occurrence.
        n: How many merges.

    Returns:
        The merges in order; ties go to the pair that sorts first. Fewer where no pair is left.

    Raises:
        ValueError: `n` is negative.

    Source:
        Sennrich et al. (2016), section 3.2, without the end-of-word symbol: there is one word.

    Examples:
        >>> learn_merges(["low", "lower", "lowest"], 2)
        [('l', 'o'), ('lo', 'w')]
    """
    if n < 0:
        raise ValueError(f"n: expected 0 or more, got {n}")
    texts = [list(word) for word in words]
    merges: list[tuple[str, str]] = []
    for _ in range(n):
        counts: Counter[tuple[str, str]] = Counter()
        for text in texts:
            counts.update(pairwise(text))
        if not counts:
            break
        best = min(counts, key=lambda pair: (-counts[pair], pair))
        merges.append(best)
        texts = [_merge(text, best) for text in texts]
    return merges


def apply_merges(word: str, merges: Sequence[tuple[str, str]]) -> list[str]:
    """Cut a word into pieces by the merges, in the order in which they were learned.

    Args:
        word: The word.
        merges: What `learn_merges` returned.

    Returns:
        The pieces; joined, they are the word.

    Examples:
        >>> apply_merges("slower", [("l", "o"), ("lo", "w")])
        ['s', 'low', 'e', 'r']
    """
    pieces = list(word)
    for pair in merges:
        pieces = _merge(pieces, pair)
    return pieces


def _merge(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for piece in pieces:
        # After a merge the last piece is longer than the pair's left half: no overlap is taken.
        if merged and (merged[-1], piece) == pair:
            merged[-1] += piece
        else:
            merged.append(piece)
    return merged
