"""What a property is, and what the tests of properties share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from attention_guide.conformance.adapter import Adapter

TOLERANCE = {torch.float64: 1e-10, torch.float32: 2e-5, torch.bfloat16: 2e-2, torch.float16: 2e-3}


class NotApplicable(Exception):
    """The plain contract, or what the adapter declares, can't express this property.

    Examples:
        >>> from attention_guide.conformance.properties import cached
        >>> from attention_guide.functional import attention
        >>> try:
        ...     cached(Adapter(attention))
        ... except NotApplicable as reason:
        ...     print(reason)
        the adapter declares no cache (step=)
    """


@dataclass(frozen=True)
class Property:
    """A named property: what it says, where it is taught, and the test of it.

    Args:
        name: Its public name.
        explanation: What it says, in a sentence.
        chapter: Slug of the chapter that teaches it.
        test: None when an adapter keeps it, else a minimal failing example; raises `NotApplicable`
            when the adapter can't express it.

    Examples:
        >>> from attention_guide.conformance import PROPERTIES
        >>> from attention_guide.functional import attention
        >>> first = PROPERTIES[0]
        >>> first.name, first.chapter
        ('rows sum to one', 'theory/scaled-dot-product')
        >>> print(first.test(Adapter(attention)))
        None
    """

    name: str
    explanation: str
    chapter: str
    test: Callable[[Adapter], str | None]


def tensors(
    adapter: Adapter, b: int = 2, h: int = 4, t: int = 6, s: int = 6, k: int = 8, seed: int = 0
) -> tuple[Tensor, Tensor, Tensor]:
    """Random q, k, v in the adapter's most precise dtype; E is K."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(adapter.dtype)

    return draw(b, h, t, k), draw(b, h, s, k), draw(b, h, s, k)


def needs_mask(adapter: Adapter) -> None:
    """Raise `NotApplicable` where no mask can be handed over."""
    if not adapter.masked:
        raise NotApplicable("the adapter declares no mask")


def needs_cross(adapter: Adapter) -> None:
    """Raise `NotApplicable` where T = S always."""
    if not adapter.cross:
        raise NotApplicable("the numbers of queries and keys can't differ")


def needs_free_order(adapter: Adapter) -> None:
    """Raise `NotApplicable` where a query's place counts."""
    if adapter.always_causal:
        raise NotApplicable("it is always causal: a query's place decides what it sees")


def finite(x: Tensor) -> bool:
    """Whether no number is NaN or infinite."""
    return bool(torch.isfinite(x).all())


def differs(what: str, got: Tensor, expected: Tensor, adapter: Adapter) -> str | None:
    """Where `got` is farthest from `expected`, in words; None within the dtype's tolerance."""
    if got.shape != expected.shape:
        return f"{what}: shape {tuple(got.shape)}, expected {tuple(expected.shape)}"
    error = (got.double() - expected.double()).abs()
    if bool((error <= TOLERANCE[adapter.dtype] * expected.double().abs().clamp_min(1)).all()):
        return None
    error = torch.where(error.isnan(), math.inf, error)
    index = tuple(int(i) for i in torch.unravel_index(error.argmax(), error.shape))
    axes = "[batch, head, query, channel]"
    return f"{what}: at {axes} = {list(index)} got {got[index].item():.4g}, " \
           f"expected {expected[index].item():.4g}, off by {error[index].item():.1g}"  # fmt: skip
