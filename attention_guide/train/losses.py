"""Cross-entropy with label smoothing, and teacher forcing for sequence-to-sequence models."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Integer
from torch import Tensor

from attention_guide.functional import _checks
from attention_guide.layers import _check

PairLoss = Callable[[Callable[[Tensor, Tensor], Tensor], tuple[Tensor, Tensor]], Tensor]


def cross_entropy(
    logits: Float[Tensor, "*B V"],
    targets: Integer[Tensor, "*B"],
    *,
    pad_id: int | None = None,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """`-(1 - ε) log p[y] - ε/V Σ_v log p[v]`, averaged over the targets that aren't padding.

    Smoothing asks for the distribution that gives `ε` spread evenly over all `V` tokens and
    the rest to the right one. Everything starts from the logits: no probability is formed
    whose logarithm could then be that of zero.

    Args:
        logits: Scores before the softmax, float, shape `(..., V)`.
        targets: Right ids, any integer dtype, shape `(...)`.
        pad_id: Targets of this id count for nothing; `None` to count all.
        label_smoothing: `ε`, from 0 to 1.

    Returns:
        The mean loss in nats a token, a scalar; 0 where every target is padding.

    Raises:
        TypeError: The logits aren't floating-point, or the targets no integers.
        ValueError: The shapes don't match, `label_smoothing` is outside 0 to 1, or, on CPU, a
            target that counts is outside the vocabulary.

    Source:
        Szegedy et al. (2016), section 7; used with ε = 0.1 by Vaswani et al. (2017), section 5.4.

    Examples:
        >>> import torch
        >>> logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [9.0, 0.0, 0.0, 0.0]])
        >>> cross_entropy(logits, torch.tensor([3, 0]), pad_id=0)
        tensor(1.3863)
    """
    _checks.floating("logits", logits)
    _checks.integral("targets", targets)
    if logits.ndim < 1 or logits.shape[:-1] != targets.shape:
        raise ValueError(
            "targets: expected the shape of logits without its last axis, "
            f"{tuple(logits.shape[:-1])}, got {tuple(targets.shape)}"
        )
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing: expected 0 to 1, got {label_smoothing}")
    targets = targets.long()  # in uint8, torch takes -100 for 156
    counted = torch.ones_like(targets, dtype=torch.bool) if pad_id is None else targets != pad_id
    # A padding id such as -100 is no index into the vocabulary; any index will do there.
    targets = targets.masked_fill(~counted, 0)
    _check.check_below("targets", targets, logits.shape[-1], "V")
    log_probs = logits.log_softmax(dim=-1)
    loss = -log_probs.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    if label_smoothing > 0.0:
        loss = (1.0 - label_smoothing) * loss - label_smoothing * log_probs.mean(dim=-1)
    # clamp: a batch of nothing but padding has loss 0 and gradient 0, not NaN.
    return loss.masked_fill(~counted, 0.0).sum() / counted.sum().clamp(min=1)


def smoothing_floor(vocab_size: int, label_smoothing: float) -> float:
    """`-Σ q log q`: the least loss that smoothed targets allow, reached by a perfect model.

    Args:
        vocab_size: `V`, the number of tokens.
        label_smoothing: `ε`.

    Returns:
        The entropy of the smoothed target, in nats.

    Raises:
        ValueError: `vocab_size < 1`, or `label_smoothing` outside 0 to 1.

    Examples:
        >>> smoothing_floor(29, 0.0)
        0.0
        >>> round(smoothing_floor(29, 0.1), 3)
        0.639
    """
    if vocab_size < 1:
        raise ValueError(f"vocab_size: expected at least 1, got {vocab_size}")
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing: expected 0 to 1, got {label_smoothing}")
    if label_smoothing == 0.0 or vocab_size == 1:
        return 0.0
    other = label_smoothing / vocab_size
    right = 1.0 - label_smoothing + other
    return -right * math.log(right) - (vocab_size - 1) * other * math.log(other)


def teacher_forcing(*, pad_id: int = 0, label_smoothing: float = 0.0) -> PairLoss:
    """The loss of a model `(src, tgt[:, :-1]) -> logits` against `tgt[:, 1:]`.

    The decoder reads the right tokens up to `t` and is asked for token `t + 1`.

    Args:
        pad_id: Target ids that count for nothing.
        label_smoothing: `ε` of `cross_entropy`.

    Returns:
        A function `(model, (src, tgt)) -> scalar loss`, as `fit` wants it. Rows of `tgt`
        begin with the beginning-of-sequence id and end with the end-of-sequence id.

    Examples:
        >>> import torch
        >>> model = lambda src, tgt: torch.zeros(*tgt.shape, 8)
        >>> loss = teacher_forcing()(model, (torch.ones(1, 2).long(), torch.tensor([[1, 5, 2]])))
        >>> round(loss.item(), 4) == round(math.log(8), 4)
        True
    """

    def loss(model: Callable[[Tensor, Tensor], Tensor], batch: tuple[Tensor, Tensor]) -> Tensor:
        src, tgt = batch
        logits = model(src, tgt[:, :-1])
        return cross_entropy(logits, tgt[:, 1:], pad_id=pad_id, label_smoothing=label_smoothing)

    return loss


def target_tokens(*, pad_id: int = 0) -> Callable[[tuple[Tensor, Tensor]], float]:
    """How many targets a batch has: what its loss counts in an average over batches.

    The mean over tokens of two batches together isn't the mean of their means, unless both
    have the same number of tokens. `fit` averages by these numbers: `weigh=target_tokens()`.

    Args:
        pad_id: Target ids that count for nothing.

    Returns:
        A function `(src, tgt) -> number` for the batches of `teacher_forcing`.

    Examples:
        >>> import torch
        >>> target_tokens()((torch.ones(1, 2).long(), torch.tensor([[1, 5, 2, 0]])))
        2.0
    """
    return lambda batch: float((batch[1][:, 1:] != pad_id).sum())
