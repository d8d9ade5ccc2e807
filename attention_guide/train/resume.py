"""Stop a run and go on later, as if nothing had happened."""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from attention_guide.train.loop import History


def save_training(
    path: str | Path, model: nn.Module, optimizer: torch.optim.Optimizer, history: History
) -> None:
    """Write weights, optimiser state, random state and history to one file, atomically.

    A file that was there before stays whole until the new one is: an interruption leaves the
    old or the new, never half of either. The position in the data isn't part of it; `PairBatches`
    keeps its own `epoch`.

    Args:
        path: The file.
        model: The model in training.
        optimizer: Its optimiser.
        history: What `fit` returned so far.

    Examples:
        >>> import pathlib, tempfile
        >>> model = nn.Linear(2, 1)
        >>> adam = torch.optim.Adam(model.parameters())
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.pt"
        >>> save_training(path, model, adam, History(loss=[0.5], rate=[0.1], grad_norm=[1.0]))
        >>> load_training(path, model, adam).steps
        1
    """
    path = Path(path)
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "history": asdict(history),
        "random": torch.get_rng_state(),
    }
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def load_training(path: str | Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> History:
    """Put the state that `save_training` wrote back into a model and its optimiser.

    torch's random state is put back as well, so that dropout goes on with the same draws.

    Args:
        path: The file.
        model: A model of the same shape; overwritten.
        optimizer: An optimiser of the same kind over its parameters; overwritten.

    Returns:
        The history, to be passed to `fit` as `history=`.

    Examples:
        See `save_training`.
    """
    # weights_only: the file may come from somebody else, and a pickle can run code.
    state = torch.load(path, weights_only=True, map_location="cpu")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
    return History(**state["history"])
