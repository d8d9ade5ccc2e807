"""The translator's rules and search, held against the package."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import Tensor

from attention_guide.checkpoints import load_own
from attention_guide.data.numbers import (
    DIRECTIONS,
    LANGUAGES,
    draw_numbers,
    number_words,
    split_number,
    target_tag,
)
from attention_guide.functional import beam_search
from attention_guide.models import Transformer
from book.playground import FOLDER
from tests.playground.node import ask
from tests.playground.reference import NUMBERS

_SCRIPTS = "numbers.js", "search.js", "models/number-words-transformer.js"
_SPLIT = """
console.log(JSON.stringify(input.map(([text, language]) => {
  const pieces = LiveNumbers.split(text, language);
  return pieces && [pieces, LiveNumbers.join(pieces, language)];
})));
"""
_SEARCH = """
const model = new LiveModel.Model(LiveWeights.get("number-words-transformer"));
const step = (ids) => { model.truncate(0); return model.extend(ids, { last: true }); };
console.log(JSON.stringify(input.map((source) => {
  model.encode(source);
  const search = LiveSearch.beams(step, 3, { start: 1, end: 2, pad: 0, most: 63 });
  for (;;) { const { done, value } = search.next(); if (done) return value; }
})));
"""


def node(script: str, data: object) -> Any:
    return ask(script, *_SCRIPTS, data=data)


def test_pieces_are_the_packages() -> None:
    numbers = [*range(120), *draw_numbers(300, seed=5)]
    texts = [(number_words(n, language), language) for n in numbers for language in LANGUAGES]
    for (text, language), answer in zip(texts, node(_SPLIT, texts), strict=True):
        assert answer == [split_number(text, language), text]


def test_what_is_no_number_is_refused_alike() -> None:
    draw = random.Random(0)
    english = [
        "",
        "twenty_one",
        "twenty1",
        "<b>one</b>",
        "one\u0000",
        "ONE",
        "six , six",
        "½",
        "واحد",
    ]
    texts = [(text, "en") for text in english]
    texts += [
        ("ein und", "de"),
        ("einhundertx", "de"),
        ("é", "fr"),
        ("six -six", "fr"),
        ("👩", "fr"),
    ]
    for _ in range(300):
        language = draw.choice(LANGUAGES)
        letters = list(number_words(draw.randrange(1_000_000), language))
        place = draw.randrange(len(letters))
        letters[place] = draw.choice(["", " ", "-", "é", "x", letters[place] * 2])
        texts.append(("".join(letters), language))
    refused = 0
    for (text, language), answer in zip(texts, node(_SPLIT, texts), strict=True):
        try:
            wanted = split_number(text, language)
        except ValueError:
            refused += 1
            assert answer is None, text
        else:
            assert answer == [wanted, text]
    assert refused > 100


def test_beams_are_the_packages() -> None:
    own = load_own(NUMBERS)
    model = own.model
    assert isinstance(model, Transformer)
    sources = []
    for i, n in enumerate([21, 600_000, 80_080, 12_345, 999_999, 200_020]):
        origin, target = DIRECTIONS[i]
        pieces = [target_tag(target), *split_number(number_words(n, origin), origin)]
        sources.append(own.vocabulary.encode(pieces, eos=True))
    for source, found in zip(sources, node(_SEARCH, sources), strict=True):
        src = torch.tensor([source]).expand(3, -1)
        memory = model.encode(src).detach()

        def step(tokens: Tensor, src: Tensor = src, memory: Tensor = memory) -> Tensor:
            logits = model.decode(tokens, memory, src)[:, -1]
            return logits.index_fill(1, torch.tensor(0), -torch.inf)

        wanted = beam_search(step, torch.tensor([[1]]), 63, 3, eos_id=2, pad_id=0)
        for beam in range(3):
            length = int(wanted.lengths[0, beam])
            assert found[beam]["ids"] == wanted.tokens[0, beam, 1:length].tolist()
            assert found[beam]["score"] == pytest.approx(float(wanted.scores[0, beam]), abs=1e-3)


def test_examples_are_spelled_by_num2words() -> None:
    numbers = [21_006, 77_777, 500_090, 21, 600_000, 200_020]
    script = (FOLDER / "translator.js").read_text("utf-8")
    for number in numbers:
        for language in LANGUAGES:
            assert f'{language}: "{number_words(number, language)}"' in script
    assert script.count('en: "') == len(numbers)
