"""The rename engine: what it demands, what it says, and that every rule has an exact way back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from attention_guide.checkpoints.rename import (
    AnyRule,
    Ignored,
    Tied,
    expected_state,
    repaired,
    same,
    split,
    split_by_head,
    to_ours,
    to_theirs,
    transposed,
)

RULES: list[AnyRule] = [
    same("ln.{i}.{p}", "blocks.{i}.norm.{p}"),
    transposed("fc.{i}.{p}", "blocks.{i}.up.{p}"),
    Tied("head.weight", "fc.0.weight"),
    Ignored(r"mask\.\d"),
]


def state() -> dict[str, Tensor]:
    return {
        f"blocks.{i}.{name}": torch.randn(shape)
        for i in range(2)
        for name, shape in {"norm.bias": (3,), "up.weight": (4, 3), "up.bias": (4,)}.items()
    }


@pytest.mark.parametrize(
    ("rule", "shapes"),
    [
        (same("a.{p}", "b.{p}"), {"b.weight": (4, 2)}),
        (transposed("a.{p}", "b.{p}"), {"b.weight": (4, 2), "b.bias": (4,)}),
        (split("a", "q", "k", transpose=True), {"q": (4, 2), "k": (4, 2)}),
        (split("a", "q", "k", sizes=(4, 2)), {"q": (4, 2), "k": (2, 2)}),
        (split_by_head("a", "q", "k", n_heads=2, sizes=(3, 1)), {"q": (6, 2), "k": (2, 2)}),
        (repaired("a", "q", n_heads=2), {"q": (8, 3)}),
    ],
)  # fmt: skip
def test_every_rule_has_an_exact_way_back(rule: AnyRule, shapes: dict[str, tuple[int]]) -> None:
    ours = {name: torch.randn(shape) for name, shape in shapes.items()}
    back = to_ours([rule], to_theirs([rule], ours), ours)
    assert back.keys() == ours.keys()
    assert all(torch.equal(back[name], x) for name, x in ours.items())


def test_all_that_is_wrong_is_listed() -> None:
    theirs = to_theirs(RULES, state())
    del theirs["ln.1.bias"], theirs["fc.0.bias"]
    theirs["fc.1.weight"] = theirs["fc.1.weight"].T
    theirs["fc.0.weight"] = theirs["fc.0.weight"].int()
    theirs |= {"extra.1": torch.ones(1), "extra.2": torch.ones(1), "mask.1": torch.ones(1)}
    with pytest.raises(ValueError, match="state") as caught:
        to_ours(RULES, theirs, state())
    assert str(caught.value) == (
        "state: missing: ln.1.bias, fc.0.bias; surplus: extra.1, extra.2; of another size: "
        "fc.1.weight: expected (3, 4), got (4, 3); of a dtype that isn't read: "
        "fc.0.weight: torch.int32"
    )


def test_a_tied_copy_may_be_there_and_must_then_be_equal() -> None:
    ours = state()
    theirs = to_theirs(RULES, ours)
    theirs["head.weight"] = theirs["fc.0.weight"].clone()
    assert to_ours(RULES, theirs, ours).keys() == ours.keys()
    theirs["head.weight"] += 1
    with pytest.raises(ValueError, match=r"head\.weight differs from fc\.0\.weight"):
        to_ours(RULES, theirs, ours)


def test_either_name_of_a_tied_pair_will_do() -> None:
    ours = state()
    theirs = to_theirs(RULES, ours)
    theirs["head.weight"] = theirs.pop("fc.0.weight")
    back = to_ours(RULES, theirs, ours)
    assert back.keys() == ours.keys()
    assert all(torch.equal(back[name], x) for name, x in ours.items())


def test_a_name_without_a_rule_is_an_error_both_ways() -> None:
    with pytest.raises(ValueError, match=r"no place for blocks\.0\.down"):
        to_theirs(RULES, state() | {"blocks.0.down": torch.ones(1)})
    with pytest.raises(ValueError, match=r"no place for blocks\.0\.down"):
        to_ours(RULES, {}, state() | {"blocks.0.down": torch.ones(1)})


def test_tied_parameters_are_expected_once() -> None:
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    model.register_buffer("seen", torch.zeros(1))
    model.register_buffer("table", torch.zeros(1), persistent=False)
    assert list(expected_state(model)) == ["seen", "0.weight"]
