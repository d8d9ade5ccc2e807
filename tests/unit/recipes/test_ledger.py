"""The ledger: rows are complete, replaced by id, and what the recipes wrote hangs together."""

import json
import math

import pytest
import torch

from attention_guide.recipes import Spread, ledger_names, make_row, read_ledger, write_row
from attention_guide.train.energy import estimate_energy


def row(row_id="demo", **change):
    fields = {
        "what": "Nothing.",
        "command": "python -m nothing",
        "seeds": [0, 1],
        "settings": {"steps": 3},
        "metrics": {"score": [1.0, 2.0]},
        "curves": {"loss": [[[1, 0.5]], [[1, 0.25]]]},
        "wall_seconds": [10.0, 20.0],
        "cpu_seconds": [8.0, 16.0],
    }
    return make_row(row_id, **{**fields, **change})


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


def test_rows_come_back_and_are_replaced_by_id(tmp_path):
    write_row("demo", row("b"), folder=tmp_path)
    write_row("demo", row("a"), folder=tmp_path)
    write_row("demo", row("b", what="Something."), folder=tmp_path)
    ledger = read_ledger("demo", folder=tmp_path)
    assert list(ledger) == ["a", "b"]
    assert ledger["b"] == row("b", what="Something.")
    assert ledger_names(tmp_path) == ["demo"]


@pytest.mark.parametrize("field", ["metrics", "wall_seconds", "cpu_seconds", "curves"])
def test_one_entry_a_seed(field):
    short = {"metrics": {"score": [1.0]}, "curves": {"loss": [[[1, 0.5]]]}}.get(field, [1.0])
    with pytest.raises(ValueError, match="one entry for each of 2 seeds, got 1"):
        row(**{field: short})


def test_what_is_not_a_number_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="values: expected finite numbers"):
        write_row("demo", row(metrics={"score": [float("nan"), 1.0]}), folder=tmp_path)
    assert ledger_names(tmp_path) == []
    with pytest.raises(FileNotFoundError, match="expected one of"):
        read_ledger("demo", folder=tmp_path)


@pytest.mark.parametrize("name", ledger_names())
def test_committed_ledgers_hang_together(name):
    for made in read_ledger(name).values():
        assert made.command.startswith("python -m attention_guide.recipes.")
        for spread in made.metrics.values():
            assert len(spread.values) == len(made.seeds)
            assert Spread.of(spread.values) == spread
        expected = estimate_energy(sum(made.cpu_seconds)).as_dict()["energy_kwh"]
        assert json.dumps(made.energy["energy_kwh"]) == json.dumps(expected)
