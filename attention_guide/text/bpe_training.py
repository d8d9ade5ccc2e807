"""Learning the merges of byte-level BPE, with counts kept up to date and not counted anew."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Final, TypeAlias

from attention_guide.text import _check
from attention_guide.text.pretokens import pretokens

Pair: TypeAlias = tuple[int, int]

_PRINTABLE: Final = [*range(33, 127), *range(161, 173), *range(174, 256)]
# GPT-2's order of the bytes: those that Latin-1 prints, then the others.
BYTE_ORDER: Final = (*_PRINTABLE, *(b for b in range(256) if b not in set(_PRINTABLE)))


def learn_byte_merges(
    texts: Iterable[str], n: int, *, min_count: int = 2
) -> list[tuple[bytes, bytes]]:
    """Merge the most frequent pair of neighbours inside the pre-tokens, until `n` pieces are new.

    Args:
        texts: What to learn from.
        n: How many pieces to make.
        min_count: How often a pair must occur.

    Returns:
        The merges in order; fewer where no pair is left. Ties go to the pair of the lower ids
        (bytes in GPT-2's order, then pieces as they were made).

    Raises:
        TypeError: `texts` is one string.
        ValueError: `n` is negative or `min_count` less than 1.

    Cost:
        A merge costs the pre-tokens that hold its pair, not the whole text.

    Source:
        Sennrich et al. (2016), arXiv:1508.07909, algorithm 1.

    Examples:
        >>> learn_byte_merges(["low lower lowest"], 2)
        [(b'l', b'o'), (b'lo', b'w')]
    """
    if n < 0 or min_count < 1:
        raise ValueError(f"n, min_count: expected at least 0 and 1, got {n}, {min_count}")
    trainer = _Trainer(_check.texts(texts))
    while n > 0:
        pair = trainer.best(min_count)
        if pair is None:
            break
        n -= trainer.merge(pair)
    return trainer.merges


class _Trainer:
    """Words as lists of ids, how often each pair occurs, and where."""

    def __init__(self, texts: Iterable[str]) -> None:
        counted = Counter(piece for text in texts for piece in pretokens(text))
        number = {byte: i for i, byte in enumerate(BYTE_ORDER)}
        self.words = [[number[b] for b in word.encode("utf-8")] for word in counted]
        self.times = list(counted.values())
        self.pieces = [bytes([byte]) for byte in BYTE_ORDER]
        self.ids = {piece: i for i, piece in enumerate(self.pieces)}
        self.merges: list[tuple[bytes, bytes]] = []
        self.counts: Counter[Pair] = Counter()
        self.places: defaultdict[Pair, set[int]] = defaultdict(set)
        for index in range(len(self.words)):
            self._count(index, 1)
        self.queue = [(-count, pair) for pair, count in self.counts.items()]
        heapify(self.queue)

    def _count(self, index: int, sign: int) -> set[Pair]:
        pairs = list(pairwise(self.words[index]))
        for pair in pairs:
            self.counts[pair] += sign * self.times[index]
            if sign > 0:
                self.places[pair].add(index)
        return set(pairs)

    def best(self, min_count: int) -> Pair | None:
        """The most frequent pair; an entry of the queue that is out of date is put back right."""
        while self.queue:
            negative, pair = heappop(self.queue)
            count = self.counts[pair]
            if count != -negative:
                if count > 0:
                    heappush(self.queue, (-count, pair))
            elif count >= min_count:
                return pair
            else:
                return None
        return None

    def merge(self, pair: Pair) -> bool:
        """Merge a pair everywhere; whether its piece is new (two pairs can make the same)."""
        a, b = self.pieces[pair[0]], self.pieces[pair[1]]
        self.merges.append((a, b))
        is_new = a + b not in self.ids
        if is_new:
            self.ids[a + b] = len(self.pieces)
            self.pieces.append(a + b)
        merged = self.ids[a + b]
        touched: set[Pair] = set()
        for index in self.places.pop(pair):
            self._count(index, -1)
            self.words[index] = _merge(self.words[index], pair, merged)
            touched |= self._count(index, 1)
        for other in touched:
            if merged in other:  # only these can have become more frequent
                heappush(self.queue, (-self.counts[other], other))
        return is_new


def _merge(word: list[int], pair: Pair, merged: int) -> list[int]:
    out: list[int] = []
    at = 0
    while at < len(word):
        if at + 1 < len(word) and (word[at], word[at + 1]) == pair:
            out.append(merged)
            at += 2
        else:
            out.append(word[at])
            at += 1
    return out
