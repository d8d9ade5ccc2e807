"""What every reader of weights asks of a file: JSON that is whole, numbers that fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor


def read_json(file: Path) -> dict[str, Any]:
    """A file's JSON object.

    Raises:
        ValueError: It isn't one, by the file's name.
    """
    try:
        found = json.loads(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"{file}: expected JSON; got none ({error})") from error
    if not isinstance(found, dict):
        raise ValueError(f"{file}: expected a JSON object; got {type(found).__name__}")
    return found


def read_tensors(content: bytes, file: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file that has been read.

    Args:
        content: Its bytes.
        file: Its name, for the message.

    Raises:
        ValueError: It isn't safetensors, or not whole.
    """
    try:
        return safetensors.torch.load(content)
    except safetensors.SafetensorError as error:
        raise ValueError(
            f"{file}: expected safetensors; it is truncated or another format ({error})"
        ) from error


def check_fits(name: str, x: Tensor, dtype: torch.dtype) -> None:
    """Demand of a tensor's finite numbers that they stay finite in `dtype`.

    Raises:
        ValueError: One is too large for it.
    """
    if bool((x.to(dtype).isinf() & x.isfinite()).any()):
        largest = x[x.isfinite()].abs().max()
        raise ValueError(f"dtype: expected one that holds {largest:g}, as {name} has; got {dtype}")
