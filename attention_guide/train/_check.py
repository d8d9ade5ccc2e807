"""Argument checks of the loop and of what it saves."""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import torch
from torch import Tensor, nn

from attention_guide.functional import _checks
from attention_guide.train import distributed

_PLAIN: Final = (float, int, str, Tensor, nn.Parameter, bool, type(None))


def check_fit(
    steps: int,
    evaluate_every: int | None,
    evaluate: object | None,
    stop: object | None,
    accumulate: int,
    autocast: torch.dtype | None,
    clip_norm: float | None,
) -> None:
    """Demand arguments of `fit` that go together."""
    if steps < 1:
        raise ValueError(f"steps: expected at least 1, got {steps}")
    if accumulate < 1:
        raise ValueError(f"accumulate: expected at least 1, got {accumulate}")
    if evaluate_every is not None and evaluate_every < 1:
        raise ValueError(f"evaluate_every: expected at least 1, got {evaluate_every}")
    if evaluate is None and (stop is not None or evaluate_every is not None):
        raise ValueError("stop, evaluate_every: expected `evaluate` as well, got None")
    if autocast not in (None, torch.bfloat16):
        # float16 would need its loss scaled, or small gradients vanish.
        raise ValueError(f"autocast: expected torch.bfloat16 or None, got {autocast}")
    if clip_norm is not None:
        _checks.number("clip_norm", clip_norm, above=0)


def to_float(name: str, x: Any) -> float:
    """Demand a number, NumPy's or a tensor's too; a float, for no checkpoint gives back NumPy's."""
    with suppress(TypeError, ValueError, RuntimeError):
        if not isinstance(x, str):
            return float(x)
    raise TypeError(f"{name}: expected a number; got {type(x).__name__}")


def at_least_0(name: str, x: object) -> float:
    """Demand a finite number that isn't negative."""
    return _checks.number(name, to_float(name, x), least=0)


def one_number(loss: object) -> Tensor:
    """Demand of what a loss gave that it can be differentiated."""
    loss = _checks.floating("loss(model, batch)", loss)
    if loss.numel() != 1 or not loss.requires_grad:
        without = "" if loss.requires_grad else " without one"
        raise ValueError(
            "loss(model, batch): expected one number, with a gradient; "
            f"got shape {_checks.shape(loss)}{without}"
        )
    return loss


def check_weights(model: nn.Module, weights: Mapping[str, object]) -> None:
    """Demand a model whose state has the names and shapes of these weights."""
    own, saved = (
        {name: tuple(getattr(value, "shape", ())) for name, value in values.items()}
        for values in (distributed.bare(model).state_dict(), weights)
    )
    wrong = [n for n in sorted(own.keys() | saved.keys()) if own.get(n) != saved.get(n)]
    if wrong:
        there, here = (shapes.get(wrong[0], "missing") for shapes in (saved, own))
        raise RuntimeError(
            f"model: expected the parameters that were saved; {wrong[0]} is {there} in the file, "
            f"{here} in the model"
        )


def check_optimizer(
    optimizer: torch.optim.Optimizer, saved: Mapping[str, Any], kind: str | None
) -> None:
    """Demand an optimiser of this kind (files of old don't say theirs), its groups as large."""
    own = type(optimizer).__name__
    sizes, wanted = (
        [len(group["params"]) for group in groups]
        for groups in (optimizer.param_groups, saved["param_groups"])
    )
    if kind not in (None, own) or sizes != wanted:
        raise ValueError(
            f"optimizer: expected {kind or own} over groups of {wanted} parameters, as it was "
            f"saved; got {own} over {sizes}"
        )


def check_readable(**state: object) -> None:
    """Demand what `torch.load` reads without running code, each entry named by where it is."""
    for name, x in state.items():
        if (found := _unreadable(x)) is not None:
            place, kind = found
            raise TypeError(
                f"{name}{place}: expected what a checkpoint gives back (numbers, strings, "
                f"tensors, lists and dictionaries of these); got {kind.__name__}"
            )


def _unreadable(x: object) -> tuple[str, type] | None:
    """Where in a nest the first thing is that can't be read, and its type."""
    kind = type(x)  # not isinstance: NumPy's float64 is a float
    if kind in _PLAIN:
        return None
    if isinstance(x, dict) and kind in (dict, OrderedDict):
        for key, inner in x.items():
            if (found := _unreadable(key) or _unreadable(inner)) is not None:
                return f"[{key!r}]{found[0]}", found[1]
        return None
    if isinstance(x, list | tuple) and kind in (list, tuple):
        for i, inner in enumerate(x):
            if (found := _unreadable(inner)) is not None:
                return f"[{i}]{found[0]}", found[1]
        return None
    file = io.BytesIO()
    try:  # torch alone knows what else it reads
        torch.save(x, file)
        file.seek(0)
        torch.load(file, weights_only=True)
    except Exception:  # whatever stands in the way
        return "", kind
    return None
