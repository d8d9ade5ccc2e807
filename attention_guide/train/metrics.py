"""How good are the outputs: exact match, accuracy, F1, perplexity, BLEU, chrF."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from numbers import Number
from types import ModuleType
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


def accuracy(predictions: Sequence[Item], targets: Sequence[Item]) -> float:
    """`(1/N) Σ [prediction = target]` over classes; the same number as `exact_match`.

    Args:
        predictions: `N` classes: a list, or a one-dimensional tensor.
        targets: `N` right classes.

    Returns:
        The share, 0 to 1.

    Raises:
        ValueError: The numbers differ, a tensor isn't one-dimensional (logits want
            `token_accuracy`), or there is nothing to compare.

    Examples:
        >>> accuracy([0, 1, 1, 2], [0, 1, 2, 2])
        0.75
    """
    return exact_match(_plain("predictions", predictions), _plain("targets", targets))


def f1_score(
    predictions: Sequence[Hashable],
    targets: Sequence[Hashable],
    *,
    average: str = "macro",
    positive: Hashable = 1,
) -> float:
    """`F1 = 2 TP / (2 TP + FP + FN)`: the harmonic mean of precision and recall.

    Args:
        predictions: `N` classes: a list, or a one-dimensional tensor.
        targets: `N` right classes.
        average: `"macro"`: the mean over the classes that occur in either; `"weighted"`: the
            same, each by how often it is right; `"micro"`: counts of all classes together;
            `"binary"`: the class `positive` alone.
        positive: The class of `"binary"`.

    Returns:
        The score, 0 to 1; a class without a true or a predicted example counts as 0.

    Raises:
        ValueError: The numbers differ, a tensor isn't one-dimensional, there is nothing to
            compare, the average is unknown, or `positive` is a number and the classes aren't, or
            the other way round.

    Source:
        van Rijsbergen (1979), "Information Retrieval", 2nd edition, chapter 7, with equal
        weight of precision and recall.

    Examples:
        >>> round(f1_score([0, 1, 1, 2], [0, 1, 2, 2]), 4)
        0.7778
    """
    predictions, targets = _plain("predictions", predictions), _plain("targets", targets)
    _check_numbers(predictions, targets)
    if average not in ("macro", "weighted", "micro", "binary"):
        raise ValueError(f"average: expected macro, weighted, micro or binary, got {average!r}")
    right = Counter(t for p, t in zip(predictions, targets, strict=True) if p == t)
    predicted, wanted = Counter(predictions), Counter(targets)

    def score(cls: Hashable) -> float:
        both = predicted[cls] + wanted[cls]
        return 2 * right[cls] / both if both else 0.0

    classes = set(predicted) | set(wanted)
    if average == "binary":
        if all(isinstance(cls, Number) != isinstance(positive, Number) for cls in classes):
            raise ValueError(f"positive: expected a class, as {targets[0]!r}; got {positive!r}")
        return score(positive)
    if average == "micro":
        return sum(right.values()) / len(targets)
    if average == "macro":
        return sum(map(score, classes)) / len(classes)
    return sum(wanted[cls] * score(cls) for cls in classes) / len(targets)


def perplexity(loss: float, *, base: float = math.e) -> float:
    """`base ** loss`: among how many equally likely tokens the model seems to choose.

    Args:
        loss: Mean cross-entropy a token, from *unsmoothed* targets, over all tokens: the mean
            of the batches' means is something else.
        base: The logarithm's base: `e` for nats, 2 for bits.

    Returns:
        The perplexity. Only those over the same tokens can be compared.

    Raises:
        ValueError: The loss is negative or not a number.

    Source:
        Jelinek et al. (1977), "Perplexity — a measure of the difficulty of speech recognition
        tasks", JASA 62.

    Examples:
        >>> round(perplexity(math.log(8)), 6)
        8.0
    """
    if not loss >= 0.0:
        raise ValueError(f"loss: expected 0 or more, got {loss}")
    try:
        return float(base**loss)
    except OverflowError:
        return math.inf


def bleu(predictions: Sequence[str], references: Sequence[str], *, tokenize: str = "13a") -> float:
    """Corpus BLEU, 0 to 100, as sacreBLEU computes it.

    Args:
        predictions: `N` output texts.
        references: `N` right texts, one for each output.
        tokenize: sacreBLEU's tokeniser; `"none"` splits at spaces alone.

    Returns:
        The score. It belongs to a setting: report the tokeniser beside it.

    Raises:
        TypeError: `predictions` or `references` is one string.
        ValueError: The numbers differ, there is nothing to compare, or sacreBLEU has no such
            tokeniser.
        ImportError: sacreBLEU isn't installed.

    Source:
        Papineni et al. (2002); Post (2018) for why not to compute it oneself.

    Examples:
        >>> bleu(["one hundred and two"], ["one hundred and two"])
        100.0...
    """
    _check_texts(predictions, references)
    sacrebleu = _sacrebleu("bleu")
    if tokenize not in (known := sacrebleu.BLEU.TOKENIZERS):
        raise ValueError(f"tokenize: expected one of {', '.join(known)}; got {tokenize!r}")
    score = sacrebleu.corpus_bleu(list(predictions), [list(references)], tokenize=tokenize)
    return float(score.score)


def chrf(predictions: Sequence[str], references: Sequence[str], *, word_order: int = 0) -> float:
    """Corpus chrF, 0 to 100, as sacreBLEU computes it: F2 over runs of one to six characters.

    Args:
        predictions: `N` output texts.
        references: `N` right texts, one for each output.
        word_order: 2 for chrF++, which counts words and pairs of words, too.

    Returns:
        The score.

    Raises:
        TypeError: `predictions` or `references` is one string.
        ValueError: The numbers differ, or there is nothing to compare.
        ImportError: sacreBLEU isn't installed.

    Source:
        Popović (2015), "chrF: character n-gram F-score for automatic MT evaluation", WMT;
        Popović (2017) for chrF++.

    Examples:
        >>> chrf(["einundzwanzig"], ["einundzwanzig"])
        100.0...
    """
    _check_texts(predictions, references)
    score = _sacrebleu("chrf").corpus_chrf(
        list(predictions), [list(references)], word_order=word_order
    )
    return float(score.score)


def _sacrebleu(name: str) -> ModuleType:
    try:
        import sacrebleu  # here, not above: it is in the `book` extra, and slow to import
    except ImportError as error:
        raise ImportError(f"{name} needs sacrebleu: pip install 'attention-guide[book]'") from error
    return sacrebleu


def _plain(name: str, values: Sequence[Item]) -> Sequence[Item]:
    if isinstance(values, Tensor) and values.ndim != 1:
        raise ValueError(f"{name}: expected (N,), a class each; got {tuple(values.shape)}")
    # Tensors as elements would be compared, but not counted: each hashes as itself.
    return values.tolist() if isinstance(values, Tensor) else values


def _check_texts(predictions: Sequence[str], references: Sequence[str]) -> None:
    for name, texts in (("predictions", predictions), ("references", references)):
        if isinstance(texts, str):  # its characters would count as texts
            raise TypeError(f"{name}: expected several texts; got one string: {texts[:20]!r}")
    _check_numbers(predictions, references)


def _check_numbers(predictions: Sequence[Item], references: Sequence[Item]) -> None:
    if len(predictions) != len(references):
        raise ValueError(
            f"predictions: expected one for each of the {len(references)} references, "
            f"got {len(predictions)}"
        )
    if not references:
        raise ValueError("references: expected at least one, got none")
