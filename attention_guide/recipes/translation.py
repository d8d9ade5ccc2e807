"""What the number-word recipe and its chapter share: translating, scoring, reading alignments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from attention_guide.data.alignments import alignment_error_rate, gold_links
from attention_guide.data.numbers import Pair, join_number
from attention_guide.record import AttentionRecorder
from attention_guide.text import Vocabulary, pad_batch
from attention_guide.train import bleu, exact_match


class Translator(Protocol):
    """A model that writes targets: `Transformer`, `RecurrentSeq2Seq`."""

    def generate(self, src: Tensor, *, max_len: int) -> Tensor:
        """Ids `(B, T)` without the start symbol."""


def encode_pairs(
    pairs: Sequence[Pair], vocabulary: Vocabulary
) -> tuple[list[list[int]], list[list[int]]]:
    """Sources `tag … <eos>` and targets `<bos> … <eos>` as ids.

    Args:
        pairs: Pairs of pieces.
        vocabulary: Their vocabulary.

    Returns:
        Sources and targets, one list of ids a pair.

    Examples:
        >>> from attention_guide.data.numbers import number_pairs, number_vocabulary
        >>> sources, targets = encode_pairs(number_pairs([21]), number_vocabulary())
        >>> len(sources), targets[0][0], targets[0][-1]
        (6, 1, 2)
    """
    sources = [vocabulary.encode(pair.source, eos=True) for pair in pairs]
    return sources, [vocabulary.encode(pair.target, bos=True, eos=True) for pair in pairs]


def translate(
    model: Translator,
    vocabulary: Vocabulary,
    sources: Sequence[Sequence[str]],
    *,
    max_len: int = 48,
    batch_size: int = 500,
) -> list[list[str]]:
    """Translate lists of pieces, the likeliest piece at each step.

    Args:
        model: A model with `generate`, in eval mode.
        vocabulary: The vocabulary of source and target.
        sources: Pieces, the target tag first.
        max_len: Most pieces to write.
        batch_size: How many sources at a time.

    Returns:
        The pieces written for each source. A special other than the end stands as itself, so
        that no wrong output can pass for a right one.
    """
    # Sources of like length together: less padding to compute.
    order = sorted(range(len(sources)), key=lambda i: len(sources[i]))
    outputs: list[list[str]] = [[] for _ in sources]
    for start in range(0, len(order), batch_size):
        chosen = order[start : start + batch_size]
        ids = [vocabulary.encode(sources[i], eos=True) for i in chosen]
        written = model.generate(pad_batch(ids), max_len=max_len)
        for i, row in zip(chosen, written.tolist(), strict=True):
            end = row.index(vocabulary.eos_id) if vocabulary.eos_id in row else len(row)
            outputs[i] = [vocabulary.token_of(index) for index in row[:end]]
    return outputs


def by_direction(pairs: Sequence[Pair]) -> Iterator[tuple[str, list[int]]]:
    """Each direction's name (`"en-de"`) and the indices of its pairs, in order of appearance.

    Args:
        pairs: Pairs of any directions.

    Yields:
        Name and indices.
    """
    groups: dict[str, list[int]] = {}
    for i, pair in enumerate(pairs):
        groups.setdefault(f"{pair.source_language}-{pair.target_language}", []).append(i)
    yield from groups.items()


def score(
    model: Translator, vocabulary: Vocabulary, pairs: Sequence[Pair], *, with_bleu: bool = True
) -> dict[str, float]:
    """Exact match (0 to 1) and BLEU (0 to 100), over all pairs and for each direction.

    Exact match compares the joined texts. BLEU counts n-grams of pieces (sacreBLEU's tokeniser
    "none" over pieces with spaces between): a German number is one word, and one word has no
    4-gram.

    Args:
        model: A model with `generate`, in eval mode.
        vocabulary: Its vocabulary.
        pairs: What to translate, and the right answers.
        with_bleu: Whether to compute BLEU as well.

    Returns:
        `"exact match"`, `"exact match/en-de"`, …, `"bleu"`, `"bleu/en-de"`, …
    """
    outputs = translate(model, vocabulary, [pair.source for pair in pairs])
    groups = [("", list(range(len(pairs)))), *by_direction(pairs)]
    scores = {}
    for name, chosen in groups:
        suffix = f"/{name}" if name else ""
        texts = [join_number(outputs[i], pairs[i].target_language) for i in chosen]
        right = [join_number(pairs[i].target, pairs[i].target_language) for i in chosen]
        scores[f"exact match{suffix}"] = exact_match(texts, right)
        if with_bleu:
            written = [" ".join(outputs[i]) for i in chosen]
            wanted = [" ".join(pairs[i].target) for i in chosen]
            scores[f"bleu{suffix}"] = bleu(written, wanted, tokenize="none")
    return scores


def attention_maps(
    model: nn.Module, vocabulary: Vocabulary, pairs: Sequence[Pair]
) -> dict[str, list[Tensor]]:
    """Where each layer looks while the right target is fed: one `(T + 1, S + 2)` map a pair.

    Row `t` is the step that predicts target piece `t`; the last row predicts the end. Column 0
    is the tag, column `s + 1` source piece `s`, the last column the end. Heads are averaged.

    Args:
        model: A `Transformer` or a `RecurrentSeq2Seq`, in eval mode.
        vocabulary: Its vocabulary.
        pairs: The pairs.

    Returns:
        Layer name to one map a pair.
    """
    sources, targets = encode_pairs(pairs, vocabulary)
    # The Transformer's layers are called so; the recurrent model has its decoder alone.
    pattern = "cross_attention" if any("cross" in n for n, _ in model.named_modules()) else None
    src = pad_batch(sources)
    tgt = pad_batch([target[:-1] for target in targets])
    with AttentionRecorder(model, match=pattern, reduce="heads") as maps, torch.no_grad():
        model(src, tgt)
    return {
        name: [
            weights[i, 0, : len(target) - 1, : len(source)]
            for i, (source, target) in enumerate(zip(sources, targets, strict=True))
        ]
        for name, weights in maps.items()
    }


def alignment_scores(
    maps: Sequence[Tensor], pairs: Sequence[Pair], *, shift: int = 0
) -> dict[str, float]:
    """How well the largest weight of each step finds the piece that says the same.

    Args:
        maps: One map a pair, as `attention_maps` gives them.
        pairs: The pairs.
        shift: 0 reads piece `t` at the step that predicts it; 1 at the step that has it as input.

    Returns:
        `"agreement"`: the share of target pieces with a gold link whose largest weight is at one
        of their linked pieces; `"aer"`: the alignment error rate, where a piece without a gold
        link ("and") may be aligned to anything.
    """
    predicted, sure, possible = set(), set(), set()
    right = judged = 0
    for i, (weights, pair) in enumerate(zip(maps, pairs, strict=True)):
        gold = gold_links(pair.number, pair.source_language, pair.target_language)
        sure |= {(i, t, s) for t, s in gold}
        peaks = weights.argmax(dim=-1)
        for t in range(len(pair.target)):
            link = (t, int(peaks[t + shift]) - 1)
            predicted.add((i, *link))
            if any(t == linked for linked, _ in gold):
                judged += 1
                right += link in gold
            else:
                possible.add((i, *link))
    return {
        "agreement": right / judged,
        "aer": alignment_error_rate(predicted, sure, possible),
    }
