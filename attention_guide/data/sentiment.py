"""Sentiment by rule: sentences whose label is known, and which words it hangs on."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from attention_guide.data.cards import Card
from attention_guide.functional import _checks

NOUNS: Final = ("film", "plot", "acting", "music", "ending", "script", "cast", "dialogue")
POSITIVE: Final = ("good", "great", "funny", "clever", "lovely", "gripping", "charming", "fresh")
NEGATIVE: Final = ("bad", "awful", "boring", "clumsy", "ugly", "tedious", "dreary", "stale")
NEUTRAL: Final = ("long", "short", "new", "old", "loud", "quiet")
DEGREES: Final = ("very", "rather", "quite", "really")
NEGATIONS: Final = ("not", "never")
# "A but B" is B's opinion, "A though B" is A's.
CONTRASTS: Final = ("but", "though")
# Never negated in training: whether a model composes shows on these.
HELD_OUT: Final = ("clever", "charming", "clumsy", "dreary")

CARD: Final = Card(
    name="sentiment",
    description="A sentence about a film, positive (1) or negative (0), and the words that decide.",
    source="A grammar of two clauses with negation, degree and contrast; seed 0.",
    licence="MIT",
    splits={"train": 4_000, "test": 500, "composition": 500},
    checksum="72733ce59a262811891942373921b6ba216666ab17c82eed2db39f002cc0b90b",
    notes=(
        "In `composition` the deciding adjective is one that training never negated, negated. "
        "No sentence is in two splits. Real reviews are messier in every way."
    ),
)


class Review(NamedTuple):
    """A sentence, what it says, and which words make it say that.

    Attributes:
        tokens: The words.
        label: 1 positive, 0 negative.
        rationale: The positions whose smallest change turns the label around: the deciding
            adjective, its negation, and the contrast where the other clause disagrees.
    """

    tokens: tuple[str, ...]
    label: int
    rationale: tuple[int, ...]


def label_of(tokens: Sequence[str]) -> int:
    """Read a sentence by the rules of its grammar.

    Args:
        tokens: The words.

    Returns:
        1 positive, 0 negative.

    Raises:
        ValueError: The sentence has no opinion, or isn't one of the grammar's.

    Examples:
        >>> label_of("the plot was never very good".split())
        0
        >>> label_of("the plot was bad but the cast was great".split())
        1
    """
    value = sum(sign for sign, _ in _deciding(list(tokens)))
    if value == 0:
        raise ValueError(f"tokens: {' '.join(tokens)!r} has no opinion")
    return int(value > 0)


def rationale_of(tokens: Sequence[str]) -> tuple[int, ...]:
    """Which positions decide: see `Review`.

    Args:
        tokens: The words.

    Returns:
        The positions, in order.

    Raises:
        ValueError: As `label_of`.

    Examples:
        >>> rationale_of("the plot was bad but the cast was not very great".split())
        (8, 10)
        >>> rationale_of("the plot was bad but the cast was great".split())
        (4, 8)
    """
    return tuple(i for i, _ in enumerate(tokens) if _turns(list(tokens), i))


def edited(tokens: Sequence[str], position: int) -> list[str] | None:
    """The smallest change of one word that could matter.

    Args:
        tokens: The words.
        position: Which word.

    Returns:
        The sentence with the opposite adjective, without the negation, or with the other
        contrast; `None` for words that can't matter.

    Examples:
        >>> edited("the plot was not good".split(), 3)
        ['the', 'plot', 'was', 'good']
        >>> edited("the plot was not good".split(), 1) is None
        True
    """
    word, copy = tokens[position], list(tokens)
    for one, other in ((POSITIVE, NEGATIVE), (NEGATIVE, POSITIVE), (CONTRASTS, CONTRASTS[::-1])):
        if word in one:
            copy[position] = other[one.index(word)]
            return copy
    if word in NEGATIONS:
        return copy[:position] + copy[position + 1 :]
    return None


def sentiment_reviews(
    n: int, *, seed: int = 0, exclude: Iterable[Review] = (), composition: bool = False
) -> list[Review]:
    """Draw `n` different sentences, as many positive as negative (one more if `n` is odd).

    Args:
        n: How many.
        seed: Seed of the draw.
        exclude: Sentences that may not be drawn.
        composition: `False`: an adjective of `HELD_OUT` is never negated. `True`: one of them
            decides, and it is negated.

    Returns:
        The reviews.

    Raises:
        TypeError: `n` isn't an int.
        ValueError: `n` is negative.

    Examples:
        >>> reviews = sentiment_reviews(4)
        >>> sum(review.label for review in reviews)
        2
    """
    _checks.integer("n", n, least=0)
    generator = random.Random(f"{seed}:{composition}")
    taken = {review.tokens for review in exclude}
    wanted = {0: n // 2, 1: n - n // 2}
    found: list[Review] = []
    while len(found) < n:
        tokens = _sentence(generator)
        if tokens in taken or _is_composition(tokens) is not composition:
            continue
        label = label_of(tokens)
        if wanted[label]:
            wanted[label] -= 1
            taken.add(tokens)
            found.append(Review(tokens, label, rationale_of(tokens)))
    return found


def standard_splits() -> dict[str, list[Review]]:
    """The splits that the card describes.

    Returns:
        Split name to reviews.

    Examples:
        >>> {name: len(reviews) for name, reviews in standard_splits().items()} == CARD.splits
        True
    """
    train = sentiment_reviews(4_000)
    test = sentiment_reviews(500, seed=1, exclude=train)
    return {
        "train": train,
        "test": test,
        "composition": sentiment_reviews(500, seed=2, composition=True),
    }


def _sentence(generator: random.Random) -> tuple[str, ...]:
    first, second = generator.sample(NOUNS, 2)
    form = generator.choice(("one", "contrast", "and", "dna"))
    opinion = _clause(generator, first, POSITIVE + NEGATIVE)
    if form == "one":
        return tuple(opinion)
    if form == "contrast":
        other = _clause(generator, second, POSITIVE + NEGATIVE)
        return (*opinion, generator.choice(CONTRASTS), *other)
    fact = _clause(generator, second, NEUTRAL)
    parts = (opinion, fact) if form == "and" else (fact, opinion)
    return (*parts[0], "and", *parts[1])


def _clause(generator: random.Random, noun: str, adjectives: Sequence[str]) -> list[str]:
    words = ["the", noun, "was"]
    if generator.random() < 0.4:
        words.append(generator.choice(NEGATIONS))
    if generator.random() < 0.5:
        words.append(generator.choice(DEGREES))
    return [*words, generator.choice(adjectives)]


def _clauses(tokens: list[str]) -> tuple[list[tuple[int, list[str]]], str]:
    """The clauses with the position at which each begins, and what joins them."""
    for i, word in enumerate(tokens):
        if word in (*CONTRASTS, "and"):
            return [(0, tokens[:i]), (i + 1, tokens[i + 1 :])], word
    return [(0, tokens)], ""


def _deciding(tokens: list[str]) -> list[tuple[int, list[str]]]:
    """Sign and words of each clause that counts: one of two opinions, or all there are."""
    clauses, joint = _clauses(tokens)
    read = [(_sign(words), words) for _, words in clauses]
    if joint in CONTRASTS:
        return [read[1] if joint == "but" else read[0]]
    return read


def _sign(clause: list[str]) -> int:
    well_formed = len(clause) >= 4 and clause[0] == "the" and clause[2] == "was"
    if not well_formed or clause[-1] not in POSITIVE + NEGATIVE + NEUTRAL:
        raise ValueError(f"tokens: {' '.join(clause)!r} isn't a clause of this grammar")
    sign = (clause[-1] in POSITIVE) - (clause[-1] in NEGATIVE)
    return -sign if set(clause) & set(NEGATIONS) else sign


def _turns(tokens: list[str], position: int) -> bool:
    changed = edited(tokens, position)
    return changed is not None and label_of(changed) != label_of(tokens)


def _is_composition(tokens: tuple[str, ...]) -> bool | None:
    """True: negates a held-out adjective where it decides; None: only where it doesn't."""
    clauses, _ = _clauses(list(tokens))
    negated = [w for _, w in clauses if w[-1] in HELD_OUT and set(w) & set(NEGATIONS)]
    if not negated:
        return False
    return True if any(w in [d for _, d in _deciding(list(tokens))] for w in negated) else None
