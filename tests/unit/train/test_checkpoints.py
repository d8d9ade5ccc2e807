"""Checkpoints: killed runs resume bit for bit; damaged files are refused, the one before used."""

import json
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from attention_guide.text import BucketBatches, PairBatches
from attention_guide.train import (
    CheckpointError,
    Checkpoints,
    DamagedCheckpointWarning,
    History,
    cosine,
    fit,
    load_training,
    save_training,
)

DRIVER = Path(__file__).with_name("killed_run.py")


@pytest.mark.parametrize("seed", [1])
def test_a_run_killed_at_random_steps_ends_bit_for_bit_as_one_that_was_not(tmp_path, seed):
    done = subprocess.run(
        [sys.executable, str(DRIVER), str(tmp_path), str(seed)],
        capture_output=True, text=True, check=False, timeout=500,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert result["differ"] == []
    assert result["kills"] >= 4  # two inside a save, and some at random
    assert result["litter"] >= 1  # a save really was cut off in the middle
    assert result["left"] == 0


def make(seed=0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 1))
    return model, torch.optim.AdamW(model.parameters(), lr=0.1)


def train(folder, steps, **options):
    model, adam = make()
    checkpoints = Checkpoints(folder, every=2, **options)
    history = checkpoints.load(model, adam)
    history = fit(model, [torch.ones(3, 2)], lambda m, x: m(x).square().mean(), steps=steps,
                  optimizer=adam, checkpoints=checkpoints, history=history)  # fmt: skip
    return [p.detach() for p in model.parameters()], history, checkpoints


def test_keeps_the_last_ones_and_the_very_last_step(tmp_path):
    _, _, checkpoints = train(tmp_path, 7)
    assert [p.name for p in checkpoints.files()] == ["step-00000006.pt", "step-00000007.pt"]
    _, _, checkpoints = train(tmp_path / "three", 7, keep=3)
    assert len(checkpoints.files()) == 3


def truncated(data):
    return data[: len(data) // 2]


def emptied(data):
    return b""


def flipped(data):
    return data[:500] + bytes([data[500] ^ 1]) + data[501:]


def relabelled(data):
    return data[:-1] + (b"0" if data[-1:] != b"0" else b"1")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (truncated, "no checksum at its end: it is truncated"),
        (emptied, r"it is truncated.*\(0 bytes\)"),
        (flipped, "its content was altered: it was written with checksum"),
        (relabelled, "its content was altered"),
    ],
)
def test_a_damaged_checkpoint_is_refused_and_the_one_before_is_used(tmp_path, damage, reason):
    wanted, _, _ = train(tmp_path / "whole", 6)
    _, _, checkpoints = train(tmp_path / "run", 4)
    newest = checkpoints.files()[-1]
    newest.write_bytes(damage(newest.read_bytes()))
    model, adam = make(seed=3)
    with pytest.raises(CheckpointError, match=reason):
        load_training(newest, model, adam)
    with pytest.warns(DamagedCheckpointWarning, match=rf"{reason}.*using step-00000002\.pt"):
        weights, history, _ = train(tmp_path / "run", 6)
    assert history.steps == 6
    assert all(torch.equal(a, b) for a, b in zip(wanted, weights, strict=True))


def test_any_flipped_bit_is_seen(tmp_path):
    model, adam = make()
    path = tmp_path / "run.pt"
    save_training(path, model, adam, History())
    data = path.read_bytes()
    generator = random.Random(0)
    for position in (generator.randrange(len(data)) for _ in range(60)):
        damaged = bytearray(data)
        damaged[position] ^= 1 << generator.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_training(path, model, adam)


def test_a_refused_file_changes_nothing(tmp_path):
    model, adam = make()
    path = tmp_path / "run.pt"
    save_training(path, model, adam, History())
    path.write_bytes(flipped(path.read_bytes()))
    other, adam = make(seed=9)
    before = [p.detach().clone() for p in other.parameters()]
    with pytest.raises(CheckpointError):
        load_training(path, other, adam)
    assert all(torch.equal(a, b) for a, b in zip(before, other.parameters(), strict=True))


