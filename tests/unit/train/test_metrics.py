"""Measures: exact match, token accuracy, BLEU."""

import builtins

import pytest
import torch

from attention_guide.train import bleu, exact_match, token_accuracy


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
