"""What every explanation checks before it starts, and how it asks the score."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from attention_guide.functional import _checks

Score = Callable[[Tensor], Tensor]
"""What an explanation explains: from a batch of inputs `(B, T, ...)` to one number each, `(B,)`."""


def tokens(name: str, x: object) -> Tensor:
    """Demand embeddings or ids `(B, T, ...)` without an empty axis."""
    x = _checks.tensor(name, x)
    if x.ndim < 2 or 0 in x.shape:
        raise ValueError(f"{name}: expected (B, T, ...), no axis 0; got {_checks.shape(x)}")
    if x.is_floating_point():
        return finite(name, _checks.floating(name, x))
    return _checks.integral(name, x)


def finite(name: str, x: Tensor) -> Tensor:
    """Demand neither NaN nor infinity."""
    if not bool(torch.isfinite(x).all()):
        raise ValueError(f"{name}: expected finite numbers; got NaN or infinity among them")
    return x


def listed(name: str, x: object, what: str) -> list[Any]:
    """Demand several of what `what` words; each is yet to be checked."""
    if not isinstance(x, Iterable):
        raise TypeError(f"{name}: expected a sequence of {what}; got {type(x).__name__}")
    return list(x)


def embeddings(name: str, x: object) -> Tensor:
    """Demand floating-point `(B, T, ...)`: a gradient needs it."""
    return _checks.floating(name, tokens(name, x))


def baseline_for(x: Tensor, baseline: Tensor | float | None) -> Tensor:
    """What stands where a token is taken away, in the shape of `x`."""
    if baseline is None:
        if not x.is_floating_point():
            raise ValueError("baseline: x holds ids; say which id stands for an absent token")
        return torch.zeros_like(x)
    if not isinstance(baseline, Tensor):
        return torch.full_like(x, _fill(x.dtype, baseline))
    _checks.like("baseline", baseline, "x", x)
    _checks.broadcastable("baseline", baseline, x.shape, "B T ...")
    return finite("baseline", baseline).expand_as(x)


def _fill(dtype: torch.dtype, baseline: object) -> float:
    """Demand a number that `dtype` can hold; an id is an int."""
    if not dtype.is_floating_point:
        value: float = _checks.integer("baseline", baseline)
        limits: torch.finfo | torch.iinfo = torch.iinfo(dtype)
    else:
        value, limits = _checks.number("baseline", baseline), torch.finfo(dtype)
    if not limits.min <= value <= limits.max:
        raise ValueError(f"baseline: expected a number that {dtype} of x can hold; got {baseline}")
    return value


def ask(score: Score, x: Tensor) -> Tensor:
    """The score of each row of `x`, checked."""
    _checks.functions(score=score)
    result = _checks.floating("score(x)", score(x))
    if tuple(result.shape) != (x.shape[0],):
        raise ValueError(
            f"score(x): expected (B,) = ({x.shape[0]},), one number a row; "
            f"got {_checks.shape(result)}"
        )
    return finite("score(x)", result)


def ask_without_graph(score: Score, x: Tensor, batch: int | None) -> Tensor:
    """The scores of many rows, at most `batch` at a time."""
    with torch.no_grad():
        if batch is None:
            return ask(score, x)
        _checks.integer("batch", batch, least=1)
        return torch.cat([ask(score, rows) for rows in torch.split(x, batch)])


def ask_keeping(score: Score, item: Tensor, baseline: Tensor, kept: Tensor, batch: int) -> Tensor:
    """The scores `(N,)` of one `(T, ...)` item with the baseline where `kept` `(N, T)` is False.

    Its copies are made as they are asked, so that no more than `batch` lie in memory.
    """
    _checks.integer("batch", batch, least=1)
    mask = kept.reshape(*kept.shape, *(1,) * (item.ndim - 1))
    with torch.no_grad():
        parts = [ask(score, torch.where(rows, item, baseline)) for rows in torch.split(mask, batch)]
    return torch.cat(parts)


def importances(importance: object) -> Tensor:
    """Demand finite `(B, T)` real numbers."""
    values = _checks.tensor("importance", importance)
    if values.is_complex():
        raise TypeError(f"importance: expected real numbers; got {values.dtype}")
    _checks.rank("importance", values, "B T")
    return finite("importance", values)


def importance_like(x: Tensor, importance: object) -> Tensor:
    """Demand finite `(B, T)` numbers that go with `x`."""
    values = _checks.tensor("importance", importance)
    if tuple(values.shape) != tuple(x.shape[:2]):
        raise ValueError(
            f"importance: expected (B, T) = {tuple(x.shape[:2])}, as in x; "
            f"got {_checks.shape(values)}"
        )
    return importances(values).detach().to(x.device)


def layer_maps(layers: Iterable[Tensor]) -> list[Tensor]:
    """Demand one or more finite self-attention maps `(B, H, T, T)` of one B, T and dtype."""
    maps = [] if isinstance(layers, Tensor) else listed("layers", layers, "maps (B, H, T, T)")
    if not maps:
        raise ValueError("layers: expected a sequence of one or more maps (B, H, T, T); got none")
    for place, weights in enumerate(maps):
        name = f"layers[{place}]"
        _checks.rank(name, _checks.floating(name, weights), "B H T T")
        if weights.shape[-1] != weights.shape[-2] or 0 in weights.shape:
            raise ValueError(
                f"{name}: expected self-attention (B, H, T, T); got {_checks.shape(weights)}"
            )
        if (weights.shape[0], weights.shape[2]) != (maps[0].shape[0], maps[0].shape[2]):
            raise ValueError(
                f"{name}: expected B and T of layers[0], {_checks.shape(maps[0])}; "
                f"got {_checks.shape(weights)}"
            )
        _checks.like(name, weights, "layers[0]", maps[0])
        if not bool(torch.isfinite(weights).all()) or bool((weights < 0).any()):
            raise ValueError(f"{name}: expected weights of 0 or more; got negative ones or NaN")
    return maps
