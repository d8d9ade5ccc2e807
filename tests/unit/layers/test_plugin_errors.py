"""What is plugged into a layer, and what it makes, is refused by name where it doesn't fit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attention_guide.layers import (
    DecoderBlock,
    EncoderBlock,
    FeedForward,
    GatedFeedForward,
    LinearAttention,
    MixtureOfExperts,
    ParallelBlock,
    PostNorm,
    PreNorm,
    SandwichNorm,
)
from tests.unit.layers.pieces import LATENT, MHA, B, D, H, T, X

# Where a function that makes modules is asked for: the layer, and the function's name.
MAKERS: list[tuple[Callable[..., Any], str]] = [
    (MHA, "qk_norm"),
    (LATENT, "norm"),
    (partial(LinearAttention, D, H), "out_norm"),
    (partial(PostNorm, D), "norm"),
    (partial(PreNorm, D), "norm"),
    (partial(SandwichNorm, D), "norm"),
    (partial(EncoderBlock, MHA(), FeedForward(D, 16), D), "residual"),
    (partial(DecoderBlock, MHA(), MHA(), FeedForward(D, 16), D), "residual"),
    (partial(ParallelBlock, MHA(), FeedForward(D, 16), D), "norm"),
]
# Where any function is asked for.
FUNCTIONS: list[tuple[Callable[..., Any], str]] = [
    (partial(FeedForward, D, 16), "activation"),
    (partial(GatedFeedForward, D, 16), "activation"),
    (MHA, "rotary"),
    (MHA, "position_bias"),
    (LATENT, "rotary"),
    (partial(LinearAttention, D, H), "feature"),
    (partial(LinearAttention, D, H), "decay"),
    (partial(LinearAttention, D, H), "beta"),
    *MAKERS,
]
NOT_MODULES: list[tuple[Callable[[], Any], str]] = [
    (lambda: EncoderBlock(torch.relu, FeedForward(D, 16), D), "self_attention"),  # type: ignore[arg-type]
    (lambda: EncoderBlock(MHA(), torch.relu, D), "feed_forward"),  # type: ignore[arg-type]
    (lambda: DecoderBlock(torch.relu, MHA(), FeedForward(D, 16), D), "self_attention"),  # type: ignore[arg-type]
    (lambda: DecoderBlock(MHA(), torch.relu, FeedForward(D, 16), D), "cross_attention"),  # type: ignore[arg-type]
    (lambda: DecoderBlock(MHA(), MHA(), torch.relu, D), "feed_forward"),  # type: ignore[arg-type]
    (lambda: ParallelBlock(torch.relu, FeedForward(D, 16), D), "self_attention"),  # type: ignore[arg-type]
    (lambda: ParallelBlock(MHA(), torch.relu, D), "feed_forward"),  # type: ignore[arg-type]
    (lambda: MixtureOfExperts(D, [FeedForward(D, 16), torch.relu]), r"experts\[1\]"),  # type: ignore[list-item]
    (lambda: MixtureOfExperts(D, [FeedForward(D, 16)], 1, shared=torch.relu), "shared"),  # type: ignore[arg-type]
]


def linear(**plugged: Callable[[Tensor], Any]) -> Tensor:
    """A padded text through linear attention; the mask must not stretch what is too short."""
    layer = LinearAttention(D, H, **plugged)  # type: ignore[arg-type]
    out: Tensor = layer(X, causal=True, mask=torch.ones(B, 1, 1, T, dtype=torch.bool))
    return out


# What a plug-in makes: too small, of another dtype, or nothing.
MADE: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: PreNorm(D)(X, lambda y: y[:, :1]), ValueError, r"sublayer: .*got \(2, 1, 8\)"),
    (lambda: PreNorm(D)(X, lambda y: y[..., :1]), ValueError, r"sublayer: .*got \(2, 5, 1\)"),
    (
        lambda: PostNorm(D)(X, lambda y: y[:1]),
        ValueError,
        r"sublayer: .*\(2, 5, 8\) of its input; got",
    ),
    (lambda: SandwichNorm(D)(X, lambda y: y[:1]), ValueError, r"sublayer: .*got \(1, 5, 8\)"),
    (
        lambda: ParallelBlock(MHA(), nn.Linear(D, 1), D)(X),
        ValueError,
        r"feed_forward: .*\(2, 5, 1\)",
    ),
    (
        lambda: PreNorm(D)(X, lambda y: y.double()),
        TypeError,
        "sublayer: expected torch.float32, the dtype of its input; got torch.float64",
    ),
    (lambda: PreNorm(D)(X, lambda y: y.to("meta")), ValueError, "sublayer: .* cpu, .*; got meta"),
    (lambda: PreNorm(D)(X, 5), TypeError, "sublayer: expected a function or a module; got int"),  # type: ignore[arg-type]
    (
        lambda: MixtureOfExperts(D, [nn.Linear(8, 4), nn.Linear(8, 4)], 1)(X),
        ValueError,
        r"experts\[[01]\]: expected an output of the shape \(\d+, 8\) of its input; got \(\d+, 4\)",
    ),
    (
        lambda: MixtureOfExperts(D, [FeedForward(D, 16)], 1, shared=nn.Linear(8, 4))(X),
        ValueError,
        r"shared: expected an output of the shape \(10, 8\) of its input; got \(10, 4\)",
    ),
    (
        lambda: FeedForward(D, 16, activation=lambda y: y[..., :3])(X),
        ValueError,
        r"activation: expected an output of the shape \(2, 5, 16\) of its input; got \(2, 5, 3\)",
    ),
    (
        lambda: FeedForward(D, 16, activation=lambda y: y.double())(X),
        TypeError,
        "activation: expected torch.float32, the dtype of its input; got torch.float64",
    ),
    (
        lambda: GatedFeedForward(D, 16, activation=lambda y: y[..., :1])(X),
        ValueError,
        r"activation: expected an output of the shape \(2, 5, 16\) of its input; got \(2, 5, 1\)",
    ),
    (
        lambda: LATENT(rotary=lambda y, p: y[:, :, :1])(X),
        ValueError,
        r"rotary: expected an output of the shape \(2, 2, 5, 2\) of its input; got \(2, 2, 1, 2\)",
    ),
    (lambda: linear(feature=lambda y: None), TypeError, "feature: expected a torch.Tensor; got No"),
    (
        lambda: linear(feature=lambda y: y[:, :, :1]),
        ValueError,
        r"feature: expected \(B, H, T, K\) with T = 5 as in x; got \(2, 2, 1, 4\)",
    ),
    (
        lambda: linear(decay=lambda y: -torch.ones(1, H, T, 1)),
        ValueError,
        r"decay: expected \(B, H, T, K\) with B = 2 as in x; got \(1, 2, 5, 1\)",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), MADE)
def test_what_a_plug_in_makes_is_named(
    call: Callable[[], Any], error: type[Exception], message: str
) -> None:
    with torch.no_grad(), pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(("make", "name"), MAKERS)
def test_what_makes_no_module_is_named(make: Callable[..., Any], name: str) -> None:
    with pytest.raises(TypeError, match=rf"{name}\(\d+\): expected a Module; got int"):
        make(**{name: lambda width: 5})


@pytest.mark.parametrize(("make", "name"), FUNCTIONS)
def test_what_cannot_be_called_is_named(make: Callable[..., Any], name: str) -> None:
    with pytest.raises(TypeError, match=f"{name}: expected a function or a module; got str"):
        make(**{name: "gelu"})


@pytest.mark.parametrize(("make", "name"), NOT_MODULES)
def test_what_is_no_module_is_named(make: Callable[[], Any], name: str) -> None:
    with pytest.raises(TypeError, match=f"{name}: expected a Module; got "):
        make()
