"""The loop: what it does to model, gradient and rate, when it looks, and how it resumes."""

import math
import re

import numpy as np
import pytest
import torch
from torch import nn

from attention_guide.train import History, constant, cosine, fit, load_training, save_training


def make(seed=0, dropout=0.0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 8), nn.Dropout(dropout), nn.Linear(8, 1))
    return model, torch.optim.Adam(model.parameters(), lr=0.01)


def squared(model, x):
    return (model(x) - x.sum(1, keepdim=True)).square().mean()


@pytest.fixture
def data():
    return list(torch.randn(5, 16, 3, generator=torch.Generator().manual_seed(7)))


def test_learns_and_records_every_step(data):
    model, adam = make()
    history = fit(model, data, squared, steps=200, optimizer=adam)
    assert history.loss[-1] < 0.1 * history.loss[0]
    assert history.steps == len(history.rate) == len(history.grad_norm) == 200
    assert history.seconds > 0
    assert not model.training


def test_a_step_is_torchs_own_step(data):
    ours, adam = make()
    fit(ours, data, squared, steps=3, optimizer=adam, clip_norm=None)
    theirs, adam = make()
    for x in data[:3]:
        adam.zero_grad()
        squared(theirs, x).backward()
        adam.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(a, b)


def test_clips_the_whole_gradient_and_records_its_norm_before(data):
    model, _ = make()
    sgd = torch.optim.SGD(model.parameters(), lr=1.0)
    before = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
    history = fit(model, data, lambda m, x: 1000 * squared(m, x), steps=1, optimizer=sgd)
    after = torch.cat([p.detach().flatten() for p in model.parameters()])
    assert history.grad_norm[0] > 10
    assert float((after - before).norm()) == pytest.approx(1.0, rel=1e-3)


def test_the_schedule_multiplies_each_groups_own_rate(data):
    model, _ = make()
    groups = [
        {"params": model[0].parameters(), "lr": 0.1},
        {"params": model[2].parameters(), "lr": 0.01},
    ]
    sgd, seen = torch.optim.SGD(groups), []
    sgd.register_step_post_hook(lambda o, *_: seen.append([g["lr"] for g in o.param_groups]))
    history = fit(model, data, squared, steps=2, optimizer=sgd, schedule=constant(4))
    assert history.rate == pytest.approx([0.025, 0.05])
    assert seen[1] == pytest.approx([0.05, 0.005])


def test_the_optimisers_own_rates_are_the_peak_before_and_after_every_fit(data):
    model, adam = make()
    fit(model, data, squared, steps=4, optimizer=adam, schedule=cosine(0, 4))
    assert fit(model, data, squared, steps=1, optimizer=adam).rate == [0.01]
    adam.param_groups[0]["lr"] = 1e-4
    assert fit(model, data, squared, steps=1, optimizer=adam, schedule=constant()).rate == [1e-4]


def test_a_body_that_the_optimiser_does_not_hold_is_as_a_frozen_one(data):
    losses, norms = [], []
    for frozen in (False, True):
        model, _ = make()
        model[0].requires_grad_(not frozen)
        sgd = torch.optim.SGD(model[2].parameters(), lr=0.1)
        history = fit(model, data, squared, steps=9, optimizer=sgd)
        losses.append(history.loss)
        norms.append(history.grad_norm)
    assert losses[0] == losses[1]
    assert norms[0] == norms[1]


def test_what_the_optimiser_holds_outside_the_model_is_clipped_too(data):
    model, factor = nn.Linear(3, 1), nn.Parameter(torch.tensor(1000.0))
    sgd = torch.optim.SGD([*model.parameters(), factor], lr=1.0)
    fit(model, data, lambda m, x: factor * squared(m, x), steps=1, optimizer=sgd)
    assert 0 < abs(float(factor.detach()) - 1000.0) <= 1.0


def test_evaluates_in_eval_mode_without_gradients_on_time_and_at_the_end(data):
    model, adam = make(dropout=0.5)
    seen = []

    def evaluate(model):
        seen.append((model.training, torch.is_grad_enabled()))
        return {"score": float(len(seen))}

    history = fit(
        model, data, squared, steps=7, optimizer=adam, evaluate=evaluate, evaluate_every=3
    )
    assert [row["step"] for row in history.evaluations] == [3, 6, 7]
    assert [row["score"] for row in history.evaluations] == [1.0, 2.0, 3.0]
    assert seen == [(False, False)] * 3


