"""`check` passes what is right, names what is wrong, and never fails what it can't express."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from attention_guide.conformance import PROPERTIES, Adapter, Report, adapt, check
from attention_guide.conformance.report import WRITTEN
from attention_guide.functional import attention

DOCS = Path(__file__).resolve().parents[3] / "docs"

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


def test_a_leak_through_later_queries_is_no_causality() -> None:
    def leak(q: Tensor, k: Tensor, v: Tensor, *, causal: bool = False) -> Tensor:
        return attention(q + 1e-3 * q.sum(-2, keepdim=True), k, v, causal=causal)

    report = check(Adapter(leak, masked=False, causal=True), only=["causality"])
    # Query 0 sees one key, whatever it asks.
    assert [o.detail for o in report.failures] == [
        "changing q, k and v from position 2 on changed outputs before it"
    ]


def test_an_empty_row_has_no_gradient() -> None:
    def slipping(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        out = attention(q, k, v, mask=mask)
        if mask is None:
            return out
        empty = ~mask.any(-1, keepdim=True)
        return out + empty * (q - q.detach()) * 7  # adds 0, with a gradient of 7

    report = check(slipping, only=["rows that may attend nowhere"])
    assert [o.detail for o in report.failures] == [
        "query 2 of sequence 0 may attend nowhere; its gradient is up to 7"
    ]


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
    with pytest.raises(TypeError, match="a function or an instance; got the class DropsAlways"):
        check(DropsAlways)
    with pytest.raises(ValueError, match="only: 'speed' is no property"):
        check(attention, only=["speed"])


class Weighted(nn.Module):
    """Right, with a parameter of its own and dropout; causal in every call if asked for."""

    def __init__(self, *, causal: bool = False, detached: bool = False) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(()))
        self.dropout = nn.Dropout(0.5)
        self.causal, self.detached = causal, detached

    def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        k = k.detach() if self.detached else k
        return self.dropout(self.one * attention(q, k, v, mask=mask, causal=self.causal))


def names(report: Report, status: str) -> set[str]:
    return {outcome.name for outcome in report.outcomes if outcome.status == status}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("causal", [False, True])
def test_a_module_is_checked_in_the_dtype_of_its_parameters(
    dtype: torch.dtype, causal: bool
) -> None:
    adapter = adapt(Weighted(causal=causal).to(dtype))
    assert adapter.dtypes == (dtype,)
    report = check(replace(adapter, always_causal=causal))
    assert report.passed, str(report)
    assert {"gradients", "parity with the reference"} <= names(report, "passed")


def test_a_module_without_parameters_runs_in_every_dtype() -> None:
    assert adapt(DropsAlways()).dtypes == Adapter(attention).dtypes


def test_gradients_of_a_module_in_float32_are_those_of_a_copy() -> None:
    module = Weighted(detached=True)
    assert names(check(module, only=["gradients"]), "failed") == {"gradients"}
    assert module.one.dtype == torch.float32


def test_what_a_declaration_of_dtypes_leaves_out_is_not_asked() -> None:
    module = DropsAlways()
    adapter = Adapter(module, module=module, dtypes=(torch.float32,))
    assert names(check(adapter, only=["gradients"]), "not applicable") == {"gradients"}


@pytest.mark.parametrize("window", [None, (2, 0)])
@pytest.mark.parametrize("masked", [True, False])
def test_what_is_always_causal_passes(window: tuple[int, int] | None, masked: bool) -> None:
    def block(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        return attention(q, k, v, mask=mask, causal=True, window=window)

    adapter = Adapter(block, masked=masked, always_causal=True, window=window)
    report = check(adapter)
    assert report.passed, str(report)
    asked = {"scale by head width", "causality", "causal alignment", "large logits",
             "half precision", "parity with the reference"}  # fmt: skip
    assert asked <= names(report, "passed")
    unasked = {"permutation equivariance", "chunked = whole"}
    assert unasked <= names(report, "not applicable")
    wrong = {"causality", "large logits", "half precision", "parity with the reference"}
    assert wrong <= names(check(replace(adapter, fn=attention)), "failed")


def test_the_values_may_have_another_width() -> None:
    def narrow(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        return attention(q, k, v, mask=mask).view(q.shape)

    assert names(check(narrow), "failed") == {"parity with the reference"}
    assert check(Adapter(narrow, value_width=False)).passed


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_both_half_precisions_are_asked(half: torch.dtype) -> None:
    def zeros(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
        return torch.zeros_like(q) if q.dtype == half else attention(q, k, v, mask=mask)

    both = (torch.float32, torch.bfloat16, torch.float16)
    report = check(Adapter(zeros, dtypes=both), only=["half precision"])
    assert [o.detail.split(":")[0] for o in report.failures] == [str(half)]
    alone = Adapter(attention, dtypes=(torch.float32, half))
    assert names(check(alone, only=["half precision"]), "passed") == {"half precision"}


def test_training_flags_come_back_part_by_part() -> None:
    module = Weighted().train()
    module.dropout.eval()
    check(module)
    assert (module.training, module.dropout.training) == (True, False)
    # Dropout off while it is checked, although the module trains.
    assert check(Weighted().train()).passed


def test_training_flags_come_back_when_a_check_is_interrupted() -> None:
    class Interrupted(Weighted):
        def forward(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
            raise KeyboardInterrupt

    module = Interrupted().train()
    module.dropout.eval()
    with pytest.raises(KeyboardInterrupt):
        check(module, only=["dropout off in eval"])
    assert (module.training, module.dropout.training) == (True, False)


@pytest.mark.parametrize("site", ["", "https://book.example/guide/"])
def test_a_failure_names_its_chapter_and_links_it_where_it_is_written(
    site: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTENTION_GUIDE_SITE_URL", site)
    text = str(check(DropsAlways()))
    slug = "theory/scaled-dot-product"
    link = f" https://book.example/guide/{slug}/" if site else ""
    assert f"       chapter: {slug}{link}\n" in text
    assert "       chapter: implementation/masks\n" in text


def test_the_written_chapters_are_those_that_have_a_page() -> None:
    slugs = {prop.chapter for prop in PROPERTIES}
    pages = {slug for slug in slugs if (DOCS / f"{slug}.md").is_file()}
    assert pages == WRITTEN, "report.WRITTEN lists the chapters of properties that have a page"
