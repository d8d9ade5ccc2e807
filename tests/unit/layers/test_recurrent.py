"""Recurrent decoders: equal to the papers' equations, step by step, and deaf to padding."""

import pytest
import torch

from attention_guide.functional import (
    additive_scores,
    concat_scores,
    dot_scores,
    general_scores,
)
from attention_guide.layers import (
    AdditiveAttention,
    BahdanauDecoder,
    LuongAttention,
    LuongDecoder,
)

B, T, S, D, N, M = 3, 4, 6, 5, 8, 8


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


def rand(rng, *shape):
    return torch.randn(*shape, generator=rng, dtype=torch.float64)


def decoders():
    torch.manual_seed(1)
    yield BahdanauDecoder(D, N, M).double()
    for score in ("dot", "general", "concat"):
        yield LuongDecoder(D, N, M, score).double()


def test_bahdanau_weights_are_the_functional_score(rng):
    layer = AdditiveAttention(N, M, 7).double()
    query, memory = rand(rng, B, N), rand(rng, B, S, M)
    bias = layer.k_proj.bias.detach()
    with torch.no_grad():
        layer.k_proj.bias.zero_()
    scores = additive_scores(
        query[:, None], memory, layer.q_proj.weight, layer.k_proj.weight, layer.score
    )
    torch.testing.assert_close(layer(query, layer.keys(memory)), scores.softmax(-1)[:, 0])
    assert bias.shape == (7,)


def test_directions_begin_within_one_over_the_root_of_their_width():
    for direction in (LuongAttention(64, 9, "concat").direction, AdditiveAttention(8, 9, 64).score):
        drawn = direction.detach() * 8
        assert drawn.abs().max() <= 1
        assert drawn.min() < -0.5
        assert drawn.max() > 0.5


@pytest.mark.parametrize("score", ["dot", "general", "concat"])
def test_luong_weights_are_the_functional_scores(rng, score):
    layer = LuongAttention(N, M, score).double()
    query, memory = rand(rng, B, N), rand(rng, B, S, M)
    if score == "dot":
        scores = dot_scores(query[:, None], memory)
    elif score == "general":
        scores = general_scores(query[:, None], memory, layer.k_proj.weight)
    else:
        both = torch.cat([layer.q_proj.weight, layer.k_proj.weight], dim=1)
        scores = concat_scores(query[:, None], memory, both, layer.direction)
    torch.testing.assert_close(layer(query, layer.keys(memory)), scores.softmax(-1)[:, 0])


def test_bahdanau_decoder_is_the_papers_recurrence(rng):
    decoder = next(decoders())
    inputs, memory, state = rand(rng, B, T, D), rand(rng, B, S, M), rand(rng, B, N)
    outputs, last = decoder(inputs, memory, state)
    attend, cell = decoder.attention, decoder.cell
    hidden = state
    for t in range(T):
        energy = torch.stack(
            [
                torch.tanh(attend.q_proj(hidden) + attend.k_proj(memory[:, s])) @ attend.score
                for s in range(S)
            ],
            dim=1,
        )
        context = sum(energy.softmax(1)[:, s, None] * memory[:, s] for s in range(S))
        hidden = gru_by_hand(cell, torch.cat([inputs[:, t], context], -1), hidden)
        pieces = decoder.readout(torch.cat([hidden, inputs[:, t], context], -1))
        maxout = torch.maximum(pieces[:, 0::2], pieces[:, 1::2])
        torch.testing.assert_close(outputs[:, t], maxout)
    torch.testing.assert_close(last, hidden)


def test_luong_decoder_feeds_its_output_back(rng):
    decoder = list(decoders())[2]
    inputs, memory = rand(rng, B, T, D), rand(rng, B, S, M)
    outputs, last = decoder(inputs, memory)
    hidden = fed = torch.zeros(B, N, dtype=torch.float64)
    for t in range(T):
        hidden = gru_by_hand(decoder.cell, torch.cat([inputs[:, t], fed], -1), hidden)
        scores = torch.einsum("bn,nm,bsm->bs", hidden, decoder.attention.k_proj.weight, memory)
        context = (scores.softmax(-1)[:, :, None] * memory).sum(1)
        fed = torch.tanh(torch.cat([context, hidden], -1) @ decoder.combine.weight.T)
        torch.testing.assert_close(outputs[:, t], fed)
    torch.testing.assert_close(last, torch.cat([hidden, fed], -1))


