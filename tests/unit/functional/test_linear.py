"""Linear attention: three forms, one recurrence, written here as the loop that defines it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from attention_guide.functional import elu_feature, kernel_attention, linear_attention

D = torch.float64
FORMS: list[Any] = ["recurrent", "parallel", "chunked"]


def inputs(t: int = 11, kind: str = "plain", per_feature: bool = False) -> dict[str, Tensor]:
    make = torch.Generator().manual_seed(t)

    def randn(*size: int) -> Tensor:
        return torch.randn(*size, generator=make, dtype=D)

    given = {"q": randn(2, 4, t, 3), "k": randn(2, 2, t, 3), "v": randn(2, 2, t, 5)}
    given["k"] = torch.nn.functional.normalize(given["k"], dim=-1)
    given["state"] = randn(2, 2, 3, 5)
    if "gated" in kind:
        given["decay"] = -randn(2, 2, t, 3 if per_feature else 1).abs()
    if "delta" in kind:
        given["beta"] = randn(2, 2, t, 1).sigmoid()
    return given


def loop(given: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    q, k, v, state = given["q"], given["k"], given["v"], given["state"].clone()
    outs = []
    for t in range(q.shape[2]):
        if "decay" in given:
            state = given["decay"][:, :, t].exp()[..., None] * state
        write = v[:, :, t]
        if "beta" in given:
            recalled = torch.einsum("bgk,bgke->bge", k[:, :, t], state)
            write = given["beta"][:, :, t] * (write - recalled)
        state = state + k[:, :, t, :, None] * write[:, :, None]
        heads = state.repeat_interleave(2, 1)
        outs.append(torch.einsum("bhk,bhke->bhe", q[:, :, t], heads) / 3**0.5)
    return torch.stack(outs, 2), state


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["plain", "gated", "delta", "gated delta"])
@pytest.mark.parametrize("per_feature", [False, True])
def test_every_form_is_the_recurrence(form: Any, kind: str, per_feature: bool) -> None:
    given = inputs(kind=kind, per_feature=per_feature)
    wanted, memory = loop(given)
    for chunk in (1, 4, 11, 64):
        out, state = linear_attention(**given, form=form, chunk=chunk)
        assert torch.allclose(out, wanted)
        assert torch.allclose(state, memory)


@pytest.mark.parametrize("form", FORMS)
def test_the_state_carries_on(form: Any) -> None:
    given = inputs(kind="gated delta")
    whole, memory = linear_attention(**given, form=form, chunk=3)
    state, outs = given.pop("state"), []
    for part in (slice(0, 5), slice(5, 6), slice(6, 11)):
        cut = {name: x[:, :, part] for name, x in given.items()}
        out, state = linear_attention(**cut, state=state, form=form, chunk=3)
        outs.append(out)
    assert torch.allclose(torch.cat(outs, 2), whole)
    assert torch.allclose(state, memory)


@pytest.mark.parametrize("form", FORMS)
def test_gradients(form: Any) -> None:
    given = {n: x.requires_grad_() for n, x in inputs(t=3, kind="gated delta").items()}
    names = list(given)

    def run(*tensors: Tensor) -> tuple[Tensor, Tensor]:
        return linear_attention(**dict(zip(names, tensors, strict=True)), form=form, chunk=2)

    assert torch.autograd.gradcheck(run, tuple(given.values()), fast_mode=True)


@pytest.mark.parametrize("form", FORMS)
def test_strong_decay_over_a_long_text_stays_finite(form: Any) -> None:
    x = torch.randn(1, 1, 300, 4)
    for width in (1, 4):
        decay = torch.full((1, 1, 300, width), -5.0, requires_grad=True)
        out, state = linear_attention(x, x, x, decay=decay, form=form)
        out.sum().backward()
        assert out.isfinite().all()
        assert state.isfinite().all()
        assert decay.grad is not None
        assert decay.grad.isfinite().all()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("width", [1, 3])
def test_a_memory_that_grows_by_itself_is_refused(form: Any, width: int) -> None:
    given = inputs(kind="gated", per_feature=width == 3)
    given["decay"][1, 1, 7, -1] = 0.25
    message = r"decay: expected numbers of at most 0; got 0\.25"
    with pytest.raises(ValueError, match=message):
        linear_attention(**given, form=form)
    given["decay"][1, 1, 7, -1] = 0.0
    linear_attention(**given, form=form)


def test_a_decay_compiles_in_one_graph() -> None:
    given = inputs(t=4, kind="gated delta")
    compiled = torch.compile(linear_attention, fullgraph=True, backend="eager")
    for got, wanted in zip(compiled(**given), linear_attention(**given), strict=True):
        assert torch.allclose(got, wanted)


def test_the_delta_rule_overwrites() -> None:
    key = torch.tensor([1.0, 0.0]).expand(1, 1, 2, 2)
    value = torch.tensor([[3.0], [8.0]]).view(1, 1, 2, 1)
    one = torch.ones(1, 1, 2, 1)
    assert linear_attention(key, key, value, scale=1.0)[0].flatten().tolist() == [3, 11]
    out, _ = linear_attention(key, key, value, beta=one, scale=1.0)
    assert out.flatten().tolist() == [3, 8]


@pytest.mark.parametrize("form", FORMS)
def test_kernel_attention_equals_its_formula(form: Any) -> None:
    given = inputs()
    q, k, v = given["q"], given["k"].repeat_interleave(2, 1), given["v"].repeat_interleave(2, 1)
    weights = elu_feature(q) @ elu_feature(k).mT
    for causal in (False, True):
        kept = weights.tril() if causal else weights
        wanted = kept / kept.sum(-1, keepdim=True) @ v
        got = kernel_attention(
            given["q"], given["k"], given["v"], causal=causal, form=form, chunk=4
        )
        assert torch.allclose(got, wanted)
    short = kernel_attention(q[:, :, :2], k, v)
    assert short.shape == (2, 4, 2, 5)


@pytest.mark.parametrize("form", FORMS)
def test_zero_length(form: Any) -> None:
    x = torch.randn(2, 4, 0, 3)
    out, state = linear_attention(x, x[:, :2], x[:, :2], form=form)
    assert out.shape == (2, 4, 0, 3)
    assert (state == 0).all()
    assert (kernel_attention(torch.randn(2, 4, 5, 3), x, x) == 0).all()


def test_half_precision_accumulates_in_float32() -> None:
    x = torch.full((1, 1, 4096, 1), 1.0, dtype=torch.bfloat16)
    out, state = linear_attention(x, x, x, scale=1.0)
    assert out.dtype == torch.bfloat16
    assert state.dtype == torch.float32
    assert state.item() == 4096


@pytest.mark.parametrize("form", FORMS)
def test_no_positions_are_still_joined_to_what_they_came_of(form: Any) -> None:
    q, k, v = (torch.ones(1, 2, 0, 4, requires_grad=True) for _ in range(3))
    decay = torch.zeros(1, 2, 0, 4)
    out, memory = linear_attention(q, k, v, decay=decay, form=form)
    assert out.shape == (1, 2, 0, 4)
    assert memory.shape == (1, 2, 4, 4)
    out.sum().backward()
    assert q.grad is not None
    assert q.grad.shape == q.shape
