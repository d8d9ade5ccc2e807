"""Every wrong argument of decoding gives our error: it names the argument and what came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from attention_guide import functional as f

logits, tokens = torch.randn(2, 6), torch.zeros(2, 3, dtype=torch.long)
x = torch.randn(2, 5, 8)
nan, inf = float("nan"), float("inf")
half_each = torch.full((2, 4, 6), 0.5)  # at three drafts and one place more, six tokens
f8, away = torch.float8_e4m3fn, torch.device("meta")


def flat(t: Tensor) -> Tensor:
    """A step that finds four tokens equally likely."""
    return torch.zeros(len(t), 4)


def flat_everywhere(t: Tensor) -> Tensor:
    """The target that goes with it."""
    return torch.zeros(*t.shape, 4)


def speculate(prefix: Tensor = tokens[:1], **options: Any) -> Tensor:
    return f.speculative_decode(flat_everywhere, flat, prefix, 3, **options)


Call = Callable[[], Any]
CALLS: list[tuple[Call, type[Exception], str]] = [
    (lambda: f.generate(flat, tokens, -1), ValueError, r"max_new: expected an int of at least 0"),
    (
        lambda: f.generate(lambda t: torch.zeros(2, 300), tokens.to(torch.uint8), 3),
        ValueError,
        r"prefix: expected a dtype that holds ids below V = 300; got torch.uint8",
    ),
    (
        lambda: f.sample(torch.zeros(1, 2**24 + 1)),
        ValueError,
        r"logits: expected \(B, V\) with V at most 16777216; got 16777217",
    ),
    (lambda: f.greedy(logits[0]), ValueError, r"logits: expected \(B, V\); got \(6,\)"),
    (lambda: f.greedy(logits[:, :0]), ValueError, r"logits: expected .* V at least 1"),
    (lambda: f.greedy(torch.tensor([[0.0, nan]])), ValueError, r"logits: .*got from nan to nan"),
    (lambda: f.greedy(torch.tensor([[0.0, inf]])), ValueError, r"logits: .*; got from 0 to inf"),
    (lambda: f.greedy(torch.tensor([[-inf, -inf]])), ValueError, r"logits: .*; got from -inf to"),
    (lambda: f.sample(tokens), TypeError, r"logits: expected a floating-point tensor"),
    (
        lambda: f.sample(torch.tensor([[0.0, 1.0], [nan, 1.0]])),
        ValueError,
        r"logits: expected numbers or minus infinity, .*; got from nan to nan",
    ),
    (lambda: f.sample(torch.tensor([[0.0, inf]])), ValueError, r"logits: .*; got from 0 to inf"),
    (lambda: f.sample(torch.tensor([[-inf, -inf]])), ValueError, r"logits: .*; got from -inf to"),
    (lambda: f.temperature(logits, 0.0), ValueError, r"t: expected a number above 0; got 0.0"),
    (lambda: f.top_k(logits, 0), ValueError, r"k: expected an int of at least 1; got 0"),
    (lambda: f.top_p(logits, 1.1), ValueError, r"p: expected a number at most 1; got 1.1"),
    (lambda: f.min_p(logits, 0.0), ValueError, r"p: expected a number above 0; got 0.0"),
    (
        lambda: f.repetition_penalty(logits, tokens[:1], 1.1),
        ValueError,
        r"tokens: expected \(B, T\) with B = 2",
    ),
    (
        lambda: f.repetition_penalty(logits, tokens + 99, 1.1),
        ValueError,
        r"tokens: expected numbers from 0 to below V = 6; got 99",
    ),
    (lambda: f.repetition_penalty(logits, tokens - 1, 1.1), ValueError, r"tokens: .*; got -1"),
    (
        lambda: f.generate(lambda t: logits, tokens, 3, choose=lambda c: c.argmax()),
        ValueError,
        r"choose\(logits\): expected \(B\); got \(\)",
    ),
    (
        lambda: f.generate(lambda t: logits, tokens, 3, choose=lambda c: c[:1].argmax(-1)),
        ValueError,
        r"choose\(logits\): expected \(B\) with B = 2 as in the logits; got \(1,\)",
    ),
    (
        lambda: f.generate(lambda t: logits, tokens, 3, choose=lambda c: c[:, 0]),
        TypeError,
        r"choose\(logits\): expected an integer tensor; got torch.float32",
    ),
    (lambda: f.generate(f.greedy, logits, 3), TypeError, r"prefix: expected an integer tensor"),
    (
        lambda: f.generate(lambda t: t.float()[0], tokens, 3),
        ValueError,
        r"step\(tokens\): expected \(B, V\)",
    ),
    (
        lambda: f.beam_search(lambda t: torch.zeros(len(t), 4), tokens, 3, 2, eos_id=4),
        ValueError,
        r"eos_id: expected a token below V = 4; got 4",
    ),
    (
        lambda: f.beam_search(lambda t: torch.full((len(t), 4), nan), tokens, 3, 2, eos_id=1),
        ValueError,
        r"step\(tokens\): expected numbers or minus infinity.*got from nan",
    ),
    (lambda: f.generate(None, tokens, 3), TypeError, r"step: expected a function or a module"),  # type: ignore[arg-type]
    (
        lambda: f.generate(f.greedy, tokens, 3, choose="greedy"),  # type: ignore[arg-type]
        TypeError,
        r"choose: expected a function or a module; got str",
    ),
    (
        lambda: f.beam_search(5, tokens, 3, 2, eos_id=1),  # type: ignore[arg-type]
        TypeError,
        r"step: expected a function or a module; got int",
    ),
    (
        lambda: f.speculative_decode(f.greedy, x, tokens[:1], 2),  # type: ignore[arg-type]
        TypeError,
        r"draft: expected a function or a module; got Tensor",
    ),
    (
        lambda: f.speculative_decode(f.greedy, f.greedy, tokens[:1], 2, warp=0.8),  # type: ignore[arg-type]
        TypeError,
        r"warp: expected a function or a module; got float",
    ),
    (
        lambda: f.beam_search(f.greedy, tokens, 0, 2, eos_id=1),
        ValueError,
        r"max_new: expected an int of at least 1",
    ),
    (
        lambda: f.speculative_decode(f.greedy, f.greedy, tokens, 2),
        ValueError,
        r"prefix: expected \(B, T\) with B = 1 \(one sequence\); got \(2, 3\)",
    ),
    (
        lambda: f.speculative_accept(tokens, x[:, :3], x[:, :3]),
        ValueError,
        r"target_probs: expected \(B, N \+ 1, V\)",
    ),
    (
        lambda: f.speculative_accept(tokens, x, x[:, :4]),
        ValueError,
        r"draft_probs: expected \(B, N, V\) = \(2, 3, 8\)",
    ),
    (
        lambda: f.speculative_accept(tokens + 6, half_each[:, :3], half_each),
        ValueError,
        r"draft: expected numbers from 0 to below V = 6; got 6",
    ),
    (
        lambda: f.speculative_accept(tokens, half_each[:, :3] * nan, half_each),
        ValueError,
        r"draft_probs: expected finite probabilities .*; got from nan to nan",
    ),
    (
        lambda: f.speculative_accept(tokens, half_each[:, :3], half_each * 0),
        ValueError,
        r"target_probs: expected .*, one above 0 in each row; got from 0 to 0",
    ),
    (
        lambda: f.speculative_accept(tokens, half_each[:, :3], -half_each),
        ValueError,
        r"target_probs: .*; got from -0.5 to -0.5",
    ),
    (
        lambda: f.speculative_accept(tokens, half_each[:, :3].double(), half_each),
        TypeError,
        r"draft_probs: expected torch.float32, the dtype of target_probs",
    ),
    (
        lambda: f.speculative_decode(lambda t: x[:1], lambda t: x[:1, 0] * nan, tokens[:1], 3),
        ValueError,
        r"draft\(tokens\): expected finite probabilities",
    ),
    (
        lambda: f.speculative_decode(lambda t: x, lambda t: x[:1, 0], tokens[:1], 3),
        ValueError,
        r"target\(tokens\): expected \(B, T, V\) with B = 1 \(one sequence\)",
    ),
    (lambda: f.greedy(logits.to(f8)), TypeError, r"logits: .*; got torch.float8_e4m3fn"),
    (lambda: f.top_p(logits.to(f8), 0.5), TypeError, r"logits: .*; got torch.float8_e4m3fn"),
    (
        lambda: f.speculative_accept(tokens, half_each[:, :3].to(f8), half_each.to(f8)),
        TypeError,
        r"draft_probs: expected a floating-point tensor of at least 16 bits",
    ),
    (
        lambda: f.repetition_penalty(logits, tokens.to(torch.uint16), 1.1),
        TypeError,
        r"tokens: expected an integer tensor, signed or uint8; got torch.uint16",
    ),
    (lambda: f.sample(logits, 5), TypeError, r"generator: expected a torch.Generator; got int"),  # type: ignore[arg-type]
    (
        lambda: f.speculative_accept(tokens, half_each[:, :3], half_each, generator=3),  # type: ignore[arg-type]
        TypeError,
        r"generator: expected a torch.Generator; got int",
    ),
    (lambda: speculate(generator="g"), TypeError, r"generator: expected a torch.Generator; got s"),
    (
        lambda: f.generate(flat, tokens, 3, eos_id="x"),  # type: ignore[arg-type]
        TypeError,
        r"eos_id: expected an int; got str",
    ),
    (lambda: f.generate(flat, tokens, 1, eos_id=True), TypeError, r"eos_id: .* int; got bool"),
    (
        lambda: f.generate(flat, tokens, 1, eos_id=-1),
        ValueError,
        r"eos_id: expected an int of at l",
    ),
    (
        lambda: f.generate(flat, tokens, 3, eos_id=0, pad_id=2.5),  # type: ignore[arg-type]
        TypeError,
        r"pad_id: expected an int; got float",
    ),
    (
        lambda: f.generate(flat, tokens, 3, eos_id=0, pad_id="a"),  # type: ignore[arg-type]
        TypeError,
        r"pad_id: expected an int; got str",
    ),
    (
        lambda: f.beam_search(flat, tokens, 3, 2, eos_id=1, pad_id="x"),  # type: ignore[arg-type]
        TypeError,
        r"pad_id: expected an int; got str",
    ),
    (
        lambda: f.beam_search(flat, tokens, 3, 2, eos_id=1, pad_id=2.5),  # type: ignore[arg-type]
        TypeError,
        r"pad_id: expected an int; got float",
    ),
    (
        lambda: f.beam_search(flat, tokens, 3, 2, eos_id=1, pad_id=True),
        TypeError,
        r"pad_id: expected an int; got bool",
    ),
    (lambda: speculate(eos_id="x"), TypeError, r"eos_id: expected an int; got str"),
    (
        lambda: speculate(tokens[:1, :0]),
        ValueError,
        r"prefix: expected \(B, T\) with T at least 1; got \(1, 0\)",
    ),
    (
        lambda: speculate(warp=lambda c: c.long()),
        TypeError,
        r"warp\(logits\): expected torch.float32, the dtype of the logits; got torch.int64",
    ),
    (lambda: speculate(warp=lambda c: None), TypeError, r"warp\(logits\): expected a torch.Tensor"),
    (
        lambda: speculate(warp=lambda c: c[..., :1]),
        ValueError,
        r"warp\(logits\): expected an output of the shape \(1, 4\) of the logits; got \(1, 1\)",
    ),
    (
        lambda: f.length_penalty(7, 1e9),
        ValueError,
        r"alpha: expected a power of \(5 \+ 7\) / 6 that a float can hold; got 1000000000.0",
    ),
    (
        lambda: f.beam_search(flat, tokens, 3, 2, eos_id=1, alpha=1e6),
        ValueError,
        r"alpha: expected a power of",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), CALLS)
def test_the_argument_is_named(call: Call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


ELSEWHERE: list[tuple[Call, str]] = [
    (lambda: f.repetition_penalty(logits, tokens.to(away), 1.1), "tokens"),
    (lambda: f.speculative_accept(tokens.to(away), half_each[:, :3], half_each), "draft"),
    (lambda: f.speculative_accept(tokens, half_each[:, :3].to(away), half_each), "draft_probs"),
    (
        lambda: f.generate(lambda t: logits, tokens, 1, choose=lambda c: f.greedy(c).to(away)),
        r"choose\(logits\)",
    ),
    (lambda: f.generate(lambda t: logits.to(away), tokens, 1), r"step\(tokens\)"),
    (lambda: f.beam_search(lambda t: flat(t).to(away), tokens, 3, 2, eos_id=1), r"step\(tokens\)"),
    (
        lambda: f.speculative_decode(flat_everywhere, lambda t: flat(t).to(away), tokens[:1], 3),
        r"step\(tokens\)",
    ),
    (
        lambda: f.speculative_decode(lambda t: flat_everywhere(t).to(away), flat, tokens[:1], 3),
        r"target\(tokens\)",
    ),
]


@pytest.mark.parametrize(("call", "name"), ELSEWHERE)
def test_another_device(call: Call, name: str) -> None:
    with pytest.raises(ValueError, match=name + r": expected device cpu, that of .*; got meta"):
        call()
