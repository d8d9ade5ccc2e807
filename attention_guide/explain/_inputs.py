"""What every explanation checks before it starts, and how it asks the score."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from attention_guide.functional import _checks

Score = Callable[[Tensor], Tensor]
"""What an explanation explains: from a batch of inputs `(B, T, ...)` to one number each, `(B,)`."""


def tokens(name: str, x: object) -> Tensor:
    """Demand `(B, T, ...)` without an empty axis."""
    x = _checks.tensor(name, x)
    if x.ndim < 2 or 0 in x.shape:
        raise ValueError(f"{name}: expected (B, T, ...), no axis 0; got {_checks.shape(x)}")
    if x.is_floating_point() and not bool(torch.isfinite(x).all()):
        raise ValueError(f"{name}: expected finite numbers; got NaN or infinity among them")
    return x


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
        return torch.full_like(x, baseline)
    _checks.like("baseline", baseline, "x", x)
    _checks.broadcastable("baseline", baseline, x.shape, "B T ...")
    if baseline.is_floating_point() and not bool(torch.isfinite(baseline).all()):
        raise ValueError("baseline: expected finite numbers; got NaN or infinity among them")
    return baseline.expand_as(x)


def ask(score: Score, x: Tensor) -> Tensor:
    """The score of each row of `x`, checked."""
    result = score(x)
    if not isinstance(result, Tensor):
        raise TypeError(f"score: expected to return a tensor (B,); got {type(result).__name__}")
    if tuple(result.shape) != (x.shape[0],):
        raise ValueError(
            f"score: expected to return (B,) = ({x.shape[0]},); got {_checks.shape(result)}"
        )
    if not bool(torch.isfinite(result).all()):
        raise ValueError("score: expected finite numbers; it returned NaN or infinity")
    return result


def ask_without_graph(score: Score, x: Tensor, batch: int | None) -> Tensor:
    """The scores of many rows, at most `batch` at a time."""
    with torch.no_grad():
        if batch is None:
            return ask(score, x)
        _checks.integer("batch", batch, least=1)
        return torch.cat([ask(score, rows) for rows in torch.split(x, batch)])


def keep_only(item: Tensor, baseline: Tensor, kept: Tensor) -> Tensor:
    """Copies of one `(T, ...)` item, `(N, T, ...)`, with the baseline where `kept` is False."""
    mask = kept.reshape(*kept.shape, *(1,) * (item.ndim - 1))
    return torch.where(mask, item, baseline)


def importance_like(x: Tensor, importance: object) -> Tensor:
    """Demand finite `(B, T)` numbers that go with `x`."""
    values = _checks.tensor("importance", importance)
    if tuple(values.shape) != tuple(x.shape[:2]):
        raise ValueError(
            f"importance: expected (B, T) = {tuple(x.shape[:2])}, as in x; "
            f"got {_checks.shape(values)}"
        )
    if not bool(torch.isfinite(values).all()):
        raise ValueError("importance: expected finite numbers; got NaN or infinity among them")
    return values.detach().to(x.device)


def layer_maps(layers: Iterable[Tensor]) -> list[Tensor]:
    """Demand one or more finite self-attention maps `(B, H, T, T)` of one B and T."""
    maps = [] if isinstance(layers, Tensor) else list(layers)
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
        if not bool(torch.isfinite(weights).all()) or bool((weights < 0).any()):
            raise ValueError(f"{name}: expected weights of 0 or more; got negative ones or NaN")
    return maps
