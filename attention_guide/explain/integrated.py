"""Integrated gradients: the gradient along the whole way from nothing to the input."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from attention_guide.explain._inputs import (
    Score,
    ask,
    ask_without_graph,
    baseline_for,
    embeddings,
    finite,
)
from attention_guide.functional import _checks

__all__ = ["completeness_gap", "integrated_gradients"]


def integrated_gradients(
    score: Score,
    x: Float[Tensor, "B T *D"],
    baseline: Tensor | float | None = None,
    *,
    steps: int = 50,
    rule: Literal["gauss", "midpoint"] = "gauss",
    batch: int = 64,
) -> Float[Tensor, "B T *D"]:
    r"""Integrated gradients, $(x - x') \odot \int_0^1 \nabla y(x' + \alpha (x - x')) \, d\alpha$.

    They add up to $y(x) - y(x')$ (completeness), which a plain gradient doesn't: at a saturated
    score it is 0 although the input decided everything. Sum over `D` for one number a token.

    Args:
        score: From `(B, T, ...)` to `(B,)`; see `attention_guide.explain.score`.
        x: The input, `(B, T, ...)`, floating point: embeddings, not ids.
        baseline: Where the way begins: a tensor that broadcasts to `x` (the embedding of padding,
            say) or a number; `None` for zeros. The result is an answer about this baseline.
        steps: Points at which the gradient is taken.
        rule: "gauss" for Gauss and Legendre's points, exact for polynomials up to degree
            `2 · steps - 1`; "midpoint" for equal steps.
        batch: Most rows in one call of `score`.

    Returns:
        Attributions in the shape of `x`.

    Raises:
        TypeError: `x` or the score isn't floating point, or the baseline has another dtype.
        ValueError: A shape, a baseline or a count that doesn't fit, or a score that isn't finite.
        RuntimeError: The score has no gradient with respect to `x`.

    Cost:
        `steps` forward and backward passes for each of the B items.

    Source:
        Sundararajan, Taly & Yan, "Axiomatic Attribution for Deep Networks", ICML 2017,
        arXiv:1703.01365, equation 1.

    Examples:
        >>> x = torch.tensor([[[1.0], [2.0]]])
        >>> integrated_gradients(lambda x: x[:, 0, 0] * x[:, 1, 0], x)
        tensor([[[1.0000],
                 [1.0000]]])
    """
    x = embeddings("x", x).detach()
    start = baseline_for(x, baseline)
    _checks.integer("steps", steps, least=1)
    _checks.integer("batch", batch, least=1)
    points = _points(rule, steps)
    parts = zip(torch.split(x, batch), torch.split(start, batch), strict=True)
    return torch.cat([_integral(score, end, begin, points, batch) for end, begin in parts])


def completeness_gap(
    attribution: Float[Tensor, "B T *A"],
    score: Score,
    x: Float[Tensor, "B T *D"],
    baseline: Tensor | float | None = None,
) -> Float[Tensor, " B"]:
    r"""What the attributions miss, $\sum_i a_i - (y(x) - y(x'))$; more steps make it smaller.

    Args:
        attribution: `(B, T, ...)`; one number a token or one a coordinate.
        score: What was explained.
        x: The input, `(B, T, ...)`.
        baseline: As it was passed to the method.

    Returns:
        `(B,)`.

    Raises:
        TypeError: `attribution`, `x` or the score isn't floating point, or the baseline has another
            dtype than `x`.
        ValueError: `attribution` isn't `(B, T, ...)`, or it or the score isn't finite.

    Source:
        Sundararajan, Taly & Yan (2017), arXiv:1703.01365, proposition 1.

    Examples:
        >>> x = torch.tensor([[[1.0], [2.0]]])
        >>> completeness_gap(x / 2, lambda x: x.sum((1, 2)), x)
        tensor([-1.5000])
    """
    x = embeddings("x", x)
    finite("attribution", _checks.floating("attribution", attribution))
    if attribution.shape[:2] != x.shape[:2]:
        raise ValueError(
            f"attribution: expected (B, T, ...) with (B, T) = {tuple(x.shape[:2])}; "
            f"got {_checks.shape(attribution)}"
        )
    ends = torch.cat([x, baseline_for(x, baseline)])
    at_x, at_baseline = ask_without_graph(score, ends, None).chunk(2)
    return attribution.flatten(1).sum(1) - (at_x - at_baseline)


def _integral(
    score: Score, x: Tensor, start: Tensor, points: tuple[Tensor, Tensor], batch: int
) -> Tensor:
    """The attributions of at most `batch` items, as many points at once as there is room for."""
    # Fifty terms of 16 bits would lose what the answer can hold.
    wide = torch.promote_types(x.dtype, torch.float32)
    total = torch.zeros_like(x, dtype=wide)
    at_once = batch // x.shape[0]
    for alphas, widths in zip(*(torch.split(p, at_once) for p in points), strict=True):
        alpha = alphas.to(x).reshape(-1, *(1,) * x.ndim)
        way = (start + alpha * (x - start)).flatten(0, 1).requires_grad_()
        slope = _gradient(score, way).view(len(alphas), *x.shape)
        total += (widths.to(x.device, wide).reshape(alpha.shape) * slope).sum(0)
    return ((x - start) * total).to(x.dtype)


def _gradient(score: Score, x: Tensor) -> Tensor:
    with torch.enable_grad():  # also where the caller is inside no_grad
        result = ask(score, x)
        if not result.requires_grad:
            raise RuntimeError("score: its result has no gradient with respect to x")
        (slope,) = torch.autograd.grad(result.sum(), x, allow_unused=True)
    return torch.zeros_like(x) if slope is None else slope


def _points(rule: str, steps: int) -> tuple[Tensor, Tensor]:
    """Places and widths on 0 to 1, float64."""
    if rule == "midpoint":
        width = torch.full((steps,), 1 / steps, dtype=torch.float64)
        return (torch.arange(steps, dtype=torch.float64) + 0.5) / steps, width
    if rule != "gauss":
        raise ValueError(f'rule: expected "gauss" or "midpoint"; got {rule!r}')
    # Golub and Welsch (1969): the eigenvalues of the recurrence's tridiagonal matrix are the
    # points of Gauss's rule on -1 to 1, the squared first components half its weights.
    n = torch.arange(1, steps, dtype=torch.float64)
    off = n / (4 * n * n - 1).sqrt()
    values, vectors = torch.linalg.eigh(torch.diag(off, 1) + torch.diag(off, -1))
    return (values + 1) / 2, vectors[0] ** 2
