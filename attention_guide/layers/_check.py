"""Argument checks that the layers share: our own error, with axis letters, before torch's."""

from collections.abc import Callable, Sequence
from typing import get_args

import torch
from torch import Tensor, nn

from attention_guide.functional import Kernel, _checks


def check_width(name: str, x: Tensor, width: int, weight: object = None) -> None:
    """Demand a floating-point `(..., D)` with D = `width`, of the dtype and device of `weight`."""
    _checks.floating(name, x)
    if x.ndim == 0 or x.shape[-1] != width:
        raise ValueError(f"{name}: expected (..., D) with D = {width}; got {_checks.shape(x)}")
    check_dtype(name, x, weight)


def check_sequence(
    name: str, x: Tensor, width: int | None, letters: str = "B T D", weight: object = None
) -> None:
    """Demand a floating-point `(B, T, D)` with D = `width`, of the dtype and device of `weight`.

    The letters may name other axes, as many as there are; a width of `None` may be any.
    """
    _checks.floating(name, x)
    wanted = letters.split()
    if x.ndim != len(wanted) or (width is not None and x.shape[-1] != width):
        last = "" if width is None else f" with {wanted[-1]} = {width}"
        raise ValueError(f"{name}: expected ({', '.join(wanted)}){last}; got {_checks.shape(x)}")
    check_dtype(name, x, weight)


def check_dtype(name: str, x: Tensor, weight: object, of: str = "the weights") -> None:
    """Demand the device of `weight`, and its dtype, unless autocast brings both to one."""
    if weight is None or (
        x.dtype == getattr(weight, "dtype", None) and x.device == getattr(weight, "device", None)
    ):
        return
    if not isinstance(weight, Tensor):  # a quantised layer's weight, packed away
        return
    check_device(name, x, weight, of)
    # A quantised layer's weight isn't a floating-point tensor, and takes what it is given.
    if x.dtype == weight.dtype or not weight.is_floating_point():
        return
    device = x.device.type
    cast = device != "meta" and torch.is_autocast_enabled(device)
    if not cast or torch.float64 in (x.dtype, weight.dtype):  # which autocast leaves alone
        raise TypeError(f"{name}: expected {weight.dtype}, the dtype of {of}; got {x.dtype}")


def check_device(name: str, x: Tensor, weight: Tensor, of: str = "the weights") -> None:
    """Demand the device of `weight`."""
    # What is on meta may be a weight that a hook fetches only when its layer runs.
    if not weight.is_meta:
        _checks.same_device(name, x, of, weight)


def check_made(name: str, made: object, x: Tensor) -> Tensor:
    """Demand of what a plug-in made of `x` its shape and device, and its dtype if not autocast."""
    made = _checks.as_large(name, made, "its input", x)
    check_dtype(name, made, x, "its input")
    return made


def check_ids(name: str, ids: Tensor, letters: str = "B T") -> None:
    """Demand integers `(B, T)`."""
    _checks.integral(name, ids)
    _checks.rank(name, ids, letters)


def check_below(name: str, x: Tensor, limit: int, what: str) -> None:
    """Demand integers from 0 to below `limit`, where looking costs no wait: on CPU."""
    if x.device.type == "cpu":
        _checks.below(name, x, limit, what)


def check_rows(name: str, ids: Tensor, table: nn.Embedding) -> None:
    """Demand ids that a table has rows for: int64 or int32, its device, and on CPU its range."""
    if _checks.integral(name, ids).dtype not in (torch.int64, torch.int32):
        raise TypeError(f"{name}: expected torch.int64 or torch.int32; got {ids.dtype}")
    check_device(name, ids, table.weight)
    check_below(name, ids, table.num_embeddings, "the rows")


def check_real(padding: Tensor, wanted: tuple[int, ...], letters: str = "B S") -> None:
    """Demand a bool `(B, S)`, which says of each token whether it is one or padding."""
    _checks.boolean("padding", padding)
    if tuple(padding.shape) != wanted:
        form = ", ".join(letters.split())
        raise ValueError(f"padding: expected ({form}) = {wanted}; got {_checks.shape(padding)}")


