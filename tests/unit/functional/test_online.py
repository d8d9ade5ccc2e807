"""Attention in pieces is attention whole."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

from attention_guide.functional import (
    attention,
    chunked_prefill,
    merge_partials,
    online_softmax,
    partial_attention,
)

D = torch.float64


@pytest.mark.parametrize("block", [1, 3, 64])
def test_online_softmax_is_softmax(block: int) -> None:
    x = torch.randn(3, 4, 17, dtype=D, requires_grad=True)
    assert torch.allclose(online_softmax(x, block=block), x.softmax(-1))
    assert torch.autograd.gradcheck(lambda y: online_softmax(y, block=block), (x,), fast_mode=True)
    huge = torch.tensor([1e30, 1e30, -1e30])
    assert online_softmax(huge, block=block).tolist() == [0.5, 0.5, 0.0]
    masked = torch.tensor([[-torch.inf, 0.0], [-torch.inf, -torch.inf]])
    assert online_softmax(masked, block=block).tolist() == [[0, 1], [0, 0]]


@pytest.mark.parametrize("cuts", [[0, 3, 9], [0, 1, 2, 9], [0, 9]])
def test_partial_results_merge_to_the_whole(cuts: list[int]) -> None:
    q, k, v = (torch.randn(2, h, n, 4, dtype=D) for h, n in ((4, 5), (2, 9), (2, 9)))
    mask = torch.rand(2, 1, 5, 9) > 0.4
    mask[0, :, 1] = False
    mask[1, :, :, :3] = False
    bias = torch.randn(4, 5, 9, dtype=D)
    parts = [
        partial_attention(
            q, k[:, :, a:b], v[:, :, a:b], mask=mask[..., a:b], bias=bias[..., a:b], softcap=2.0
        )
        for a, b in itertools.pairwise(cuts)
    ]
    out, log_sum = merge_partials([o for o, _ in parts], [n for _, n in parts])
    wanted = attention(q, k, v, mask=mask, bias=bias, softcap=2.0, kernel="reference")
    assert torch.allclose(out, wanted)
    assert log_sum[0, :, 1].isneginf().all()
    nested = merge_partials([out, torch.zeros_like(out)], [log_sum, log_sum - torch.inf])
    assert torch.allclose(nested[0], out)


@pytest.mark.parametrize("chunk", [1, 2, 7, 50])
@pytest.mark.parametrize("cached", [0, 4])
def test_chunked_prefill_is_the_whole(chunk: int, cached: int) -> None:
    q, k, v = (
        torch.randn(2, h, n, 4, dtype=D) for h, n in ((4, 7), (2, 7 + cached), (2, 7 + cached))
    )
    options: list[dict[str, Any]] = [
        {},
        {"window": (2, 0)},
        {"window": (2, 3)},
        {"softcap": 1.5, "sinks": torch.randn(4, dtype=D)},
    ]
    for given in options:
        wanted = attention(q, k, v, causal=True, **given)
        assert torch.allclose(chunked_prefill(q, k, v, chunk=chunk, **given), wanted)


def test_chunked_prefill_refuses_a_mask_it_would_cut_wrongly() -> None:
    q, k, v = torch.randn(3, 1, 1, 4, 2)
    with pytest.raises(TypeError, match="unknown option 'mask'"):
        chunked_prefill(q, k, v, chunk=2, mask=torch.ones(4, 4).bool())
    with pytest.raises(ValueError, match="S >= T = 4"):
        chunked_prefill(q, k[:, :, :2], v[:, :, :2], chunk=2)
