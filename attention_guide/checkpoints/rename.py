"""Rename tables: one list of rules carries a state dict to our names and back.

A rule pairs their names with ours by pattern, `"h.{i}.ln_1.{p}"` with
`"blocks.{i}.attention_residual.norm.{p}"`: `{i}` and `{j}` stand for numbers, `{p}` for `weight`
or `bias`. Where a matrix is stored otherwise, the rule also says how: transposed, several in one,
heads by threes. The model says which names there must be, so whatever is missing or too much is
found before anything is converted, and all of it is listed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from attention_guide.functional import Pairing, convert_rope_weight

Tensors: TypeAlias = Sequence[Tensor]
Convert: TypeAlias = Callable[[Tensors], Tensors]
_PLACES = {"i": r"\d+", "j": r"\d+", "p": "weight|bias"}
READABLE = (torch.float64, torch.float32, torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class Rule:
    """Some of their tensors are some of ours.

    Attributes:
        theirs: Patterns of their names.
        ours: Patterns of ours, with the same places in them.
        to_ours: Makes our tensors of theirs, in the order of the patterns.
        to_theirs: The exact way back.
    """

    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    to_ours: Convert
    to_theirs: Convert


@dataclass(frozen=True)
class Tied:
    """Their tensor `copy` is `original` under a second name; ours has one for both.

    Attributes:
        copy: The second name; where both are there, they must be equal.
        original: The name that we write. A file may leave out either.
    """

    copy: str
    original: str


@dataclass(frozen=True)
class Ignored:
    """Names that hold nothing to learn, such as tables and masks that old files carry along.

    Attributes:
        pattern: A regular expression for the whole name.
    """

    pattern: str


AnyRule: TypeAlias = Rule | Tied | Ignored


def same(theirs: str, ours: str) -> Rule:
    """Only the name differs.

    Examples:
        >>> to_theirs([same("ln_f.{p}", "norm.{p}")], {"norm.bias": torch.zeros(2)})
        {'ln_f.bias': tensor([0., 0.])}
    """
    return Rule((theirs,), (ours,), list, list)


def transposed(theirs: str, ours: str) -> Rule:
    """Matrices are stored as `(in, out)`; vectors stay as they are.

    Examples:
        >>> rules = [transposed("fc.{p}", "up_proj.{p}")]
        >>> to_theirs(rules, {"up_proj.weight": torch.ones(4, 3)})["fc.weight"].shape
        torch.Size([3, 4])
    """
    return Rule((theirs,), (ours,), _flip, _flip)


def split(
    theirs: str, *ours: str, sizes: Sequence[int] | None = None, transpose: bool = False
) -> Rule:
    """One of theirs is several of ours stacked along the outputs: a packed q, k, v.

    Args:
        theirs: Their one name.
        *ours: Ours, from the top of the stack.
        sizes: Rows of each; `None` for equal ones.
        transpose: Theirs is stored as `(in, out)`.

    Examples:
        >>> rules = [split("c_attn.{p}", "q_proj.{p}", "k_proj.{p}", "v_proj.{p}", transpose=True)]
        >>> ours = {f"{x}_proj.weight": torch.ones(4, 4) for x in "qkv"}
        >>> to_theirs(rules, ours)["c_attn.weight"].shape
        torch.Size([4, 12])
    """

    def cut(tensors: Tensors) -> Tensors:
        (stack,) = _flip(tensors) if transpose else tensors
        return stack.chunk(len(ours)) if sizes is None else torch.split(stack, list(sizes))

    def join(tensors: Tensors) -> Tensors:
        stack = [torch.cat(list(tensors))]
        return _flip(stack) if transpose else stack

    return Rule((theirs,), ours, cut, join)


def split_by_head(theirs: str, *ours: str, n_heads: int, sizes: Sequence[int]) -> Rule:
    """As `split`, but each head has its own little stack: q, k, v of head 0, then of head 1.

    Args:
        theirs: Their one name.
        *ours: Ours, in the order within a head.
        n_heads: Heads.
        sizes: Rows of each within one head.

    Examples:
        >>> rules = [split_by_head("kv.{p}", "k.{p}", "v.{p}", n_heads=2, sizes=(1, 1))]
        >>> ours = {"k.bias": torch.tensor([0.0, 1.0]), "v.bias": torch.tensor([5.0, 6.0])}
        >>> to_theirs(rules, ours)
        {'kv.bias': tensor([0., 5., 1., 6.])}
    """

    def cut(tensors: Tensors) -> Tensors:
        (stack,) = tensors
        parts = torch.split(_by_head(stack, n_heads), list(sizes), dim=1)
        return [part.flatten(0, 1) for part in parts]

    def join(tensors: Tensors) -> Tensors:
        return [torch.cat([_by_head(x, n_heads) for x in tensors], dim=1).flatten(0, 1)]

    return Rule((theirs,), ours, cut, join)


def repaired(theirs: str, ours: str, n_heads: int, *, pairing: Pairing = "half") -> Rule:
    """A query or key projection made for the other pairing of rotary features than ours.

    Args:
        theirs: Their name.
        ours: Ours.
        n_heads: Heads in the projection.
        pairing: Ours; theirs is the other one.

    Examples:
        >>> rules = [repaired("wq.{p}", "q_proj.{p}", n_heads=1)]
        >>> to_theirs(rules, {"q_proj.bias": torch.tensor([0.0, 2.0, 1.0, 3.0])})
        {'wq.bias': tensor([0., 1., 2., 3.])}
    """
    other: Pairing = "interleaved" if pairing == "half" else "half"

    def convert(to: Pairing) -> Convert:
        return lambda tensors: [convert_rope_weight(x, n_heads, to=to) for x in tensors]

    return Rule((theirs,), (ours,), convert(pairing), convert(other))


def expected_state(model: nn.Module) -> dict[str, Tensor]:
    """What a checkpoint of a model holds: parameters and persistent buffers, tied ones once.

    Examples:
        >>> list(expected_state(nn.Linear(2, 1)))
        ['weight', 'bias']
    """
    once = {name for name, _ in model.named_parameters()} | {n for n, _ in model.named_buffers()}
    return {name: x for name, x in model.state_dict().items() if name in once}


def to_theirs(rules: Sequence[AnyRule], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our tensors (or their gradients) under their names.

    Args:
        rules: The table.
        ours: Name to tensor, as `expected_state` has them.

    Returns:
        Name to tensor.

    Raises:
        ValueError: The table has no place for some names; all of them are listed.
    """
    theirs: dict[str, Tensor] = {}
    for rule, their_names, our_names in _plan(rules, ours):
        converted = rule.to_theirs([ours[name] for name in our_names])
        theirs |= dict(zip(their_names, converted, strict=True))
    return theirs