class Part:
    def __init__(self, state):
        self.state = state

    def state_dict(self):
        return self.state

    def load_state_dict(self, state):
        if state != self.state:
            raise ValueError("state: of another part")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"folder": [Path("x")]}, r"parts\['p'\]\['folder'\]\[0\]: expected .*; got \w*Path"),
        (np.float64(0.5), r"parts\['p'\]: expected what a checkpoint gives back .*; got float64"),
        ({np.int64(1): 2}, r"parts\['p'\]\[.*1.*\]: .*; got int64"),
        ((1, lambda: 1), r"parts\['p'\]\[1\]: .*; got function"),
    ],
)
def test_what_could_not_be_read_again_is_refused_before_anything_is_replaced(
    tmp_path, state, message
):
    model, adam = make()
    path = tmp_path / "run.pt"
    save_training(path, model, adam, History())
    before = path.read_bytes()
    with pytest.raises(TypeError, match=message):
        save_training(path, model, adam, History(), parts={"p": Part(state)})
    assert [path] == list(tmp_path.iterdir())
    assert path.read_bytes() == before


def test_what_torch_reads_besides_is_saved(tmp_path):
    model, adam = make()
    part = Part({"size": torch.Size([2]), "set": {1, 2}, "kind": torch.float32})
    save_training(tmp_path / "run.pt", model, adam, History(), parts={"p": part})
    load_training(tmp_path / "run.pt", model, adam, parts={"p": part})


def test_a_file_that_cannot_be_read_is_a_damaged_one(tmp_path, monkeypatch):
    _, _, checkpoints = train(tmp_path, 4)

    def refuse(*args, **options):
        monkeypatch.undo()  # the one before is read
        raise pickle.UnpicklingError("Unsupported class")

    monkeypatch.setattr(torch, "load", refuse)
    with pytest.warns(DamagedCheckpointWarning, match="read without running code; using step-0"):
        history = checkpoints.load(*make())
    assert history.steps == 2


def same(model):
    return torch.optim.AdamW(model.parameters(), lr=0.7)


def momentum(model):
    return torch.optim.SGD(model.parameters(), lr=0.7)


def half(model):
    return torch.optim.AdamW(model[0].parameters(), lr=0.7)


@pytest.mark.parametrize(
    ("width", "optimizer", "part", "error", "message"),
    [
        (5, same, 1, RuntimeError, r"0.bias is \(4,\) in the file, \(5,\) in the model"),
        (4, momentum, 1, ValueError, r"expected AdamW over groups of \[4\] .*; got SGD over \[4\]"),
        (4, half, 1, ValueError, r"groups of \[4\] .*; got AdamW over \[2\]"),
        (4, same, 2, ValueError, "state: of another part"),
    ],
)
def test_what_does_not_fit_changes_neither_model_nor_optimiser(
    tmp_path, width, optimizer, part, error, message
):
    model, adam = make()
    save_training(tmp_path / "run.pt", model, adam, History(), parts={"p": Part(1)})
    other = nn.Sequential(nn.Linear(2, width), nn.Dropout(0.5), nn.Linear(width, 1))
    before = [p.detach().clone() for p in other.parameters()]
    optimizer = optimizer(other)
    with pytest.raises(error, match=message):
        load_training(tmp_path / "run.pt", other, optimizer, parts={"p": Part(part)})
    assert all(torch.equal(a, b) for a, b in zip(before, other.parameters(), strict=True))
    assert optimizer.param_groups[0]["lr"] == 0.7


def test_a_parameter_too_few_is_named(tmp_path):
    model, adam = make()
    save_training(tmp_path / "run.pt", model, adam, History())
    other = nn.Sequential(nn.Linear(2, 4), nn.Dropout(0.5), nn.Linear(4, 1, bias=False))
    with pytest.raises(RuntimeError, match=r"2\.bias is \(1,\) in the file, missing in the model"):
        load_training(tmp_path / "run.pt", other, same(other))


def test_another_run_does_not_overwrite_the_one_that_is_there(tmp_path):
    _, _, checkpoints = train(tmp_path, 10)
    names = [p.name for p in checkpoints.files()]
    model, adam = make()
    for again in (checkpoints, Checkpoints(tmp_path)):  # neither was loaded from
        with pytest.raises(
            ValueError, match=r"history: expected a step after .*010\.pt; got step 1"
        ):
            again.save(model, adam, History(loss=[1.0]))
    assert [p.name for p in checkpoints.files()] == names


def test_a_refused_file_is_replaced_once_and_its_successor_is_kept(tmp_path):
    _, _, checkpoints = train(tmp_path, 4)
    model, adam = make()
    checkpoints.files()[-1].write_bytes(b"")
    with pytest.warns(DamagedCheckpointWarning):
        checkpoints.load(model, adam)
    for n in (3, 4):
        checkpoints.save(model, adam, History(loss=[1.0] * n))
    assert checkpoints.files()[-1].name == "step-00000004.pt"
    with pytest.raises(ValueError, match="got step 3"):
        checkpoints.save(model, adam, History(loss=[1.0] * 3))