def check_caches(name: str, x: Tensor, caches: Sequence[object] | None) -> None:
    """Demand that all layers' caches stand at one length and have room for the tokens of `x`.

    Before the first layer writes: one that refuses later would leave those before it ahead.
    """
    if caches is None or torch.compiler.is_compiling():  # a guard a layer would be dear there
        return
    lengths = [cache.length for cache in caches if hasattr(cache, "length")]
    if any(length != lengths[0] for length in lengths):
        raise ValueError(f"cache: expected layers that have seen as many tokens; got {lengths}")
    rooms = [cache.max_len for cache in caches if hasattr(cache, "max_len")]
    if rooms and lengths[0] + x.shape[1] > min(rooms):
        total = lengths[0] + x.shape[1]
        raise ValueError(f"{name}: the cache has room for {min(rooms)} tokens; got {total}")


def check_positions(positions: Tensor, x: Tensor) -> None:
    """Demand integers `(T,)` or `(B, T)` for `x`, `(B, T, D)`."""
    _checks.integral("positions", positions)
    batch, length = x.shape[:2]
    if positions.shape not in ((length,), (batch, length)):
        raise ValueError(
            f"positions: expected (T) or (B, T) with B = {batch}, T = {length}; "
            f"got {_checks.shape(positions)}"
        )
    _checks.same_device("positions", positions, "x", x)


def check_padding(mask: Tensor, batch: int, length: int) -> None:
    """Demand a bool `(B, 1, 1, T)`, which hides keys from all queries alike."""
    _checks.boolean("mask", mask)
    if mask.shape != (batch, 1, 1, length):
        raise ValueError(
            f"mask: expected (B, 1, 1, T) = {(batch, 1, 1, length)}, which hides keys "
            f"from all queries alike; got {_checks.shape(mask)}"
        )


def build(name: str, make: Callable[[int], nn.Module], width: int) -> nn.Module:
    """Demand a function, and of what it makes of `width` that it is a module."""
    _checks.functions(**{name: make})
    made = make(width)
    _checks.instance(f"{name}({width})", made, nn.Module)
    return made


def check_sizes(*, least: int = 1, **sizes: int | None) -> None:
    """Demand ints of at least `least`, each named by its keyword; `None` is none."""
    for name, size in sizes.items():
        if size is not None:
            _checks.integer(name, size, least=least)


def check_token_ids(vocab_size: int, **ids: int | None) -> None:
    """Demand ids of a vocabulary, each named by its keyword; `None` is none."""
    for name, token in ids.items():
        if token is not None and not 0 <= _checks.integer(name, token) < vocab_size:
            raise ValueError(f"{name}: expected 0 to {vocab_size - 1}; got {token}")


def check_dropout(dropout: float) -> None:
    """Demand a share of numbers to drop."""
    _checks.number("dropout", dropout, least=0, below=1)


def check_choice(name: str, x: object, choices: Sequence[str]) -> None:
    """Demand one of some words."""
    if x not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}; got {x!r}")


def check_scoring(dropout: float, kernel: str | None, scale: float | None) -> None:
    """Demand what the layers hand to `attention` on every call."""
    check_dropout(dropout)
    if kernel is not None:
        check_choice("kernel", kernel, get_args(Kernel))
    if scale is not None:
        _checks.number("scale", scale)


def head_width(d_model: int, n_heads: int, d_head: int | None) -> int:
    """The width of a head: as given, or a share of `d_model`."""
    check_sizes(d_model=d_model, n_heads=n_heads, d_head=d_head)
    if d_head is None and d_model % n_heads:
        raise ValueError(f"n_heads: expected a divisor of d_model = {d_model}; got {n_heads}")
    return d_model // n_heads if d_head is None else d_head
