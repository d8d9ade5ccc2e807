"""One training loop for every model in the book."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn
from tqdm import tqdm

from attention_guide.train import distributed
from attention_guide.train._check import at_least_0, check_fit, one_number, to_float
from attention_guide.train.schedules import Schedule

Batch = TypeVar("Batch")
Records = list[dict[str, float]]


@runtime_checkable
class Checkpointer(Protocol):
    """What `fit` needs of `Checkpoints`: when to save, and how."""

    def due(self, step: int) -> bool:
        """Whether to save after this step."""
        ...

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, history: History) -> object:
        """Save the run."""
        ...


@dataclass
class History:
    """What a run did, step by step.

    Attributes:
        loss: Training loss of each step.
        rate: Learning rate of each step.
        grad_norm: Norm of the gradient of all that the optimiser holds, before clipping.
        evaluations: One dictionary an evaluation: `step`, `seconds`, and what `evaluate` gave.
        seconds: Wall time of the training steps, evaluations left out.
        stopped: Whether `stop` ended the run.
    """

    loss: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)
    evaluations: Records = field(default_factory=list)
    seconds: float = 0.0
    stopped: bool = False

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
    accumulate: int = 1,
    weigh: Callable[[Batch], float] | None = None,
    autocast: torch.dtype | None = None,
    evaluate: Callable[[nn.Module], Mapping[str, float]] | None = None,
    evaluate_every: int | None = None,
    stop: Callable[[Mapping[str, float]], bool] | None = None,
    checkpoints: Checkpointer | None = None,
    progress: bool = False,
    history: History | None = None,
) -> History:
    """Train a model: loss, gradient, clip, rate, step, and now and then an evaluation.

    The model is left in eval mode. The optimiser's own rates are the peak: `schedule` multiplies
    them for the step alone, so that they are the peak again after it, for a checkpoint and for
    the next call. A history passed in is continued: the schedule goes on from its step. Only what
    the optimiser holds is clipped, and set to zero before each step.
    In several processes each passes its part of the batches (see `train.distributed`): the
    gradients, the losses and the weights are those of all parts together. `evaluate` runs in
    each and must say the same in each.

    Args:
        model: The model; it is put into train mode for the steps, eval mode to evaluate.
        batches: Any iterable; it is begun again when it ends.
        loss: `(model, batch) -> scalar`, such as `teacher_forcing()`.
        steps: How many optimiser steps to take, counted from the start of the history.
        optimizer: Any `torch.optim` optimiser over the model's parameters.
        schedule: Step (from 1) to a factor of the optimiser's rate; `None` for a constant.
        clip_norm: Scale the gradient down to this norm, above 0, where it is longer; `None` for
            never.
        accumulate: Batches to a step: their gradients are averaged before it.
        weigh: `batch -> number`: how much a batch counts in that average, such as
            `target_tokens()` for a loss that is a mean over tokens. `None`: all alike. At least
            0, and for the batches of a step together more.
        autocast: `torch.bfloat16` to compute the loss in mixed precision; weights, gradients
            and optimiser stay as they are. `evaluate` decides for itself.
        evaluate: `model -> {name: number}`, called without gradients.
        evaluate_every: Steps between evaluations; the last step is always evaluated.
        stop: Given an evaluation, whether to end the run there; see `EarlyStopping`.
        checkpoints: Where to save the run, see `Checkpoints`; the last step is always saved.
        progress: Whether to show a bar with the loss and the time left on standard error.
        history: A run to continue. One that `stop` has ended isn't continued by it.

    Returns:
        The history.

    Raises:
        TypeError: The loss isn't a floating-point tensor, or what should be a number isn't one.
        ValueError: `steps`, `evaluate_every` or `accumulate` less than 1, `clip_norm` not above
            0, a factor or weight that is negative or not finite, a loss that isn't one number
            or has no gradient, `stop` without `evaluate`, `autocast` to another type, no
            batches, or an iterator that ended and can't be begun again.
        FloatingPointError: The loss or the gradient stopped being finite. The step isn't taken.

    Examples:
        >>> _ = torch.manual_seed(0)
        >>> model, data = nn.Linear(1, 1), [torch.tensor([[1.0], [2.0]])]
        >>> to_double = lambda model, x: (model(x) - 2 * x).pow(2).mean()
        >>> adam = torch.optim.Adam(model.parameters(), lr=0.1)
        >>> history = fit(model, data, to_double, steps=200, optimizer=adam)
        >>> history.loss[-1] < 1e-3 < history.loss[0]
        True
    """
    check_fit(steps, evaluate_every, evaluate, stop, accumulate, autocast, clip_norm)
    history = History() if history is None else history
    stream = _endless(batches)
    ended = stop is not None and history.stopped
    model.train()
    with tqdm(
        total=steps, initial=history.steps, unit="step", file=sys.stderr,
        disable=not (progress and distributed.is_main()),
    ) as bar:  # fmt: skip
        while history.steps < steps and not ended:
            step = history.steps + 1
            factor = None if schedule is None else at_least_0(f"schedule({step})", schedule(step))
            started = time.perf_counter()
            parts = [next(stream) for _ in range(accumulate)]
            number = _gradient(model, parts, loss, optimizer, weigh, autocast)
            _take_step(model, optimizer, clip_norm, factor, number, history)
            history.seconds += time.perf_counter() - started
            bar.set_postfix(loss=f"{number:.4f}", refresh=False)
            bar.update()
            due = step == steps or (evaluate_every is not None and step % evaluate_every == 0)
            if evaluate is not None and due:
                measured = _evaluate(model, evaluate, history)
                ended = stop is not None and bool(stop(measured))
                history.stopped = ended
            # After the evaluation: a run that resumes here must not do it again.
            if checkpoints is not None and (step == steps or ended or checkpoints.due(step)):
                checkpoints.save(model, optimizer, history)
    model.eval()
    return history


def _gradient(
    model: nn.Module,
    parts: Sequence[Batch],
    loss: Callable[[nn.Module, Batch], Tensor],
    optimizer: torch.optim.Optimizer,
    weigh: Callable[[Batch], float] | None,
    autocast: torch.dtype | None,
) -> float:
    """Leave the gradient of all parts in the parameters; return their loss."""
    optimizer.zero_grad(set_to_none=True)
    number = 0.0
    shares = _shares(parts, weigh)
    for i, (part, share) in enumerate(zip(parts, shares, strict=True)):
        with distributed.gradient_sync(model, last=i == len(parts) - 1):
            with _precision(model, autocast):
                value = one_number(loss(model, part))
            # A factor of 1 is left out, so that a plain step is torch's own, bit for bit.
            scaled = value if share == 1.0 else value * share
            scaled.backward()  # type: ignore[no-untyped-call]
        number += float(scaled.detach())
    return distributed.total(number) / distributed.world_size()


def _shares(parts: Sequence[Batch], weigh: Callable[[Batch], float] | None) -> list[float]:
    """What each part's loss is multiplied by; the processes' gradients are averaged later."""
    if weigh is None:
        return [1.0 / len(parts)] * len(parts)
    weights = [at_least_0("weigh(batch)", weigh(part)) for part in parts]
    total = distributed.total(sum(weights))
    if total == 0.0:
        raise ValueError("weigh: expected more than 0 for the batches of a step together; got 0.0")
    return [weight * distributed.world_size() / total for weight in weights]


def _take_step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    clip_norm: float | None,
    factor: float | None,
    number: float,
    history: History,
) -> None:
    # Before the step: the parameters are still those that gave this loss and gradient.
    if not math.isfinite(number):
        raise FloatingPointError(f"loss is {number} at step {history.steps + 1}")
    limit = math.inf if clip_norm is None else clip_norm
    whole = distributed.whole(nn.utils.clip_grad_norm_(_held(model, optimizer), limit))
    if not math.isfinite(norm := float(whole)):
        raise FloatingPointError(f"gradient norm is {norm} at step {history.steps + 1}")
    with _rates(optimizer, factor):
        optimizer.step()
        history.rate.append(float(optimizer.param_groups[0]["lr"]))
    history.loss.append(number)
    history.grad_norm.append(norm)


def _held(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    # In the model's order, where that has one: another order rounds the norm otherwise.
    held = {id(p): p for group in optimizer.param_groups for p in group["params"]}
    own = [held.pop(id(p)) for p in model.parameters() if id(p) in held]
    return [*own, *held.values()]


@contextmanager
def _rates(optimizer: torch.optim.Optimizer, factor: float | None) -> Iterator[None]:
    """Multiply the rates for as long as this lasts."""
    peaks = []
    for group in optimizer.param_groups:
        if not isinstance(group["lr"], Tensor):
            group["lr"] = to_float("lr", group["lr"])
        peaks.append(group["lr"])
        if factor is not None:
            group["lr"] = peaks[-1] * factor
    try:
        yield
    finally:
        if factor is not None:
            for group, peak in zip(optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak


def _precision(model: nn.Module, autocast: torch.dtype | None) -> AbstractContextManager[object]:
    if autocast is None:
        return nullcontext()
    return torch.autocast(next(model.parameters()).device.type, dtype=autocast)


def _evaluate(
    model: nn.Module,
    evaluate: Callable[[nn.Module], Mapping[str, float]],
    history: History,
) -> dict[str, float]:
    model.eval()
    with torch.no_grad():
        given = evaluate(model)
        measured = {name: to_float(f"evaluate: {name}", x) for name, x in given.items()}
    model.train()
    record = {"step": history.steps, "seconds": history.seconds, **measured}
    history.evaluations.append(record)
    return record


def _endless(batches: Iterable[Batch]) -> Iterator[Batch]:
    while True:
        empty = True
        for batch in batches:
            empty = False
            yield batch
        if empty:
            raise ValueError("batches: expected at least one, or an iterable that can restart")
