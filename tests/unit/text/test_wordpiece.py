"""WordPiece without a real vocabulary: what it demands, and what it does at its limits."""

from __future__ import annotations

from pathlib import Path

import pytest

from attention_guide.text import WordPiece
from attention_guide.text.wordpiece import SPECIALS

VOCABULARY = [*SPECIALS, "un", "##know", "##n", "a", "É", "e", "北"]


def test_the_longest_piece_first_and_unknown_words_whole() -> None:
    tokenizer = WordPiece([*VOCABULARY, "##k", "##own", "##in"])
    assert tokenizer.tokenize("unknown") == ["un", "##know", "##n"]  # not "##k", "##own"
    assert tokenizer.tokenize("unknowa") == ["[UNK]"]
    assert tokenizer.tokenize("unkin a") == ["un", "##k", "##in", "a"]
    assert tokenizer.tokenize("una. un") == ["[UNK]", "[UNK]", "un"]
    assert tokenizer.tokenize("un" + "n" * 98) == ["un", *["##n"] * 98]
    assert tokenizer.tokenize("un" + "n" * 99) == ["[UNK]"]


def test_case_and_accents() -> None:
    assert WordPiece(VOCABULARY).tokenize("É É") == ["e", "e"]
    assert WordPiece(VOCABULARY, lowercase=False).tokenize("É A") == ["É", "[UNK]"]


def test_ideographs_are_words() -> None:
    assert WordPiece(VOCABULARY).tokenize("a北a") == ["a", "北", "a"]


def test_what_a_vocabulary_must_have(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected \[MASK\]"):
        WordPiece(VOCABULARY[:4])
    with pytest.raises(ValueError, match="listed twice: a"):
        WordPiece([*VOCABULARY, "a"])
    with pytest.raises(FileNotFoundError, match=r"vocab\.txt"):
        WordPiece.from_folder(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": {"type": "BPE"}}')
    with pytest.raises(ValueError, match="expected a WordPiece; got 'BPE'"):
        WordPiece.from_folder(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    made = WordPiece.from_folder(tmp_path)
    assert (made.tokens, made.lowercase) == (VOCABULARY, False)


@pytest.mark.parametrize("index", [-1, 11])
def test_ids_outside_are_named(index: int) -> None:
    with pytest.raises(IndexError, match=rf"ids: expected 0 ≤ id < 11; got {index}"):
        WordPiece([*VOCABULARY[:10], "b"]).decode([5, index])


def test_one_string_and_fractions_are_refused() -> None:
    with pytest.raises(TypeError, match=r"texts: expected several.*; got one string: 'hello'"):
        WordPiece(VOCABULARY).batch("hello")
    with pytest.raises(TypeError, match=r"ids: expected an integer; got float: 5\.5"):
        WordPiece(VOCABULARY).decode([5.5])  # type: ignore[list-item]


def test_room_for_the_specials() -> None:
    tokenizer = WordPiece(VOCABULARY)
    with pytest.raises(ValueError, match="max_len: expected at least 3"):
        tokenizer.encode("a", "a", max_len=2)
    assert tokenizer.encode("a a a", max_len=3) == [2, 8, 3]
    assert tokenizer.batch([]) == []