def test_trains_in_train_mode_again_after_an_evaluation(data):
    model, adam = make(dropout=0.5)
    modes = []

    def loss(model, x):
        modes.append(model.training)
        return squared(model, x)

    fit(model, data, loss, steps=4, optimizer=adam, evaluate=lambda m: {}, evaluate_every=2)
    assert modes == [True] * 4


def test_stops_when_told(data):
    model, adam = make()
    history = fit(
        model, data, squared, steps=100, optimizer=adam,
        evaluate=lambda m: {"x": 1.0}, evaluate_every=5, stop=lambda row: row["step"] >= 10,
    )  # fmt: skip
    assert history.steps == 10


def test_begins_the_batches_again_when_they_end(data):
    model, adam = make()
    assert fit(model, data[:2], squared, steps=9, optimizer=adam).steps == 9


def test_an_iterator_that_cannot_restart_is_an_error(data):
    model, adam = make()
    with pytest.raises(ValueError, match="batches: expected at least one"):
        fit(model, iter(data), squared, steps=9, optimizer=adam)


def test_a_loss_that_is_not_finite_stops_before_it_spoils_the_weights(data):
    model, adam = make()
    weights = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(FloatingPointError, match="loss is nan at step 1"):
        fit(model, data, lambda m, x: squared(m, x) * math.nan, steps=2, optimizer=adam)
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))


@pytest.mark.parametrize("clip_norm", [1.0, None])
def test_a_gradient_that_is_not_finite_stops_before_it_spoils_the_weights(data, clip_norm):
    model, adam = make()
    weights = [p.detach().clone() for p in model.parameters()]

    def loss(model, x):  # the root has the value 0 and the slope infinity
        return (model(x) * 0).abs().sqrt().mean()

    with pytest.raises(FloatingPointError, match="gradient norm is nan at step 1"):
        fit(model, data, loss, steps=1, optimizer=adam, clip_norm=clip_norm)
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"clip_norm": -1.0}, "clip_norm: expected a number above 0; got -1.0"),
        ({"clip_norm": 0}, "clip_norm: expected a number above 0; got 0"),
        ({"clip_norm": math.nan}, "clip_norm: expected a number above 0; got nan"),
        ({"schedule": lambda step: -0.1}, r"schedule\(1\): expected a number at least 0; got -0.1"),
        ({"schedule": lambda step: math.nan}, r"schedule\(1\): expected a number at least 0"),
        ({"weigh": lambda batch: -1.0}, r"weigh\(batch\): expected a number at least 0; got -1.0"),
        ({"weigh": lambda batch: math.inf}, r"weigh\(batch\): expected a finite number"),
        ({"weigh": lambda batch: 0.0}, "weigh: expected more than 0 for the batches of a step"),
    ],
)
def test_numbers_that_would_spoil_the_run_are_refused(data, options, message):
    model, adam = make()
    weights = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(ValueError, match=message):
        fit(model, data, squared, steps=1, optimizer=adam, **options)
    assert all(torch.equal(a, b) for a, b in zip(weights, model.parameters(), strict=True))


def test_a_batch_that_counts_for_nothing_leaves_the_step_to_the_others(data):
    (one, adam), (two, other) = make(), make()
    zeros = {"accumulate": 2, "weigh": lambda x: float(x is data[0])}
    history = fit(one, data[:2], squared, steps=1, optimizer=adam, **zeros)
    assert history.loss == fit(two, data[:1], squared, steps=1, optimizer=other).loss


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (lambda loss: 1.0, TypeError, r"loss\(model, batch\): expected a torch.Tensor; got float"),
        (lambda loss: None, TypeError, "expected a torch.Tensor; got NoneType"),
        (lambda loss: loss.repeat(2), ValueError, r"expected one number.*; got shape \(2,\)"),
        (lambda loss: loss.detach(), ValueError, r"with a gradient; got shape \(\) without one"),
    ],
)
def test_a_loss_that_is_not_one_number_with_a_gradient_is_refused(data, given, error, message):
    model, adam = make()
    with pytest.raises(error, match=message):
        fit(model, data, lambda m, x: given(squared(m, x)), steps=1, optimizer=adam)


