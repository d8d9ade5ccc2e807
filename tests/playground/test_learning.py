"""The model that learns in the page: its rules, snapshots and words, held against Python."""

from __future__ import annotations

import gzip
import json
import math
import re
from typing import Any

import pytest
import torch

from attention_guide import AttentionRecorder
from attention_guide.checkpoints.snapshots import load_snapshots
from attention_guide.explain import induction_score
from attention_guide.recipes import induction, read_ledger
from attention_guide.recipes.induction_measures import LETTERS, previous_token_score
from book.playground import FOLDER, MODELS
from tests.playground.node import ask

TEXTS = ["blacksmithblacksmith", "ab", "aa", "bananabanana", "abcdefghijklmnopqrst" * 2]
_SCRIPT = """
const { steps, texts } = input;
const { vocabulary, training } = LiveInduction.file();
console.log(JSON.stringify({
  training,
  vocabulary,
  found: steps.map((step) => texts.map((text) =>
    LiveInduction.read(step, [1, ...[...text].map((letter) => vocabulary.indexOf(letter))]))),
}));
"""


@pytest.fixture(scope="module")
def answer() -> dict[str, Any]:
    steps = load_snapshots("induction").steps
    data = {"steps": steps, "texts": TEXTS}
    found: dict[str, Any] = ask(_SCRIPT, "induction.js", "models/induction.js", data=data)
    return found


@torch.no_grad()
def test_every_snapshot_reads_as_pythons(answer: dict[str, Any]) -> None:
    kept = load_snapshots("induction")
    for step, found in zip(kept.steps, answer["found"], strict=True):
        model = kept.at(step)
        for text, seen in zip(TEXTS, found, strict=True):
            ids = torch.tensor([LETTERS.encode(text, bos=True)])
            with AttentionRecorder(model) as maps:
                probabilities = model(ids).softmax(-1)
            right = probabilities[0, :-1].gather(-1, ids[0, 1:, None])[:, 0]
            assert torch.tensor(seen["right"]) == pytest.approx(right, abs=1e-4)
            weights = torch.cat(list(maps.values()), dim=1)[0]
            assert torch.tensor([h["map"] for h in seen["heads"]]) == pytest.approx(
                weights, abs=1e-4
            )
            places = [(h["layer"], h["head"]) for h in seen["heads"]]
            assert places == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_scores_are_those_of_the_package(answer: dict[str, Any]) -> None:
    for found in answer["found"]:
        for text, seen in zip(TEXTS, found, strict=True):
            ids = torch.tensor([LETTERS.encode(text, bos=True)])
            weights = torch.tensor([[head["map"] for head in seen["heads"]]])
            before = [head["previous"] for head in seen["heads"]]
            assert before == pytest.approx(previous_token_score(weights).tolist(), abs=1e-5)
            scores = [head["induction"] for head in seen["heads"]]
            if text == "ab":  # nothing occurs twice; JSON has no NaN
                assert scores == [None] * 4
            else:
                wanted = induction_score(weights, ids).tolist()
                assert scores == pytest.approx(wanted, abs=1e-5)


def test_the_curves_are_the_ledgers_and_know_every_snapshot(answer: dict[str, Any]) -> None:
    row = read_ledger("induction")["two-layers"]
    training = answer["training"]
    assert training["steps"] == row.settings["snapshots"]
    curves = dict(training["losses"] + training["scores"])
    assert curves["second half"] == row.curves["second half: loss"][0]
    assert curves["first half"] == row.curves["first half: loss"][0]
    assert curves["induction, layer 2"] == row.curves["layer 2: induction score"][0]
    assert curves["letter before, layer 1"] == row.curves["layer 1: previous-token score"][0]
    for points in curves.values():
        assert set(training["steps"]) <= {step for step, _ in points}
        assert all(0 <= value < 4 for _, value in points)  # the chart's axis ends there


def test_the_committed_script_is_the_packed_snapshots(tmp_path: Any) -> None:
    induction.main(["two-layers", "--trained", "--javascript", str(tmp_path)])
    made = (tmp_path / "induction.js").read_text("utf-8")
    committed = (MODELS / "induction.js").read_text("utf-8")
    # The measured loss may differ in a digit from one version of torch to the next.
    measured = re.compile(r'"rounding":\{(?:[^{}]|\{[^{}]*\})*\}')
    assert measured.sub("", made) == measured.sub("", committed)
    assert len(gzip.compress(committed.encode())) < 1_000_000
    losses = json.loads("{" + measured.search(committed)[0] + "}")["rounding"]  # type: ignore[index]
    assert losses["fp16"]["loss"] == pytest.approx(losses["before"]["loss"], abs=1e-3)


def test_what_the_question_says_is_what_happened() -> None:
    script = (FOLDER / "learning.js").read_text("utf-8")
    assert "For 300 steps next to nothing happens; within the next 250" in script
    for losses in read_ledger("induction")["two-layers"].curves["second half: loss"]:
        at = dict(map(tuple, losses))
        chance = math.log(26)
        assert at[300] > 0.97 * chance
        assert at[550] < 0.2 * chance
