"""How good are the outputs: exact match, token accuracy, BLEU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from jaxtyping import Float, Int
from torch import Tensor

Item = TypeVar("Item")


def exact_match(predictions: Sequence[Item], references: Sequence[Item]) -> float:
    """`(1/N) Σ [prediction = reference]`: the share of outputs without a single mistake.

    Args:
        predictions: `N` outputs: strings, lists of tokens, anything with `==`.
        references: `N` right outputs of the same kind.

    Returns:
        The share, 0 to 1.

    Raises:
        ValueError: The numbers differ, or there is nothing to compare.

    Examples:
        >>> exact_match(["cba", "fed"], ["cba", "fee"])
        0.5
    """
    _check_numbers(predictions, references)
    right = sum(bool(p == r) for p, r in zip(predictions, references, strict=True))
    return right / len(references)


def token_accuracy(
    logits: Float[Tensor, "*B V"], targets: Int[Tensor, "*B"], *, pad_id: int | None = None
) -> float:
    """The share of targets whose logit is the largest, padding left out.

    Args:
        logits: Scores, float, shape `(..., V)`.
        targets: Right ids, int64, shape `(...)`.
        pad_id: Targets of this id count for nothing; `None` to count all.

    Returns:
        The share, 0 to 1.

    Raises:
        ValueError: The shapes don't match, or every target is padding.

    Examples:
        >>> import torch
        >>> token_accuracy(torch.eye(3), torch.tensor([0, 1, 1]))
        0.6666...
    """
    if logits.ndim < 1 or logits.shape[:-1] != targets.shape:
        raise ValueError(
            "targets: expected the shape of logits without its last axis, "
            f"{tuple(logits.shape[:-1])}, got {tuple(targets.shape)}"
        )
    right = logits.argmax(dim=-1) == targets
    if pad_id is not None:
        right = right[targets != pad_id]
    if right.numel() == 0:
        raise ValueError("targets: expected at least one that isn't padding, got none")
    return float(right.double().mean())


def bleu(predictions: Sequence[str], references: Sequence[str], *, tokenize: str = "13a") -> float:
    """Corpus BLEU, 0 to 100, as sacreBLEU computes it.

    Args:
        predictions: `N` output texts.
        references: `N` right texts, one for each output.
        tokenize: sacreBLEU's tokeniser; `"none"` splits at spaces alone.

    Returns:
        The score. It belongs to a setting: report the tokeniser beside it.

    Raises:
        ValueError: The numbers differ, or there is nothing to compare.
        ImportError: sacreBLEU isn't installed.

    Source:
        Papineni et al. (2002); Post (2018) for why not to compute it oneself.

    Examples:
        >>> bleu(["one hundred and two"], ["one hundred and two"])
        100.0...
    """
    _check_numbers(predictions, references)
    try:
        import sacrebleu  # here, not above: it is in the `book` extra, and slow to import
    except ImportError as error:
        raise ImportError("bleu needs sacrebleu: pip install 'attention-guide[book]'") from error
    score = sacrebleu.corpus_bleu(list(predictions), [list(references)], tokenize=tokenize)
    return float(score.score)


def _check_numbers(predictions: Sequence[Item], references: Sequence[Item]) -> None:
    if len(predictions) != len(references):
        raise ValueError(
            f"predictions: expected one for each of the {len(references)} references, "
            f"got {len(predictions)}"
        )
    if not references:
        raise ValueError("references: expected at least one, got none")
