"""Sentiment: labels by a second reading, rationales by changing every word, splits that hold."""

import itertools

import pytest

from attention_guide.data.sentiment import (
    HELD_OUT,
    NEGATIONS,
    NEGATIVE,
    POSITIVE,
    edited,
    label_of,
    rationale_of,
    sentiment_reviews,
    standard_splits,
)


@pytest.fixture(scope="module")
def splits():
    return standard_splits()


@pytest.mark.parametrize(
    ("sentence", "label", "rationale"),
    [
        ("the film was good", 1, ["good"]),
        ("the film was not very good", 0, ["not", "good"]),
        ("the film was never dreary", 1, ["never", "dreary"]),
        ("the film was bad but the cast was great", 1, ["but", "great"]),
        ("the film was bad though the cast was great", 0, ["bad", "though"]),
        ("the film was lovely but the cast was great", 1, ["great"]),
        ("the film was not loud and the cast was stale", 0, ["stale"]),
    ],
)
def test_labels_and_rationales_by_hand(sentence, label, rationale):
    tokens = sentence.split()
    assert label_of(tokens) == label
    assert [tokens[i] for i in rationale_of(tokens)] == rationale


def second_reading(tokens):
    """The label, read backwards and written differently: the generator has no part in it."""
    text = " ".join(tokens)
    for joint, keep in ((" but ", -1), (" though ", 0)):
        if joint in text:
            text = text.split(joint)[keep]
    clauses = [c for c in text.split(" and ") if c.split()[-1] in POSITIVE + NEGATIVE]
    assert len(clauses) == 1
    negated = any(f" {n} " in clauses[0] for n in NEGATIONS)
    return int((clauses[0].split()[-1] in POSITIVE) != negated)


def test_every_label_is_that_of_a_second_reading(splits):
    for review in itertools.chain(*splits.values()):
        assert review.label == second_reading(review.tokens)


def test_exactly_the_rationale_turns_the_label_around(splits):
    for review in splits["test"]:
        turns = set()
        for i in range(len(review.tokens)):
            changed = edited(review.tokens, i)
            if changed is not None and second_reading(changed) != review.label:
                turns.add(i)
        assert turns == set(review.rationale)
        assert turns


def test_the_splits_share_nothing_and_are_balanced(splits):
    sets = [{review.tokens for review in part} for part in splits.values()]
    assert all(len(s) == len(p) for s, p in zip(sets, splits.values(), strict=True))
    for one, other in itertools.combinations(sets, 2):
        assert not one & other
    for part in splits.values():
        assert sum(review.label for review in part) == len(part) // 2


def test_composition_negates_what_training_never_does(splits):
    def negated_held_out(tokens):
        joined = " ".join(tokens)
        for joint in ("but", "though", "and"):
            joined = joined.replace(f" {joint} ", " | ")
        clauses = [clause.split() for clause in joined.split(" | ")]
        return any(c[-1] in HELD_OUT and set(c) & set(NEGATIONS) for c in clauses)

    assert not any(negated_held_out(r.tokens) for r in [*splits["train"], *splits["test"]])
    assert all(negated_held_out(r.tokens) for r in splits["composition"])
    words = {word for review in splits["train"] for word in review.tokens}
    assert words >= {word for review in splits["composition"] for word in review.tokens}


def test_what_is_no_sentence_of_the_grammar_is_refused():
    with pytest.raises(ValueError, match="isn't a clause of this grammar"):
        label_of(["a", "fine", "film"])
    with pytest.raises(ValueError, match="has no opinion"):
        label_of(["the", "film", "was", "long"])
    with pytest.raises(ValueError, match="n: expected an int of at least 0; got -1"):
        sentiment_reviews(-1)
    assert sentiment_reviews(3, seed=5) == sentiment_reviews(3, seed=5)
