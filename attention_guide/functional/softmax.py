"""The softmax that turns scores into weights, where a query may attend nowhere, too."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from attention_guide.functional import _checks

__all__ = ["masked_softmax"]


def masked_softmax(
    scores: Float[Tensor, "*B T S"],
    mask: Bool[Tensor, "..."] | None = None,
    sinks: Float[Tensor, " H"] | None = None,
) -> Float[Tensor, "*B T S"]:
    r"""Softmax over the keys a query may attend to, $w_{ts} = e^{x_{ts}} / \sum_{s'} e^{x_{ts'}}$.

    A query that may attend nowhere gets weights of 0. Softmax itself would give NaN there, and
    a NaN in one padded row becomes a NaN in every parameter at the first gradient step.

    Args:
        scores: Scores, `(..., T, S)`; a score of minus infinity counts as masked.
        mask: Bool, broadcastable to the scores, `True` = may attend.
        sinks: One logit a head, `(H,)`, for scores `(B, H, T, S)`: a key without a value that
            takes its share of each row, so that the rest sums to less than one.

    Returns:
        Weights, `(..., T, S)`.

    Raises:
        TypeError: The scores aren't floating point, or the mask isn't bool.
        ValueError: A shape or device doesn't fit the scores.

    Source:
        The sink logit: OpenAI (2025), gpt-oss model card, arXiv:2508.10925.

    Examples:
        >>> scores = torch.zeros(2, 2)
        >>> masked_softmax(scores, torch.tensor([[True, True], [False, False]]))
        tensor([[0.5000, 0.5000],
                [0.0000, 0.0000]])
    """
    _checks.trailing("scores", _checks.floating("scores", scores), "T S")
    if mask is not None:
        _checks.broadcastable("mask", _checks.boolean("mask", mask), scores.shape, "... T S")
        _checks.same_device("mask", mask, "scores", scores)
        scores = scores.masked_fill(~mask, float("-inf"))
    if sinks is not None:
        _check_sinks(sinks, scores)
        column = sinks.to(scores.dtype).view(1, -1, 1, 1).expand(*scores.shape[:3], 1)
        return _safe_softmax(torch.cat([scores, column], dim=-1))[..., :-1]
    return _safe_softmax(scores)


def _safe_softmax(scores: Tensor) -> Tensor:
    # Filling the row before the softmax, and not only after, keeps NaN out of the gradient.
    dead = (scores == float("-inf")).all(dim=-1, keepdim=True)
    return scores.masked_fill(dead, 0.0).softmax(dim=-1).masked_fill(dead, 0.0)


def _check_sinks(sinks: Tensor, scores: Tensor) -> None:
    _checks.rank("scores", scores, "B H T S")
    _checks.rank("sinks", _checks.floating("sinks", sinks), "H")
    _checks.axis("sinks", sinks, 0, scores.shape[1], "H", "as in scores")
    _checks.same_device("sinks", sinks, "scores", scores)
