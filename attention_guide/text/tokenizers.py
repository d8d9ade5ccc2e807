"""Tokenizers of characters and of words: a vocabulary that was learned, and how to cut."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import ClassVar, Protocol, TypeVar, runtime_checkable

from torch import Tensor

from attention_guide.text import _check
from attention_guide.text.pretokens import class_of
from attention_guide.text.vocabulary import BOS, EOS, PAD, UNK, Vocabulary, characters

_SPECIALS = (PAD, BOS, EOS, UNK)
_Kind = TypeVar("_Kind", bound="CharacterTokenizer")


@runtime_checkable
class Tokenizer(Protocol):
    """What every tokenizer here does: `CharacterTokenizer`, `WordTokenizer`, `ByteBPE`."""

    def __len__(self) -> int:
        """How many ids there are: the `vocab_size` of a model."""
        ...

    def encode(self, text: str, *, bos: bool = False, eos: bool = False) -> list[int]:
        """Text to ids."""
        ...

    def decode(self, ids: Iterable[int] | Tensor, *, specials: bool = False) -> str:
        """Ids to text."""
        ...

    def pieces(self, text: str) -> list[str]:
        """The text of each id."""
        ...


class CharacterTokenizer:
    """One id a character; those that it hasn't seen share `<unk>`.

    Args:
        vocabulary: The characters.

    Examples:
        >>> tokenizer = CharacterTokenizer.train(["banana"])
        >>> tokenizer.encode("nab", eos=True)
        [6, 4, 5, 2]
        >>> tokenizer.decode(tokenizer.encode("ban")), tokenizer.decode(tokenizer.encode("bat"))
        ('ban', 'ba<unk>')
    """

    kind: ClassVar[str] = "character"

    def __init__(self, vocabulary: Vocabulary) -> None:
        """Keep the vocabulary."""
        self.vocabulary = vocabulary

    @classmethod
    def train(
        cls: type[_Kind],
        texts: Iterable[str],
        *,
        max_size: int | None = None,
        min_count: int = 1,
    ) -> _Kind:
        """Collect the pieces of the texts, the most frequent first where there are too many.

        Args:
            texts: What to learn from.
            max_size: The most ids, the four specials included; `None` for no limit.
            min_count: How often a piece must occur.

        Returns:
            The tokenizer. Its ids are in the order of the pieces, not of their frequency.

        Raises:
            TypeError: `texts` is one string.
            ValueError: `max_size` has no room for the specials.
        """
        if max_size is not None and max_size < 4:
            raise ValueError(f"max_size: expected at least 4, the specials, got {max_size}")
        counted = Counter(piece for text in _check.texts(texts) for piece in cls.split(text))
        for special in _SPECIALS:
            counted.pop(special, None)
        ranked = sorted(counted, key=lambda piece: (-counted[piece], piece))
        kept = [piece for piece in ranked if counted[piece] >= min_count]
        if max_size is not None:
            kept = kept[: max_size - 4]
        return cls(Vocabulary(sorted(kept), unknown=True))

    @staticmethod
    def split(text: str) -> list[str]:
        """Cut a text into pieces; joined, they are the text."""
        return characters(text)

    def __len__(self) -> int:
        """How many ids there are: the `vocab_size` of a model."""
        return len(self.vocabulary)

    def encode(self, text: str, *, bos: bool = False, eos: bool = False) -> list[int]:
        """Text to ids.

        Args:
            text: Any text.
            bos: Whether to put the beginning-of-sequence id in front.
            eos: Whether to put the end-of-sequence id behind.

        Returns:
            The ids.
        """
        # A special's name in a text is text, and unknown: it must not give the special's id.
        pieces = [UNK if piece in _SPECIALS else piece for piece in self.split(text)]
        return self.vocabulary.encode(pieces, bos=bos, eos=eos)

    def decode(self, ids: Iterable[int] | Tensor, *, specials: bool = False) -> str:
        """Ids to text, up to the first end-of-sequence id; unknown pieces as `<unk>`.

        Args:
            ids: The ids; a one-dimensional tensor will do.
            specials: Whether to write the specials and whatever follows the end.

        Returns:
            The text.
        """
        return "".join(self.vocabulary.decode(ids, specials=specials))

    def pieces(self, text: str) -> list[str]:
        """The text of each id, to label a figure."""
        return [self.vocabulary.token_of(index) for index in self.encode(text)]

    def to_json(self) -> str:
        """The tokenizer as JSON, to keep beside a model's weights."""
        return json.dumps({"kind": self.kind, "tokens": self.vocabulary.tokens}, ensure_ascii=False)

    @classmethod
    def from_json(cls: type[_Kind], text: str) -> _Kind:
        """The tokenizer that `to_json` wrote.

        Raises:
            ValueError: It is of another kind.
        """
        fields = json.loads(text)
        if fields["kind"] != cls.kind:
            raise ValueError(f"kind: expected {cls.kind!r}, got {fields['kind']!r}")
        return cls(Vocabulary(fields["tokens"], unknown=True))


class WordTokenizer(CharacterTokenizer):
    """One id a word, with the space before it; what it hasn't seen is `<unk>`.

    An accent that is a character of its own stays with its word. Runs of other marks are pieces
    of their own, and so is every other white space.

    Args:
        vocabulary: The words.

    Examples:
        >>> tokenizer = WordTokenizer.train(["the cat sat.", "the hat!"])
        >>> tokenizer.pieces("the cat, the hat.")
        ['the', ' cat', '<unk>', '<unk>', ' hat', '.']
    """

    kind: ClassVar[str] = "word"

    @staticmethod
    def split(text: str) -> list[str]:
        """Cut a text into words, marks and spaces; joined, they are the text."""
        return _word().findall(text)


@cache
def _word() -> re.Pattern[str]:
    # A word or a run of marks takes one space before it along: joined, they are the text. `\w` has
    # no combining marks, and half of the vowels of Indian scripts are such.
    return re.compile(rf" ?\w[\w{class_of('M')}]*| ?[^\w\s]+|\s")
