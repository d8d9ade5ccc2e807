"""Scores: each equals its formula, written as a loop over pairs."""

from __future__ import annotations

import pytest
import torch

from attention_guide.functional import (
    additive_scores,
    attention_scores,
    concat_scores,
    dot_scores,
    general_scores,
    masked_softmax,
    scaled_dot_scores,
)

D = torch.float64


def pair(width_q: int = 3, width_k: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(2, 5, width_q, dtype=D), torch.randn(2, 6, width_k, dtype=D)


def test_additive_equals_its_formula() -> None:
    q, k = pair()
    w_q, w_k, v = torch.randn(7, 3, dtype=D), torch.randn(7, 4, dtype=D), torch.randn(7, dtype=D)
    got = additive_scores(q, k, w_q, w_k, v)
    for b in range(2):
        for t in range(5):
            for s in range(6):
                wanted = v @ torch.tanh(w_q @ q[b, t] + w_k @ k[b, s])
                assert torch.allclose(got[b, t, s], wanted)


def test_concat_equals_its_formula() -> None:
    q, k = pair()
    w, v = torch.randn(7, 7, dtype=D), torch.randn(7, dtype=D)
    got = concat_scores(q, k, w, v)
    for t in range(5):
        for s in range(6):
            wanted = v @ torch.tanh(w @ torch.cat([q[1, t], k[1, s]]))
            assert torch.allclose(got[1, t, s], wanted)


def test_general_equals_its_formula_and_becomes_dot() -> None:
    q, k = pair()
    w = torch.randn(3, 4, dtype=D)
    got = general_scores(q, k, w)
    assert torch.allclose(got[0, 1, 2], q[0, 1] @ w @ k[0, 2])
    q, k = pair(4, 4)
    assert torch.allclose(general_scores(q, k, torch.eye(4, dtype=D)), dot_scores(q, k))
    assert torch.allclose(dot_scores(q, k)[1, 4, 5], q[1, 4] @ k[1, 5])


def test_scores_take_any_axes_in_front() -> None:
    q, k = torch.randn(2, 3, 5, 4), torch.randn(2, 3, 6, 4)
    assert dot_scores(q, k).shape == (2, 3, 5, 6)
    assert dot_scores(q[0, 0], k[0, 0]).shape == (5, 6)
    assert torch.allclose(dot_scores(q, k)[1, 2], dot_scores(q[1, 2], k[1, 2]), atol=1e-6)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_key_head_serves_query_heads_that_lie_side_by_side(groups: int) -> None:
    q, k = torch.randn(2, 4, 3, 8, dtype=D), torch.randn(2, groups, 5, 8, dtype=D)
    got = scaled_dot_scores(q, k)
    for h in range(4):
        wanted = q[:, h] @ k[:, h * groups // 4].mT / 8**0.5
        assert torch.allclose(got[:, h], wanted)


def test_scale_is_by_the_head_width() -> None:
    q, k = torch.ones(1, 1, 1, 16), torch.ones(1, 1, 1, 16)
    assert scaled_dot_scores(q, k).item() == 4.0
    assert scaled_dot_scores(q, k, scale=1.0).item() == 16.0


def test_softcap_comes_before_the_bias() -> None:
    q = k = torch.full((1, 1, 1, 4), 100.0)
    bias = torch.full((1, 1), 30.0)
    assert attention_scores(q, k, softcap=5.0, bias=bias).item() == pytest.approx(35.0)


def test_softmax_of_rows() -> None:
    x = torch.randn(3, 4, 5, dtype=D, requires_grad=True)
    assert torch.allclose(masked_softmax(x), x.softmax(-1))
    mask = torch.rand(4, 5) > 0.5
    mask[0], mask[1] = False, True
    got = masked_softmax(x, mask)
    assert (got[:, 0] == 0).all()
    assert torch.allclose(got[:, 1], x[:, 1].softmax(-1))
    assert (got[:, ~mask] == 0).all()
    assert torch.autograd.gradcheck(lambda y: masked_softmax(y, mask), (x,))
    assert masked_softmax(torch.zeros(2, 3, 0)).shape == (2, 3, 0)


def test_gradients() -> None:
    q, k = (x[:, :2].requires_grad_() for x in pair())
    w_q = torch.randn(3, 3, dtype=D, requires_grad=True)
    w_k = torch.randn(3, 4, dtype=D, requires_grad=True)
    v = torch.randn(3, dtype=D, requires_grad=True)
    assert torch.autograd.gradcheck(additive_scores, (q, k, w_q, w_k, v))
    assert torch.autograd.gradcheck(general_scores, (q, k, w_k))
