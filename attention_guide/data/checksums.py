"""One checksum for any data: strings, numbers, arrays, nested as you like."""

from __future__ import annotations

import dataclasses
import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any, TypeAlias

import numpy as np
import torch

Splits: TypeAlias = Mapping[str, Sequence[Any]]
"""The examples of a data set, by the name of their split."""


def checksum(splits: Splits) -> str:
    """SHA-256 over the examples of all splits, in order, in a form that is the same everywhere.

    Args:
        splits: Split name to examples: strings, numbers, bytes, lists, tuples, dictionaries,
            sets, dataclasses, NumPy arrays and tensors of types that NumPy has, nested as you
            like.

    Returns:
        64 hexadecimal digits. Equal data in equal order gives equal digits whatever the machine:
        the order of splits, of examples and of a dictionary's keys counts, a set's doesn't. `1`,
        `1.0`, `True` and `"1"` are different data, a list and a tuple are the same.

    Raises:
        TypeError: An example holds something else, or a set whose members have no order.

    Examples:
        >>> checksum({"train": [("a", 1)]})[:8] == checksum({"train": [["a", 1]]})[:8]
        True
    """
    digest = hashlib.sha256()
    for name, examples in splits.items():
        digest.update(_tagged(b"split", name.encode()))
        for example in examples:
            _feed(digest, example)
    return digest.hexdigest()


def _feed(digest: Any, value: Any) -> None:  # hashlib has no public type for its objects
    if value is None or isinstance(value, bool | int):
        digest.update(_tagged(type(value).__name__.encode(), str(value).encode()))
    elif isinstance(value, float):
        digest.update(_tagged(b"float", struct.pack("<d", value)))
    elif isinstance(value, str):
        digest.update(_tagged(b"str", value.encode()))
    elif isinstance(value, bytes):
        digest.update(_tagged(b"bytes", value))
    elif isinstance(value, torch.Tensor):
        _feed(digest, _array(value))
    elif isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        if array.dtype.hasobject:
            raise TypeError("checksum: don't know how to read an array of objects")
        little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
        digest.update(_tagged(b"array", f"{little.dtype.str}{array.shape}".encode()))
        digest.update(little.tobytes())
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        _feed(digest, {f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    elif isinstance(value, Mapping):
        _feed_all(digest, b"mapping", [part for item in value.items() for part in item])
    elif isinstance(value, set | frozenset):
        _feed_all(digest, b"set", _in_order(value))
    elif isinstance(value, list | tuple):
        _feed_all(digest, b"list", value)
    else:
        raise TypeError(f"checksum: don't know how to read a {type(value).__name__}")


def _array(tensor: torch.Tensor) -> Any:
    try:
        return tensor.detach().cpu().numpy()
    except (TypeError, RuntimeError) as error:
        raise TypeError(
            f"checksum: don't know how to read a tensor of {tensor.dtype}, {tensor.layout}"
        ) from error


def _in_order(values: Set[Any]) -> list[Any]:
    try:
        return sorted(values)
    except TypeError as error:
        kinds = ", ".join(sorted({type(value).__name__ for value in values}))
        raise TypeError(
            f"checksum: expected a set whose members can be sorted; got one of {kinds}"
        ) from error


def _feed_all(digest: Any, kind: bytes, values: Iterable[Any]) -> None:
    values = list(values)
    digest.update(_tagged(kind, str(len(values)).encode()))
    for value in values:
        _feed(digest, value)


def _tagged(kind: bytes, content: bytes) -> bytes:
    # The length keeps neighbours apart: ("ab", "c") isn't ("a", "bc").
    return kind + b":" + str(len(content)).encode() + b":" + content
