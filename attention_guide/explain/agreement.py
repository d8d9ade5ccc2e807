"""Do two explanations agree? Ranks, pairs, and the top of the list."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from attention_guide.functional import _checks

__all__ = ["kendall_tau", "spearman", "top_k_overlap"]

Numbers = Tensor | Sequence[float]


def kendall_tau(a: Numbers, b: Numbers) -> float:
    r"""Kendall's $\tau_b = (C - D) / \sqrt{(C + D + T_a)(C + D + T_b)}$ over pairs of tokens.

    C pairs stand in the same order in both, D in opposite orders, $T_a$ are tied in b alone and
    $T_b$ in a alone.

    Args:
        a: `(T,)` importances.
        b: `(T,)` importances.

    Returns:
        -1 to 1; NaN where all of `a` or all of `b` are equal, since there is no order then.

    Raises:
        TypeError: Not numbers.
        ValueError: Not `(T,)` with one T of at least 2, or NaN among them.

    Cost:
        T² comparisons.

    Source:
        Kendall, "The treatment of ties in ranking problems", Biometrika 33 (1945), pp. 239–251.

    Examples:
        >>> kendall_tau([1.0, 2.0, 3.0, 4.0], [1.0, 3.0, 2.0, 4.0])
        0.6667
    """
    x, y = _pair(a, b)
    above = torch.ones(len(x), len(x), dtype=torch.bool, device=x.device).triu(1)
    dx = (x[:, None] - x).sign()[above]
    dy = (y[:, None] - y).sign()[above]
    untied = (dx.abs().sum() * dy.abs().sum()).sqrt()
    return float((dx * dy).sum() / untied)


def spearman(a: Numbers, b: Numbers) -> float:
    r"""Spearman's $\rho$, the correlation of the ranks; ties share the mean of their ranks.

    Args:
        a: `(T,)` importances.
        b: `(T,)` importances.

    Returns:
        -1 to 1; NaN where all of `a` or all of `b` are equal.

    Raises:
        TypeError: Not numbers.
        ValueError: Not `(T,)` with one T of at least 2, or NaN among them.

    Source:
        Spearman, "The Proof and Measurement of Association between Two Things", American Journal
        of Psychology 15 (1904), pp. 72–101.

    Examples:
        >>> spearman([1.0, 2.0, 3.0], [10.0, 100.0, 1000.0])
        1.0
    """
    x, y = (_ranks(values) for values in _pair(a, b))
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).sum() / (x.square().sum() * y.square().sum()).sqrt())


def top_k_overlap(a: Numbers, b: Numbers, k: int) -> float:
    r"""The share of the k most important tokens that both name, $|A_k \cap B_k| / k$.

    Args:
        a: `(T,)` importances; ties go to the token that stands first.
        b: `(T,)` importances.
        k: How many, 1 to T.

    Returns:
        0 to 1. Two random orders share k / T on average, so a small k and a long text say more.

    Raises:
        TypeError: Not numbers.
        ValueError: Not `(T,)` with one T of at least 2, NaN among them, or k outside 1 to T.

    Examples:
        >>> top_k_overlap([0.9, 0.5, 0.1], [0.6, 0.1, 0.8], k=2)
        0.5
    """
    x, y = _pair(a, b)
    if _checks.integer("k", k, least=1) > len(x):
        raise ValueError(f"k: expected at most T = {len(x)}; got {k}")
    tops = [set(values.argsort(descending=True, stable=True)[:k].tolist()) for values in (x, y)]
    return len(tops[0] & tops[1]) / k


def _pair(a: Numbers, b: Numbers) -> tuple[Tensor, Tensor]:
    both = []
    for name, values in (("a", a), ("b", b)):
        try:
            vector = torch.as_tensor(values).detach().double()
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(
                f"{name}: expected numbers (T,); got {type(values).__name__}"
            ) from error
        if vector.ndim != 1 or len(vector) < 2:
            raise ValueError(
                f"{name}: expected (T,) with T at least 2; got {_checks.shape(vector)}"
            )
        if bool(vector.isnan().any()):
            raise ValueError(f"{name}: expected numbers; got NaN among them")
        both.append(vector)
    if len(both[0]) != len(both[1]):
        raise ValueError(f"b: expected T = {len(both[0])}, as in a; got {len(both[1])}")
    return both[0], both[1].to(both[0].device)


def _ranks(values: Float[Tensor, " T"]) -> Float[Tensor, " T"]:
    """Places in the order of values `(T,)`, from 1 on; equals share theirs, `(T,)`."""
    below = (values[:, None] > values).sum(1)
    equal = (values[:, None] == values).sum(1)
    return below + (equal.to(values) + 1) / 2
