"""What the mask builder says, held against the package: grids, code, converters, polarity."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor

from attention_guide.functional import (
    causal_mask,
    combine,
    document_mask,
    global_local_mask,
    padding_mask,
    prefix_mask,
    suspect_polarity,
    to_additive,
    to_hf_4d,
    to_keras,
    to_mha,
    to_sdpa,
)
from tests.playground.node import ask

SIZE = 8
CASES: list[dict[str, Any]] = [
    {"size": SIZE, "order": order, "prefix": 3, "left": left, "right": right, "padding": padding,
     "second": second, "globals": chosen}
    for order, (left, right), padding, second, chosen in itertools.product(
        ["none", "causal", "prefix"], [(8, 8), (2, 0), (0, 1)], [0, 2], [0, 3], [[], [0, 4]])
]  # fmt: skip
_SCRIPT = """
console.log(JSON.stringify(input.map((rules) => ({
  mask: LiveMasks.build(rules),
  codes: LiveMasks.CONVENTIONS.map((_, i) => LiveMasks.code(rules, i)),
  reason: LiveMasks.suspect(LiveMasks.build(rules)),
  inverse: LiveMasks.suspect(LiveMasks.build(rules).map((row) => row.map((open) => !open))),
}))));
"""


@pytest.fixture(scope="module")
def answers() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = ask(_SCRIPT, "mask-rules.js", data=CASES)
    return found


def by_package(rules: dict[str, Any]) -> Tensor:
    order = {
        "none": None,
        "causal": causal_mask(SIZE),
        "prefix": prefix_mask(SIZE, rules["prefix"]),
    }[rules["order"]]
    is_global = torch.zeros(1, SIZE, dtype=torch.bool)
    is_global[0, rules["globals"]] = True
    window = global_local_mask(is_global, rules["left"], rules["right"])
    padding = padding_mask([SIZE - rules["padding"]], SIZE)
    start = rules["second"] or SIZE
    documents = document_mask((torch.arange(SIZE) >= start).long()[None])
    mask = combine(order, window, padding, documents)
    assert mask is not None
    return mask[0, 0]


def test_the_grid_is_the_packages_mask(answers: list[dict[str, Any]]) -> None:
    for rules, answer in zip(CASES, answers, strict=True):
        assert torch.equal(torch.tensor(answer["mask"]), by_package(rules)), rules


@pytest.mark.filterwarnings("ignore::attention_guide.functional.MaskPolarityWarning")
def test_the_code_makes_what_each_library_wants(answers: list[dict[str, Any]]) -> None:
    convert = [
        ("attn_mask", to_sdpa),
        ("attn_mask", lambda mask: to_mha(mask, 1, 1)),
        ("attention_mask", to_hf_4d),
        ("attention_mask", lambda mask: to_keras(mask, 1)),
        ("bias", to_additive),
    ]
    for rules, answer in zip(CASES, answers, strict=True):
        mask = by_package(rules)
        for code, (name, converter) in zip(answer["codes"], convert, strict=True):
            space: dict[str, Any] = {}
            exec(code, space)
            made = torch.as_tensor(space[name])
            wanted = converter(mask)
            assert made.dtype == wanted.dtype
            assert torch.equal(made, wanted), code


def test_suspicion_is_the_packages(answers: list[dict[str, Any]]) -> None:
    for rules, answer in zip(CASES, answers, strict=True):
        assert answer["reason"] == suspect_polarity(by_package(rules))
        assert answer["inverse"] == suspect_polarity(~by_package(rules))
    assert {answer["inverse"] for answer in answers} >= {
        None, "hides everything", "lets every query see only its future"
    }  # fmt: skip
