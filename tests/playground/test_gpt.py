"""The GPT explorer's tokenizer, sampling rules and cache, held against the package."""

from __future__ import annotations

import random
import sys
import unicodedata
from typing import Any

import pytest
import torch

from attention_guide.checkpoints import load_own
from attention_guide.data.corpora import pydoc_topics
from attention_guide.functional import min_p, temperature, top_k, top_p
from tests.playground.node import ask
from tests.playground.reference import TOPICS

_SCRIPTS = "bpe.js", "sampling.js", "gpt-run.js", "models/topics-gpt.js"
_BEGIN = """
const file = LiveWeights.get("topics-gpt");
const bpe = new LiveBPE.BPE(file);
"""


def node(script: str, data: object, *more: str) -> Any:
    return ask(_BEGIN + script, *_SCRIPTS, *more, data=data)


def texts() -> list[str]:
    draw = random.Random(0)
    assigned = [c for c in range(sys.maxunicode + 1) if unicodedata.category(chr(c))[0] != "C"]
    fixed = [
        "", " ", "  ", "\n", " \n\t ", "a  b", "don't we'll 'S", "x" * 10_000, "ab" * 5_000,
        " import" * 1_500, "\x00\x01\x1c\x1d\x1e\x1f\x7f\x85", "\ufeffa\ufeff", "a\u2028b\u2029c",
        "👩‍👩‍👧‍👦🇩🇪 🎈", "مرحبا بالعالم", "שלום עולם", "你好,世界", "naïve café ½ ²³ Ⅷ १२",
        "<eos><eos>", "<img src=x onerror=alert(1)>", "\u202eabc\u202c", "a\u0300\u0301", "-- +--+",
    ]  # fmt: skip
    made = ["".join(chr(draw.choice(assigned)) for _ in range(60)) for _ in range(60)]
    made += [
        "".join(draw.choice(" \t\n\r'sdlt09aZ.,é🎈\xa0\u3000") for _ in range(80))
        for _ in range(80)
    ]
    corpus = pydoc_topics()
    return [*fixed, *made, *(text[:10_000] for text in corpus.train[:12] + corpus.validation)]


def test_bpe_is_the_packages() -> None:
    cases = texts()
    found = node(
        "console.log(JSON.stringify(input.map((t) => [bpe.encode(t), bpe.decode(bpe.encode(t))])))",
        cases,
    )
    bpe = load_own(TOPICS).vocabulary
    for text, (ids, again) in zip(cases, found, strict=True):
        assert ids == bpe.encode(text), text[:80]
        assert again == text


def test_pieces_of_characters_decode_as_the_packages() -> None:
    bpe = load_own(TOPICS).vocabulary
    draw = random.Random(1)
    cases = [[i] for i in range(len(bpe))]
    cases += [[draw.randrange(len(bpe)) for _ in range(12)] for _ in range(300)]
    cases += [bpe.encode("👩‍👩‍👧‍👦é")[start:] for start in range(12)]
    found = node("console.log(JSON.stringify(input.map((ids) => bpe.decode(ids))))", cases)
    assert found == [bpe.decode(ids) for ids in cases]


RULES = [
    {"temperature": t, "k": k, "p": p, "least": least}
    for t in (0.2, 1.0, 1.7)
    for k in (1, 7, 600)
    for p in (0.05, 0.6, 1.0)
    for least in (0.0, 0.1, 1.0)
]


