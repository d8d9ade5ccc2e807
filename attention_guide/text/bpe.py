"""Byte-level BPE: any text as bytes, and the pairs of pieces that occur often as one id."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise
from pathlib import Path
from typing import Final

from torch import Tensor

from attention_guide.text import _check
from attention_guide.text.bpe_training import BYTE_ORDER, learn_byte_merges
from attention_guide.text.pretokens import pretokens
from attention_guide.text.vocabulary import BOS, EOS, PAD

# GPT-2's files write each byte as one printable character: printable bytes as themselves, the
# other 68 as the characters from U+0100 on.
BYTE_TO_CHAR: Final = {
    byte: chr(byte) if i < 188 else chr(256 + i - 188) for i, byte in enumerate(BYTE_ORDER)
}
CHAR_TO_BYTE: Final = {char: byte for byte, char in BYTE_TO_CHAR.items()}


class ByteBPE:
    """Text ↔ ids by merges of bytes. Every text has ids, and they give it back byte for byte.

    Args:
        vocab: Piece to id; all 256 single bytes are among the pieces.
        merges: Pairs of pieces in the order in which they were learned.
        specials: Special token to id. A text can't produce them unless it is asked to.

    Raises:
        ValueError: A byte or a merge's piece has no id, or two pieces share one.

    Source:
        Sennrich et al. (2016), arXiv:1508.07909, for the merges; Radford et al. (2019) for
        bytes as the alphabet.

    Examples:
        >>> bpe = ByteBPE.train(["low lower lowest"] * 2, vocab_size=262)
        >>> bpe.pieces("lowest slow")
        ['low', 'e', 's', 't', ' ', 's', 'low']
        >>> bpe.decode(bpe.encode("naïve café"))
        'naïve café'
    """

    def __init__(
        self,
        vocab: Mapping[bytes, int],
        merges: Sequence[tuple[bytes, bytes]],
        specials: Mapping[str, int] | None = None,
    ) -> None:
        """Check that everything has an id of its own."""
        self.vocab, self.merges = dict(vocab), list(merges)
        self.specials = dict(specials or {})
        needed = {bytes([b]) for b in range(256)}
        needed |= {piece for a, b in self.merges for piece in (a, b, a + b)}
        missing = needed - set(self.vocab)
        if missing:
            raise ValueError(f"vocab: {min(missing)!r} has no id ({len(missing)} have none)")
        ids = [*self.vocab.values(), *self.specials.values()]
        if len(set(ids)) < len(ids) or min(ids) < 0:
            raise ValueError("vocab, specials: expected ids from 0, each given once")
        self._bytes = {index: piece for piece, index in self.vocab.items()}
        self._names = {index: name for name, index in self.specials.items()}
        self._ranks: dict[tuple[int, int], tuple[int, int]] = {}
        for rank, (a, b) in enumerate(self.merges):
            pair = self.vocab[a], self.vocab[b]
            self._ranks.setdefault(pair, (rank, self.vocab[a + b]))
        self._cache: dict[str, list[int]] = {}

    @classmethod
    def train(
        cls,
        texts: Iterable[str],
        vocab_size: int,
        *,
        specials: Sequence[str] = (PAD, BOS, EOS),
        min_count: int = 2,
    ) -> ByteBPE:
        """Learn the merges from texts: again and again, the most frequent pair of neighbours.

        The ids are: the specials, the 256 bytes, then the merges in order. Ties go to the pair
        of the lower ids, so that the same texts always give the same tokenizer.

        Args:
            texts: What to learn from.
            vocab_size: Ids in the end; fewer if no pair is left.
            specials: Special tokens; the default ones have the ids of `Vocabulary`.
            min_count: How often a pair must occur to be merged.

        Returns:
            The tokenizer.

        Raises:
            TypeError: `texts` is one string.
            ValueError: `vocab_size` has no room for the specials and the bytes.
        """
        first = len(specials) + 256
        if vocab_size < first:
            raise ValueError(f"vocab_size: expected at least {first}, got {vocab_size}")
        merges = learn_byte_merges(texts, vocab_size - first, min_count=min_count)
        vocab = {bytes([byte]): len(specials) + i for i, byte in enumerate(BYTE_ORDER)}
        for a, b in merges:
            vocab.setdefault(a + b, len(vocab) + len(specials))
        return cls(vocab, merges, {name: i for i, name in enumerate(specials)})

    @property
    def pad_id(self) -> int | None:
        """The id of `<pad>`, if there is one."""
        return self.specials.get(PAD)

    @property
    def bos_id(self) -> int | None:
        """The id of `<bos>`, if there is one."""
        return self.specials.get(BOS)

    @property
    def eos_id(self) -> int | None:
        """The id of `<eos>`, if there is one."""
        return self.specials.get(EOS)

    def __len__(self) -> int:
        """How many ids there are, specials included: the `vocab_size` of a model."""
        return max([*self.vocab.values(), *self.specials.values()]) + 1

    def encode(self, text: str, *, bos: bool = False, eos: bool = False) -> list[int]:
        """Text to ids. A special's name in the text is text: it gives no special id.

        Args:
            text: Any text that UTF-8 can write.
            bos: Whether to put the beginning-of-sequence id in front.
            eos: Whether to put the end-of-sequence id behind.

        Returns:
            The ids.

        Raises:
            UnicodeEncodeError: The text holds half a surrogate pair.
            KeyError: `bos` or `eos` is asked for and there is no such special.

        Examples:
            >>> bpe = ByteBPE.train([], vocab_size=259)
            >>> bpe.encode("!", bos=True, eos=True)
            [1, 3, 2]
        """
        ids = [self.specials[BOS]] if bos else []
        for piece in pretokens(text):
            ids += self._encode_piece(piece)
        return [*ids, self.specials[EOS]] if eos else ids

    def decode(self, ids: Iterable[int] | Tensor, *, specials: bool = False) -> str:
        """Ids to text; bytes that are no UTF-8, such as half a character, become U+FFFD.

        Args:
            ids: The ids; a one-dimensional tensor will do.
            specials: Whether to write the specials' names.

        Returns:
            The text.

        Raises:
            KeyError: There is no such id.
            TypeError: An id isn't an integer.
        """
        return self.decode_bytes(ids, specials=specials).decode("utf-8", errors="replace")

    def decode_bytes(self, ids: Iterable[int] | Tensor, *, specials: bool = False) -> bytes:
        """Ids to the bytes that they stand for: see `decode`.

        Examples:
            >>> bpe = ByteBPE.train([], vocab_size=259)
            >>> list(bpe.decode_bytes(bpe.encode("é")[:1]))
            [195]
        """
        parts = []
        for index in _check.integers("ids", ids):
            if index in self._names:
                parts.append(self._names[index].encode() if specials else b"")
            else:
                parts.append(self._bytes[index])
        return b"".join(parts)

    def pieces(self, text: str) -> list[str]:
        """The text of each id, to label a figure: half a character shows as U+FFFD."""
        return [self.decode([index]) for index in self.encode(text)]

    def save(self, folder: str | Path) -> None:
        """Write `vocab.json` and `merges.txt`, GPT-2's two files.

        Args:
            folder: An existing folder.
        """
        names = {_written(piece): index for piece, index in self.vocab.items()}
        clash = set(names) & set(self.specials)
        if clash:
            raise ValueError(f"specials: {min(clash)!r} is the name of a piece as well")
        lines = ["#version: 0.2", *(f"{_written(a)} {_written(b)}" for a, b in self.merges)]
        vocab = json.dumps({**names, **self.specials}, ensure_ascii=False)
        (Path(folder) / "vocab.json").write_text(vocab, encoding="utf-8")
        (Path(folder) / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path) -> ByteBPE:
        """Read `vocab.json` and `merges.txt`, such as GPT-2's; what no merge makes is special.

        Args:
            folder: Where the two files are.

        Returns:
            The tokenizer.

        Raises:
            ValueError: A line of `merges.txt` isn't two pieces, or a piece has no id.

        Examples:
            >>> import tempfile
            >>> bpe, folder = ByteBPE.train(["aa aa"], 260), tempfile.mkdtemp()
            >>> bpe.save(folder)
            >>> ByteBPE.load(folder).encode("aaa") == bpe.encode("aaa")
            True
        """
        names = json.loads((Path(folder) / "vocab.json").read_text(encoding="utf-8"))
        lines = (Path(folder) / "merges.txt").read_text(encoding="utf-8").split("\n")
        merges = []
        for line in lines[lines[0].startswith("#version") :]:
            if line:
                halves = line.split(" ")
                if len(halves) != 2:
                    raise ValueError(f"merges.txt: expected two pieces, got {line!r}")
                merges.append((_read(halves[0]), _read(halves[1])))
        made = {a + b for a, b in merges} | {bytes([b]) for b in range(256)}
        specials = {name: i for name, i in names.items() if _read(name, strict=False) not in made}
        vocab = {_read(name): i for name, i in names.items() if name not in specials}
        return cls(vocab, merges, specials)

    def to_json(self) -> str:
        """The tokenizer as one line of JSON, to keep beside a model's weights.

        Examples:
            >>> bpe = ByteBPE.train(["aa aa"], 260)
            >>> ByteBPE.from_json(bpe.to_json()).encode("aaa") == bpe.encode("aaa")
            True
        """
        fields = {
            "vocab": {_written(piece): index for piece, index in self.vocab.items()},
            "merges": [[_written(a), _written(b)] for a, b in self.merges],
            "specials": self.specials,
        }
        return json.dumps(fields, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> ByteBPE:
        """The tokenizer that `to_json` wrote."""
        fields = json.loads(text)
        vocab = {_read(name): index for name, index in fields["vocab"].items()}
        merges = [(_read(a), _read(b)) for a, b in fields["merges"]]
        return cls(vocab, merges, fields["specials"])

    def _encode_piece(self, piece: str) -> list[int]:
        if piece not in self._cache:
            ids = self._merged([self.vocab[bytes([b])] for b in piece.encode("utf-8")])
            if len(self._cache) > 100_000:
                self._cache.clear()
            self._cache[piece] = ids
        return self._cache[piece]

    def _merged(self, ids: list[int]) -> list[int]:
        """Merge the pair learned first, the leftmost of its kind, until no pair is known."""
        after = [*range(1, len(ids)), -1]
        before = [-1, *range(len(ids) - 1)]
        found = [(self._ranks[p][0], i) for i, p in enumerate(pairwise(ids)) if p in self._ranks]
        heapify(found)
        while found:
            rank, left = heappop(found)
            right = after[left]
            pair = (ids[left], ids[right]) if right >= 0 and ids[left] >= 0 else None
            if pair is None or self._ranks.get(pair, (-1, -1))[0] != rank:
                continue  # one of the two was merged meanwhile
            ids[left], ids[right] = self._ranks[pair][1], -1
            after[left] = after[right]
            if after[left] >= 0:
                before[after[left]] = left
            for a, b in ((before[left], left), (left, after[left])):
                if a >= 0 and b >= 0 and (ids[a], ids[b]) in self._ranks:
                    heappush(found, (self._ranks[ids[a], ids[b]][0], a))
        return [index for index in ids if index >= 0]


def _written(piece: bytes) -> str:
    return "".join(BYTE_TO_CHAR[byte] for byte in piece)


def _read(text: str, *, strict: bool = True) -> bytes:
    if not strict and not set(text) <= set(CHAR_TO_BYTE):
        return b""
    try:
        return bytes(CHAR_TO_BYTE[char] for char in text)
    except KeyError as error:
        raise ValueError(f"{text!r}: {error} stands for no byte") from None
