"""Shapley values: a token's mean contribution over all orders in which tokens could arrive."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from attention_guide.explain._inputs import (
    Score,
    ask_keeping,
    ask_without_graph,
    baseline_for,
    tokens,
)
from attention_guide.functional import _checks

__all__ = ["ShapleyEstimate", "shapley_sampling", "shapley_values"]

# 2 to the power of this many rows are scored: 65,536.
MOST_TOKENS = 16


class ShapleyEstimate(NamedTuple):
    """What sampling found, and how far off it may be.

    Attributes:
        values: `(B, T)`.
        standard_error: `(B, T)`, the standard deviation of the mean over the sampled orders; NaN
            where one order was sampled.
    """

    values: Tensor
    standard_error: Tensor


def shapley_values(
    score: Score, x: Tensor, baseline: Tensor | float | None = None, *, batch: int = 256
) -> Float[Tensor, "B T"]:
    r"""Shapley values, $\phi_t = \sum_{S \not\ni t} |S|! \, (T-|S|-1)! \, [y(S+t) - y(S)] / T!$.

    $y(S)$ is the score with the tokens of $S$, the others replaced by the baseline. All $2^T$ sets
    are scored: exact, for short inputs.

    Args:
        score: From `(B, T, ...)` to `(B,)`; see `attention_guide.explain.score`.
        x: The input, `(B, T, ...)`, T at most 16: embeddings or ids.
        baseline: What stands for an absent token, as in `occlusion`.
        batch: Most rows in one call of `score`.

    Returns:
        `(B, T)`; a row sums to `score(x) - score(baseline)` (efficiency).

    Raises:
        TypeError: The baseline has another dtype than `x`, or the score isn't floating point.
        ValueError: A shape that doesn't fit, T above 16, or a score that isn't finite.

    Cost:
        $2^T$ forward passes for each of the B items.

    Source:
        Shapley, "A value for n-person games", in *Contributions to the Theory of Games II*,
        Princeton University Press, 1953, pp. 307–317.

    Examples:
        >>> x = torch.tensor([[2.0, 3.0, 5.0]])
        >>> shapley_values(lambda x: x[:, 0] * x[:, 1] + x[:, 2], x)
        tensor([[3., 3., 5.]])
    """
    x = tokens("x", x).detach()
    absent = baseline_for(x, baseline)
    size = x.shape[1]
    if size > MOST_TOKENS:
        raise ValueError(f"x: expected at most {MOST_TOKENS} tokens, got {size}; sample instead")
    code = torch.arange(2**size, device=x.device)
    present = (code[:, None] >> torch.arange(size, device=x.device)) & 1
    rows = []
    for item, nothing in zip(x, absent, strict=True):
        value = ask_keeping(score, item, nothing, present.bool(), batch)
        rows.append(torch.stack([_expected_gain(value, present, code, t) for t in range(size)]))
    return torch.stack(rows)


def shapley_sampling(
    score: Score,
    x: Tensor,
    baseline: Tensor | float | None = None,
    *,
    samples: int = 100,
    generator: torch.Generator | None = None,
    batch: int = 256,
) -> ShapleyEstimate:
    r"""Sampled Shapley values, $\hat\phi_t$ the mean of $y(\text{before } t + t) - y(\text{before } t)$.

    Tokens arrive one by one in random orders, drawn uniformly; each order sums to
    `score(x) - score(baseline)` exactly, so the estimate does, too.

    Args:
        score: From `(B, T, ...)` to `(B,)`; see `attention_guide.explain.score`.
        x: The input, `(B, T, ...)`: embeddings or ids.
        baseline: What stands for an absent token, as in `occlusion`.
        samples: Orders drawn for each item.
        generator: Draws the orders; `None` for torch's own, on the CPU.
        batch: Most rows in one call of `score`.

    Returns:
        The estimate with its standard error, which halves with four times the samples.

    Raises:
        TypeError: The baseline has another dtype than `x`, the score isn't floating point, or
            `generator` isn't a generator.
        ValueError: A shape or a count that doesn't fit, or a score that isn't finite.

    Cost:
        `samples · (T - 1) + 2` forward passes for each of the B items.

    Source:
        Castro, Gómez & Tejada, "Polynomial calculation of the Shapley value based on sampling",
        Computers & Operations Research, 2009,
        <https://www.sciencedirect.com/science/article/pii/S0305054808000804>.

    Examples:
        >>> x = torch.tensor([[2.0, 3.0, 5.0]])
        >>> found = shapley_sampling(lambda x: x[:, 0] * x[:, 1] + x[:, 2], x, samples=50)
        >>> found.values.sum(1)
        tensor([11.])
    """  # noqa: E501 - the formula line
    x = tokens("x", x).detach()
    absent = baseline_for(x, baseline)
    _checks.integer("samples", samples, least=1)
    _checks.maybe_generator(generator, "torch.randperm", torch.empty(0))
    size, gains = x.shape[1], []
    for item, nothing in zip(x, absent, strict=True):
        ends = ask_without_graph(score, torch.stack([nothing, item]), batch)
        orders = torch.stack([torch.randperm(size, generator=generator) for _ in range(samples)])
        # rank[t] is when t arrives; after k arrivals those of rank below k are present.
        rank = orders.argsort(1).to(x.device)
        values = ends.new_empty(samples, size + 1)
        values[:, 0], values[:, -1] = ends
        if size > 1:
            # Row i holds order i // (T - 1) after 1 + i % (T - 1) arrivals.
            rows = torch.split(torch.arange(samples * (size - 1), device=x.device), batch)
            arrived = (rank[i // (size - 1)] <= i[:, None] % (size - 1) for i in rows)
            parts = [ask_keeping(score, item, nothing, kept, batch) for kept in arrived]
            values[:, 1:-1] = torch.cat(parts).view(samples, -1)
        gains.append(values.diff(dim=1).gather(1, rank))
    each = torch.stack(gains)
    spread = each.std(1) if samples > 1 else torch.full_like(each[:, 0], float("nan"))
    return ShapleyEstimate(each.mean(1), spread / math.sqrt(samples))


def _expected_gain(value: Tensor, present: Tensor, code: Tensor, token: int) -> Tensor:
    """One token's contribution, each set of the others weighted by the orders that lead to it."""
    size = present.shape[1]
    without = present[:, token] == 0
    gain = value[code[without] + 2**token] - value[without]
    # |S|! (T - |S| - 1)! / T! = 1 / (T · C(T - 1, |S|)), which doesn't overflow.
    share = [1 / (size * math.comb(size - 1, others)) for others in range(size)]
    weight = torch.tensor(share, dtype=value.dtype, device=value.device)
    return (weight[present[without].sum(1)] * gain).sum()
