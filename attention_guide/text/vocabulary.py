"""A closed list of tokens, and the ids that stand for them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from torch import Tensor

from attention_guide.text import _check

PAD: Final = "<pad>"
BOS: Final = "<bos>"
EOS: Final = "<eos>"
UNK: Final = "<unk>"


def characters(text: str) -> list[str]:
    """Split a text into its characters.

    >>> characters("abc")
    ['a', 'b', 'c']
    """
    return list(text)


def words(text: str) -> list[str]:
    """Split a text at white space.

    >>> words("a red  fox")
    ['a', 'red', 'fox']
    """
    return text.split()


class Vocabulary:
    """Token ↔ id, with fixed ids for padding (0), beginning (1) and end (2) of a sequence.

    The specials come first, then the tokens in the order given, so the same tokens always
    get the same ids. A token that isn't listed is an error, unless `unknown=True` adds a
    fourth special, `<unk>` (3), that stands for all of them.

    Args:
        tokens: The tokens, without the specials and without repetition.
        unknown: Whether to map unlisted tokens to `<unk>` and not to raise.

    Raises:
        ValueError: A token is listed twice or is one of the specials.
        TypeError: A token isn't a string.

    Examples:
        >>> vocabulary = Vocabulary("abc")
        >>> vocabulary.encode("cab", bos=True, eos=True)
        [1, 5, 3, 4, 2]
        >>> vocabulary.decode([1, 5, 3, 4, 2, 0, 0])
        ['c', 'a', 'b']
    """

    pad_id: Final = 0
    bos_id: Final = 1
    eos_id: Final = 2

    def __init__(self, tokens: Iterable[str], *, unknown: bool = False) -> None:
        """Number the specials, then the tokens."""
        self.unk_id: int | None = 3 if unknown else None
        specials = [PAD, BOS, EOS] + ([UNK] if unknown else [])
        self.n_specials = len(specials)
        self._tokens: list[str] = specials
        self._ids: dict[str, int] = {token: i for i, token in enumerate(specials)}
        for token in tokens:
            if not isinstance(token, str):
                raise TypeError(f"tokens: expected strings, got {type(token).__name__}: {token!r}")
            if token in self._ids:
                raise ValueError(f"tokens: {token!r} is a special or is listed twice")
            self._ids[token] = len(self._tokens)
            self._tokens.append(token)

    @classmethod
    def from_texts(
        cls,
        texts: Iterable[str],
        *,
        split: Callable[[str], Sequence[str]] = characters,
        unknown: bool = False,
    ) -> Vocabulary:
        """Collect every token of the texts, sorted, so that the order of the texts is no matter.

        Args:
            texts: The texts to read.
            split: How a text becomes tokens: `characters` (the default), `words`, or your own.
            unknown: Whether to add `<unk>`.

        Returns:
            The vocabulary.

        Raises:
            TypeError: `texts` is one string.

        Examples:
            >>> Vocabulary.from_texts(["the cat", "the hat"], split=words).tokens
            ['cat', 'hat', 'the']
        """
        return cls(
            sorted({token for text in _check.texts(texts) for token in split(text)}),
            unknown=unknown,
        )

    @property
    def tokens(self) -> list[str]:
        """The tokens without the specials, in the order of their ids."""
        return self._tokens[self.n_specials :]

    def __len__(self) -> int:
        """How many ids there are, specials included: the `vocab_size` of a model."""
        return len(self._tokens)

    def __contains__(self, token: object) -> bool:
        """Whether the token has an id of its own."""
        return token in self._ids

    def __eq__(self, other: object) -> bool:
        """Two vocabularies are equal when they give every token the same id."""
        return isinstance(other, Vocabulary) and self._tokens == other._tokens

    def __hash__(self) -> int:
        """Hash over the tokens in order."""
        return hash(tuple(self._tokens))

    def __repr__(self) -> str:
        """Size and the first few tokens."""
        head = ", ".join(map(repr, self.tokens[:4]))
        more = ", …" if len(self.tokens) > 4 else ""
        return f"Vocabulary({len(self)} ids: {head}{more})"

    def id_of(self, token: str) -> int:
        """The id of one token.

        Raises:
            KeyError: The token isn't listed and the vocabulary has no `<unk>`.

        Examples:
            >>> Vocabulary("abc").id_of("b")
            4
        """
        if token in self._ids:
            return self._ids[token]
        if self.unk_id is None:
            raise KeyError(f"token {token!r} is not in this vocabulary of {len(self)} ids")
        return self.unk_id

    def token_of(self, index: int) -> str:
        """The token of one id, specials included.

        Raises:
            IndexError: There is no such id.

        Examples:
            >>> Vocabulary("abc").token_of(2)
            '<eos>'
        """
        # A negative id would silently count from the end of the list.
        if not 0 <= index < len(self._tokens):
            raise IndexError(f"id {index}: expected 0 ≤ id < {len(self)}")
        return self._tokens[index]

    def encode(self, tokens: Iterable[str], *, bos: bool = False, eos: bool = False) -> list[int]:
        """Tokens to ids. A plain string counts as a sequence of characters.

        Args:
            tokens: The tokens.
            bos: Whether to put the beginning-of-sequence id in front.
            eos: Whether to put the end-of-sequence id behind.

        Returns:
            The ids.

        Raises:
            KeyError: A token isn't listed and the vocabulary has no `<unk>`.

        Examples:
            >>> Vocabulary(["red", "fox"]).encode(["fox", "red"], eos=True)
            [4, 3, 2]
        """
        ids = [self.id_of(token) for token in tokens]
        return [self.bos_id] * bos + ids + [self.eos_id] * eos

    def decode(self, ids: Iterable[int] | Tensor, *, specials: bool = False) -> list[str]:
        """Ids to tokens, up to the first end-of-sequence id.

        Args:
            ids: The ids; a one-dimensional tensor will do.
            specials: Whether to keep the specials and whatever follows the end.

        Returns:
            The tokens.

        Raises:
            IndexError: An id is outside the vocabulary.
            TypeError: An id isn't an integer.

        Examples:
            >>> Vocabulary("abc").decode([1, 3, 2, 0], specials=True)
            ['<bos>', 'a', '<eos>', '<pad>']
        """
        tokens: list[str] = []
        for index in _check.integers("ids", ids):
            token = self.token_of(index)
            if specials:
                tokens.append(token)
            elif index == self.eos_id:
                break
            elif index not in (self.pad_id, self.bos_id):
                tokens.append(token)
        return tokens

    def to_json(self) -> str:
        """The vocabulary as one line of JSON, to keep beside a model's weights.

        Examples:
            >>> Vocabulary.from_json(Vocabulary("ab").to_json()) == Vocabulary("ab")
            True
        """
        return json.dumps(
            {"unknown": self.unk_id is not None, "tokens": self.tokens}, ensure_ascii=False
        )

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """The vocabulary that `to_json` wrote."""
        fields = json.loads(text)
        return cls(fields["tokens"], unknown=fields["unknown"])
