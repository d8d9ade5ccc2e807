"""Measures: by hand, and equal to scikit-learn's and sacreBLEU's."""

import builtins
import math

import pytest
import sacrebleu
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score as sklearn_f1

from attention_guide.train import (
    accuracy,
    bleu,
    chrf,
    cross_entropy,
    exact_match,
    f1_score,
    perplexity,
    token_accuracy,
)


def test_exact_match_counts_whole_outputs():
    assert exact_match(["ab", "cd", "ef"], ["ab", "cx", "ef"]) == pytest.approx(2 / 3)
    assert exact_match([["a"], ["b"]], [["a"], ["b"]]) == 1.0


@pytest.mark.parametrize("measure", [exact_match, bleu])
def test_unequal_or_empty_lists_are_refused(measure):
    with pytest.raises(ValueError, match="expected one for each of the 2 references, got 1"):
        measure(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="references: expected at least one"):
        measure([], [])


def test_token_accuracy_leaves_padding_out():
    logits = torch.eye(4)[[1, 2, 3, 3]].unsqueeze(0)
    targets = torch.tensor([[1, 2, 2, 0]])
    assert token_accuracy(logits, targets, pad_id=0) == pytest.approx(2 / 3)
    assert token_accuracy(logits, targets) == pytest.approx(2 / 4)


def test_token_accuracy_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="expected at least one that isn't padding"):
        token_accuracy(torch.zeros(1, 2, 4), torch.zeros(1, 2, dtype=torch.long), pad_id=0)
    with pytest.raises(ValueError, match=r"targets: expected .*\(1, 2\), got \(2,\)"):
        token_accuracy(torch.zeros(1, 2, 4), torch.zeros(2, dtype=torch.long))


def test_bleu_is_sacrebleus():
    sacrebleu = pytest.importorskip("sacrebleu")
    outputs = ["the cat sat on the mat today", "a dog"]
    references = ["the cat sat on a mat today", "a dog barked"]
    assert bleu(outputs, references) == sacrebleu.corpus_bleu(outputs, [references]).score
    assert 0 < bleu(outputs, references) < 100
    assert bleu(references, references) == pytest.approx(100)


def test_bleu_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "sacrebleu":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"pip install 'attention-guide\[book\]'"):
        bleu(["a"], ["a"])


CLASSES = st.integers(0, 3)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(CLASSES, CLASSES), min_size=1, max_size=30))
@pytest.mark.parametrize("average", ["macro", "weighted", "micro"])
def test_f1_equals_scikit_learns(average, pairs):
    predictions, targets = zip(*pairs, strict=True)
    wanted = sklearn_f1(targets, predictions, average=average, zero_division=0.0)
    assert f1_score(predictions, targets, average=average) == pytest.approx(wanted)


def test_f1_by_hand():
    # Class 1: two right, one too many, one missed: 2·2 / (2·2 + 1 + 1).
    predictions, targets = [1, 1, 1, 0, 0], [1, 1, 0, 1, 0]
    assert f1_score(predictions, targets, average="binary") == pytest.approx(2 / 3)
    assert f1_score(predictions, targets, average="binary", positive=7) == 0.0
    assert f1_score(["a", "b"], ["a", "c"]) == pytest.approx(1 / 3)


def test_tensors_count_as_their_numbers():
    predictions, targets = torch.tensor([0, 1, 1]), torch.tensor([0, 1, 0])
    assert accuracy(predictions, targets) == pytest.approx(2 / 3)
    assert f1_score(predictions, targets, average="binary") == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="average: expected macro"):
        f1_score([1], [1], average="best")


@pytest.mark.parametrize("measure", [accuracy, f1_score])
def test_logits_are_no_classes(measure):
    with pytest.raises(
        ValueError, match=r"predictions: expected \(N,\), a class each; got \(2, 3\)"
    ):
        measure(torch.zeros(2, 3), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match=r"targets: expected \(N,\), a class each; got \(2, 1\)"):
        measure(torch.tensor([0, 1]), torch.tensor([[0], [1]]))


def test_a_positive_class_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="positive: expected a class, as 'pos'; got 1"):
        f1_score(["neg"], ["pos"], average="binary")
    with pytest.raises(ValueError, match="positive: expected a class, as 1; got 'pos'"):
        f1_score([0], [1], average="binary", positive="pos")
    assert f1_score(["pos"], ["pos"], average="binary", positive="pos") == 1.0
    assert f1_score([0.0], [0.0], average="binary") == 0.0  # nothing to find, nothing found


@pytest.mark.parametrize("measure", [bleu, chrf])
def test_one_string_is_not_several_texts(measure):
    with pytest.raises(
        TypeError, match="predictions: expected several texts; got one string: 'abc"
    ):
        measure("abc", ["a", "b", "c"])
    with pytest.raises(TypeError, match="references: expected several texts"):
        measure(["a", "b", "c"], "abc")


def test_a_tokeniser_that_sacrebleu_does_not_have_is_named():
    with pytest.raises(ValueError, match=r"tokenize: expected one of none, .*13a.*; got 'zzz'"):
        bleu(["a"], ["a"], tokenize="zzz")


def test_perplexity_is_the_exponential_of_the_loss():
    assert perplexity(0.0) == 1.0
    assert perplexity(3.0, base=2.0) == 8.0
    logits, targets = torch.zeros(5, 7), torch.tensor([0, 1, 2, 3, 4])
    assert perplexity(float(cross_entropy(logits, targets))) == pytest.approx(7.0)
    assert perplexity(1e9) == math.inf
    for loss in (-0.1, math.nan):
        with pytest.raises(ValueError, match="loss: expected 0 or more"):
            perplexity(loss)


def test_chrf_is_sacrebleus_and_separates_a_near_miss_from_a_far_one():
    references = ["einundzwanzig", "hundertzwei"]
    near, far = ["einundzwanzik", "hundertzwei"], ["neun", "acht"]
    wanted = sacrebleu.corpus_chrf(near, [references]).score
    assert chrf(near, references) == pytest.approx(wanted)
    plus = sacrebleu.corpus_chrf(near, [references], word_order=2).score
    assert chrf(near, references, word_order=2) == pytest.approx(plus)
    assert chrf(far, references) < chrf(near, references) < chrf(references, references)
