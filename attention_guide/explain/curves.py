"""Deletion and insertion curves: the score while the important tokens leave, or arrive, first."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from attention_guide.explain._inputs import (
    Score,
    ask_keeping,
    baseline_for,
    importance_like,
    tokens,
)

__all__ = ["Curve", "deletion_curve", "insertion_curve"]


class Curve(NamedTuple):
    """The score against the share of tokens taken away or put in.

    Attributes:
        fraction: `(T + 1,)`, 0 to 1.
        score: `(B, T + 1)`.
    """

    fraction: Tensor
    score: Tensor

    def area(self) -> Float[Tensor, " B"]:
        r"""The area under the curve, $\int_0^1 y(f) \, df$ by trapezia, `(B,)`.

        Small under a deletion curve and large under an insertion curve: the explanation is
        faithful. Both depend on the score's scale: compare explanations of one score.
        """
        return torch.trapezoid(self.score, self.fraction, dim=-1)


def deletion_curve(
    score: Score,
    x: Tensor,
    importance: Float[Tensor, "B T"],
    baseline: Tensor | float | None = None,
    *,
    batch: int = 64,
) -> Curve:
    r"""Deletion, $y(x \setminus r_k)$ for the k most important tokens $r_k$, k from 0 to T.

    Args:
        score: From `(B, T, ...)` to `(B,)`: a class's probability, in the paper.
        x: The input, `(B, T, ...)`: embeddings or ids.
        importance: `(B, T)`; the largest go first, ties in the order of the text.
        baseline: What stands where a token is taken away, as in `occlusion`.
        batch: Most rows in one call of `score`.

    Returns:
        The curve, from the whole input to the baseline; `.area()` is the metric.

    Raises:
        TypeError: A dtype is wrong.
        ValueError: A shape doesn't fit, or a number isn't finite.

    Cost:
        B · (T + 1) forward passes.

    Source:
        Petsiuk, Das & Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box
        Models", BMVC 2018, arXiv:1806.07421, for pixels.

    Examples:
        >>> x = torch.tensor([[1.0, 2.0, 1.0]])
        >>> curve = deletion_curve(lambda x: x.sum(1), x, importance=x)
        >>> curve.score, curve.area()
        (tensor([[4., 2., 1., 0.]]), tensor([1.6667]))
    """
    return _curve(score, x, importance, baseline, batch, delete=True)


def insertion_curve(
    score: Score,
    x: Tensor,
    importance: Float[Tensor, "B T"],
    baseline: Tensor | float | None = None,
    *,
    batch: int = 64,
) -> Curve:
    r"""Insertion, $y(r_k)$ for the k most important tokens $r_k$, k from 0 to T.

    Args:
        score: From `(B, T, ...)` to `(B,)`.
        x: The input, `(B, T, ...)`: embeddings or ids.
        importance: `(B, T)`; the largest come first, ties in the order of the text.
        baseline: What stands where a token hasn't come yet, as in `occlusion`.
        batch: Most rows in one call of `score`.

    Returns:
        The curve, from the baseline to the whole input; `.area()` is the metric.

    Raises:
        TypeError: As `deletion_curve`.
        ValueError: As `deletion_curve`.

    Cost:
        B · (T + 1) forward passes.

    Source:
        Petsiuk, Das & Saenko (2018), arXiv:1806.07421, for pixels (whose baseline is a blurred
        image).

    Examples:
        >>> x = torch.tensor([[1.0, 2.0, 1.0]])
        >>> insertion_curve(lambda x: x.sum(1), x, importance=x).score
        tensor([[0., 2., 3., 4.]])
    """
    return _curve(score, x, importance, baseline, batch, delete=False)


def _curve(
    score: Score,
    x: Tensor,
    importance: Tensor,
    baseline: Tensor | float | None,
    batch: int,
    *,
    delete: bool,
) -> Curve:
    x = tokens("x", x).detach()
    values = importance_like(x, importance)
    absent = baseline_for(x, baseline)
    size = x.shape[1]
    rank = values.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    chosen = rank[:, None, :] < torch.arange(size + 1, device=x.device)[:, None]
    kept = ~chosen if delete else chosen
    rows = [
        ask_keeping(score, x[item], absent[item], kept[item], batch) for item in range(x.shape[0])
    ]
    result = torch.stack(rows)
    return Curve(torch.linspace(0, 1, size + 1, dtype=result.dtype, device=x.device), result)
