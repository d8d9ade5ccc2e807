"""Batches of sequences of similar length, so that little of a batch is padding."""

from __future__ import annotations

import random
from collections.abc import Sequence

from attention_guide.text.batching import PairBatches


class BucketBatches(PairBatches):
    """Padded (source, target) batches of similar lengths, each of at most so many ids.

    Pairs are sorted by length, those of equal lengths in a new order each epoch; the sorted row
    is cut into batches, and the batches are shuffled. Otherwise it is `PairBatches`.

    Args:
        sources: `N` sequences of ids.
        targets: `N` sequences of ids.
        max_tokens: The most ids a batch may have, padding included, sources and targets
            together: long sequences make small batches.
        pad_id: The id to fill with.
        shuffle: Whether to reorder in each epoch.
        seed: Seed of the order.

    Raises:
        ValueError: As `PairBatches`, or a single pair is longer than `max_tokens`.

    Source:
        Vaswani et al. (2017), section 5.1: pairs batched together by approximate length, about
        25,000 source and 25,000 target tokens in a batch.

    Examples:
        >>> batches = BucketBatches([[3], [4] * 9, [5]], [[6], [7] * 9, [8]], max_tokens=20)
        >>> sorted(source.shape for source, _ in batches)
        [torch.Size([1, 9]), torch.Size([2, 1])]
        >>> batches.padding_share()
        0.0
    """

    def __init__(
        self,
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
        max_tokens: int,
        *,
        pad_id: int = 0,
        shuffle: bool = True,
        seed: int = 0,
    ) -> None:
        """Check that every pair fits."""
        super().__init__(sources, targets, 1, pad_id=pad_id, shuffle=shuffle, seed=seed)
        longest = max(len(s) + len(t) for s, t in zip(sources, targets, strict=True))
        if longest > max_tokens:
            raise ValueError(f"max_tokens: expected at least {longest}, the longest pair's length")
        self.max_tokens = max_tokens
        self._n_batches = len(self.plan(0))

    def __len__(self) -> int:
        """Batches in an epoch; the same in every epoch."""
        return self._n_batches

    def plan(self, epoch: int) -> list[list[int]]:
        """Which pairs each batch of an epoch holds, by their numbers."""
        order = sorted(self._shuffled(epoch), key=self._lengths)  # stable: ties stay shuffled
        batches: list[list[int]] = []
        for index in order:
            fits = bool(batches) and self._size([*batches[-1], index]) <= self.max_tokens
            if fits:
                batches[-1].append(index)
            else:
                batches.append([index])
        if self.shuffle:
            random.Random(f"{self.seed}:{epoch}:batches").shuffle(batches)
        return batches

    def padding_share(self) -> float:
        """The share of all ids of an epoch that is padding, 0 to 1."""
        total = sum(self._size(batch) for batch in self.plan(0))
        real = sum(map(len, self.sources)) + sum(map(len, self.targets))
        return 1.0 - real / total if total else 0.0

    def _lengths(self, index: int) -> tuple[int, int, int]:
        # Both: only pairs of the same lengths may change places, or a cut would fall elsewhere.
        source, target = len(self.sources[index]), len(self.targets[index])
        return max(source, target), source, target

    def _size(self, batch: Sequence[int]) -> int:
        # The last one is among the longest, but its other side may be shorter than another's.
        width = max(len(self.sources[i]) for i in batch) + max(len(self.targets[i]) for i in batch)
        return len(batch) * width
