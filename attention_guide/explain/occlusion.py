"""Occlusion: cover a part of the input, see what the score loses."""

import math

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

__all__ = ["occlusion"]


def occlusion(
    score: Score,
    x: Tensor,
    baseline: Tensor | float | None = None,
    *,
    window: int = 1,
    stride: int = 1,
    batch: int = 64,
) -> Float[Tensor, "B T"]:
    r"""Occlusion, $a_t = y(x) - y(x \text{ with the baseline at } t)$, by token or by window.

    With a window of several tokens, each token takes the mean over the windows that cover it.

    Args:
        score: From `(B, T, ...)` to `(B,)`; see `attention_guide.explain.score`.
        x: The input, `(B, T, ...)`: embeddings or ids.
        baseline: What covers a token: a tensor that broadcasts to `x`, or a number (for ids, the
            id of a mask or of padding); `None` for zeros, with embeddings only.
        window: Tokens covered at once.
        stride: Tokens between two windows; the last window may be cut short by the end.
        batch: Most rows in one call of `score`.

    Returns:
        `(B, T)`. Above 0: the score falls without the token.

    Raises:
        TypeError: The baseline has another dtype than `x`, or the score isn't floating point.
        ValueError: A shape or a count that doesn't fit, or a score that isn't finite.

    Cost:
        A forward pass for each window, and one more.

    Source:
        Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014,
        arXiv:1311.2901, section 4.2, for patches of an image.

    Examples:
        >>> x = torch.tensor([[1.0, 2.0, 4.0]])
        >>> occlusion(lambda x: x.sum(1), x)
        tensor([[1., 2., 4.]])
        >>> occlusion(lambda x: x.sum(1), x, window=2)
        tensor([[3.0000, 4.5000, 6.0000]])
    """
    x = tokens("x", x).detach()
    cover = baseline_for(x, baseline)
    length = x.shape[1]
    if _checks.integer("window", window, least=1) > length:
        raise ValueError(f"window: expected at most T = {length}; got {window}")
    if _checks.integer("stride", stride, least=1) > window:
        raise ValueError(f"stride: expected at most the window, {window}; got {stride}")
    place = torch.arange(length, device=x.device)
    start = stride * torch.arange(math.ceil((length - window) / stride) + 1, device=x.device)
    covered = (place >= start[:, None]) & (place < start[:, None] + window)
    whole = ask_without_graph(score, x, batch)
    lost = [
        whole[item] - ask_keeping(score, x[item], cover[item], ~covered, batch)
        for item in range(x.shape[0])
    ]
    windows = covered.to(whole)
    return torch.stack(lost) @ windows / windows.sum(0)
