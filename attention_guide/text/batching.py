"""Sequences of unequal length as one rectangle of ids."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy.typing as npt
import torch
from jaxtyping import Int
from torch import Tensor

from attention_guide.text import _check


def pad_batch(
    sequences: Sequence[Sequence[int] | Tensor | npt.NDArray[Any]],
    *,
    pad_id: int = 0,
    length: int | None = None,
    side: str = "right",
) -> Int[Tensor, "B T"]:
    """Stack sequences into a rectangle, filled up with the padding id.

    Args:
        sequences: `B` sequences of ids.
        pad_id: The id to fill with.
        length: The width `T`; by default that of the longest sequence.
        side: Where the padding goes: `"right"` (training) or `"left"` (so that the last
            column holds every sequence's last token, as batched generation wants it).

    Returns:
        The ids, int64, shape `(B, T)`.

    Raises:
        TypeError: An id isn't an integer.
        ValueError: No sequence, one longer than `length`, or an unknown side.

    Examples:
        >>> pad_batch([[5, 6, 7], [8]])
        tensor([[5, 6, 7],
                [8, 0, 0]])
        >>> pad_batch([[5, 6, 7], [8]], side="left")
        tensor([[5, 6, 7],
                [0, 0, 8]])
    """
    if len(sequences) == 0:
        raise ValueError("sequences: expected at least one, got none")
    if side not in ("left", "right"):
        raise ValueError(f"side: expected 'left' or 'right', got {side!r}")
    pad_id = _check.integer("pad_id", pad_id)
    longest = max(map(len, sequences))
    width = longest if length is None else length
    if longest > width:
        raise ValueError(f"length: expected at least {longest}, the longest sequence, got {width}")
    rows = []
    for sequence in sequences:
        padding = [pad_id] * (width - len(sequence))
        rows.append([*padding, *sequence] if side == "left" else [*sequence, *padding])
    ids = torch.tensor(rows)  # without a dtype: it would cut fractions off
    if ids.is_floating_point() and width > 0:
        raise TypeError("sequences: expected integers; got a float among them")
    return ids.to(torch.int64).reshape(len(sequences), width)


def lengths_of(ids: Int[Tensor, "B T"], *, pad_id: int = 0) -> Int[Tensor, " B"]:
    """Count the ids of each row that aren't padding.

    Args:
        ids: A padded batch, shape `(B, T)`.
        pad_id: The id that it was filled with.

    Returns:
        The lengths, int64, shape `(B,)`.

    Raises:
        ValueError: `ids` isn't two-dimensional.

    Examples:
        >>> lengths_of(pad_batch([[5, 6, 7], [8]]))
        tensor([3, 1])
    """
    if ids.ndim != 2:
        raise ValueError(f"ids: expected shape (B, T), got {tuple(ids.shape)}")
    return (ids != pad_id).sum(dim=1)


class PairBatches:
    """Padded (source, target) batches, in a new order each time you iterate.

    Each pass over it is one epoch. The order of epoch `n` depends on the seed and on `n`
    alone (Python's generator, so it is the same under every version of torch).

    Args:
        sources: `N` sequences of ids.
        targets: `N` sequences of ids.
        batch_size: Pairs in a batch; the last batch of an epoch may be smaller.
        pad_id: The id to fill with.
        shuffle: Whether to reorder the pairs in each epoch.
        seed: Seed of the order.

    Raises:
        ValueError: No pairs, unequal numbers of sources and targets, or `batch_size < 1`.

    Its position in the data is a state that a checkpoint can keep (`state_dict`).

    Examples:
        >>> batches = PairBatches([[3], [4, 5]], [[6, 7], [8]], batch_size=2, shuffle=False)
        >>> source, target = next(iter(batches))
        >>> source
        tensor([[3, 0],
                [4, 5]])
    """

    def __init__(
        self,
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
        batch_size: int,
        *,
        pad_id: int = 0,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        """Check the numbers and keep the pairs."""
        if len(sources) != len(targets):
            raise ValueError(
                f"targets: expected one for each of the {len(sources)} sources, got {len(targets)}"
            )
        if not sources:
            raise ValueError("sources: expected at least one, got none")
        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
        self.sources, self.targets = sources, targets
        self.batch_size, self.pad_id = batch_size, pad_id
        self.shuffle, self.seed = shuffle, seed
        self.epoch = 0
        self._position = self._resume = 0

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.sources) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch: tensors of ids, shapes `(B, S)` and `(B, T)`."""
        plan = self.plan(self.epoch)
        self.epoch += 1
        first, self._resume = self._resume, 0
        for index in range(first, len(plan)):
            self._position = index + 1
            yield (
                pad_batch([self.sources[i] for i in plan[index]], pad_id=self.pad_id),
                pad_batch([self.targets[i] for i in plan[index]], pad_id=self.pad_id),
            )

    def plan(self, epoch: int) -> list[list[int]]:
        """Which pairs each batch of an epoch holds, by their numbers.

        Examples:
            >>> PairBatches([[3]] * 5, [[4]] * 5, batch_size=2, shuffle=False).plan(0)
            [[0, 1], [2, 3], [4]]
        """
        order = self._shuffled(epoch)
        size = self.batch_size
        return [order[start : start + size] for start in range(0, len(order), size)]

    def _shuffled(self, epoch: int) -> list[int]:
        order = list(range(len(self.sources)))
        if self.shuffle:
            random.Random(f"{self.seed}:{epoch}").shuffle(order)
        return order

    def state_dict(self) -> dict[str, int]:
        """The position in the data: the epoch, and how many of its batches are done.

        Examples:
            >>> batches = PairBatches([[3], [4], [5]], [[6], [7], [8]], batch_size=1)
            >>> stream = iter(batches)
            >>> _ = next(stream), next(stream)
            >>> batches.state_dict()
            {'epoch': 0, 'batches': 2}
        """
        if 0 < self._position < len(self):
            return {"epoch": self.epoch - 1, "batches": self._position}
        return {"epoch": self.epoch, "batches": self._resume}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Let the next pass begin at a position that `state_dict` gave.

        Args:
            state: The position.

        Raises:
            ValueError: An epoch has fewer batches than that: it is the state of other data.
        """
        if state["epoch"] < 0 or not 0 <= state["batches"] < len(self):
            raise ValueError(
                f"state: expected an epoch from 0 and batches from 0 to below {len(self)}; "
                f"got {dict(state)}"
            )
        self.epoch, self._resume = state["epoch"], state["batches"]
        self._position = 0
