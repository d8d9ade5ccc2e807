"""WordPiece in the page is WordPiece in the package, on any text."""

from __future__ import annotations

import random
import unicodedata

import pytest

from attention_guide.text.wordpiece import WordPiece
from book import minilm, weights
from tests.playground.node import ask

_SCRIPT = """
const { vocabulary, texts, most } = input;
const tokenizer = LiveWordPiece.make(vocabulary);
console.log(JSON.stringify(texts.map((text) => tokenizer.encode(text, most))));
"""
TEXTS = [
    "The animal didn't cross the street because it was too tired.",
    "Naïve café-goers paid 3,50 € for 北京 dumplings!", "ÉCOLE Straße İstanbul ΑΣ ΣΑΣ ŉ ǆ ﬁ",
    "Zebra😀👩‍👩‍👧🇩🇪", "مرحبا بالعالم", "<img src=x onerror=alert(1)>", "\x00\x07\u202e a\ufffdb",
    "", " ", "\t\n\r\u2028\u2029\u00a0\u3000x\u200by", "a [MASK] b[SEP][CLS]", "[mask] [UNK",
    "##tion ##", "x" * 100, "x" * 101, "é" * 100, "𝒳" * 100, "antidisestablishmentarianism",
    "e\u0301 \u1e9b\u0323 \uac00 \u1100\u1161", "\ud800 \udc00 \ud83d", "$5+5=10^1|~`<>",
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer() -> WordPiece:
    if not weights.laid():
        pytest.fail("the weights aren't there: `make setup` lays them (or python book/weights.py)")
    return WordPiece.from_folder(weights.WEIGHTS / minilm.MINILM)


def encoded(tokenizer: WordPiece, texts: list[str], most: int = 100_000) -> list[list[int]]:
    question = {"vocabulary": tokenizer.tokens, "texts": texts, "most": most}
    found: list[list[int]] = ask(_SCRIPT, "wordpiece.js", data=question)
    return found


def test_texts_of_many_kinds(tokenizer: WordPiece) -> None:
    letters = "abcdefghijklmnopqrstuvwxyzABCÉèñßΣσİıЖд北京 \t\n.,'-#[]!?0123456789€$😀\u0301"
    draw = random.Random(0)
    texts = TEXTS + ["".join(draw.choices(letters, k=draw.randrange(80))) for _ in range(1000)]
    for text, ids in zip(texts, encoded(tokenizer, texts), strict=True):
        assert ids == tokenizer.encode(text), repr(text)


def test_every_sign_that_python_knows(tokenizer: WordPiece) -> None:
    signs = [*range(0x3000), *range(0x3000, 0x30000, 7), *range(0xE0000, 0xE0200)]
    texts = [f"a{chr(sign)}b" for sign in signs if unicodedata.category(chr(sign)) != "Cn"]
    differ = [
        text
        for text, ids in zip(texts, encoded(tokenizer, texts), strict=True)
        if ids != tokenizer.encode(text)
    ]
    # Node's tables of Unicode are younger than Python's: a few signs have changed their kind.
    assert len(differ) <= 5, differ


def test_ten_thousand_letters_are_cut_as_fast_as_they_are_typed(tokenizer: WordPiece) -> None:
    texts = ["x" * 10_000, "é,😀 " * 2500, "ab" * 50 + "x", "[MASK]" * 1666, "北" * 10_000]
    for text, ids in zip(texts, encoded(tokenizer, texts, 64), strict=True):
        assert ids == tokenizer.encode(text, max_len=64), text[:20]
