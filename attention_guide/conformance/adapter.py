"""What a piece of attention code can do, and how to call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
        always_causal: Whether every call is causal, as in a GPT's block. What it gives is then
            compared with causal attention, and what speaks of free order doesn't apply.
        grouped: Whether `k` and `v` may have fewer heads than `q`.
        value_width: Whether E may differ from K; it then does in the comparison with the reference.
        cross: Whether the numbers of queries and keys may differ.
        dtypes: The floating dtypes it runs in, most precise first.
        step: One decoding step with a cache, `step(q, k, v, state) -> (out, state)`, with one
            query, key and value; `state` is None at the start. None when there is no cache.
        window: The (left, right) window that it applies when causal, or None.
        module: The `nn.Module` behind `fn`, which is in eval mode while it is checked.

    Raises:
        TypeError: If `fn` is not callable, or is a class in place of an instance.

    Examples:
        >>> from attention_guide.functional import attention
        >>> Adapter(attention, causal=True, grouped=True).causal
        True
    """

    fn: Attention
    masked: bool = True
    causal: bool = False
    always_causal: bool = False
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
        if isinstance(self.fn, type):
            raise TypeError(
                f"fn must be a function or an instance; got the class {self.fn.__name__}"
            )

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
        The adapter. A module's knows its module, and runs in the dtype of its first floating
        parameter where it has one; gradients are then those of a copy in float64. To declare more
        of a module, replace a field of its adapter.

    Raises:
        TypeError: If `attention` is not callable, or is a class in place of an instance.

    Examples:
        >>> from attention_guide.functional import attention
        >>> adapt(attention).fn is attention
        True
        >>> from dataclasses import replace
        >>> layer = nn.Linear(8, 8)  # any module with parameters
        >>> block = replace(adapt(layer), always_causal=True)
        >>> block.dtypes, block.always_causal
        ((torch.float32,), True)
    """
    if isinstance(attention, Adapter):
        return attention
    if not isinstance(attention, nn.Module):
        return Adapter(attention)
    adapter = Adapter(attention, module=attention)
    dtypes = (p.dtype for p in attention.parameters() if p.is_floating_point())
    own = next(dtypes, None)
    return adapter if own is None else replace(adapter, dtypes=(own,))
