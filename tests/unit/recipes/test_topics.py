"""The recipe of the playground's language model: windows, losses, a run in miniature."""

import json
import math
import re

import pytest
import torch

from attention_guide.checkpoints import load_own
from attention_guide.checkpoints.javascript import unpacked, untied
from attention_guide.data.cards import Card, DataChangedWarning, checksum
from attention_guide.data.corpora import CARD, Corpus, pydoc_topics
from attention_guide.recipes import read_ledger
from attention_guide.recipes.topics import (
    CHECKPOINT,
    LEDGER,
    Setting,
    main,
    make_model,
    run,
    tokenizer,
    write_page,
)
from attention_guide.recipes.windows import Windows, next_token_loss, validation_loss


class Even:
    """Finds every id equally likely."""

    def __call__(self, ids):
        return torch.zeros(*ids.shape, 16)


class Counts:
    """Is sure that the next id is one more; behind the beginning, that it is 5."""

    def __call__(self, ids):
        wanted = torch.where(ids == 0, 5, ids + 1)
        return 100.0 * torch.nn.functional.one_hot(wanted, 16).float()


def test_windows_are_stretches_behind_the_beginning():
    stream = list(range(100, 140))
    batches = iter(Windows(stream, length=6, batch_size=3, first=7, seed=1))
    starts = set()
    for _ in range(200):
        batch = next(batches)
        assert batch.shape == (3, 7)
        assert (batch[:, 0] == 7).all()
        assert (batch[:, 1:].diff(dim=1) == 1).all()
        starts |= set(batch[:, 1].tolist())
    assert starts == set(range(100, 135))
    again = iter(Windows(stream, length=6, batch_size=3, first=7, seed=1))
    assert torch.equal(next(again), next(iter(Windows(stream, 6, 3, first=7, seed=1))))
    with pytest.raises(ValueError, match="ids: expected at least 41, got 40"):
        Windows(stream, length=41, batch_size=1, first=7)


def test_losses_by_hand():
    assert float(next_token_loss(Even(), torch.tensor([[0, 1, 2]]))) == pytest.approx(math.log(16))
    stream = [5, 6, 7, 8, 9]
    assert validation_loss(Even(), stream, 2, first=0) == pytest.approx(math.log(16))
    assert validation_loss(Counts(), stream, 5, first=0) == pytest.approx(0.0, abs=1e-6)
    # Stretches 5 6, 7 8, 9: the first id of the second and of the third comes as a surprise.
    assert validation_loss(Counts(), stream, 2, first=0) == pytest.approx(2 * 100 / 5, rel=1e-4)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Two seeds of a tiny model on a few topics, into a folder of their own."""
    folder = tmp_path_factory.mktemp("topics")
    topics = pydoc_topics()
    texts = [text[:3000] for text in topics.train[:3]], [topics.validation[0][:1500]]
    sizes = {"train": 3, "validation": 1}
    found = checksum(dict(zip(sizes, texts, strict=True)))
    card = Card(CARD.name, "A few.", "Here.", "CC0", sizes, found, versions=CARD.versions)
    corpus = Corpus(*texts, card)
    setting = Setting(vocab_size=280, d_model=16, n_layers=1, max_len=32, steps=20, batch_size=2)
    with pytest.warns(DataChangedWarning, match="a model trained again won't be the same"):
        run(setting, [0, 1], results=folder, weights=folder, corpus=corpus)
    return folder, corpus, setting


def test_a_run_in_miniature(small):
    folder, corpus, _ = small
    row = read_ledger(LEDGER, folder=folder)["gpt"]
    assert (row.seeds, row.settings["steps"], row.settings["vocab_size"]) == ((0, 1), 20, 280)
    assert row.settings["checksum"] == corpus.card.checksum
    curves = row.curves["training loss"], row.curves["validation loss"]
    assert all(len(curve) == 2 for curve in curves)
    assert curves[0][0][-1][1] < curves[0][0][0][1]
    own = load_own(CHECKPOINT, folder=folder)
    ids = own.vocabulary.encode(corpus.validation[0], eos=True)
    nats = validation_loss(own.model, ids, 32, first=own.vocabulary.eos_id)
    assert nats == pytest.approx(row.metrics["validation loss"].values[0], rel=1e-5)
    n_bytes = len(corpus.validation[0].encode())
    bits = nats * len(ids) / math.log(2) / n_bytes
    assert bits == pytest.approx(row.metrics["bits a byte"].values[0], rel=1e-5)
    assert Card.from_json(own.training["data"]) == corpus.card
    assert f"| validation loss | {nats:.4f} |" in own.card
    assert corpus.card.checksum in own.card
    assert "20 steps of 2 windows of 32 tokens" in own.card


def test_its_script_is_the_rounded_checkpoint(small, tmp_path):
    folder, corpus, _ = small
    path = write_page(tmp_path, weights=folder, corpus=corpus)
    text = path.read_text("utf-8")
    file = json.loads(re.search(r"LiveWeights\.add\((.*)\);", text)[1])
    own = load_own(CHECKPOINT, folder=folder)
    assert file["card"] == own.card
    assert file["config"]["activation"] == "gelu-tanh"
    assert (file["config"]["d_ff"], file["config"]["max_len"]) == (64, 32)
    assert [entry["name"] for entry in file["tensors"]] == list(untied(own.model))
    assert file["vocabulary"][0] == "<eos>"
    assert len(file["vocabulary"]) == 280
    assert len(file["merges"]) == len(own.vocabulary.merges)
    rounding = file["rounding"]
    recorded = read_ledger(LEDGER, folder=folder)["gpt"].metrics["validation loss"].values[0]
    assert rounding["before"]["loss"] == pytest.approx(recorded, abs=1e-4)
    ids = own.vocabulary.encode(corpus.validation[0], eos=True)
    assert rounding["tokens"] == len(ids)
    own.model.load_state_dict(unpacked(untied(own.model), "int8"), strict=False)
    nats = validation_loss(own.model, ids, 32, first=0)
    assert rounding["int8"]["loss"] == pytest.approx(nats, abs=1e-4)


def test_other_texts_than_the_checkpoints_are_told(small, tmp_path):
    folder, _, _ = small
    with pytest.warns(DataChangedWarning):
        write_page(tmp_path, weights=folder)


def test_trials_may_not_touch_the_package():
    for arguments in (["--steps", "2"], ["--trained"]):
        with pytest.raises(SystemExit):
            main(arguments)


def test_the_shipped_model_does_what_the_ledger_says():
    row = read_ledger(LEDGER)["gpt"]
    own = load_own(CHECKPOINT)
    assert own.model.config == make_model(Setting()).config
    corpus = pydoc_topics()
    ids = [i for text in corpus.validation for i in own.vocabulary.encode(text, eos=True)]
    nats = validation_loss(own.model, ids, 128, first=own.vocabulary.eos_id)
    recorded = row.metrics["validation loss"].values[0]
    if corpus.card.checksum == CARD.checksum:
        assert tokenizer(corpus, len(own.vocabulary)).to_json() == own.vocabulary.to_json()
        assert nats == pytest.approx(recorded, abs=1e-3)
    else:  # another Python's help topics: a user is told so, and the model still reads them
        with pytest.warns(DataChangedWarning, match="the data differs from what was seen before"):
            assert corpus.card.warn_if_changed(Card.from_json(own.training["data"]))
        assert nats < 1.2 * recorded
