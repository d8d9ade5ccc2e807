"""WordPiece, BERT's tokenizer: words in lower case without accents, cut into known pieces."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from torch import Tensor

from attention_guide.text import _check

PAD, UNK, CLS, SEP, MASK = SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
# Blocks of ideographs: each stands for a word, without spaces between them.
_IDEOGRAPHS: Final = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F), (0x2B920, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip
_ASCII_PUNCTUATION: Final = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")


class WordPiece:
    """Text to ids as BERT has them: the longest known piece first, then the longest that follows.

    A piece that continues a word begins with `##`. A word that can't be put together from known
    pieces, or has more than 100 characters, is `[UNK]`.

    Args:
        vocabulary: Pieces in the order of their ids, the five specials among them.
        lowercase: Lower-case the text and take its accents off, as the "uncased" models want.

    Raises:
        ValueError: A special is missing, or a piece is listed twice.

    Source:
        Devlin et al., "BERT", NAACL 2019, arXiv:1810.04805, section 3; the pieces: Wu et al.,
        "Google's Neural Machine Translation System", 2016, arXiv:1609.08144, section 4.1. The
        rules for cleaning and splitting are those of Hugging Face's `tokenizers`, which knows a
        few hundred signs that are younger than its own tables (of rare scripts) as letters only.

    Examples:
        >>> tokenizer = WordPiece([*SPECIALS, "atten", "##tion", "is", "!"])
        >>> tokenizer.tokenize("Attention IS!")
        ['atten', '##tion', 'is', '!']
        >>> tokenizer.encode("Attention!")
        [2, 5, 6, 8, 3]
    """

    max_word: Final = 100

    def __init__(self, vocabulary: Sequence[str], *, lowercase: bool = True) -> None:
        self.tokens: list[str] = list(vocabulary)
        self.ids: dict[str, int] = {token: i for i, token in enumerate(self.tokens)}
        if missing := [token for token in SPECIALS if token not in self.ids]:
            raise ValueError(f"vocabulary: expected {', '.join(missing)} in it")
        if len(self.ids) != len(self.tokens):
            doubles = sorted({x for i, x in enumerate(self.tokens) if self.ids[x] != i})
            raise ValueError(f"vocabulary: listed twice: {', '.join(doubles)}")
        self.lowercase = lowercase
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = (
            self.ids[token] for token in SPECIALS
        )
        self._specials = re.compile(f"({'|'.join(map(re.escape, SPECIALS))})")

    @classmethod
    def from_folder(cls, folder: str | Path) -> WordPiece:
        """The tokenizer of a BERT's folder, out of its `vocab.txt` or its `tokenizer.json`.

        Args:
            folder: The folder.

        Returns:
            The tokenizer, lower-casing unless `tokenizer_config.json` says otherwise.

        Raises:
            FileNotFoundError: There is neither.
            ValueError: The `tokenizer.json` is of another kind.
        """
        folder = Path(folder)
        settings = folder / "tokenizer_config.json"
        options = json.loads(settings.read_bytes()) if settings.is_file() else {}
        lowercase = bool(options.get("do_lower_case", True))
        if (folder / "vocab.txt").is_file():
            text = (folder / "vocab.txt").read_bytes().decode("utf-8")
            return cls(text.removesuffix("\n").split("\n"), lowercase=lowercase)
        if not (folder / "tokenizer.json").is_file():
            raise FileNotFoundError(f"{folder}: expected vocab.txt or tokenizer.json")
        model = json.loads((folder / "tokenizer.json").read_bytes())["model"]
        if model.get("type") != "WordPiece":
            raise ValueError(f"{folder}: expected a WordPiece; got {model.get('type')!r}")
        return cls(sorted(model["vocab"], key=model["vocab"].get), lowercase=lowercase)

    def __len__(self) -> int:
        """Pieces in the vocabulary."""
        return len(self.tokens)

    def tokenize(self, text: str) -> list[str]:
        """The pieces of a text, without `[CLS]` and `[SEP]`; specials written in it stay whole.

        Examples:
            >>> WordPiece([*SPECIALS, "a", "##b"]).tokenize("ab [MASK] b")
            ['a', '##b', '[MASK]', '[UNK]']
        """
        pieces: list[str] = []
        for part in self._specials.split(text):
            if part in SPECIALS:
                pieces.append(part)
            else:
                for word in _words(self._clean(part)):
                    pieces += self._pieces(word)
        return pieces

    def encode(
        self, text: str, pair: str | None = None, *, max_len: int | None = None
    ) -> list[int]:
        """Ids of `[CLS] text [SEP]`, or of `[CLS] text [SEP] pair [SEP]`.

        Args:
            text: The text.
            pair: A second one.
            max_len: Most ids, specials included: the longer text loses its last pieces first.

        Returns:
            The ids.

        Raises:
            ValueError: `max_len` leaves no room for the specials.
        """
        return [i for i, _ in self._encoded(text, pair, max_len)]

    def segments(
        self, text: str, pair: str | None = None, *, max_len: int | None = None
    ) -> list[int]:
        """For each id of `encode`: 0 in the first text, 1 in the second.

        Examples:
            >>> WordPiece([*SPECIALS, "a"]).segments("a", "a a")
            [0, 0, 0, 1, 1, 1]
        """
        return [segment for _, segment in self._encoded(text, pair, max_len)]

    def batch(self, texts: Iterable[str], *, max_len: int | None = None) -> list[list[int]]:
        """Ids of several texts, filled up with `[PAD]` on the right to one length.

        Raises:
            TypeError: `texts` is one string.
            ValueError: As `encode`.

        Examples:
            >>> WordPiece([*SPECIALS, "a"]).batch(["a a", "a"])
            [[2, 5, 5, 3], [2, 5, 3, 0]]
        """
        rows = [self.encode(text, max_len=max_len) for text in _check.texts(texts)]
        width = max(map(len, rows), default=0)
        return [row + [self.pad_id] * (width - len(row)) for row in rows]

    def decode(self, ids: Iterable[int] | Tensor) -> str:
        """Words with spaces between them; pieces joined, specials left out.

        Raises:
            IndexError: There is no such id.
            TypeError: An id isn't an integer.

        Examples:
            >>> tokenizer = WordPiece([*SPECIALS, "atten", "##tion"])
            >>> tokenizer.decode(tokenizer.encode("attention attention"))
            'attention attention'
        """
        given = _check.integers("ids", ids)
        # A negative id would silently count from the end of the list.
        if wrong := [i for i in given if not 0 <= i < len(self)]:
            raise IndexError(f"ids: expected 0 ≤ id < {len(self)}; got {wrong[0]}")
        kept = (self.tokens[i] for i in given)
        text = " ".join(token for token in kept if token not in SPECIALS)
        return text.replace(" ##", "")

    def _encoded(self, text: str, pair: str | None, max_len: int | None) -> list[tuple[int, int]]:
        first = self.tokenize(text)
        second = None if pair is None else self.tokenize(pair)
        specials = 2 if second is None else 3
        if max_len is not None:
            if max_len < specials:
                raise ValueError(f"max_len: expected at least {specials}; got {max_len}")
            lengths = _kept(len(first), len(second or ()), max_len - specials)
            first, second = first[: lengths[0]], second and second[: lengths[1]]
        tokens = [(token, 0) for token in (CLS, *first, SEP)]
        if second is not None:
            tokens += [(token, 1) for token in (*second, SEP)]
        return [(self.ids[token], segment) for token, segment in tokens]

    def _clean(self, text: str) -> str:
        kept = (c for c in text if c not in "\0\ufffd" and not _is_control(c))
        text = "".join(" " if c.isspace() else f" {c} " if _is_ideograph(c) else c for c in kept)
        if not self.lowercase:
            return text
        bare = (c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
        # Letter by letter: Python's lower() of a word would write a sigma at its end otherwise.
        return "".join(c.lower() for c in bare)

    def _pieces(self, word: str) -> list[str]:
        if len(word) > self.max_word:
            return [UNK]
        pieces: list[str] = []
        start = 0
        while start < len(word):
            prefix = "##" if start else ""
            for end in range(len(word), start, -1):
                if (piece := prefix + word[start:end]) in self.ids:
                    break
            else:
                return [UNK]
            pieces.append(piece)
            start = end
        return pieces


def _kept(first: int, second: int, room: int) -> tuple[int, int]:
    """How much stays of two texts that share a room: the longer one gives way first."""
    if first + second <= room:
        return first, second
    short, long = sorted((first, second))
    long = max(short, room - short)
    if short + long > room:
        short, long = room // 2, room - room // 2
    return (short, long) if first <= second else (long, short)


def _words(text: str) -> Iterator[str]:
    """Between spaces, and at every mark of punctuation, which is a word of its own."""
    for run in text.split():
        word = ""
        for c in run:
            if c in _ASCII_PUNCTUATION or unicodedata.category(c).startswith("P"):
                if word:
                    yield word
                yield c
                word = ""
            else:
                word += c
        if word:
            yield word


def _is_control(c: str) -> bool:
    # Not Cn: a character that isn't assigned (yet) counts as a letter.
    return c not in "\t\n\r" and unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs")


def _is_ideograph(c: str) -> bool:
    return any(low <= ord(c) <= high for low, high in _IDEOGRAPHS)