@pytest.mark.parametrize("index", range(4))
def test_padding_changes_nothing_forward_or_backward(rng, index):
    decoder = list(decoders())[index]
    inputs, memory = rand(rng, B, T, D), rand(rng, B, S, M).requires_grad_()
    mask = torch.ones(B, 1, 1, S, dtype=torch.bool)
    mask[..., 4:] = False
    outputs, _ = decoder(inputs, memory, mask=mask)
    short, _ = decoder(inputs, memory[:, :4])
    torch.testing.assert_close(outputs, short)
    (gradient,) = torch.autograd.grad(outputs.sum(), memory)
    assert bool((gradient[:, 4:] == 0).all())
    assert bool((gradient[:, :4] != 0).any())


@pytest.mark.parametrize("index", range(4))
def test_a_row_that_may_attend_nowhere_is_finite(rng, index):
    decoder = list(decoders())[index]
    memory = rand(rng, B, S, M).requires_grad_()
    mask = torch.zeros(B, 1, 1, S, dtype=torch.bool)
    outputs, _ = decoder(rand(rng, B, T, D), memory, mask=mask)
    outputs.sum().backward()
    assert bool(outputs.isfinite().all())
    assert bool((memory.grad == 0).all())


@pytest.mark.parametrize("index", range(4))
def test_one_token_at_a_time_is_the_whole(rng, index):
    decoder = list(decoders())[index]
    inputs, memory = rand(rng, B, T, D), rand(rng, B, S, M)
    whole, last = decoder(inputs, memory)
    state, steps = None, []
    for t in range(T):
        step, state = decoder(inputs[:, t : t + 1], memory, state, resumed=t > 0)
        steps.append(step)
    torch.testing.assert_close(torch.cat(steps, dim=1), whole)
    torch.testing.assert_close(state, last)


def test_gradients(rng):
    decoder = BahdanauDecoder(2, 3, 4).double()
    inputs = rand(rng, 2, 3, 2).requires_grad_()
    memory = rand(rng, 2, 3, 4).requires_grad_()
    # maxout has kinks; random points lie on none.
    assert torch.autograd.gradcheck(lambda i, m: decoder(i, m)[0], (inputs, memory))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"inputs": torch.zeros(B, T, D + 1)}, ValueError, r"inputs: expected \(B, T, D\)"),
        ({"inputs": torch.zeros(B + 1, T, D)}, ValueError, "B = 3"),
        ({"inputs": torch.zeros(B, 0, D)}, ValueError, "T > 0"),
        ({"memory": torch.zeros(B, S, M).long()}, TypeError, "memory: expected (a )?floating"),
        ({"state": torch.zeros(B + 1, N)}, ValueError, r"state: expected \(B, N\)"),
        ({"mask": torch.ones(B, 1, 1, S)}, TypeError, "mask: expected torch.bool"),
        ({"mask": torch.ones(B, S).bool()}, ValueError, r"mask: expected \(B, 1, 1, S\)"),
    ],
)
def test_wrong_arguments_are_named(change, error, message):
    arguments = {"inputs": torch.zeros(B, T, D), "memory": torch.zeros(B, S, M), **change}
    with pytest.raises(error, match=message):
        BahdanauDecoder(D, N, M)(**arguments)


def test_luong_needs_a_known_score_that_fits():
    with pytest.raises(ValueError, match="score: expected one of dot, general, concat"):
        LuongAttention(4, 4, "additive")
    with pytest.raises(ValueError, match="'dot' needs queries as wide"):
        LuongDecoder(D, N, M + 1, "dot")


def gru_by_hand(cell, x, hidden):
    gates_x = (x @ cell.weight_ih.T + cell.bias_ih).chunk(3, dim=-1)
    gates_h = (hidden @ cell.weight_hh.T + cell.bias_hh).chunk(3, dim=-1)
    reset, update = (torch.sigmoid(gates_x[i] + gates_h[i]) for i in (0, 1))
    proposal = torch.tanh(gates_x[2] + reset * gates_h[2])
    return (1 - update) * proposal + update * hidden
