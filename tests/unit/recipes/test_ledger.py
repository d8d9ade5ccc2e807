"""The ledger: rows are complete, replaced by id, and what the recipes wrote hangs together."""

import json
import math

import pytest
import torch

from attention_guide.checkpoints.own import load_own
from attention_guide.checkpoints.snapshots import load_snapshots
from attention_guide.data.cards import Card
from attention_guide.recipes import Run, Spread, ledger_names, make_row, read_ledger, write_row
from attention_guide.recipes.cards import language_model_card, model_card, snapshot_card
from attention_guide.recipes.command import read_options, run_seeds
from attention_guide.train.energy import estimate_energy


def run(seed, metrics=None, curves=None, seconds=10.0):
    metrics = {"score": 1.0 + seed} if metrics is None else metrics
    curves = {"loss": [[1, 0.5]]} if curves is None else curves
    return Run(seed, metrics, curves, seconds, 0.8 * seconds)


def row(row_id="demo", runs=None, what="Nothing."):
    runs = [run(0), run(1, seconds=20.0)] if runs is None else runs
    return make_row(row_id, runs, what=what, command="python -m nothing", settings={"steps": 3})


def test_spread_by_hand():
    spread = Spread.of([1, 2, 4])
    assert spread.mean == pytest.approx(7 / 3)
    assert spread.sd == pytest.approx(math.sqrt(((4 / 3) ** 2 + (1 / 3) ** 2 + (5 / 3) ** 2) / 2))
    assert Spread.of([5]).sd == 0
    with pytest.raises(ValueError, match="at least one"):
        Spread.of([])


def test_a_row_knows_machine_versions_date_and_energy():
    made = row()
    assert made.torch == torch.__version__
    assert made.cores >= 1
    assert made.threads == torch.get_num_threads()
    assert len(made.date.split("-")) == 3
    assert made.energy == estimate_energy(24.0).as_dict()
    assert (made.seeds, made.wall_seconds, made.cpu_seconds) == ((0, 1), (10.0, 20.0), (8.0, 16.0))
    assert made.metrics["score"].values == (1.0, 2.0)
    assert made.curves == {"loss": [[[1, 0.5]], [[1, 0.5]]]}


def test_rows_come_back_and_are_replaced_by_id(tmp_path):
    write_row("demo", row("b"), folder=tmp_path)
    write_row("demo", row("a"), folder=tmp_path)
    write_row("demo", row("b", what="Something."), folder=tmp_path)
    ledger = read_ledger("demo", folder=tmp_path)
    assert list(ledger) == ["a", "b"]
    assert ledger["b"] == row("b", what="Something.")
    assert ledger_names(tmp_path) == ["demo"]


@pytest.mark.parametrize("other", [{"metrics": {"bleu": 1.0}}, {"curves": {}}])
def test_every_seed_measures_the_same(other):
    (field,) = other
    message = f"runs: expected the same {field} of every seed, got .* of only one of seeds 0 and 1"
    with pytest.raises(ValueError, match=message):
        row(runs=[run(0), run(1, **other)])
    with pytest.raises(ValueError, match="runs: expected at least one, got none"):
        row(runs=[])


def test_what_is_not_a_number_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="values: expected finite numbers"):
        write_row("demo", row(runs=[run(0, {"score": float("nan")})]), folder=tmp_path)
    assert ledger_names(tmp_path) == []
    with pytest.raises(FileNotFoundError, match="expected one of"):
        read_ledger("demo", folder=tmp_path)


def test_the_first_seed_leaves_what_it_trained(capsys):
    runs, kept = run_seeds("demo", [5, 3], lambda seed: (run(seed), f"model {seed}"), "score")
    assert ([made.seed for made in runs], kept) == ([5, 3], "model 5")
    assert "demo seed 3: score 4.0000, 10 s (8 s CPU)" in capsys.readouterr().out
    with pytest.raises(ValueError, match="seeds: expected at least one"):
        run_seeds("demo", [], lambda seed: (run(seed), None), "score")


def test_options_of_a_recipe(tmp_path, capsys):
    rows, trials = ["a", "b"], {"numbers": "numbers"}
    threads = torch.get_num_threads()
    try:
        options = read_options("demo", [], rows=rows, trials=trials)
        assert (options.rows, options.seeds, options.trained) == (rows, [0, 1, 2], False)
        assert (options.into, options.javascript, options.numbers) == (None, None, None)
        assert torch.get_num_threads() == options.threads == 1
        words = ["b", "--numbers", "4", "--into", str(tmp_path)]
        options = read_options("demo", words, rows=rows, trials=trials)
        assert (options.rows, options.numbers, options.into) == (["b"], 4, tmp_path)
    finally:
        torch.set_num_threads(threads)
    wrong = {
        "unknown rows: c": ["c"],
        "--steps is for trials: it needs --into FOLDER": ["--steps", "4"],
        "--numbers: expected 1 or more, got 0": ["--numbers", "0", "--into", str(tmp_path)],
        "--trained leaves nothing to do without --javascript FOLDER": ["--trained"],
    }
    for message, words in wrong.items():
        with pytest.raises(SystemExit):
            read_options("demo", words, rows=rows, trials=trials)
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", ledger_names())
def test_committed_ledgers_hang_together(name):
    for made in read_ledger(name).values():
        assert made.command.startswith("python -m attention_guide.recipes.")
        for spread in made.metrics.values():
            assert len(spread.values) == len(made.seeds)
            assert Spread.of(spread.values) == spread
        expected = estimate_energy(sum(made.cpu_seconds)).as_dict()["energy_kwh"]
        assert json.dumps(made.energy["energy_kwh"]) == json.dumps(expected)


def test_committed_cards_say_what_the_ledger_says():
    rows = read_ledger("number-words").values()
    kept = {row.settings["checkpoint"]: row for row in rows if row.settings["checkpoint"]}
    assert kept
    for name, row in kept.items():
        assert load_own(name).card == model_card(name, row)
    own, row = load_own("topics-gpt"), read_ledger("topics")["gpt"]
    data = Card.from_json(own.training["data"])
    assert own.card == language_model_card("topics-gpt", row, data)
    row = read_ledger("induction")["two-layers"]
    assert load_snapshots("induction").card == snapshot_card("induction", row)
