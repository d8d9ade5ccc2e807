"""The loss: equal to torch's, finite where a naive one isn't, and honest about padding."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from attention_guide.train import cross_entropy, smoothing_floor, teacher_forcing


@settings(max_examples=30, deadline=None)
@given(
    batch=st.integers(1, 3),
    time=st.integers(1, 5),
    vocab=st.integers(2, 9),
    smoothing=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    seed=st.integers(0, 99),
)
def test_equals_torch_forward_and_backward(batch, time, vocab, smoothing, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, time, vocab, generator=generator, dtype=torch.float64)
    targets = torch.randint(0, vocab, (batch, time), generator=generator)
    targets[0, 0] = 1  # at least one that counts
    ours = logits.clone().requires_grad_()
    theirs = logits.clone().requires_grad_()
    loss = cross_entropy(ours, targets, pad_id=0, label_smoothing=smoothing)
    wanted = F.cross_entropy(
        theirs.flatten(0, 1), targets.flatten(), ignore_index=0, label_smoothing=smoothing
    )
    loss.backward()
    wanted.backward()
    torch.testing.assert_close(loss, wanted, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-12, atol=1e-12)


def test_no_padding_id_counts_every_target():
    logits, targets = torch.randn(4, 5), torch.tensor([0, 1, 2, 0])
    torch.testing.assert_close(cross_entropy(logits, targets), F.cross_entropy(logits, targets))


def test_a_padding_id_outside_the_vocabulary():
    logits = torch.randn(3, 5)
    targets = torch.tensor([1, -100, 4])
    wanted = F.cross_entropy(logits, targets, ignore_index=-100)
    torch.testing.assert_close(cross_entropy(logits, targets, pad_id=-100), wanted)


def test_probabilities_that_underflow_give_a_finite_loss_and_gradient():
    logits = torch.tensor([[0.0, -2000.0, 3.0]], requires_grad=True)
    assert logits.softmax(-1).log().isinf().any()  # what the naive formula runs into
    loss = cross_entropy(logits, torch.tensor([2]), label_smoothing=0.1)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_nothing_but_padding_costs_nothing():
    logits = torch.randn(2, 3, 4, requires_grad=True)
    loss = cross_entropy(logits, torch.zeros(2, 3, dtype=torch.long), pad_id=0)
    loss.backward()
    assert loss == 0
    assert (logits.grad == 0).all()


def test_what_stands_at_padding_does_not_matter():
    logits, targets = torch.randn(2, 3, 4), torch.tensor([[1, 2, 0], [3, 0, 0]])
    before = cross_entropy(logits, targets, pad_id=0, label_smoothing=0.1)
    logits[targets == 0] = float("nan")
    assert cross_entropy(logits, targets, pad_id=0, label_smoothing=0.1) == before


@pytest.mark.parametrize("shape", [(2, 3), (2,), (3, 2, 1)])
def test_targets_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"targets: expected .*\(2, 4\)"):
        cross_entropy(torch.randn(2, 4, 5), torch.ones(shape, dtype=torch.long))


@pytest.mark.parametrize(
    ("targets", "error", "message"),
    [
        (
            torch.tensor([1, 5]),
            ValueError,
            "targets: expected numbers from 0 to below V = 5; got 5",
        ),
        (torch.tensor([1, -1]), ValueError, "below V = 5; got -1"),
        (
            torch.tensor([1.0, 2.0]),
            TypeError,
            "targets: expected an integer tensor; got torch.float",
        ),
    ],
)
def test_targets_that_are_no_ids_are_refused(targets, error, message):
    with pytest.raises(error, match=message):
        cross_entropy(torch.randn(2, 5), targets, pad_id=0)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_targets_of_any_integer_dtype_count_the_same(dtype):
    logits, targets = torch.randn(4, 200), torch.tensor([0, 156, 2, 199])
    wanted = cross_entropy(logits, targets)
    assert cross_entropy(logits, targets.to(dtype)) == wanted
    # 156 is what -100 would be in uint8
    assert cross_entropy(logits, targets.to(dtype), pad_id=-100) == wanted


@pytest.mark.parametrize("smoothing", [-0.1, 1.1])
def test_smoothing_outside_its_range_is_refused(smoothing):
    with pytest.raises(ValueError, match="label_smoothing: expected 0 to 1"):
        cross_entropy(torch.randn(2, 4), torch.ones(2, dtype=torch.long), label_smoothing=smoothing)
    with pytest.raises(ValueError, match="label_smoothing: expected 0 to 1"):
        smoothing_floor(4, smoothing)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6, 1.0])
def test_the_floor_is_reached_by_the_smoothed_target_and_nothing_goes_below(smoothing):
    vocab = 7
    right = torch.full((1, vocab), smoothing / vocab, dtype=torch.float64)
    right[0, 3] += 1 - smoothing
    target = torch.tensor([3])
    at_best = cross_entropy(right.clamp(min=1e-30).log(), target, label_smoothing=smoothing)
    floor = smoothing_floor(vocab, smoothing)
    assert float(at_best) == pytest.approx(floor, abs=1e-9)
    logits = torch.randn(200, vocab, dtype=torch.float64)
    for row in logits:
        assert cross_entropy(row[None], target, label_smoothing=smoothing) >= floor - 1e-12


def test_the_floor_of_one_token_is_zero_and_of_none_an_error():
    assert smoothing_floor(1, 0.3) == 0.0
    assert smoothing_floor(8, 1.0) == pytest.approx(math.log(8))
    with pytest.raises(ValueError, match="vocab_size: expected at least 1"):
        smoothing_floor(0, 0.1)


def test_teacher_forcing_shifts_by_one():
    seen = {}

    def model(src, tgt):
        seen["tgt"] = tgt
        # Certain of the id that follows in counting order.
        return F.one_hot(tgt + 1, 9).float() * 100

    tgt = torch.tensor([[1, 2, 3, 4, 0]])
    loss = teacher_forcing(pad_id=0)(model, (torch.ones(1, 2, dtype=torch.long), tgt))
    assert seen["tgt"].tolist() == [[1, 2, 3, 4]]
    assert loss < 1e-6


def test_smoothed_loss_is_the_divergence_plus_the_entropy_of_the_targets():
    logits, targets = torch.randn(6, 5, dtype=torch.float64), torch.tensor([0, 1, 2, 3, 4, 0])
    smoothed = 0.9 * F.one_hot(targets, 5).double() + 0.1 / 5
    divergence = F.kl_div(logits.log_softmax(-1), smoothed, reduction="batchmean")
    loss = cross_entropy(logits, targets, label_smoothing=0.1)
    torch.testing.assert_close(loss, divergence + smoothing_floor(5, 0.1), rtol=1e-12, atol=0)
