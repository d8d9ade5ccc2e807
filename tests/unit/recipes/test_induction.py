"""The recipe: its texts, its measures by hand, a run in miniature, and what the ledger claims."""

import math

import pytest
import torch

from attention_guide.checkpoints.snapshots import load_snapshots
from attention_guide.recipes import read_ledger
from attention_guide.recipes.induction import SETTINGS, induction_model, letter_batches, main
from attention_guide.recipes.induction_measures import (
    FIRST_ID,
    LETTERS,
    held_out_letters,
    measure,
    previous_token_score,
    repeated_letters,
)


def test_texts_are_a_start_and_different_letters_twice():
    setting = SETTINGS["two-layers"]
    stream = letter_batches(setting, seed=3)
    periods = set()
    for _ in range(100):
        ids = next(stream)
        period = ids.shape[1] // 2
        periods.add(period)
        assert ids.shape == (setting.batch_size, 1 + 2 * period)
        assert (ids[:, 0] == LETTERS.bos_id).all()
        assert torch.equal(ids[:, 1 : 1 + period], ids[:, 1 + period :])
        assert all(len(set(row.tolist())) == period for row in ids[:, 1 : 1 + period])
        assert int(ids[:, 1:].min()) >= FIRST_ID
        assert int(ids.max()) < len(LETTERS)
    assert periods == set(range(setting.shortest, setting.longest + 1))
    assert torch.equal(next(letter_batches(setting, 3)), next(letter_batches(setting, 3)))


def test_the_longest_text_fits_the_model():
    setting = SETTINGS["two-layers"]
    assert induction_model(2).max_len == 1 + 2 * setting.longest


def test_attention_to_the_token_before_by_hand():
    weights = torch.zeros(2, 2, 3, 3)
    weights[:, 0, [0, 1, 2], [0, 0, 1]] = 1.0  # head 1: always the token before
    weights[:, 1, [0, 1, 2], [0, 1, 0]] = 1.0  # head 2: never
    weights[1, 1, 2] = torch.tensor([0.0, 0.5, 0.5])
    assert previous_token_score(weights).tolist() == [1.0, 0.125]


class Oracle(torch.nn.Module):
    """Knows the next letter wherever the last one has been seen, and guesses evenly elsewhere."""

    def forward(self, ids):
        logits = torch.zeros(*ids.shape, len(LETTERS))
        for b, row in enumerate(ids.tolist()):
            for t in range(1, len(row)):
                if row[t] in row[1:t]:
                    logits[b, t, row[row.index(row[t], 1) + 1]] = 100.0
        return logits


def test_what_can_be_known_is_the_second_half_but_its_first_letter():
    ids = repeated_letters(5, 3, torch.Generator().manual_seed(0))
    found = measure(Oracle(), ids)
    assert found["first half: loss"] == pytest.approx(math.log(len(LETTERS)))
    assert found["second half: loss"] == pytest.approx(0.0, abs=1e-6)
    assert found["second half: accuracy"] == 1.0


def test_a_row_in_miniature(tmp_path, capsys):
    into = ["--into", str(tmp_path), "--javascript", str(tmp_path)]
    main(["--seeds", "0", "1", "--steps", "50", *into])
    ledger = read_ledger("induction", folder=tmp_path)
    assert set(ledger) == {"two-layers", "one-layer"}
    row = ledger["two-layers"]
    assert row.seeds == (0, 1)
    assert [step for step, _ in row.curves["second half: loss"][1]] == [0, 25, 50]
    assert "layer 2: induction score" in row.metrics
    assert "layer 2: induction score" not in ledger["one-layer"].metrics
    assert "50 steps of 64 texts" in load_snapshots("induction", folder=tmp_path).card
    assert (tmp_path / "induction.js").is_file()
    assert "second half" in capsys.readouterr().out


def test_trials_may_not_touch_the_package():
    for arguments in (["--steps", "2"], ["nonsense"], ["--trained"]):
        with pytest.raises(SystemExit):
            main(arguments)


def test_two_layers_learn_to_look_back_and_one_does_not():
    ledger = read_ledger("induction")
    two, one = ledger["two-layers"], ledger["one-layer"]
    assert max(two.metrics["second half: loss"].values) < 0.1
    assert min(one.metrics["second half: loss"].values) > 1.5
    assert min(two.metrics["layer 2: induction score"].values) > 0.8
    assert max(one.metrics["layer 1: induction score"].values) < 0.3
    for seed in range(len(two.seeds)):
        steps, losses = zip(*two.curves["second half: loss"][seed], strict=True)
        assert list(steps) == list(range(0, two.settings["steps"] + 1, two.settings["every"]))
        assert losses[0] > 3.0


def test_the_snapshots_are_what_the_ledger_measured():
    """Run through the rounded weights; another version of torch may draw other letters."""
    row = read_ledger("induction")["two-layers"]
    kept = load_snapshots("induction")
    assert list(kept.steps) == row.settings["snapshots"]
    held_out = held_out_letters(row.seeds[0])
    for step in kept.steps:
        found = measure(kept.at(step), held_out)
        for name, value in found.items():
            recorded = dict(map(tuple, row.curves[name][0]))[step]
            assert value == pytest.approx(recorded, abs=0.06), (step, name)
