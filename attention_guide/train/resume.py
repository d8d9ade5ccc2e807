"""Stop a run and go on later, as if nothing had happened."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import random
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol, runtime_checkable

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from attention_guide.train import distributed
from attention_guide.train._check import check_optimizer, check_readable, check_weights
from attention_guide.train.loop import History

# The last bytes of a file: what it is, and the SHA-256 of everything before them. torch reads
# its archive from the directory at the end and takes no offence at what comes after it.
_MARK: Final = b"\nattention-guide checkpoint, sha256 "
_TRAILER: Final = len(_MARK) + 64
_TRUNCATED: Final = (
    "has no checksum at its end: it is truncated, or `save_training` didn't write it"
)


class CheckpointError(ValueError):
    """A checkpoint that must not be used: truncated, altered, unreadable, or without a part."""


@runtime_checkable
class Stateful(Protocol):
    """Anything whose state can be kept: batches, an early stopping, a scaler."""

    def state_dict(self) -> Any:
        """The state: numbers, strings, tensors, lists and dictionaries of these."""
        ...

    def load_state_dict(self, state: Any, /) -> Any:
        """Go on from that state."""
        ...


def save_training(
    path: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: History,
    *,
    parts: Mapping[str, Stateful] | None = None,
) -> None:
    """Write weights, optimiser state, random state and history to one file, atomically.

    A file that was there before stays whole until the new one is: an interruption leaves the
    old or the new, never half of either. The file ends with its own checksum. In several
    processes all must call this, one writes, and the file is the same whatever their number.

    Args:
        path: The file.
        model: The model in training, wrapped or not.
        optimizer: Its optimiser.
        history: What `fit` returned so far.
        parts: Name to whatever else has a state: the position in the data
            (`{"batches": batches}`, for `PairBatches` or `BucketBatches`), an `EarlyStopping`.

    Raises:
        TypeError: Something in a state couldn't be read again, such as a path or one of NumPy's
            numbers. Nothing is written then.

    Examples:
        >>> import pathlib, tempfile
        >>> model = nn.Linear(2, 1)
        >>> adam = torch.optim.Adam(model.parameters())
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.pt"
        >>> save_training(path, model, adam, History(loss=[0.5], rate=[0.1], grad_norm=[1.0]))
        >>> load_training(path, model, adam).steps
        1
    """
    state = {
        "model": distributed.weights_of(model),
        "optimizer": distributed.whole(optimizer.state_dict()),
        "kind": type(optimizer).__name__,
        "history": asdict(history),
        "random": _every_process(random_state()),
        "parts": {name: part.state_dict() for name, part in (parts or {}).items()},
    }
    check_readable(**state)
    if distributed.is_main():
        _write(Path(path), state)
    if distributed.world_size() > 1:
        dist.barrier()


def load_training(
    path: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    parts: Mapping[str, Stateful] | None = None,
) -> History:
    """Put the state that `save_training` wrote back into a model and its optimiser.

    The random states of torch, NumPy and Python are put back as well, so that dropout goes on
    with the same draws. Nothing is changed unless the file is whole, the model has its parameters
    and the optimiser is of its kind; neither of the two unless the parts take their states.

    Args:
        path: The file.
        model: A model of the same shape; overwritten.
        optimizer: An optimiser of the same kind over its parameters; overwritten.
        parts: Those that were saved, by name; overwritten.

    Returns:
        The history, to be passed to `fit` as `history=`.

    Raises:
        CheckpointError: The file is truncated or altered, holds what can't be read without
            running code, or lacks one of the parts.
        FileNotFoundError: There is no such file.
        RuntimeError: The model has other parameters.
        ValueError: The optimiser is of another kind, or its groups of other sizes.

    Examples:
        See `save_training`.
    """
    data = _verified(Path(path))
    # weights_only: the file may come from somebody else, and a pickle can run code.
    try:
        state = torch.load(io.BytesIO(data), weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        raise CheckpointError(f"{path}: holds what can't be read without running code") from error
    missing = set(parts or {}) - set(state["parts"])
    if missing:
        raise CheckpointError(f"{path}: has no part {', '.join(sorted(missing))}")
    check_weights(model, state["model"])
    check_optimizer(optimizer, state["optimizer"], state.get("kind"))
    for name, part in (parts or {}).items():
        part.load_state_dict(state["parts"][name])
    distributed.load_weights(model, state["model"])
    _load_optimizer(optimizer, state["optimizer"])
    rank = dist.get_rank() if distributed.world_size() > 1 else 0
    if rank < len(state["random"]):  # a new process more than there were keeps its own
        set_random_state(state["random"][rank])
    return History(**state["history"])


def random_state() -> dict[str, Any]:
    """The states of torch's generators (CPU and GPUs), of NumPy's and of Python's.

    >>> state = random_state()
    >>> first = random.random()
    >>> set_random_state(state)
    >>> random.random() == first
    True
    """
    old = np.random.get_state(legacy=False)
    version, inner, extra = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        # As lists: what torch.load reads without running code.
        "numpy": {**old, "state": {**old["state"], "key": old["state"]["key"].tolist()}},
        "python": [version, list(inner), extra],
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put back what `random_state` gave; GPUs only where their number is the same.

    >>> set_random_state(random_state())
    """
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    old = state["numpy"]
    key = np.array(old["state"]["key"], dtype=np.uint32)
    np.random.set_state({**old, "state": {**old["state"], "key": key}})
    version, inner, extra = state["python"]
    random.setstate((version, tuple(inner), extra))


class _Hashing:
    """A file that hashes what is written into it; torch writes its archive from front to end."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def _write(path: Path, state: Mapping[str, Any]) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            hashing = _Hashing(file)
            torch.save(state, hashing)  # type: ignore[arg-type]
            file.write(_MARK + hashing.digest.hexdigest().encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    if os.name == "posix":  # the new name itself must reach the disk, too
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _verified(path: Path) -> bytes:
    data = path.read_bytes()
    body, trailer = data[:-_TRAILER], data[-_TRAILER:]
    if not trailer.startswith(_MARK):
        raise CheckpointError(f"{path}: {_TRUNCATED} ({len(data):,} bytes)")
    written, found = trailer[len(_MARK) :].decode("latin-1"), hashlib.sha256(body).hexdigest()
    if written != found:
        raise CheckpointError(
            f"{path}: its content was altered: it was written with checksum {written[:12]}…, "
            f"it has {found[:12]}…"
        )
    return body


def _load_optimizer(optimizer: torch.optim.Optimizer, saved: dict[str, Any]) -> None:
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for index, state in saved["state"].items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and index < len(parameters):
                state[name] = distributed.like(value, parameters[index])
    optimizer.load_state_dict(saved)


def _every_process(value: Any) -> list[Any]:
    if distributed.world_size() == 1:
        return [value]
    values: list[Any] = [None] * distributed.world_size()
    dist.all_gather_object(values, value)
    return values
