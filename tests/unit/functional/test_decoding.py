"""Decoding: filters keep what they promise; searches find what exhaustion finds."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attention_guide.functional import (
    beam_search,
    generate,
    greedy,
    length_penalty,
    min_p,
    repetition_penalty,
    sample,
    speculative_accept,
    speculative_decode,
    temperature,
    top_k,
    top_p,
)

CHAIN = torch.randn(5, 5, generator=torch.Generator().manual_seed(3)) * 2


def step(tokens: Tensor) -> Tensor:
    return CHAIN[tokens[:, -1] % 5]


def test_top_k_keeps_exactly_k_even_of_equals() -> None:
    logits = torch.zeros(2, 6)
    assert top_k(logits, 4).isfinite().sum(-1).tolist() == [4, 4]
    assert torch.equal(top_k(logits, 10), logits)


def test_top_p_keeps_the_smallest_set_that_reaches_p() -> None:
    logits = torch.tensor([[0.4, 0.3, 0.2, 0.1]]).log()
    for p, kept in ((0.39, 1), (0.41, 2), (0.69, 2), (0.71, 3), (0.95, 4), (1.0, 4)):
        assert int(top_p(logits, p).isfinite().sum()) == kept
    assert int(top_p(logits, 1e-9).isfinite().sum()) == 1
    assert (
        int(
            top_p(
                torch.full((1, 9), -torch.inf).index_fill(1, torch.tensor([4]), 0.0), 0.9
            ).argmax()
        )
        == 4
    )


def test_inside_vmap_values_are_left_unseen() -> None:
    logits = torch.randn(3, 2, 5)
    assert torch.equal(torch.vmap(greedy)(logits), logits.argmax(-1))

    def best(logits: Tensor) -> Tensor:  # behind a gradient, too
        return logits.gather(1, greedy(logits)[:, None]).sum()

    slopes = torch.vmap(torch.func.grad(best))(logits)
    assert torch.equal(slopes, F.one_hot(logits.argmax(-1), 5).float())


def test_a_p_of_one_drops_nothing() -> None:
    """Not even where the sum is rounded to 1 before the last token."""
    logits = torch.cat([torch.tensor([[100.0]]), torch.arange(511)[None] / 10], dim=1)
    assert torch.equal(top_p(logits, 1.0), logits)


def test_min_p_is_relative_to_the_likeliest() -> None:
    logits = torch.tensor([[0.5, 0.26, 0.24]]).log()
    assert min_p(logits, 0.5).isfinite().tolist() == [[True, True, False]]
    assert min_p(logits, 1.0).isfinite().tolist() == [[True, False, False]]


def test_temperature_and_repetition() -> None:
    logits = torch.tensor([[2.0, -2.0, 1.0]])
    assert torch.equal(temperature(logits, 2.0), logits / 2)
    said = torch.tensor([[0, 1, 1]])
    assert repetition_penalty(logits, said, 4.0).tolist() == [[0.5, -8.0, 1.0]]
    assert torch.equal(repetition_penalty(logits, said, 1.0), logits)


def test_sample_draws_from_the_softmax() -> None:
    make = torch.Generator().manual_seed(0)
    logits = torch.tensor([[0.0, 1.0, -1.0]]).expand(20_000, 3)
    found = sample(logits, make).bincount(minlength=3) / 20_000
    assert torch.allclose(found, logits[0].softmax(0), atol=0.015)


def test_generate_stops_each_sequence_at_its_end() -> None:
    def count(tokens: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(tokens[:, -1] + 1, 10).float()

    out = generate(count, torch.tensor([[2], [5]]), 9, eos_id=7, pad_id=0)
    assert out.tolist() == [[2, 3, 4, 5, 6, 7], [5, 6, 7, 0, 0, 0]]
    assert generate(count, torch.tensor([[2]]), 3).tolist() == [[2, 3, 4, 5]]
    assert generate(count, torch.tensor([[2]]), 0).tolist() == [[2]]
    assert generate(count, torch.tensor([[5]]), 9, eos_id=7).tolist() == [[5, 6, 7]]
    chosen = generate(count, torch.tensor([[2]]), 2, choose=lambda x: sample(top_k(x, 1)))
    assert chosen.tolist() == [[2, 3, 4]]


def sequences(start: int, eos: int, limit: int) -> dict[tuple[int, ...], float]:
    """Every sequence that ends with eos or has the full length, with its log-probability."""
    table = CHAIN.log_softmax(-1)
    found = {}
    for length in range(1, limit + 1):
        for rest in itertools.product(range(5), repeat=length):
            if eos in rest[:-1] or (rest[-1] != eos and length < limit):
                continue
            whole = (start, *rest)
            found[whole] = float(sum(table[a, b] for a, b in itertools.pairwise(whole)))
    return found


@pytest.mark.parametrize("alpha", [0.0, 0.7, 2.0])
def test_wide_beam_search_is_exhaustive(alpha: float) -> None:
    for start in range(1, 5):
        every = sequences(start, eos=0, limit=4)
        ranked = sorted(every, key=lambda s: -every[s] / length_penalty(len(s) - 1, alpha))
        found = beam_search(step, torch.tensor([[start]]), 4, 256, eos_id=0, pad_id=9, alpha=alpha)
        for w in range(10):
            size = int(found.lengths[0, w])
            tokens = tuple(found.tokens[0, w, :size].tolist())
            score = every[tokens] / length_penalty(len(tokens) - 1, alpha)
            assert float(found.scores[0, w]) == pytest.approx(score, abs=1e-5)
            best = every[ranked[w]] / length_penalty(len(ranked[w]) - 1, alpha)
            assert score == pytest.approx(best, abs=1e-5)
            assert (found.tokens[0, w, size:] == 9).all()


def test_beam_of_one_is_greedy() -> None:
    prefix = torch.tensor([[1], [2], [3], [4]])
    found = beam_search(step, prefix, 6, 1, eos_id=0)
    wanted = generate(step, prefix, 6, eos_id=0)
    for row, size in zip(range(4), found.lengths[:, 0].tolist(), strict=True):
        assert found.tokens[row, 0, :size].tolist() == wanted[row, :size].tolist()


def test_beams_of_a_batch_are_those_of_each_alone() -> None:
    prefix = torch.tensor([[1, 2], [2, 3], [4, 4]])
    whole = beam_search(step, prefix, 5, 3, eos_id=0, alpha=0.6)
    for i in range(3):
        alone = beam_search(step, prefix[i : i + 1], 5, 3, eos_id=0, alpha=0.6)
        assert torch.allclose(whole.scores[i], alone.scores[0], atol=1e-5)
        for w in range(3):
            size = int(alone.lengths[0, w])
            assert whole.tokens[i, w, :size].tolist() == alone.tokens[0, w, :size].tolist()


def test_beams_of_an_empty_batch() -> None:
    found = beam_search(step, torch.zeros(0, 3, dtype=torch.long), 4, 2, eos_id=0)
    assert [tuple(x.shape) for x in found] == [(0, 2, 3), (0, 2), (0, 2)]


def test_beams_with_fewer_tokens_than_width() -> None:
    found = beam_search(lambda t: torch.zeros(len(t), 2), torch.tensor([[1]]), 1, 4, eos_id=0)
    assert found.scores.isfinite().sum().item() == 2
    assert found.lengths[0, 2:].tolist() == [1, 1]


def test_length_penalty() -> None:
    assert length_penalty(1, 0.6) == 1.0
    assert length_penalty(7, 0.0) == 1.0
    assert length_penalty(13, 0.5) == pytest.approx(3**0.5)


def test_accepted_tokens_have_the_distribution_of_the_target() -> None:
    make = torch.Generator().manual_seed(0)
    n, trials = 2, 40_000
    p = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0], [0.3, 0.3, 0.4]])
    q = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]])
    draft = torch.stack(
        [torch.multinomial(q[i], trials, replacement=True, generator=make) for i in range(n)], 1
    )
    found = speculative_accept(
        draft, q.expand(trials, n, 3), p.expand(trials, n + 1, 3), generator=make
    )
    for place in range(n + 1):
        there = found.tokens[found.length > place, place]
        share = there.bincount(minlength=3) / len(there)
        assert torch.allclose(share, p[place], atol=0.03), place
    # A guess is kept with probability sum(min(p, q)).
    kept = float((found.length > 1).float().mean())
    assert kept == pytest.approx(float(torch.minimum(p[0], q[0]).sum()), abs=0.01)


def test_speculative_decoding_samples_the_target() -> None:
    make = torch.Generator().manual_seed(0)
    other = torch.randn(5, 5, generator=make)

    def run(lookahead: int) -> Tensor:
        return speculative_decode(
            lambda t: CHAIN[t],
            lambda t: other[t[:, -1]],
            torch.tensor([[2]]),
            3,
            lookahead=lookahead,
            generator=make,
        )[0, 1:]

    for lookahead in (1, 2, 5):
        found = torch.stack([run(lookahead) for _ in range(800)])
        chance = torch.zeros(5)
        chance[2] = 1.0
        for place in range(3):
            chance = chance @ CHAIN.softmax(-1)
            share = found[:, place].bincount(minlength=5) / len(found)
            assert torch.allclose(share, chance, atol=0.08)


def test_a_draft_that_is_the_target_is_always_kept() -> None:
    calls = 0

    def target(tokens: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return CHAIN[tokens]

    make = torch.Generator().manual_seed(0)
    out = speculative_decode(target, step, torch.tensor([[1]]), 20, lookahead=4, generator=make)
    assert out.shape == (1, 21)
    assert calls == 4


def test_speculative_decoding_ends_and_is_warped() -> None:
    def counting(tokens: Tensor) -> Tensor:
        return torch.nn.functional.one_hot((tokens + 1) % 9, 9) * 3.0

    out = speculative_decode(
        counting,
        lambda t: torch.zeros(1, 9),
        torch.tensor([[1]]),
        50,
        warp=lambda x: top_k(x, 1),
        eos_id=4,
    )
    assert out.tolist() == [[1, 2, 3, 4]]
    assert speculative_decode(counting, step, torch.tensor([[1]]), 0).tolist() == [[1]]


def test_greedy_takes_the_first_of_equals() -> None:
    assert greedy(torch.tensor([[1.0, 1.0, 0.0]])).tolist() == [0]
