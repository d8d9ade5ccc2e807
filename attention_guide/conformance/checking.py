"""`check`: every property, on any attention function or module."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import nn

from attention_guide.conformance.adapter import Adapter, Attention, adapt
from attention_guide.conformance.properties import PROPERTIES
from attention_guide.conformance.property import NotApplicable, Property
from attention_guide.conformance.report import Outcome, Report


def check(
    attention: Attention | nn.Module | Adapter,
    *,
    name: str | None = None,
    only: Iterable[str] | None = None,
) -> Report:
    """Check the properties that every attention function keeps.

    A module is in eval mode meanwhile; its training flags are then as they were.

    Args:
        attention: A callable `fn(q, k, v, mask=None)` with a bool mask, True = may attend (see
            `Adapter` for shapes), a module whose `forward` is one, or an `Adapter`.
        name: What the report calls it; its own name by default.
        only: Names of the properties to check; all by default.

    Returns:
        The report: `report.passed` is the verdict, `report.failures` what failed; `print(report)`
        shows each property, with a minimal failing example.

    Raises:
        TypeError: If `attention` is not callable, or is a class in place of an instance.
        ValueError: If `only` has a name that is no property's.

    Examples:
        >>> import torch
        >>> def forgot_to_scale(q, k, v, mask=None):
        ...     scores = q @ k.transpose(-2, -1)
        ...     if mask is not None:
        ...         scores = scores.masked_fill(~mask, float("-inf"))
        ...     return torch.softmax(scores, -1).nan_to_num() @ v
        >>> for failure in check(forgot_to_scale).failures:
        ...     print(failure.name)
        scale by head width
        half precision
        parity with the reference
    """
    adapter = adapt(attention)
    title = name or str(getattr(adapter.fn, "__name__", type(adapter.fn).__name__))
    chosen = PROPERTIES if only is None else [_named(n) for n in only]
    with _in_eval(adapter.module):
        return Report(title, tuple(_outcome(p, adapter) for p in chosen))


@contextmanager
def _in_eval(module: nn.Module | None) -> Iterator[None]:
    # Part by part: a frozen part in eval mode may stand inside a module that trains.
    training = {} if module is None else {part: part.training for part in module.modules()}
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part, flag in training.items():
            part.training = flag


def _named(name: str) -> Property:
    for candidate in PROPERTIES:
        if candidate.name == name:
            return candidate
    known = ", ".join(p.name for p in PROPERTIES)
    raise ValueError(f"only: {name!r} is no property; the properties are {known}")


def _outcome(prop: Property, adapter: Adapter) -> Outcome:
    try:
        detail = prop.test(adapter)
    except NotApplicable as reason:
        return Outcome(prop.name, "not applicable", prop.explanation, prop.chapter, str(reason))
    except Exception as error:  # the reader's code may raise anything: that is a finding, too
        detail = f"it raised {type(error).__name__}: {error}"
    status = "passed" if detail is None else "failed"
    return Outcome(prop.name, status, prop.explanation, prop.chapter, detail or "")
