"""`check` passes what is right, names what is wrong, and never fails what it can't express."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn

from attention_guide.conformance import PROPERTIES, Adapter, check
from attention_guide.functional import attention

NAMES = [
    "rows sum to one",
    "scale by head width",
    "causality",
    "padding invariance",
    "batch independence",
    "permutation equivariance",
    "mask polarity",
    "rows that may attend nowhere",
    "chunked = whole",
    "cache = no cache",
    "causal alignment",
    "grouped = repeated heads",
    "gradients",
    "dropout off in eval",
    "large logits",
    "half precision",
    "parity with the reference",
]


def step(q: Tensor, k: Tensor, v: Tensor, state: tuple[Tensor, Tensor] | None) -> object:
    if state is not None:
        k, v = torch.cat([state[0], k], -2), torch.cat([state[1], v], -2)
    return attention(q, k, v, causal=True), (k, v)


def test_the_names_are_a_fixed_public_list() -> None:
    assert [p.name for p in PROPERTIES] == NAMES
    assert all(p.explanation and p.chapter for p in PROPERTIES)


@pytest.mark.parametrize("kernel", [None, "reference", "sdpa"])
def test_our_attention_passes_everything_it_declares(kernel: str | None) -> None:
    def ours(q: Tensor, k: Tensor, v: Tensor, **options: object) -> Tensor:
        return attention(q, k, v, kernel=kernel, **options)

    report = check(Adapter(ours, causal=True, grouped=True, step=step))
    assert report.passed, str(report)
    assert [o.name for o in report.outcomes if o.status != "passed"] == ["dropout off in eval"]


def test_what_cannot_be_expressed_is_not_applicable() -> None:
    def maskless(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attention(q, k, v)

    report = check(Adapter(maskless, masked=False, cross=False, dtypes=(torch.float32,)))
    assert report.passed
    missing = {o.name for o in report.outcomes if o.status == "not applicable"}
    assert {"causality", "mask polarity", "gradients", "half precision"} <= missing


class DropsAlways(nn.Module):
    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        weights = torch.softmax(q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5, -1)
        return torch.nn.functional.dropout(weights, 0.5) @ v


def test_a_module_must_be_deterministic_in_eval() -> None:
    failed = {o.name for o in check(DropsAlways(), only=["dropout off in eval"]).failures}
    assert failed == {"dropout off in eval"}


def test_code_that_raises_is_a_finding() -> None:
    def broken(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        raise RuntimeError("size mismatch")

    report = check(broken)
    assert not report.passed
    assert "RuntimeError: size mismatch" in report.failures[0].detail


def test_json_and_text_say_the_same() -> None:
    report = check(attention)
    data = json.loads(report.to_json())
    assert data["passed"] is True
    assert [o["name"] for o in data["outcomes"]] == NAMES
    assert all(name in str(report) for name in NAMES)


def test_bad_arguments() -> None:
    with pytest.raises(TypeError, match="fn must be callable; got int"):
        check(3)
    with pytest.raises(ValueError, match="only: 'speed' is no property"):
        check(attention, only=["speed"])
