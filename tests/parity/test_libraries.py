"""What four libraries and PyTorch's own layers keep of the properties, written down.

Each is called through an adapter that gives it our q, k and v as they are (identity projections)
and our mask in its own convention. A failure that is asserted here is a fact about the version
that is installed: when it goes away, the assertion says so, and the book's page is to be changed.
"""

from __future__ import annotations

import os
import re
import warnings
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")  # read when keras is first imported

import keras
import pytest
import torch
from torch import Tensor, nn
from transformers import GPT2Config
from transformers.models.gpt2.modeling_gpt2 import GPT2Attention

from attention_guide.conformance import Adapter, Report, check

with warnings.catch_warnings():  # it calls the deprecated torch.jit.script while it is imported
    warnings.simplefilter("ignore", DeprecationWarning)
    from x_transformers.attend import Attend

SINGLE = (torch.float32, torch.bfloat16)


def _merged(x: Tensor) -> Tensor:
    """(B, H, T, K) → (B, T, H · K)."""
    return x.transpose(1, 2).flatten(2)


def _split(x: Tensor, heads: int) -> Tensor:
    """(B, T, H · K) → (B, H, T, K)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _full(mask: Tensor | None, q: Tensor, k: Tensor) -> Tensor | None:
    """The mask as (B, 1, T, S): no property has one that differs between heads."""
    return None if mask is None else mask.expand(q.shape[0], 1, q.shape[2], k.shape[2])


def failures(report: Report) -> set[str]:
    return {outcome.name for outcome in report.failures}


def applicable(report: Report) -> set[str]:
    return {outcome.name for outcome in report.outcomes if outcome.status != "not applicable"}


class TorchHeads(nn.Module):
    """`nn.MultiheadAttention` with identity projections, made for the width that comes."""

    def __init__(self, weights: bool) -> None:
        super().__init__()
        self.weights = weights

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None
    ) -> Tensor:  # fmt: skip
        heads, width = q.shape[1], q.shape[1] * q.shape[3]
        layer = nn.MultiheadAttention(
            width, heads, bias=False, dropout=0.5, batch_first=True, dtype=q.dtype
        ).train(self.training)
        with torch.no_grad():
            layer.in_proj_weight.copy_(torch.eye(width).repeat(3, 1))
            layer.out_proj.weight.copy_(torch.eye(width))
        hidden = _full(mask, q, k)
        if hidden is not None:
            hidden = ~hidden.expand(-1, heads, -1, -1).flatten(0, 1)  # True = may not attend
        out, _ = layer(*map(_merged, (q, k, v)), attn_mask=hidden, need_weights=self.weights)
        return _split(out, heads)


class KerasHeads(nn.Module):
    """`keras.layers.MultiHeadAttention` with identity projections.

    With dropout, even in eval, it takes its softmax layer; without, Keras's fused function.
    """

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        heads, head_width = q.shape[1], q.shape[3]
        width = heads * head_width
        layer = keras.layers.MultiHeadAttention(
            heads,
            head_width,
            use_bias=False,
            dropout=self.dropout,
            dtype=str(q.dtype).split(".")[1],
        )
        query, key, value = map(_merged, (q, k, v))
        layer.build(query.shape, value.shape, key.shape)
        eye = torch.eye(width)
        into = eye.reshape(width, heads, head_width)
        layer.set_weights([w.numpy() for w in (into, into, into, into.permute(1, 2, 0))])
        full = _full(mask, q, k)
        out = layer(
            query, value, key,
            attention_mask=None if full is None else full[:, 0],
            use_causal_mask=causal, training=self.training,
        )  # fmt: skip
        return _split(out, heads)


class GPT2Heads(nn.Module):
    """Hugging Face's `GPT2Attention`, whose projections hand q, k and v on as they are."""

    def __init__(self, implementation: str) -> None:
        super().__init__()
        self.implementation = implementation

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None
    ) -> Tensor:  # fmt: skip
        heads, width = q.shape[1], q.shape[1] * q.shape[3]
        config = GPT2Config(n_embd=width, n_head=heads, attn_pdrop=0.5, resid_pdrop=0.5)
        config._attn_implementation = self.implementation
        layer = GPT2Attention(config, layer_idx=0).train(self.training)
        layer.c_attn, layer.c_proj = nn.Identity(), nn.Identity()
        # The model above it makes the mask; without one this layer is causal under SDPA.
        full = _full(torch.ones(()).bool() if mask is None else mask, q, k)
        assert full is not None
        if self.implementation == "eager":
            least = torch.finfo(q.dtype).min
            full = torch.zeros(full.shape, dtype=q.dtype).masked_fill(~full, least)
        out, _ = layer(torch.cat([_merged(x) for x in (q, k, v)], -1), attention_mask=full)
        return _split(out, heads)