def test_temperature_and_filters_are_the_packages() -> None:
    torch.manual_seed(0)
    logits = 3 * torch.randn(len(RULES), 512)
    cases = [[rules, row.tolist()] for rules, row in zip(RULES, logits, strict=True)]
    found = node(
        """console.log(JSON.stringify(input.map(([rules, logits]) =>
          [...LiveSampling.probabilities(Float32Array.from(logits), rules)])))""",
        cases,
    )
    for rules, row, shares in zip(RULES, logits, found, strict=True):
        wanted = top_p(top_k(temperature(row[None], rules["temperature"]), rules["k"]), rules["p"])
        wanted = wanted if rules["least"] == 0 else min_p(wanted, rules["least"])
        ours = torch.tensor(shares, dtype=torch.float32)
        theirs = wanted[0].softmax(dim=-1)
        # In single precision the package's sum for top-p can reach 1 before the last crumbs.
        assert torch.equal(ours > 1e-6, theirs > 1e-6), rules
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


def test_a_p_of_one_drops_nothing() -> None:
    """Not even where the sum is rounded to 1 before the last token."""
    found = node(
        """const rules = { temperature: 0.1, k: 600, p: 1, least: 0 };
        const shares = LiveSampling.probabilities(Float32Array.from(input), rules);
        console.log(JSON.stringify(shares.filter((share) => share > 0).length))""",
        [10.0, *(i / 100 for i in range(511))],
    )
    assert found == 512


def test_a_link_is_taken_to_the_steps_of_the_sliders() -> None:
    cases = [
        {"temperature": 0.15, "p": 0.333, "least": 0.07},
        {"temperature": 2, "p": 0.35, "least": 0},
        {"temperature": 2.01, "p": 0.04, "least": "0.1"},
    ]
    found = node(
        """const config = { n_layers: 4, n_heads: 4, max_len: 128 };
        console.log(JSON.stringify(input.map((saved) => {
          const { temperature, p, least } = LiveExplorer.restore(saved, config, 512);
          return [temperature, p, least];
        })))""",
        cases,
        "gpt-state.js",
    )
    assert found == [[0.2, 0.35, 0.05], [2, 0.35, 0], [1, 1, 0]]


def test_a_draw_falls_as_the_probabilities_say() -> None:
    shares = [0.1, 0.0, 0.6, 0.3]
    found = node(
        """const shares = Float64Array.from(input);
        const counts = [0, 0, 0, 0];
        for (let i = 0; i < 1000; i++) counts[LiveSampling.draw(shares, (i + 0.5) / 1000)]++;
        console.log(JSON.stringify([counts, LiveSampling.draw(shares, 1)]))""",
        shares,
    )
    assert found == [[100, 0, 600, 300], 2]


@pytest.fixture(scope="module")
def runs() -> Any:
    return node(
        """
        const model = new LiveModel.Model(file);
        const whole = new LiveGPT.Run(model);
        whole.read(input);
        const one = { logits: [...whole.logits], maps: whole.maps().map((m) => [...m]),
          lens: whole.lens.map((l) => [...l]), bytes: whole.cacheBytes };
        const steps = new LiveGPT.Run(model);
        steps.read(input.slice(0, 3));
        for (const id of input.slice(3)) steps.extend([id]);
        const two = { logits: [...steps.logits], maps: steps.maps().map((m) => [...m]),
          lens: steps.lens.map((l) => [...l]), bytes: steps.cacheBytes };
        console.log(JSON.stringify([one, two]));
        """,
        [0, *load_own(TOPICS).vocabulary.encode("The import statement")],
    )


def test_token_by_token_is_one_pass(runs: Any) -> None:
    one, two = runs
    for name in ("logits", "maps", "lens"):
        torch.testing.assert_close(
            torch.tensor(one[name]), torch.tensor(two[name]), atol=1e-4, rtol=1e-4
        )
    assert torch.allclose(torch.tensor(one["lens"][-1]), torch.tensor(one["logits"]), atol=1e-5)
    maps = torch.tensor(one["maps"])
    n = round((maps.shape[1] / 4) ** 0.5)
    rows = maps.view(4, 4, n, n)
    torch.testing.assert_close(rows.sum(-1), torch.ones(4, 4, n))
    assert (rows.triu(1) == 0).all()
    assert one["bytes"] == two["bytes"] == n * 4 * 2 * 128 * 4