def test_no_whole_checkpoint_is_an_error_and_none_at_all_a_beginning(tmp_path):
    model, adam = make()
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.load(model, adam) is None
    for step in (1, 2):
        (tmp_path / f"step-{step:08d}.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* is whole: .*00002.*00001"):
        checkpoints.load(model, adam)


def test_the_file_runs_no_code_and_is_torchs_own_format(tmp_path):
    model, adam = make()
    save_training(tmp_path / "run.pt", model, adam, History(loss=[1.5]))
    state = torch.load(tmp_path / "run.pt", weights_only=True)
    assert state["history"]["loss"] == [1.5]


def test_python_and_numpy_draw_on_as_they_would_have(tmp_path):
    model, adam = make()
    save_training(tmp_path / "run.pt", model, adam, History())
    wanted = random.random(), np.random.rand(), float(torch.rand(()))
    load_training(tmp_path / "run.pt", model, adam)
    assert (random.random(), np.random.rand(), float(torch.rand(()))) == wanted


def test_a_missing_part_is_named(tmp_path):
    model, adam = make()
    save_training(tmp_path / "run.pt", model, adam, History())
    batches = PairBatches([[3]], [[4]], 1)
    with pytest.raises(CheckpointError, match="has no part batches"):
        load_training(tmp_path / "run.pt", model, adam, parts={"batches": batches})


@pytest.mark.parametrize("done", range(9))
def test_batches_go_on_where_they_were(done):
    def make_batches():
        return PairBatches([[i] for i in range(3, 10)], [[i] for i in range(3, 10)], 2, seed=4)

    def stream(batches):
        while True:
            yield from (source.flatten().tolist() for source, _ in batches)

    whole = make_batches()
    order = stream(whole)
    for _ in range(done):
        next(order)
    resumed = make_batches()
    resumed.load_state_dict(whole.state_dict())
    again = stream(resumed)
    assert [next(again) for _ in range(9)] == [next(order) for _ in range(9)]


def bucket_run(folder, steps):
    model = nn.Linear(1, 1)
    nn.init.ones_(model.weight)
    sgd = torch.optim.SGD(model.parameters(), lr=0.01)
    sources, targets = [[1] * 4] * 3, [[1], [2] * 4, [3]]  # lengths tie, targets' lengths differ
    batches = BucketBatches(sources, targets, 10)
    checkpoints = Checkpoints(folder, every=99, parts={"batches": batches})

    def loss(model, batch):
        source, target = (part.float().mean().reshape(1, 1) for part in batch)
        return (model(source) - target).square().mean() * batch[1].numel()

    history = checkpoints.load(model, sgd)
    return fit(model, batches, loss, steps=steps, optimizer=sgd, checkpoints=checkpoints,
               history=history, schedule=cosine(2, 99)).loss  # fmt: skip


@pytest.mark.parametrize("cut", range(1, 12))
def test_buckets_of_unequal_pairs_resume_bit_for_bit_wherever_they_are_cut(tmp_path, cut):
    torch.manual_seed(0)
    whole = bucket_run(tmp_path / "whole", 12)
    torch.manual_seed(0)
    bucket_run(tmp_path / "cut", cut)
    assert bucket_run(tmp_path / "cut", 12) == whole


def test_a_position_that_was_loaded_is_not_lost_before_the_first_batch():
    batches = PairBatches([[3]] * 5, [[4]] * 5, 2)
    for state in ({"epoch": 2, "batches": 1}, {"epoch": 3, "batches": 0}):
        batches.load_state_dict(state)
        assert batches.state_dict() == state


@pytest.mark.parametrize(
    "state", [{"epoch": 0, "batches": 3}, {"epoch": 0, "batches": -1}, {"epoch": -1, "batches": 0}]
)
def test_a_position_that_cannot_be_is_refused(state):
    with pytest.raises(ValueError, match=r"state: expected .* batches from 0 to below 3; got"):
        PairBatches([[3]] * 5, [[4]] * 5, 2).load_state_dict(state)


@pytest.mark.parametrize("options", [{"every": 0}, {"keep": 1}])
def test_wrong_numbers_are_named(tmp_path, options):
    with pytest.raises(ValueError, match="every, keep: expected at least 1 and 2"):
        Checkpoints(tmp_path, **options)
