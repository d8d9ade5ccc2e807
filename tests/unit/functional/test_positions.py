"""Positions: each encoding has the property that it was made for."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from attention_guide.functional import (
    alibi_bias,
    alibi_slopes,
    apply_rope,
    attention,
    attention_weights,
    convert_rope_weight,
    interpolate_frequencies,
    learned_positions,
    ntk_base,
    relative_distance,
    rope,
    rope_frequencies,
    rope_tables,
    shaw_scores,
    shaw_values,
    sinusoidal,
    t5_bias,
    t5_buckets,
    yarn_attention_factor,
    yarn_frequencies,
)

D = torch.float64


def test_sinusoidal_equals_its_formula() -> None:
    table = sinusoidal(50, 6, dtype=D)
    for t in (0, 1, 49):
        for i in range(3):
            angle = t / 10_000 ** (2 * i / 6)
            assert table[t, 2 * i] == pytest.approx(math.sin(angle))
            assert table[t, 2 * i + 1] == pytest.approx(math.cos(angle))
    assert torch.equal(sinusoidal(3, 6, offset=4, dtype=D), table[4:7])
    assert sinusoidal(2, 4).dtype == torch.float32


def test_sinusoidal_shift_is_a_rotation_that_depends_on_the_distance_alone() -> None:
    table = sinusoidal(100, 8, dtype=D)
    products = table @ table.T
    for shift in (1, 7):
        diagonal = products.diagonal(shift)
        assert torch.allclose(diagonal, diagonal[:1].expand_as(diagonal))


def test_learned_positions_end() -> None:
    table = torch.randn(5, 2)
    assert torch.equal(learned_positions(table, 3, offset=2), table[2:])
    with pytest.raises(ValueError, match=r"length: expected offset \+ length <= N = 5"):
        learned_positions(table, 4, offset=2)


def test_distance_aligns_to_the_last_key() -> None:
    assert relative_distance(1, 4).tolist() == [[-3, -2, -1, 0]]
    assert relative_distance(3)[0].tolist() == [0, 1, 2]


def test_alibi() -> None:
    assert torch.allclose(alibi_slopes(8), 2.0 ** -torch.arange(1.0, 9))
    bias = alibi_bias(2, 2, 4)
    assert bias.shape == (2, 2, 4)
    assert torch.allclose(bias[0], -(2.0**-4) * relative_distance(2, 4).abs())
    # One more query at the end doesn't change what the earlier ones get.
    assert torch.equal(alibi_bias(2, 4)[:, :3, :3], alibi_bias(2, 3))


def test_t5_near_distances_have_their_own_bucket() -> None:
    buckets = t5_buckets(torch.arange(0, -200, -1), causal=True)
    assert buckets[:16].tolist() == list(range(16))
    assert (buckets.diff() >= 0).all()
    assert buckets[128:].unique().tolist() == [31]
    both = t5_buckets(torch.arange(-50, 51))
    assert set(both[:50].tolist()).isdisjoint(both[51:].tolist())
    table = torch.randn(8, 3)
    bias = t5_bias(table, 2, 5, max_distance=20, causal=True)
    assert bias.shape == (3, 2, 5)
    assert torch.equal(bias[:, 1, 4], table[0])


def test_shaw_equals_its_formula() -> None:
    q, k, v = (torch.randn(1, 2, 5, 4, dtype=D) for _ in range(3))
    keys, values = torch.randn(5, 4, dtype=D), torch.randn(5, 4, dtype=D)
    bias = shaw_scores(q, keys)
    weights = attention_weights(q, k, bias=bias)
    out = attention(q, k, v, bias=bias) + shaw_values(weights, values)
    for h in range(2):
        for i in range(5):
            a = [int(max(-2, min(2, j - i))) + 2 for j in range(5)]
            scores = torch.stack([q[0, h, i] @ (k[0, h, j] + keys[a[j]]) / 2 for j in range(5)])
            w = scores.softmax(0)
            wanted = torch.stack([w[j] * (v[0, h, j] + values[a[j]]) for j in range(5)]).sum(0)
            assert torch.allclose(out[0, h, i], wanted)
    assert torch.allclose(shaw_scores(q, keys, scale=1.0), 2 * bias)
    assert shaw_scores(q, keys, 9).shape == (1, 2, 5, 9)


@pytest.mark.parametrize("pairing", ["half", "interleaved"])
@pytest.mark.parametrize("width", [None, 4])
def test_rope_sees_only_the_distance(pairing: Any, width: int | None) -> None:
    q, k = torch.randn(1, 1, 1, 8, dtype=D), torch.randn(1, 1, 1, 8, dtype=D)

    def score(m: int, n: int) -> float:
        turned = (
            rope(x, torch.tensor([p]), pairing=pairing, width=width) for x, p in ((q, m), (k, n))
        )
        a, b = turned
        return float((a * b).sum())

    assert score(7, 3) == pytest.approx(score(1007, 1003))
    assert score(7, 3) != pytest.approx(score(3, 7))


@pytest.mark.parametrize("pairing", ["half", "interleaved"])
def test_rope_turns_by_a_positive_angle_and_keeps_lengths(pairing: Any) -> None:
    x = torch.zeros(1, 1, 3, 4, dtype=D)
    x[..., 0] = 1.0
    out = rope(x, pairing=pairing)
    second = 2 if pairing == "half" else 1
    assert torch.allclose(out[0, 0, :, 0], torch.arange(3, dtype=D).cos())
    assert torch.allclose(out[0, 0, :, second], torch.arange(3, dtype=D).sin())
    y = torch.randn(2, 3, 5, 8, dtype=D)
    assert torch.allclose(rope(y, pairing=pairing).norm(dim=-1), y.norm(dim=-1))
    partial = rope(y, width=6, pairing=pairing)
    assert torch.equal(partial[..., 6:], y[..., 6:])
    assert not torch.allclose(partial[..., :6], y[..., :6])


def test_rope_takes_positions_for_each_sequence() -> None:
    x = torch.randn(2, 3, 4, 8, dtype=D)
    places = torch.tensor([[0, 1, 2, 3], [5, 6, 7, 8]])
    out = rope(x, places)
    assert torch.equal(out[1:], rope(x[1:], places[1]))
    assert torch.equal(out[:1], rope(x[:1]))


@pytest.mark.parametrize("width", [None, 4])
def test_converted_weights_give_the_same_scores(width: int | None) -> None:
    x, w_q, w_k = torch.randn(1, 5, 6, dtype=D), *torch.randn(2, 16, 6, dtype=D)

    def scores(w_q: torch.Tensor, w_k: torch.Tensor, pairing: Any) -> torch.Tensor:
        q, k = ((x @ w.T).unflatten(-1, (2, 8)).transpose(1, 2) for w in (w_q, w_k))
        turned = [rope(y, pairing=pairing, width=width) for y in (q, k)]
        return turned[0] @ turned[1].mT

    wanted = scores(w_q, w_k, "interleaved")
    half = [convert_rope_weight(w, 2, to="half", width=width) for w in (w_q, w_k)]
    assert torch.allclose(scores(*half, "half"), wanted)
    assert not torch.allclose(scores(w_q, w_k, "half"), wanted)
    back = convert_rope_weight(half[0], 2, to="interleaved", width=width)
    assert torch.equal(back, w_q)


def test_stretching_keeps_the_fast_and_slows_the_slow() -> None:
    theta = rope_frequencies(64)
    assert torch.allclose(interpolate_frequencies(theta, 4.0), theta / 4)
    ntk = rope_frequencies(64, base=ntk_base(10_000.0, 4.0, 64))
    assert ntk[0] == theta[0]
    assert torch.allclose(ntk[-1], theta[-1] / 4)
    for ramp in ("rotations", "index"):
        yarn = yarn_frequencies(64, 4.0, 2048, ramp=ramp)  # type: ignore[arg-type]
        ratio = yarn / theta
        assert ratio[0] == pytest.approx(1)
        assert ratio[-1] == pytest.approx(0.25)
        assert (ratio.diff() <= 1e-12).all()
    assert torch.allclose(yarn_frequencies(64, 1.0, 2048), theta)
    assert yarn_attention_factor(1.0) == yarn_attention_factor(0.5) == 1.0


def test_yarn_equals_the_formula_of_the_paper() -> None:
    theta, got = rope_frequencies(16), yarn_frequencies(16, 8.0, 1024)
    for i in range(8):
        r = 1024 * float(theta[i]) / (2 * math.pi)
        gamma = min(max((r - 1) / 31, 0), 1)
        assert float(got[i]) == pytest.approx(
            (1 - gamma) * float(theta[i]) / 8 + gamma * float(theta[i])
        )


def test_tables_are_exact_far_out() -> None:
    cos, _ = rope_tables(torch.tensor([1_000_003]), rope_frequencies(8))
    assert float(cos[0, 0]) == pytest.approx(math.cos(1_000_003), abs=1e-6)
    scaled, _ = rope_tables(torch.tensor([2]), rope_frequencies(8), factor=1.5)
    plain, _ = rope_tables(torch.tensor([2]), rope_frequencies(8))
    assert torch.allclose(scaled, 1.5 * plain)


def test_without_positions_order_is_not_seen() -> None:
    q, k, v = torch.randn(3, 1, 2, 6, 8, dtype=D)
    shuffle = torch.randperm(6)
    out = attention(q, k, v)
    assert torch.allclose(attention(q, k[:, :, shuffle], v[:, :, shuffle]), out)
    turned = attention(rope(q), rope(k), v)
    again = attention(rope(q), rope(k[:, :, shuffle]), v[:, :, shuffle])
    assert not torch.allclose(turned, again)


def test_gradients_pass_through() -> None:
    x = torch.randn(1, 1, 3, 4, dtype=D, requires_grad=True)
    cos, sin = rope_tables(torch.arange(3), rope_frequencies(4), dtype=D)
    assert torch.autograd.gradcheck(lambda y: apply_rope(y, cos, sin), (x,))
    table = torch.randn(3, 4, dtype=D, requires_grad=True)
    assert torch.autograd.gradcheck(shaw_scores, (x, table))
