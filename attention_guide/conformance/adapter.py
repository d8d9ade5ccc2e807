"""What a piece of attention code can do, and how to call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Attention = Callable[..., Tensor]


@dataclass(frozen=True)
class Adapter:
    """How to call an attention function by the plain contract, and what it claims to do.

    The contract is `fn(q, k, v, mask=None) -> out` with `q` (B, H, T, K), `k` (B, H, S, K),
    `v` (B, H, S, E), `mask` bool, True = may attend, broadcastable to (B, H, T, S), and
    `out` (B, H, T, E). What a callable can't express is *not applicable*, never failed.

    Args:
        fn: The callable, or a function of a line or two that maps the contract to it.
        masked: Whether it takes a mask at all.
        causal: Whether `fn(q, k, v, causal=True)` is understood.
        grouped: Whether `k` and `v` may have fewer heads than `q`.
        value_width: Whether E may differ from K.
        cross: Whether the numbers of queries and keys may differ.
        dtypes: The floating dtypes it runs in, most precise first.
        step: One decoding step with a cache, `step(q, k, v, state) -> (out, state)`, with one
            query, key and value; `state` is None at the start. None when there is no cache.
        window: The (left, right) window that it applies when causal, or None.
        module: The `nn.Module` behind `fn`, whose dropout must be off in eval mode.

    Raises:
        TypeError: If `fn` is not callable.

    Examples:
        >>> from attention_guide.functional import attention
        >>> Adapter(attention, causal=True, grouped=True).causal
        True
    """

    fn: Attention
    masked: bool = True
    causal: bool = False
    grouped: bool = False
    value_width: bool = True
    cross: bool = True
    dtypes: tuple[torch.dtype, ...] = (torch.float64, torch.float32, torch.bfloat16)
    step: Callable[..., tuple[Tensor, Any]] | None = None
    window: tuple[int | None, int | None] | None = None
    module: nn.Module | None = None

    def __post_init__(self) -> None:
        if not callable(self.fn):
            raise TypeError(f"fn must be callable; got {type(self.fn).__name__}")

    @property
    def dtype(self) -> torch.dtype:
        """The most precise dtype it runs in."""
        return self.dtypes[0]


def adapt(attention: Attention | nn.Module | Adapter) -> Adapter:
    """The adapter of `attention`: itself, or the plain contract for a callable or module.

    Args:
        attention: A callable by the plain contract, a module whose `forward` is one, or an
            adapter.

    Returns:
        The adapter; a module's is in eval mode and knows its module.

    Raises:
        TypeError: If `attention` is not callable.

    Examples:
        >>> from attention_guide.functional import attention
        >>> adapt(attention).fn is attention
        True
    """
    if isinstance(attention, Adapter):
        return attention
    if isinstance(attention, nn.Module):
        return Adapter(attention, module=attention)
    return Adapter(attention)
