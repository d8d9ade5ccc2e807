"""Stretches of a stream of ids: how a language model's recipe trains and judges."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Int
from torch import Tensor, nn

from attention_guide.train import cross_entropy


class Windows:
    """Random stretches of a stream of ids, each behind the id that begins a text.

    It never ends: every batch is drawn anew.

    Args:
        ids: The stream.
        length: Ids that the model reads, the beginning included.
        batch_size: Stretches in a batch.
        first: The id that stands at the beginning.
        seed: Seed of the draw.

    Raises:
        ValueError: The stream is shorter than one stretch.

    Examples:
        >>> batch = next(iter(Windows(list(range(10)), length=4, batch_size=2, first=99)))
        >>> batch.shape, batch[:, 0].tolist()
        (torch.Size([2, 5]), [99, 99])
    """

    def __init__(
        self, ids: Sequence[int], length: int, batch_size: int, *, first: int, seed: int = 0
    ) -> None:
        """Keep the stream."""
        if len(ids) < length:
            raise ValueError(f"ids: expected at least {length}, got {len(ids)}")
        self.ids, self.length, self.batch_size = torch.tensor(ids), length, batch_size
        self.first, self.seed = torch.tensor([first]), seed

    def __iter__(self) -> Iterator[Int[Tensor, "B T"]]:
        """Batches of `length + 1` ids: the last is a target only."""
        generator = random.Random(self.seed)
        while True:
            starts = [
                generator.randrange(len(self.ids) - self.length + 1) for _ in range(self.batch_size)
            ]
            rows = [torch.cat([self.first, self.ids[i : i + self.length]]) for i in starts]
            yield torch.stack(rows)


def next_token_loss(model: nn.Module, ids: Int[Tensor, "B T"]) -> Tensor:
    """Cross-entropy of each id given those before it, nats a token.

    Args:
        model: A language model.
        ids: Rows of ids.

    Returns:
        The mean, a scalar.
    """
    return cross_entropy(model(ids[:, :-1]), ids[:, 1:])


@torch.no_grad()
def validation_loss(model: nn.Module, ids: Sequence[int], length: int, *, first: int) -> float:
    """Nats a token over a whole stream, cut into stretches that don't overlap.

    Each stretch begins behind `first`, as in training, so that its first tokens are judged with
    next to nothing before them: a loss with a sliding context would be lower.

    Args:
        model: A language model in eval mode.
        ids: The stream.
        length: Ids that the model reads at once.
        first: The id that stands at the beginning.

    Returns:
        The mean over all ids.
    """
    total = 0.0
    for start in range(0, len(ids), length):
        part = torch.tensor([[first, *ids[start : start + length]]])
        total += float(next_token_loss(model, part)) * (part.shape[1] - 1)
    return total / len(ids)
