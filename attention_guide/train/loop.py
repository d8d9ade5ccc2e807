"""One training loop for every model in the book."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from torch import Tensor, nn

from attention_guide.train.schedules import Schedule

Batch = TypeVar("Batch")
Records = list[dict[str, float]]


@dataclass
class History:
    """What a run did, step by step.

    Attributes:
        loss: Training loss of each step.
        rate: Learning rate of each step.
        grad_norm: Norm of the whole gradient of each step, before clipping.
        evaluations: One dictionary an evaluation: `step`, `seconds`, and what `evaluate` gave.
        seconds: Wall time of the training steps, evaluations left out.
    """

    loss: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)
    evaluations: Records = field(default_factory=list)
    seconds: float = 0.0

    @property
    def steps(self) -> int:
        """Steps taken so far."""
        return len(self.loss)


def fit(
    model: nn.Module,
    batches: Iterable[Batch],
    loss: Callable[[nn.Module, Batch], Tensor],
    *,
    steps: int,
    optimizer: torch.optim.Optimizer,
    schedule: Schedule | None = None,
    clip_norm: float | None = 1.0,
    evaluate: Callable[[nn.Module], Mapping[str, float]] | None = None,
    evaluate_every: int | None = None,
    stop: Callable[[Mapping[str, float]], bool] | None = None,
    progress: bool = False,
    history: History | None = None,
) -> History:
    """Train a model: loss, gradient, clip, rate, step, and now and then an evaluation.

    The model is left in eval mode. The optimiser's own rates are the peak; `schedule`
    multiplies them. A history passed in is continued: the schedule goes on from its step.

    Args:
        model: The model; it is put into train mode for the steps, eval mode to evaluate.
        batches: Any iterable; it is begun again when it ends.
        loss: `(model, batch) -> scalar`, such as `teacher_forcing()`.
        steps: How many optimiser steps to take, counted from the start of the history.
        optimizer: Any `torch.optim` optimiser over the model's parameters.
        schedule: Step (from 1) to a factor of the optimiser's rate; `None` for a constant.
        clip_norm: Scale the gradient down to this norm where it is longer; `None` for never.
        evaluate: `model -> {name: number}`, called without gradients.
        evaluate_every: Steps between evaluations; the last step is always evaluated.
        stop: Given an evaluation, whether to end the run there.
        progress: Whether to show the step and the loss on standard error.
        history: A run to continue.

    Returns:
        The history.

    Raises:
        ValueError: `steps` or `evaluate_every` less than 1, `stop` without `evaluate`, no
            batches, or an iterator that ended and can't be begun again.
        FloatingPointError: The loss stopped being finite.

    Examples:
        >>> _ = torch.manual_seed(0)
        >>> model, data = nn.Linear(1, 1), [torch.tensor([[1.0], [2.0]])]
        >>> to_double = lambda model, x: (model(x) - 2 * x).pow(2).mean()
        >>> adam = torch.optim.Adam(model.parameters(), lr=0.1)
        >>> history = fit(model, data, to_double, steps=200, optimizer=adam)
        >>> history.loss[-1] < 1e-3 < history.loss[0]
        True
    """
    _check(steps, evaluate_every, evaluate, stop)
    history = History() if history is None else history
    peaks = _peak_rates(optimizer, schedule, history)
    stream = _endless(batches)
    model.train()
    while history.steps < steps:
        step = history.steps + 1
        if schedule is not None:
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * schedule(step)
        started = time.perf_counter()
        _take_step(model, next(stream), loss, optimizer, clip_norm, history)
        history.seconds += time.perf_counter() - started
        if progress:
            _show(history, steps)
        due = step == steps or (evaluate_every is not None and step % evaluate_every == 0)
        if evaluate is not None and due:
            measured = _evaluate(model, evaluate, history)
            if stop is not None and stop(measured):
                break
    if progress:
        print(file=sys.stderr)
    model.eval()
    return history


def _take_step(
    model: nn.Module,
    batch: Batch,
    loss: Callable[[nn.Module, Batch], Tensor],
    optimizer: torch.optim.Optimizer,
    clip_norm: float | None,
    history: History,
) -> None:
    optimizer.zero_grad(set_to_none=True)
    value = loss(model, batch)
    number = float(value.detach())
    if not math.isfinite(number):
        # Before the step: the parameters are still those that gave this loss.
        raise FloatingPointError(f"loss is {number} at step {history.steps + 1}")
    value.backward()  # type: ignore[no-untyped-call]
    limit = math.inf if clip_norm is None else clip_norm
    norm = nn.utils.clip_grad_norm_(model.parameters(), limit)
    optimizer.step()
    history.loss.append(number)
    history.rate.append(float(optimizer.param_groups[0]["lr"]))
    history.grad_norm.append(float(norm))


def _evaluate(
    model: nn.Module,
    evaluate: Callable[[nn.Module], Mapping[str, float]],
    history: History,
) -> dict[str, float]:
    model.eval()
    with torch.no_grad():
        measured = dict(evaluate(model))
    model.train()
    record = {"step": history.steps, "seconds": history.seconds, **measured}
    history.evaluations.append(record)
    return record


def _peak_rates(
    optimizer: torch.optim.Optimizer, schedule: Schedule | None, history: History
) -> list[float]:
    # Kept in the optimiser, so that a continued run doesn't take a decayed rate for the peak.
    if schedule is not None:
        for group in optimizer.param_groups:
            group.setdefault("peak_lr", group["lr"])
    return [group.get("peak_lr", group["lr"]) for group in optimizer.param_groups]


def _endless(batches: Iterable[Batch]) -> Iterator[Batch]:
    while True:
        empty = True
        for batch in batches:
            empty = False
            yield batch
        if empty:
            raise ValueError("batches: expected at least one, or an iterable that can restart")


def _show(history: History, steps: int) -> None:
    done = history.steps
    bar = ("█" * (20 * done // steps)).ljust(20, "·")
    print(f"\r{bar} {done}/{steps}  loss {history.loss[-1]:.4f}", end="", file=sys.stderr)


def _check(
    steps: int, evaluate_every: int | None, evaluate: object | None, stop: object | None
) -> None:
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, got {steps}")
    if evaluate_every is not None and evaluate_every < 1:
        raise ValueError(f"evaluate_every: expected at least 1, got {evaluate_every}")
    if evaluate is None and (stop is not None or evaluate_every is not None):
        raise ValueError("stop, evaluate_every: expected `evaluate` as well, got None")
