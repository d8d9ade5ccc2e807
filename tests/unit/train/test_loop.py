"""The loop: what it does to model, gradient and rate, when it looks, and how it resumes."""

import math
import re

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
    sgd = torch.optim.SGD(groups)
    history = fit(model, data, squared, steps=2, optimizer=sgd, schedule=constant(4))
    assert history.rate == pytest.approx([0.025, 0.05])
    assert [group["lr"] for group in sgd.param_groups] == pytest.approx([0.05, 0.005])


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
