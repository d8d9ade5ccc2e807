"""A folder of checkpoints: the newest that is whole is the one to go on from."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from attention_guide.train import distributed
from attention_guide.train.loop import History
from attention_guide.train.resume import (
    CheckpointError,
    Stateful,
    load_training,
    save_training,
)

_NAME = re.compile(r"step-(\d{8})\.pt")


class DamagedCheckpointWarning(UserWarning):
    """A checkpoint was refused, and an older one used."""


class Checkpoints:
    """Save a run every so many steps; resume it from the newest file that is whole.

    Args:
        folder: Where the files are; made if it isn't there.
        every: Steps between two of them.
        keep: How many to keep, at least 2: if the newest is damaged, the one before is used.
        parts: Name to whatever else has a state, as `save_training` takes it. Without the
            batches among them a resumed run reads the data from the start of an epoch.

    Raises:
        ValueError: `every` is less than 1, or `keep` less than 2.

    Examples:
        >>> import tempfile
        >>> from attention_guide.train import fit
        >>> def run(steps, folder):
        ...     model = nn.Linear(1, 1)
        ...     adam = torch.optim.Adam(model.parameters())
        ...     checkpoints = Checkpoints(folder, every=2)
        ...     history = checkpoints.load(model, adam)  # None the first time
        ...     return fit(model, [torch.ones(1, 1)], lambda model, x: model(x).square().mean(),
        ...                steps=steps, optimizer=adam, checkpoints=checkpoints, history=history)
        >>> folder = tempfile.mkdtemp()
        >>> run(3, folder).steps, run(5, folder).steps
        (3, 5)
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        every: int = 100,
        keep: int = 2,
        parts: Mapping[str, Stateful] | None = None,
    ) -> None:
        """Check the numbers and make the folder."""
        if every < 1 or keep < 2:
            raise ValueError(f"every, keep: expected at least 1 and 2, got {every}, {keep}")
        self.folder, self.every, self.keep = Path(folder), every, keep
        self.parts = dict(parts or {})
        self._refused: list[Path] = []
        self.folder.mkdir(parents=True, exist_ok=True)

    def due(self, step: int) -> bool:
        """Whether to save after this step."""
        return step % self.every == 0

    def files(self) -> list[Path]:
        """The checkpoints that are there, oldest first."""
        return sorted(path for path in self.folder.iterdir() if _NAME.fullmatch(path.name))

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, history: History) -> Path:
        """Write the run's state, then remove what is older than the ones to keep.

        Args:
            model: The model in training.
            optimizer: Its optimiser.
            history: The history so far.

        Returns:
            The file.

        Raises:
            ValueError: There is a newer one, and `load` hasn't refused it.
            TypeError: As `save_training`.
        """
        path = self.folder / f"step-{history.steps:08d}.pt"
        newer = [p for p in self.files() if p > path and p not in self._refused]
        if newer:
            raise ValueError(
                f"history: expected a step after those of {newer[-1]}; got step {history.steps}. "
                "Load that run to go on with it; for another, empty the folder or take a new one"
            )
        save_training(path, model, optimizer, history, parts=self.parts)
        if distributed.is_main():
            # Steps after this one are damaged: the run went on from the one before them.
            kept = [p for p in self.files() if p <= path][-self.keep :]
            litter = self.folder.glob(".step-*.pt.*")  # of a save that was killed
            for file in [*(p for p in self.files() if p not in kept), *litter]:
                file.unlink(missing_ok=True)
        self._refused = []
        return path

    def load(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> History | None:
        """Put the newest whole checkpoint into model, optimiser and parts.

        Args:
            model: A model of the same shape.
            optimizer: An optimiser of the same kind over it.

        Returns:
            The history, for `fit`; `None` if there is no checkpoint yet.

        Raises:
            CheckpointError: There are checkpoints, but none is whole.

        Warns:
            DamagedCheckpointWarning: A newer one was refused; it says why.
        """
        refused: dict[Path, str] = {}
        for path in reversed(self.files()):
            try:
                history = load_training(path, model, optimizer, parts=self.parts)
            except CheckpointError as error:
                refused[path] = str(error)
                continue
            self._refused = list(refused)
            if refused:
                warnings.warn(
                    f"{'; '.join(refused.values())}; using {path.name}, the one before",
                    DamagedCheckpointWarning,
                    stacklevel=2,
                )
            return history
        if refused:
            raise CheckpointError(
                f"no checkpoint in {self.folder} is whole: {'; '.join(refused.values())}"
            )
        return None
