"""The real BERT as the page runs it, held against the Python model: tokens, maps, vectors."""

from __future__ import annotations

import base64
import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from attention_guide import AttentionRecorder
from attention_guide.checkpoints import Pretrained, load
from attention_guide.checkpoints.pretrained import MINILM
from attention_guide.models import Bert
from book import minilm, weights
from tests.playground import node

HERE = Path(__file__).parent
SENTENCES = (HERE / "data/sentences.txt").read_text(encoding="utf-8").splitlines()
LONG = " ".join(SENTENCES[:12])
_SCRIPT = """
const fs = require("node:fs");
const path = require("node:path");
const { folder, kernel, asked } = input;
const { index } = LiveBert.site;
const shards = index.shards.map(({ name }) => fs.readFileSync(path.join(folder, name)));
const model = new LiveBert.Bert(index, new Uint8Array(Buffer.concat(shards)), { kernel });
const base64 = (floats) =>
  Buffer.from(floats.buffer, floats.byteOffset, floats.byteLength).toString("base64");
const answers = asked.map(({ text, hidden, traced }) => {
  const trace = traced ? new Map() : undefined;
  const ids = model.tokenizer.encode(text, model.config.max_len);
  const vector = model.read(ids, { hidden, trace });
  const kept = [...(trace ?? [])].map(([name, { shape, data }]) => [name, shape, base64(data)]);
  return { ids, vector: base64(vector), kept };
});
console.log(JSON.stringify({ kernel: model.m.kind, answers }));
"""


@pytest.fixture(scope="module")
def published() -> Pretrained:
    if not weights.laid():
        pytest.fail("the weights aren't there: `make setup` lays them (or python book/weights.py)")
    return load(MINILM)


@pytest.fixture(scope="module")
def model(published: Pretrained) -> Bert:
    """The Python model with the numbers that the page holds."""
    twin = copy.deepcopy(published.model)
    state = dict(published.model.state_dict())
    held = minilm.unpacked(minilm.state(published))
    state["segments.weight"] = held.pop("segment")[None].expand(2, -1)
    state["positions.weight"] = state["positions.weight"].clone()
    state["positions.weight"][: minilm.MAX_LEN] = held.pop("positions.weight")
    twin.load_state_dict(state | held)
    assert isinstance(twin, Bert)
    return twin


def ask(asked: list[dict[str, Any]], kernel: str = "fused") -> list[dict[str, Any]]:
    """What the page's engine answers."""
    folder = minilm.packed()
    question = {"folder": str(folder), "kernel": kernel, "asked": asked}
    answer = node.ask(_SCRIPT, "wordpiece.js", "bert-model.js", folder / "index.js", data=question)
    assert answer["kernel"] == kernel
    answers: list[dict[str, Any]] = answer["answers"]
    return answers


def floats(text: str) -> Tensor:
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), "<f4").copy())


@torch.no_grad()
def embed(model: Bert, ids: list[int], hidden: list[bool] | None) -> tuple[Tensor, dict[str, Any]]:
    """The Python model's vector, and its attention maps."""
    open_ = torch.tensor([[not shut for shut in hidden or [False] * len(ids)]])
    with AttentionRecorder(model) as maps:
        x = model(torch.tensor([ids]), padding=open_)[0]
    mean = x[open_[0]].mean(dim=0)
    return mean / mean.norm(), dict(maps)


def test_vectors_of_a_hundred_sentences(published: Pretrained, model: Bert) -> None:
    answers = ask([{"text": text} for text in SENTENCES])
    assert len(answers) == len(set(SENTENCES)) == 100
    assert published.tokenizer is not None
    vectors = torch.stack([floats(answer["vector"]) for answer in answers])
    for text, answer in zip(SENTENCES, answers, strict=True):
        assert answer["ids"] == published.tokenizer.encode(text)
    cosine = (vectors * published.embed(SENTENCES)).sum(dim=-1)
    same = torch.stack([embed(model, answer["ids"], None)[0] for answer in answers])
    apart = (vectors - same).abs().max()
    print(f"smallest cosine {cosine.min():.5f}; from the rounded model {apart:.1e}")
    assert cosine.min() >= 0.999
    assert apart <= 1e-5


@pytest.mark.parametrize("kernel", ["fused", "wasm", "javascript"])
def test_every_head_of_every_layer(model: Bert, kernel: str) -> None:
    texts = [SENTENCES[0], SENTENCES[-13], LONG, "!"]
    asked: list[dict[str, Any]] = [{"text": text, "traced": True} for text in texts]
    # Words left out are no keys, and count nothing in the mean.
    asked.append(
        {"text": SENTENCES[0], "traced": True, "hidden": [t in (2, 3, 7) for t in range(13)]}
    )
    worst = 0.0
    for question, answer in zip(asked, ask(asked, kernel), strict=True):
        vector, maps = embed(model, answer["ids"], question.get("hidden"))
        kept = {name: floats(data).reshape(shape) for name, shape, data in answer["kept"]}
        for name, map_ in maps.items():
            worst = max(worst, (kept[f"{name}.weights"] - map_[0]).abs().max().item())
        assert len(maps) == 6
        assert kept["encoder.blocks.0.self_attention.weights"].shape[0] == 12
        assert (floats(answer["vector"]) - vector).abs().max() <= 1e-5
        if "hidden" in question:
            map_ = kept["encoder.blocks.3.self_attention.weights"]
            assert map_[:, :, [2, 3, 7]].eq(0).all()
    print(f"{kernel}: furthest attention weight {worst:.1e}")
    assert worst <= 1e-4


def test_a_word_left_out_changes_the_vector(model: Bert) -> None:
    hidden = [t == 2 for t in range(13)]
    whole, without = ask([{"text": SENTENCES[0]}, {"text": SENTENCES[0], "hidden": hidden}])
    assert len(whole["ids"]) == 13
    assert (floats(whole["vector"]) @ floats(without["vector"])).item() < 0.99


def test_too_long_a_text_is_read_up_to_the_last_place(published: Pretrained) -> None:
    (answer,) = ask([{"text": "word " * 10_000}])
    assert len(answer["ids"]) == minilm.MAX_LEN
    assert answer["ids"][-1] == published.tokenizer.sep_id  # type: ignore[union-attr]
