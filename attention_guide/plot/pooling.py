"""Maps of thousands of tokens: blocks of cells become one, by their largest or their mean."""

import math
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

How: TypeAlias = Literal["max", "mean"]

# Sides up to this long are drawn cell by cell; longer ones in blocks, at most MOST_BLOCKS.
LONGEST_SIDE = 512
MOST_BLOCKS = 256


class Pooled(NamedTuple):
    """A map in blocks.

    Attributes:
        values: `(T', S')`, 0 where a block is masked.
        allowed: bool, `(T', S')`; False where every cell of the block is masked.
        rows: Queries a block.
        columns: Keys a block.
    """

    values: npt.NDArray[np.float64]
    allowed: npt.NDArray[np.bool_]
    rows: int
    columns: int

    @property
    def pooled(self) -> bool:
        """Whether any block is larger than a cell."""
        return self.rows > 1 or self.columns > 1


def pool(
    values: npt.NDArray[np.float64],
    allowed: npt.NDArray[np.bool_],
    how: How = "max",
    *,
    longest: int = LONGEST_SIDE,
    blocks: int = MOST_BLOCKS,
) -> Pooled:
    r"""Pool a map, $p_{ij} = \max$ or mean of $w_{ts}$ over the cells of block $(i, j)$ that count.

    Masked cells don't count: a block at the edge of a mask shows what the others hold. The largest
    keeps a single strong weight visible; the mean keeps sums comparable and lets it fade.

    Args:
        values: `(T, S)`.
        allowed: bool, `(T, S)`.
        how: "max" or "mean".
        longest: A side up to this length stays as it is.
        blocks: Most blocks along a longer side.

    Returns:
        The map in blocks; the last block of a side may be smaller than the rest.

    Raises:
        ValueError: `how` is something else.

    Examples:
        >>> weights = np.array([[0.5, 0.1, 0.0, 0.4], [0.2, 0.2, 0.6, 0.0]])
        >>> seen = pool(weights, np.ones((2, 4), dtype=bool), longest=2, blocks=2)
        >>> seen.values, seen.columns
        (array([[0.5, 0.4],
               [0.2, 0.6]]), 2)
    """
    if how not in ("max", "mean"):
        raise ValueError(f'pooling: expected "max" or "mean", got {how!r}')
    rows, columns = (1 if side <= longest else math.ceil(side / blocks) for side in values.shape)
    if rows == columns == 1:
        return Pooled(values, allowed, 1, 1)
    count = _blocks(allowed.astype(np.float64), np.add, rows, columns)
    if how == "max":
        best = _blocks(np.where(allowed, values, -np.inf), np.maximum, rows, columns)
        pooled = np.where(count > 0, best, 0.0)
    else:
        total = _blocks(np.where(allowed, values, 0.0), np.add, rows, columns)
        pooled = total / np.maximum(count, 1.0)
    return Pooled(pooled, count > 0, rows, columns)


def _blocks(
    values: npt.NDArray[np.float64], reduce: np.ufunc, rows: int, columns: int
) -> npt.NDArray[np.float64]:
    down = reduce.reduceat(values, np.arange(0, values.shape[0], rows), axis=0)
    across: npt.NDArray[np.float64] = reduce.reduceat(
        down, np.arange(0, values.shape[1], columns), axis=1
    )
    return across
