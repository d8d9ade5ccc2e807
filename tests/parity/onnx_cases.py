"""The ONNX operator vectors: built in process, and compared case by case."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor

BOUNDS = {torch.float64: 1e-12, torch.float32: 2e-6, torch.float16: 2e-3, torch.bfloat16: 2e-2}
# A later onnx may have more of them, never fewer.
COUNTS = {
    "Attention": 93,
    "FlexAttention": 11,
    "Gelu": 4,
    "LayerNormalization": 19,
    "LinearAttention": 14,
    "RMSNormalization": 19,
    "RotaryEmbedding": 8,
    "Softmax": 7,
    "SoftmaxCrossEntropyLoss": 34,
    "Swish": 1,
    "TensorScatter": 3,
}


@cache
def single_node_cases() -> dict[str, list[Any]]:
    """The cases of one node by operator; the expanded ones repeat them."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        # Casts overflow on purpose in the cases of other operators.
        warnings.simplefilter("ignore")
        found = load_model_tests(kind="node")
    by_op: dict[str, list[Any]] = {}
    for case in found:
        if len(case.model.graph.node) == 1:
            by_op.setdefault(case.model.graph.node[0].op_type, []).append(case)
    return by_op


def of(op: str) -> list[Any]:
    return single_node_cases()[op]


def torched(x: np.ndarray) -> Tensor:
    if x.dtype.name == "bfloat16":
        return torch.from_numpy(x.astype(np.float32)).bfloat16()
    return torch.from_numpy(np.array(x))


def unpack(case: Any) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Any]]:
    node = case.model.graph.node[0]
    given, wanted = case.data_sets[0]
    named = [name for name in node.input if name]
    outs = [name for name in node.output if name]
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return (
        {n: torched(x) for n, x in zip(named, given, strict=True)},
        {n: torched(x) for n, x in zip(outs, wanted, strict=True)},
        attributes,
    )


def distance(got: Tensor, wanted: Tensor) -> float:
    """Greatest error, relative above 1; infinities must agree."""
    assert got.shape == wanted.shape, f"{tuple(got.shape)} for {tuple(wanted.shape)}"
    assert got.dtype == wanted.dtype
    a, b = got.double(), wanted.double()
    assert torch.equal(a.isinf(), b.isinf())
    assert not a.isnan().any()
    gap = ((a - b).abs() / b.abs().clamp(min=1)).masked_fill(b.isinf(), 0.0)
    return float(gap.max()) if gap.numel() else 0.0


def compare(
    op: str,
    what: str,
    run: Callable[[Any], list[tuple[Tensor, Tensor]] | None],
    parity_record: Any,
) -> int:
    """Run every case, name all that fail, and return how many were refused."""
    worst: dict[torch.dtype, float] = {}
    failures, refused = [], 0
    assert len(of(op)) >= COUNTS[op]
    for case in of(op):
        try:
            pairs = run(case)
            if pairs is None:
                refused += 1
                continue
            for got, wanted in pairs:
                error = distance(got, wanted)
                kind = wanted.dtype
                worst[kind] = max(worst.get(kind, 0.0), error)
                if not error <= BOUNDS[kind]:
                    failures.append(f"{case.name}: {error:.3g} in {kind}")
        except Exception as problem:
            failures.append(f"{case.name}: {problem!r}")
    assert not failures, "\n".join(failures)
    for kind, error in worst.items():
        name = str(kind).removeprefix("torch.")
        parity_record(f"ONNX {op}", what, name, error, BOUNDS[kind])
    return refused