def to_ours(
    rules: Sequence[AnyRule], theirs: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Their tensors (or their gradients) under our names.

    Args:
        rules: The table.
        theirs: Name to tensor.
        expected: What the model has, from `expected_state`: names and shapes are held against it.

    Returns:
        Name to tensor, for exactly the names of `expected`.

    Raises:
        ValueError: Names are missing or surplus, or sizes or dtypes wrong; all are listed.

    Examples:
        >>> rules = [same("ln_f.{p}", "norm.{p}")]
        >>> to_ours(rules, {"ln_g.bias": torch.zeros(2)}, {"norm.bias": torch.zeros(2)})
        Traceback (most recent call last):
            ...
        ValueError: state: missing: ln_f.bias; surplus: ln_g.bias
    """
    blank = {name: torch.empty_like(x, device="meta") for name, x in expected.items()}
    theirs = _with_originals(rules, theirs)
    _check(to_theirs(rules, blank), theirs, rules)
    ours: dict[str, Tensor] = {}
    for rule, their_names, our_names in _plan(rules, expected):
        converted = rule.to_ours([theirs[name] for name in their_names])
        ours |= dict(zip(our_names, converted, strict=True))
    return ours


def _with_originals(rules: Sequence[AnyRule], theirs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Tied tensors under their first name, too, where a file has them under the second only."""
    whole = dict(theirs)
    for rule in rules:
        if isinstance(rule, Tied) and rule.copy in whole:
            whole.setdefault(rule.original, whole[rule.copy])
    return whole


def _check(
    wanted: Mapping[str, Tensor], got: Mapping[str, Tensor], rules: Sequence[AnyRule]
) -> None:
    copies = {rule.copy: rule.original for rule in rules if isinstance(rule, Tied)}
    ignored = [rule.pattern for rule in rules if isinstance(rule, Ignored)]
    both = [name for name in wanted if name in got]
    unequal = [
        f"{copy} differs from {original}, which it is tied to"
        for copy, original in copies.items()
        if copy in got and original in got and not torch.equal(got[copy], got[original])
    ]
    surplus = [
        name
        for name in got
        if name not in wanted
        and name not in copies
        and not any(re.fullmatch(pattern, name) for pattern in ignored)
    ]
    problems = {
        "missing": [name for name in wanted if name not in got],
        "surplus": surplus,
        "of another size": [
            f"{n}: expected {tuple(wanted[n].shape)}, got {tuple(got[n].shape)}"
            for n in both
            if wanted[n].shape != got[n].shape
        ],
        "of a dtype that isn't read": [
            f"{n}: {got[n].dtype}" for n in both if got[n].dtype not in READABLE
        ],
        "unequal": unequal,
    }
    found = [f"{kind}: {', '.join(names)}" for kind, names in problems.items() if names]
    if found:
        raise ValueError(f"state: {'; '.join(found)}")


def _plan(
    rules: Sequence[AnyRule], names: Mapping[str, Tensor]
) -> Iterator[tuple[Rule, list[str], list[str]]]:
    """Every use of every rule, found through our names."""
    done: set[str] = set()
    for rule in rules:
        if not isinstance(rule, Rule):
            continue
        pattern = _compiled(rule.ours[0])
        for name in names:
            if name in done or (match := pattern.fullmatch(name)) is None:
                continue
            places = match.groupdict()
            ours = [p.format(**places) for p in rule.ours]
            done |= set(ours)
            yield rule, [p.format(**places) for p in rule.theirs], ours
    if left := [name for name in names if name not in done]:
        raise ValueError(f"rules: the table has no place for {', '.join(left)}")


def _compiled(pattern: str) -> re.Pattern[str]:
    text = re.escape(pattern)
    for place, kind in _PLACES.items():
        text = text.replace(rf"\{{{place}\}}", f"(?P<{place}>{kind})", 1)
        text = text.replace(rf"\{{{place}\}}", f"(?P={place})")
    return re.compile(text)


def _by_head(x: Tensor, n_heads: int) -> Tensor:
    return x.reshape(n_heads, -1, *x.shape[1:])


def _flip(tensors: Tensors) -> Tensors:
    return [x.mT if x.ndim == 2 else x for x in tensors]
