"""Calibration: by hand, equal to scikit-learn's Brier score, right on data made calibrated."""

import pytest
import torch
from sklearn.metrics import brier_score_loss

from attention_guide.train import brier_score, calibration_error, reliability


def test_ece_by_hand():
    # Two bins: confidences 0.6, 0.7 (one right) and 0.9, 1.0 (both right) fall into (0.5, 0.75]
    # and (0.75, 1] of four: 2/4 |1/2 - 0.65| + 2/4 |1 - 0.95|.
    probs = torch.tensor([[0.6, 0.4], [0.3, 0.7], [0.9, 0.1], [0.0, 1.0]])
    targets = torch.tensor([0, 0, 0, 1])
    wanted = 0.5 * 0.15 + 0.5 * 0.05
    assert calibration_error(probs, targets, bins=4) == pytest.approx(wanted)


def test_bins_are_closed_on_the_right():
    probs = torch.tensor([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0]])
    assert reliability(probs, torch.tensor([0, 0, 0]), bins=4).counts.tolist() == [0, 1, 1, 1]


def test_predictions_drawn_from_their_own_probabilities_are_calibrated():
    generator = torch.Generator().manual_seed(0)
    probs = torch.softmax(2 * torch.randn(20_000, 4, generator=generator), dim=1)
    targets = torch.multinomial(probs, 1, generator=generator).squeeze(1)
    assert calibration_error(probs, targets) < 0.015
    sharper = torch.softmax(3 * probs.log(), dim=1)  # the same answers, too sure of them
    assert calibration_error(sharper, targets) > 0.1
    assert brier_score(probs, targets) < brier_score(sharper, targets)
    assert int(reliability(probs, targets).counts.sum()) == 20_000


def test_brier_equals_scikit_learns():
    generator = torch.Generator().manual_seed(1)
    probs = torch.softmax(torch.randn(200, 5, generator=generator, dtype=torch.float64), dim=1)
    targets = torch.randint(0, 5, (200,), generator=generator)
    wanted = brier_score_loss(targets.numpy(), probs.numpy(), labels=list(range(5)))
    assert brier_score(probs, targets) == pytest.approx(wanted, rel=1e-12)
    two, half = probs[:, :2] / probs[:, :2].sum(1, keepdim=True), targets % 2
    wanted = brier_score_loss(half.numpy(), two[:, 1].numpy())  # it halves the binary one
    assert brier_score(two, half) == pytest.approx(2 * wanted, rel=1e-12)


@pytest.mark.parametrize(
    ("probs", "targets", "message"),
    [
        (torch.ones(2, 2), torch.tensor([0, 1]), "rows that sum to 1"),
        (torch.tensor([[2.0, -1.0]]), torch.tensor([0]), "aren't negative"),
        (torch.tensor([[0.5, 0.5]]), torch.tensor([2]), "classes from 0 to 1"),
        (torch.tensor([[0.5, 0.5]]), torch.tensor([0, 1]), r"expected \(N, C\) and \(N,\)"),
        (torch.zeros(0, 2), torch.zeros(0).long(), "expected at least one"),
    ],
)
def test_what_is_no_distribution_is_refused(probs, targets, message):
    with pytest.raises(ValueError, match=message):
        calibration_error(probs, targets)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("classes", [10, 1000])
def test_probabilities_of_low_precision_are_probabilities(dtype, classes):
    logits = torch.randn(500, classes, generator=torch.Generator().manual_seed(0))
    probs, targets = logits.to(dtype).softmax(dim=1), torch.zeros(500, dtype=torch.long)
    assert int(reliability(probs, targets).counts.sum()) == 500
    with pytest.raises(ValueError, match="rows that sum to 1"):
        reliability(probs * 1.02, targets)


def test_no_bins_are_refused():
    with pytest.raises(ValueError, match="bins: expected at least 1"):
        reliability(torch.tensor([[0.5, 0.5]]), torch.tensor([0]), bins=0)
