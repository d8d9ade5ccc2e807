"""Is it what the model used? Take the important tokens away, or leave nothing else."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from attention_guide.explain._inputs import (
    Score,
    ask_keeping,
    ask_without_graph,
    baseline_for,
    importance_like,
    importances,
    listed,
    tokens,
)
from attention_guide.functional import _checks

__all__ = ["comprehensiveness", "most_important", "sufficiency"]

# The five shares of DeYoung et al.
FRACTIONS = (0.01, 0.05, 0.10, 0.20, 0.50)


def comprehensiveness(
    score: Score,
    x: Tensor,
    importance: Float[Tensor, "B T"],
    baseline: Tensor | float | None = None,
    *,
    fractions: Sequence[float] = FRACTIONS,
    batch: int = 64,
) -> Float[Tensor, "B N"]:
    r"""Comprehensiveness, $y(x) - y(x \setminus r_f)$ without the most important tokens $r_f$.

    High: what the explanation calls important is missed. The mean over the fractions is DeYoung et
    al.'s area over the perturbation curve (up to their count of bins, which includes f = 0).

    Args:
        score: From `(B, T, ...)` to `(B,)`: a class's probability, in the paper.
        x: The input, `(B, T, ...)`: embeddings or ids.
        importance: `(B, T)`; the largest are the most important, ties in the order of the text.
        baseline: What stands where a token is taken away, as in `occlusion`. The paper shortens
            the text instead.
        fractions: N shares of the T tokens, each rounded up to whole tokens.
        batch: Most rows in one call of `score`.

    Returns:
        `(B, N)`, one number a fraction.

    Raises:
        TypeError: A dtype is wrong, or `fractions` aren't numbers.
        ValueError: A shape doesn't fit, a fraction isn't in 0 to 1, or a number isn't finite.

    Cost:
        B · (N + 1) forward passes.

    Source:
        DeYoung et al., "ERASER: A Benchmark to Evaluate Rationalized NLP Models", ACL 2020,
        arXiv:1911.03429, section 4, doi:10.18653/v1/2020.acl-main.408.

    Examples:
        >>> x = torch.tensor([[1.0, 2.0, 4.0, 8.0]])
        >>> comprehensiveness(lambda x: x.sum(1), x, importance=x, fractions=(0.25, 0.5))
        tensor([[ 8., 12.]])
    """
    chosen = most_important(importance_like(tokens("x", x), importance), fractions)
    return _lost(score, x, baseline, ~chosen, batch)


def sufficiency(
    score: Score,
    x: Tensor,
    importance: Float[Tensor, "B T"],
    baseline: Tensor | float | None = None,
    *,
    fractions: Sequence[float] = FRACTIONS,
    batch: int = 64,
) -> Float[Tensor, "B N"]:
    r"""Sufficiency, $y(x) - y(r_f)$ with nothing but the most important tokens $r_f$.

    Low: what the explanation calls important is enough.

    Args:
        score: From `(B, T, ...)` to `(B,)`.
        x: The input, `(B, T, ...)`: embeddings or ids.
        importance: `(B, T)`; the largest are the most important, ties in the order of the text.
        baseline: What stands where a token is taken away, as in `comprehensiveness`.
        fractions: N shares of the T tokens, each rounded up to whole tokens.
        batch: Most rows in one call of `score`.

    Returns:
        `(B, N)`, one number a fraction.

    Raises:
        TypeError: As `comprehensiveness`.
        ValueError: As `comprehensiveness`.

    Cost:
        B · (N + 1) forward passes.

    Source:
        DeYoung et al. (2020), arXiv:1911.03429, section 4.

    Examples:
        >>> x = torch.tensor([[1.0, 2.0, 4.0, 8.0]])
        >>> sufficiency(lambda x: x.sum(1), x, importance=x, fractions=(0.25, 0.5))
        tensor([[7., 3.]])
    """
    chosen = most_important(importance_like(tokens("x", x), importance), fractions)
    return _lost(score, x, baseline, chosen, batch)


def most_important(importance: Float[Tensor, "B T"], fractions: Sequence[float]) -> Tensor:
    r"""The $\lceil f T \rceil$ most important tokens for each fraction $f$, bool `(B, N, T)`.

    Args:
        importance: `(B, T)`; ties go to the token that stands first.
        fractions: N shares, 0 to 1.

    Returns:
        Bool, `(B, N, T)`.

    Raises:
        TypeError: `importance` isn't a tensor of real numbers, or `fractions` aren't numbers.
        ValueError: `importance` isn't `(B, T)` or not finite, no fractions, or one outside 0 to 1.

    Examples:
        >>> most_important(torch.tensor([[0.1, 0.7, 0.2, 0.7]]), [0.25, 0.5]).int()
        tensor([[[0, 1, 0, 0],
                 [0, 1, 0, 1]]], dtype=torch.int32)
    """
    size = importances(importance).shape[1]
    wanted = listed("fractions", fractions, "numbers from 0 to 1")
    if not wanted:
        raise ValueError("fractions: expected at least one; got none")
    shares = [_checks.number("fractions", f, least=0, most=1) for f in wanted]
    # A share such as 0.3 · 10 comes out a little above 3 and must not become 4 tokens.
    counts = torch.tensor(
        [math.ceil(round(share * size, 9)) for share in shares], device=importance.device
    )
    rank = importance.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return rank[:, None, :] < counts[:, None]


def _lost(
    score: Score, x: Tensor, baseline: Tensor | float | None, kept: Tensor, batch: int
) -> Tensor:
    x = x.detach()
    absent = baseline_for(x, baseline)
    whole = ask_without_graph(score, x, batch)
    parts = [
        ask_keeping(score, x[item], absent[item], kept[item], batch) for item in range(x.shape[0])
    ]
    return whole[:, None] - torch.stack(parts)
