"""Accumulated batches are one big batch; mixed precision and early stopping in the loop."""

import math

import pytest
import torch
from torch import nn

from attention_guide.text import PairBatches
from attention_guide.train import (
    EarlyStopping,
    adamw,
    cross_entropy,
    fit,
    target_tokens,
    teacher_forcing,
)

SOURCES = [[3], [4, 5], [3, 3], [5], [4], [3, 5, 4]]
TARGETS = [[1, 3, 2], [1, 4, 4, 5, 3, 2], [1, 2], [1, 5, 3, 2], [1, 3, 3, 2], [1, 4, 2]]


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(6, 8)
        self.head = nn.Linear(8, 6)

    def forward(self, src, tgt):
        hidden = self.embedding(tgt) + self.embedding(src).mean(1, keepdim=True)
        return self.head(torch.tanh(hidden))


def train(batch_size, accumulate, weigh, *, steps=4, **options):
    torch.manual_seed(0)
    model = Tiny().double()
    batches = PairBatches(SOURCES, TARGETS, batch_size, shuffle=False)
    history = fit(
        model, batches, teacher_forcing(), steps=steps, optimizer=adamw(model, 0.05),
        accumulate=accumulate, weigh=weigh, **options,
    )  # fmt: skip
    return history, [p.detach() for p in model.parameters()]


@pytest.fixture(autouse=True)
def sources_of_one_width(monkeypatch):
    # Tiny averages over padding, too: with rows of one width the parts don't depend on it.
    monkeypatch.setattr(__name__ + ".SOURCES", [[*s, 3, 3, 3][:3] for s in SOURCES])


def test_accumulated_and_weighed_by_tokens_is_the_big_batch():
    whole, weights = train(6, 1, None)
    parts, others = train(2, 3, target_tokens())
    for a, b in zip(weights, others, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-12)
    assert parts.grad_norm == pytest.approx(whole.grad_norm, rel=1e-10)


def test_the_mean_of_means_is_something_else():
    whole, _ = train(6, 1, None)
    parts, _ = train(2, 3, None)
    assert parts.loss[0] != pytest.approx(whole.loss[0], rel=1e-4)


def test_a_weighed_single_batch_is_the_plain_step_bit_for_bit():
    plain, weights = train(6, 1, None)
    weighed, others = train(6, 1, target_tokens())
    assert plain.loss == weighed.loss
    assert all(torch.equal(a, b) for a, b in zip(weights, others, strict=True))


def test_target_tokens_counts_what_the_loss_averages():
    batch = next(iter(PairBatches(SOURCES, TARGETS, 6, shuffle=False)))
    logits = torch.randn(*batch[1][:, 1:].shape, 6, dtype=torch.float64)
    mean = cross_entropy(logits, batch[1][:, 1:], pad_id=0)
    total = nn.functional.cross_entropy(
        logits.flatten(0, 1), batch[1][:, 1:].flatten(), ignore_index=0, reduction="sum"
    )
    assert float(mean * target_tokens()(batch)) == pytest.approx(float(total))


def test_clipping_comes_after_the_accumulation():
    history, _ = train(2, 3, target_tokens(), clip_norm=1e-3)
    free, _ = train(2, 3, target_tokens(), clip_norm=None)
    assert history.grad_norm[0] == pytest.approx(free.grad_norm[0])


def test_nan_in_a_later_part_stops_before_the_step():
    model = nn.Linear(1, 1)
    before = model.weight.detach().clone()
    parts = [torch.ones(1, 1), torch.full((1, 1), math.nan)]
    with pytest.raises(FloatingPointError, match="loss is nan at step 1"):
        fit(model, parts, lambda m, x: m(x).mean(), steps=1, optimizer=adamw(model, 1.0),
            accumulate=2)  # fmt: skip
    assert torch.equal(model.weight, before)


def test_autocast_computes_in_bfloat16_and_keeps_the_weights():
    torch.manual_seed(0)
    model, seen = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1)), []

    def loss(model, x):
        out = model(x)
        seen.append(out.dtype)
        return (out.float() - x.sum(1, keepdim=True)).square().mean()

    data = list(torch.randn(4, 32, 4, generator=torch.Generator().manual_seed(1)))
    history = fit(model, data, loss, steps=150, optimizer=adamw(model, 0.02, weight_decay=0.0),
                  autocast=torch.bfloat16)  # fmt: skip
    assert set(seen) == {torch.bfloat16}
    assert model[0].weight.dtype == model[0].weight.grad.dtype == torch.float32
    assert history.loss[-1] < 0.1 * history.loss[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"autocast": torch.float16}, r"autocast: expected torch\.bfloat16 or None"),
        ({"accumulate": 0}, "accumulate: expected at least 1, got 0"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        fit(nn.Linear(1, 1), [], lambda m, x: x, steps=1, optimizer=None, **options)


def test_early_stopping_waits_then_stops_and_restores_the_best():
    model = nn.Linear(1, 1, bias=False)
    sgd = torch.optim.SGD(model.parameters(), lr=1.0)
    model.weight.data.fill_(3.0)
    stop = EarlyStopping("distance", patience=2, model=model)
    # The gradient of m(1) is 1: the weight counts down past its best value, 0.
    history = fit(
        model, [torch.ones(1, 1)], lambda m, x: m(x).mean(), steps=50, optimizer=sgd,
        evaluate=lambda m: {"distance": abs(m.weight.item())}, evaluate_every=1, stop=stop,
        clip_norm=None,
    )  # fmt: skip
    assert (history.steps, history.stopped) == (5, True)
    assert (stop.best, stop.best_step) == (0.0, 3)
    assert model.weight.item() == -2.0
    stop.restore()
    assert model.weight.item() == 0.0
    # A stopped run isn't continued by the same call, but it is without `stop`.
    again = {"steps": 50, "optimizer": sgd, "history": history}
    options = {"evaluate": lambda m: {"distance": 0.0}, "evaluate_every": 1}
    assert fit(model, [torch.ones(1, 1)], None, stop=stop, **options, **again).steps == 5
    assert fit(model, [torch.ones(1, 1)], lambda m, x: m(x).mean(), **again).steps == 50


def test_early_stopping_takes_nan_for_no_improvement_and_minds_min_delta():
    stop = EarlyStopping("x", patience=3, higher_is_better=True, min_delta=0.1)
    assert [stop({"x": v}) for v in (math.nan, 0.5, 0.55, 0.59)] == [False] * 4
    assert stop.waited == 2
    twin = EarlyStopping("x", patience=3, higher_is_better=True, min_delta=0.1)
    twin.load_state_dict(stop.state_dict())
    assert twin({"x": 0.6}) is stop({"x": 0.6}) is True


def test_early_stopping_names_what_is_wrong():
    with pytest.raises(KeyError, match="'loss' isn't among accuracy"):
        EarlyStopping("loss")({"accuracy": 1.0})
    with pytest.raises(ValueError, match="patience, min_delta"):
        EarlyStopping("loss", patience=0)
    with pytest.raises(RuntimeError, match="expected a model and an evaluation"):
        EarlyStopping("loss").restore()