class XHeads(nn.Module):
    """The `Attend` of x-transformers, which has no projections."""

    def __init__(self, flash: bool) -> None:
        super().__init__()
        self.flash = flash

    def forward(
        self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, causal: bool = False
    ) -> Tensor:
        attend = Attend(flash=self.flash, causal=causal, dropout=0.5, heads=q.shape[1])
        out, _ = attend.train(self.training)(q, k, v, mask=_full(mask, q, k))
        return out


DEAD_ROWS, ALIGNMENT = "rows that may attend nowhere", "causal alignment"
GROUPED = "grouped = repeated heads"
# What a softmax in single precision does to inputs in double.
ROUNDED = {"rows sum to one", "permutation equivariance", "gradients", "parity with the reference"}


def _sdpa(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, causal: bool = False
) -> Tensor:
    return nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=causal, enable_gqa=q.shape[1] != k.shape[1]
    )


FAILURES: dict[str, tuple[Adapter, set[str]]] = {
    # Its is_causal counts from the first key.
    "torch SDPA": (Adapter(_sdpa, causal=True, grouped=True), {ALIGNMENT}),
    "nn.MultiheadAttention": (Adapter(TorchHeads(weights=False), value_width=False), set()),
    # pytorch/pytorch#41508: NaN, on the path that returns the weights only.
    "nn.MultiheadAttention, weights": (
        Adapter(TorchHeads(weights=True), value_width=False), {DEAD_ROWS},
    ),
    # Query head h shares key/value head h mod G, not h // (H / G): another order, not another
    # result, until weights come from elsewhere.
    "x-transformers, flash": (Adapter(XHeads(flash=True), causal=True, grouped=True), {GROUPED}),
    "x-transformers": (
        Adapter(XHeads(flash=False), causal=True, grouped=True, dtypes=SINGLE), {GROUPED},
    ),
    # The softmax is in float32 whatever comes in; the fill of float64, rounded to it, is -inf,
    # and the row of NaN that follows is hidden in the output but not in the gradient.
    "x-transformers, float64": (
        Adapter(XHeads(flash=False), causal=True, grouped=True), {GROUPED, DEAD_ROWS, *ROUNDED},
    ),
    # The least float in place of -inf: a row where all are hidden averages them all.
    "GPT-2, eager": (Adapter(GPT2Heads("eager"), cross=False, value_width=False), {DEAD_ROWS}),
    "GPT-2, SDPA": (Adapter(GPT2Heads("sdpa"), cross=False, value_width=False), set()),
    # Its causal mask counts from the first key.
    "Keras": (Adapter(KerasHeads(dropout=0.5), causal=True, value_width=False), {ALIGNMENT}),
    "Keras, fused": (
        Adapter(KerasHeads(dropout=0.0), causal=True, value_width=False, dtypes=SINGLE),
        {ALIGNMENT, DEAD_ROWS},
    ),
    "Keras, fused, float64": (
        Adapter(KerasHeads(dropout=0.0), causal=True, value_width=False),
        {ALIGNMENT, DEAD_ROWS, "mask polarity", "large logits", *ROUNDED},
    ),
}  # fmt: skip


PAGE = Path(__file__).resolve().parents[2] / "docs" / "appendix" / "conformance.md"


def _report(name: str) -> Report:
    adapter = FAILURES[name][0]
    if isinstance(adapter.fn, nn.Module):
        adapter = replace(adapter, module=adapter.fn.eval())
    return check(adapter, name=name)


@pytest.mark.parametrize("name", FAILURES)
def test_what_it_fails_is_what_is_written_down(name: str) -> None:
    report = _report(name)
    assert failures(report) == FAILURES[name][1], str(report)
    for outcome in report.failures:
        # An adapter that calls the library wrongly would show as an exception.
        assert "raised" not in outcome.detail, outcome.detail


@pytest.mark.parametrize("name", FAILURES)
def test_most_properties_can_be_asked(name: str) -> None:
    asked = applicable(_report(name))
    assert len(asked) >= 12
    assert {"causality", "padding invariance", "mask polarity", DEAD_ROWS} <= asked


@pytest.mark.parametrize("layer", [TorchHeads(False), KerasHeads(0.5), GPT2Heads("sdpa")])
def test_the_adapters_have_dropout_to_switch_off(layer: nn.Module) -> None:
    q, k, v = torch.randn(3, 1, 2, 4, 8).unbind()
    layer.train()
    assert not torch.equal(layer(q, k, v), layer(q, k, v))


def test_the_table_in_the_book_says_the_same() -> None:
    rows = re.findall(
        r"^\| (?!attention )([^|-][^|]*) \| ([^|]+) \|$",
        PAGE.read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )
    table = {name: set() if failed == "–" else set(failed.split(", ")) for name, failed in rows}
    assert table == {name: failed for name, (_, failed) in FAILURES.items()}
