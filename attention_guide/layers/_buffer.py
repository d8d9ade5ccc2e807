"""The tensor that a cache writes into, and what a cache demands of what it is given."""

import torch
from torch import Tensor

from attention_guide.functional import _checks
from attention_guide.layers._check import check_sizes


class Buffer:
    """A tensor `(..., S, K)` that grows along S inside room allocated once."""

    def __init__(self, max_len: int) -> None:
        check_sizes(max_len=max_len)
        self.max_len = max_len
        self.length = 0
        self._data: Tensor | None = None

    @property
    def n_bytes(self) -> int:
        return 0 if self._data is None else self._data.numel() * self._data.element_size()

    def check(self, name: str, x: Tensor) -> None:
        check_no_grad(name, x)
        if self._data is not None:
            check_same(name, x, self._data)
        end = self.length + x.shape[-2]
        if end > self.max_len:
            raise ValueError(f"{name}: the cache has room for {self.max_len} tokens; got {end}")

    def append(self, x: Tensor) -> Tensor:
        if self._data is None:
            self._data = x.new_empty(*x.shape[:-2], self.max_len, x.shape[-1])
        start, self.length = self.length, self.length + x.shape[-2]
        self._data[..., start : self.length, :] = x
        return self._data[..., : self.length, :]

    def crop(self, length: int) -> None:
        if not 0 <= _checks.integer("length", length) <= self.length:
            raise ValueError(f"length: expected 0 to {self.length}; got {length}")
        self.length = length

    def reorder(self, rows: Tensor) -> None:
        _checks.rank("rows", _checks.integral("rows", rows), "B2")
        if self._data is None:
            return
        _checks.same_device("rows", rows, "the cache", self._data)
        try:
            self._data = self._data.index_select(0, rows.long())
        except IndexError as error:
            raise ValueError(
                f"rows: expected 0 to {len(self._data) - 1}, the rows of the batch; "
                f"got {int(rows.min())} to {int(rows.max())}"
            ) from error


def check_pair(
    name: str, x: Tensor, letters: str, other_name: str, other: Tensor, other_letters: str
) -> None:
    """Demand two tensors that differ in their last axis alone."""
    _checks.rank(name, _checks.floating(name, x), letters)
    _checks.floating(other_name, other)
    if other.shape[:-1] == x.shape[:-1]:
        return
    _checks.rank(other_name, other, other_letters)
    for position, size in enumerate(x.shape[:-1]):
        _checks.axis(other_name, other, position, size, other_letters, f"as in {name}")


def check_no_grad(name: str, x: Tensor) -> None:
    if torch.is_grad_enabled() and x.requires_grad:
        raise RuntimeError(
            f"{name}: a cache is written in place, which autograd can't follow; "
            "decode under torch.no_grad()"
        )


def check_same(name: str, x: Tensor, held: Tensor) -> None:
    expected, got = (*held.shape[:-2], "T", held.shape[-1]), tuple(x.shape)
    if len(got) != len(expected) or any(
        e not in (g, "T") for e, g in zip(expected, got, strict=True)
    ):
        shape = ", ".join(map(str, expected))
        raise ValueError(f"{name}: expected ({shape}) as the cache holds it; got {got}")
    if x.dtype != held.dtype or x.device != held.device:
        raise ValueError(
            f"{name}: expected {held.dtype} on {held.device} as the cache holds it; "
            f"got {x.dtype} on {x.device}"
        )