@pytest.mark.parametrize("value", ["high", "0.5", [0.5], None])
def test_an_evaluation_that_is_no_number_is_named(data, value):
    model, adam = make()
    with pytest.raises(TypeError, match=r"evaluate: acc: expected a number; got"):
        fit(model, data, squared, steps=1, optimizer=adam, evaluate=lambda m: {"acc": value})


def test_numbers_of_numpy_become_pythons(data, tmp_path):
    model, adam = make()
    adam.param_groups[0]["lr"] = np.float64(0.01)
    history = fit(
        model, data, squared, steps=2, optimizer=adam, schedule=lambda step: np.float32(0.5),
        evaluate=lambda m: {"a": np.mean([1.0, 0.0]), "b": np.float32(2), "c": torch.tensor(3.0)},
        stop=lambda row: np.bool_(True), evaluate_every=1,
    )  # fmt: skip
    assert history.evaluations[0] == {**history.evaluations[0], "a": 0.5, "b": 2.0, "c": 3.0}
    save_training(tmp_path / "run.pt", model, adam, history)
    assert load_training(tmp_path / "run.pt", model, adam) == history


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps: expected at least 1"),
        ({"steps": 1, "evaluate_every": 0}, "evaluate_every: expected at least 1"),
        ({"steps": 1, "stop": bool}, "expected `evaluate` as well"),
        ({"steps": 1, "evaluate_every": 3}, "expected `evaluate` as well"),
    ],
)
def test_wrong_arguments_are_named(data, options, message):
    model, adam = make()
    with pytest.raises(ValueError, match=message):
        fit(model, data, squared, optimizer=adam, **options)


def test_progress_goes_to_standard_error_alone(data, capsys):
    model, adam = make()
    fit(model, data, squared, steps=2, optimizer=adam, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.search(r"100%.* 2/2 .*step.*, loss=\d+\.\d{4}\]", captured.err)


def test_progress_of_a_run_that_is_continued_begins_where_that_ended(data, capsys):
    model, adam = make()
    history = fit(model, data, squared, steps=3, optimizer=adam)
    fit(model, data, squared, steps=4, optimizer=adam, history=history, progress=True)
    assert "75%" in capsys.readouterr().err


def test_a_run_that_fails_leaves_its_bar_on_a_line_of_its_own(data, capsys):
    model, adam = make()
    with pytest.raises(FloatingPointError):
        fit(model, data, lambda m, x: squared(m, x) / 0, steps=2, optimizer=adam, progress=True)
    assert capsys.readouterr().err.endswith("\n")


def run(steps, path=None, stop_at=None):
    """Train with dropout on one repeated batch; with a path, in two halves through a file."""
    x = [torch.ones(4, 3)]
    options = {"schedule": cosine(2, steps), "steps": steps}
    model, adam = make(dropout=0.5)
    torch.manual_seed(5)
    if path is None:
        history = fit(model, x, squared, optimizer=adam, **options)
    else:
        history = fit(model, x, squared, optimizer=adam, **{**options, "steps": stop_at})
        save_training(path, model, adam, history)
        torch.manual_seed(99)
        model, adam = make(seed=3, dropout=0.5)
        history = load_training(path, model, adam)
        history = fit(model, x, squared, optimizer=adam, history=history, **options)
    return model, history


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path):
    whole, history = run(10)
    halves, resumed = run(10, tmp_path / "run.pt", stop_at=4)
    assert resumed.loss == history.loss
    assert resumed.rate == history.rate
    for a, b in zip(whole.parameters(), halves.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_failed_save_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch):
    model, adam = make()
    path = tmp_path / "run.pt"
    save_training(path, model, adam, History())
    before = path.read_bytes()

    def broken(state, file):
        file.write(b"half of it")
        raise OSError("disk full")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(OSError, match="disk full"):
        save_training(path, model, adam, History(loss=[1.0]))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
