"""Calibration: of all answers given with 80 % confidence, are 80 % right?"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor


class Bins(NamedTuple):
    """What `reliability` measures, bin by bin.

    Attributes:
        counts: Predictions in each bin, int64, shape `(bins,)`.
        confidence: Their mean confidence; 0 in an empty bin.
        accuracy: The share of them that is right; 0 in an empty bin.
    """

    counts: Int[Tensor, " bins"]
    confidence: Float[Tensor, " bins"]
    accuracy: Float[Tensor, " bins"]


def reliability(probs: Float[Tensor, "N C"], targets: Int[Tensor, " N"], *, bins: int = 15) -> Bins:
    """Confidence and accuracy in bins `((m-1)/M, m/M]` of the confidence `max_c p_c`.

    Args:
        probs: Probabilities of the classes, float, shape `(N, C)`.
        targets: Right classes, int64, shape `(N,)`.
        bins: `M`, how many bins of equal width.

    Returns:
        The bins, for a reliability diagram.

    Raises:
        ValueError: The shapes don't match, a row isn't a distribution, or `bins < 1`.

    Source:
        Guo et al. (2017), arXiv:1706.04599, section 2, equations 2 and following.

    Examples:
        >>> probs = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]])
        >>> reliability(probs, torch.tensor([0, 1, 1]), bins=2).counts
        tensor([0, 3])
    """
    _check(probs, targets)
    if bins < 1:
        raise ValueError(f"bins: expected at least 1, got {bins}")
    confidence, predicted = probs.double().max(dim=1)
    # Right-closed bins, as the paper has them: a confidence of exactly 0.2 belongs below 0.2.
    index = (confidence * bins).ceil().long().clamp(1, bins) - 1
    right = (predicted == targets).double()
    count = torch.bincount(index, minlength=bins)
    filled = count.clamp(min=1)
    sums = torch.zeros(2, bins, dtype=torch.float64, device=probs.device)
    sums[0].index_add_(0, index, confidence)
    sums[1].index_add_(0, index, right)
    return Bins(count, sums[0] / filled, sums[1] / filled)


def calibration_error(
    probs: Float[Tensor, "N C"], targets: Int[Tensor, " N"], *, bins: int = 15
) -> float:
    """ECE = `Σ_m |B_m|/N · |acc(B_m) - conf(B_m)|`: the expected calibration error.

    Args:
        probs: Probabilities of the classes, float, shape `(N, C)`.
        targets: Right classes, int64, shape `(N,)`.
        bins: How many bins. The number changes the result: report it.

    Returns:
        The error, 0 (calibrated, as far as the bins see) to 1.

    Raises:
        ValueError: As `reliability`.

    Source:
        Guo et al. (2017), arXiv:1706.04599, equation 3; they use 15 bins.

    Examples:
        Three answers with confidence 0.9, two of them right:

        >>> probs = torch.tensor([[0.9, 0.1]] * 3)
        >>> round(calibration_error(probs, torch.tensor([0, 0, 1])), 4)
        0.2333
    """
    count, confidence, accuracy = reliability(probs, targets, bins=bins)
    return float((count * (accuracy - confidence).abs()).sum() / count.sum())


def brier_score(probs: Float[Tensor, "N C"], targets: Int[Tensor, " N"]) -> float:
    """`(1/N) Σ_i Σ_c (p_ic - [c = y_i])²`: least, in the mean, for the true probabilities.

    Args:
        probs: Probabilities of the classes, float, shape `(N, C)`.
        targets: Right classes, int64, shape `(N,)`.

    Returns:
        The score, 0 (certain and right) to 2 (certain and wrong). For two classes some halve it.

    Raises:
        ValueError: The shapes don't match, or a row isn't a distribution.

    Source:
        Brier (1950), "Verification of Forecasts Expressed in Terms of Probability", Monthly
        Weather Review 78(1), in his own form, over all classes.

    Examples:
        >>> brier_score(torch.tensor([[1.0, 0.0], [0.5, 0.5]]), torch.tensor([0, 0]))
        0.25
    """
    _check(probs, targets)
    right = torch.nn.functional.one_hot(targets, probs.shape[1])
    return float((probs.double() - right).square().sum(dim=1).mean())


def _check(probs: Tensor, targets: Tensor) -> None:
    if probs.ndim != 2 or targets.shape != probs.shape[:1]:
        raise ValueError(
            f"probs, targets: expected (N, C) and (N,), got {tuple(probs.shape)} "
            f"and {tuple(targets.shape)}"
        )
    if len(targets) == 0:
        raise ValueError("targets: expected at least one, got none")
    off = (probs.double().sum(dim=1) - 1.0).abs().max()
    # Each rounded to its dtype, the parts of 1 sum to it within half its epsilon.
    most = max(1e-3, torch.finfo(probs.dtype).eps) if probs.is_floating_point() else 1e-3
    if not bool(off < most) or bool((probs < 0).any()):
        raise ValueError("probs: expected rows that sum to 1 and aren't negative; logits?")
    if int(targets.min()) < 0 or int(targets.max()) >= probs.shape[1]:
        raise ValueError(f"targets: expected classes from 0 to {probs.shape[1] - 1}")
