"""Attention maps: queries down, keys across, forbidden cells hatched."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attention_guide.plot._room import (
    LETTER,
    below,
    cell_sides,
    room_over,
    text_width,
    tilted,
    wrapped,
)
from attention_guide.plot.cells import (
    MAX_TICKS,
    draw_cells,
    finish_colour_bar,
    label_axes,
    write_values,
)
from attention_guide.plot.checks import check_range, checked_mask, checked_weights, labels
from attention_guide.plot.pooling import LONGEST_SIDE, MOST_BLOCKS, How, Pooled, pool
from attention_guide.plot.style import MAX_WIDTH, TEXT_SIZE, axes_for, to_numpy, whole
from attention_guide.plot.tokens import LONGEST

# Panels of several heads are smaller than a single map.
PANEL_SIDE = 128
BLOCK_TICKS = 8
PANEL_LABEL = 20
# Inches from one label to the next, the least that can be read; panels are often laid out smaller.
LABEL_HEIGHT = 0.105
PANEL_LABEL_HEIGHT = 0.12
NUMBER_WIDTH = 0.3


def heatmap(
    weights: npt.ArrayLike,
    query_tokens: Sequence[str] | None = None,
    key_tokens: Sequence[str] | None = None,
    *,
    mask: npt.ArrayLike | None = None,
    ax: Axes | None = None,
    title: str | None = None,
    annotate: bool | None = None,
    vmin: float = 0.0,
    vmax: float = 1.0,
    colour_label: str = "attention weight",
    colour_bar: bool = True,
    pooling: How = "max",
) -> Figure:
    """Draw `weights[t, s]`, how much query t takes from key s, as one coloured cell each.

    Queries run down, keys run across, and the colour scale is fixed at 0 to 1 so that two maps can
    be compared. Cells that the mask forbids are hatched: a forbidden key and a key that happens to
    get no weight are different facts. Cells are squares, unless that makes a thin strip: one query
    by many keys has tall ones. A side of more than 512 tokens is drawn in blocks, at most 256, and
    the axis says so: 4,096 by 4,096 weights take seconds.

    Args:
        weights: `(T, S)` array or tensor, any real dtype.
        query_tokens: T labels for the rows; `None` numbers them from 0.
        key_tokens: S labels for the columns; `None` numbers them from 0.
        mask: bool, broadcastable to `(T, S)`, `True` = may attend; leading axes of length 1 are
            dropped, so a `(1, 1, 1, S)` padding mask fits.
        ax: axes to draw on; `None` opens a new figure.
        title: a line above the map.
        annotate: write each weight into its cell; `None` does so up to 64 cells, if they are wide
            enough.
        vmin: the value at the dark end of the colour bar.
        vmax: the value at the bright end of the colour bar.
        colour_label: what the colour bar measures.
        colour_bar: whether to draw it (a panel that shares its neighbour's bar needs none).
        pooling: what stands for a block of a long map: its "max" or its "mean"; `vmin` and `vmax`
            are then those of the blocks.

    Returns:
        The matplotlib Figure, left open.

    Raises:
        TypeError: the weights or the mask aren't arrays of numbers, or the mask isn't bool.
        ValueError: a shape or a count of tokens doesn't fit, a weight is NaN or, where
            it may attend, outside `vmin..vmax`, or a forbidden cell has weight (hatching would hide
            a leak).

    Examples:
        >>> figure = heatmap([[1.0, 0.0], [0.3, 0.7]], ["a", "b"], ["a", "b"],
        ...                  mask=[[True, False], [True, True]])
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['a', 'b']
        >>> plt.close(figure)
    """
    shown, row_labels, column_labels = _read(
        weights, query_tokens, key_tokens, mask, (vmin, vmax), pooling
    )
    cell, size = _map_size(row_labels, column_labels, colour_bar)
    room = room_over(ax, size[0])
    if ax is None:
        room = min(room, cell[0] * len(column_labels) + (1.5 if colour_bar else 0.4))
    figure, ax = axes_for(ax, *size)
    mesh = draw_cells(ax, shown.values, shown.allowed, vmin, vmax, cell)
    pitch = min(cell[0], room_over(ax, 0.0) / len(column_labels))
    most = _most(shown, cell, LABEL_HEIGHT)
    label_axes(ax, row_labels, column_labels, _axis_names(shown, pooling), most, pitch)
    if annotate or (annotate is None and shown.values.size <= 64 and cell[0] >= NUMBER_WIDTH):
        write_values(ax, shown.values, shown.allowed, vmin, vmax)
    if title is not None:
        ax.set_title(wrapped(title, room, TEXT_SIZE), fontsize=TEXT_SIZE)
    if colour_bar:
        # Inset, so that the bar is as tall as the map whatever the map's aspect.
        narrow = cell[0] * len(column_labels)
        beside = ax.inset_axes((1 + max(0.03, 0.04 / narrow), 0.0, max(0.05, 0.06 / narrow), 1.0))
        finish_colour_bar(figure.colorbar(mesh, cax=beside), colour_label)
    return figure


def heads(
    weights: npt.ArrayLike,
    query_tokens: Sequence[str] | None = None,
    key_tokens: Sequence[str] | None = None,
    *,
    mask: npt.ArrayLike | None = None,
    columns: int | None = None,
    titles: Sequence[str] | None = None,
    title: str | None = None,
    vmax: float = 1.0,
    pooling: How = "max",
) -> Figure:
    """Draw all heads of one layer at once: H maps with one colour scale.

    Args:
        weights: `(H, T, S)` array or tensor, any real dtype.
        query_tokens: T labels for the rows, written at the left edge only, and cut at 20 letters.
        key_tokens: S labels for the columns, written at the bottom edge only, and cut likewise.
        mask: bool, broadcastable to `(T, S)`, `True` = may attend; the same for all heads.
        columns: maps side by side; `None` takes two or three up to 4 heads, then four.
        titles: H titles; `None` writes "head 0", "head 1", …
        title: a line above all maps.
        vmax: the value at the bright end of the one colour bar.
        pooling: what stands for a block of a long map, as `heatmap` has it; the panels are
            smaller, so sides of more than 128 tokens are drawn in blocks, at most 128.

    Returns:
        The matplotlib Figure, left open.

    Raises:
        TypeError: as `heatmap`.
        ValueError: as `heatmap`, or `weights` isn't `(H, T, S)`, or `titles` doesn't have H items.

    Examples:
        >>> figure = heads([[[1.0, 0.0]], [[0.5, 0.5]]], ["a"], ["a", "b"])
        >>> [ax.get_title() for ax in figure.axes[:2]]
        ['head 0', 'head 1']
        >>> plt.close(figure)
    """
    values = to_numpy(weights, "weights")
    if values.ndim != 3 or 0 in values.shape:
        raise ValueError(f"weights: expected (H, T, S), none of them 0, got {values.shape}")
    count = len(values)
    names = [f"head {head}" for head in range(count)] if titles is None else list(titles)
    if len(names) != count:
        raise ValueError(f"titles: expected H = {count} titles, got {len(names)}")
    if columns is not None:
        whole(columns, "columns", 1)
    read = [
        _read(panel, query_tokens, key_tokens, mask, (0.0, vmax), pooling, PANEL_SIDE, PANEL_LABEL)
        for panel in values
    ]
    first, row_labels, column_labels = read[0]
    across = columns or min(count, {3: 3}.get(count, 2 if count <= 4 else 4))
    width = min(MAX_WIDTH, 2.4 * across + 1.2)
    # Short labels have their room in the 1.2 inches beside the panels.
    side = (width - 1.2 - max(0.0, max(map(text_width, row_labels)) - 0.6)) / across
    cell = cell_sides(first.values.shape, side, 2 * side)
    most = _most(first, cell, PANEL_LABEL_HEIGHT)
    upright = tilted(column_labels, cell[0], math.ceil(len(column_labels) / most[1]))
    under = below(column_labels, upright)
    figure, grid = _grid(count, across, width, cell[1] * len(row_labels) + 0.3, under)
    for ax, (shown, *_), name in zip(grid.flat, read, names, strict=False):
        mesh = draw_cells(ax, shown.values, shown.allowed, 0.0, vmax, cell)
        label_axes(ax, row_labels, column_labels, _axis_names(shown, pooling), most, cell[0])
        ax.set_title(wrapped(name, side, TEXT_SIZE), fontsize=TEXT_SIZE)
    for ax in grid.flat[count:]:
        ax.set_axis_off()
    for ax in grid.flat[max(0, count - across) : count]:
        ax.tick_params(labelbottom=True)
    for ax in grid.flat:
        ax.label_outer()
    finish_colour_bar(figure.colorbar(mesh, ax=grid, fraction=0.05, pad=0.03), "attention weight")
    if title is not None:
        figure.suptitle(wrapped(title, width - 0.2, TEXT_SIZE), fontsize=TEXT_SIZE)
    return figure


def _grid(
    count: int, across: int, width: float, panel: float, under: float
) -> tuple[Figure, npt.NDArray[Any]]:
    down = math.ceil(count / across)
    return plt.subplots(
        down,
        across,
        figsize=(width, down * panel + under),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="compressed",
    )


def _read(
    weights: npt.ArrayLike,
    query_tokens: Sequence[str] | None,
    key_tokens: Sequence[str] | None,
    mask: npt.ArrayLike | None,
    limits: tuple[float, float],
    pooling: How,
    longest: int = LONGEST_SIDE,
    letters: int = LONGEST,
) -> tuple[Pooled, list[str], list[str]]:
    """Check and pool what is to be drawn; labels for what is drawn."""
    given = checked_weights(weights, -math.inf, math.inf)
    sides = [
        labels(tokens, count, name, axis, letters)
        for tokens, count, name, axis in zip(
            (query_tokens, key_tokens), given.shape, ("query_tokens", "key_tokens"), "TS",
            strict=True,
        )
    ]  # fmt: skip
    shown = pool(
        given,
        checked_mask(mask, given),
        pooling,
        longest=longest,
        blocks=min(longest, MOST_BLOCKS),
    )
    check_range(shown.values[shown.allowed], *limits)  # a hatched cell shows no value
    for place, block in enumerate((shown.rows, shown.columns)):
        if block > 1:
            # A block's first token would be taken for the block; its number says where it is.
            sides[place] = [str(i) for i in range(0, given.shape[place], block)]
    return shown, sides[0], sides[1]


def _axis_names(shown: Pooled, pooling: How) -> tuple[str, str]:
    return tuple(  # type: ignore[return-value]
        name if block == 1 else f"{name}, {pooling} of {block}"
        for name, block in (("query", shown.rows), ("key", shown.columns))
    )


def _most(shown: Pooled, cell: tuple[float, float], apart: float) -> tuple[int, int]:
    """How many labels a side: those that fit; blocks have numbers, of which a few are enough."""
    rows, columns = (
        min(BLOCK_TICKS if block > 1 else MAX_TICKS, max(1, int(count * side / apart + 1e-9)))
        for block, count, side in zip(
            (shown.rows, shown.columns), shown.values.shape, cell[::-1], strict=True
        )
    )
    return rows, columns


def _map_size(
    rows: list[str], columns: list[str], colour_bar: bool
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Width and height of a cell, and those of the figure."""
    widest, right = max(map(text_width, rows)), 1.1 if colour_bar else 0.2
    # The half inch has room to spare, but not for labels of wide characters.
    left = 0.5 + max(widest - 0.3, LETTER * max(len(label) for label in rows))
    across = min(4.2, max(1.5, MAX_WIDTH - 0.5 - widest - right))
    cell = cell_sides((len(rows), len(columns)), across, 6.0, 0.62)
    width = left + cell[0] * len(columns) + right
    height = below(columns, tilted(columns, cell[0])) + cell[1] * len(rows) + 0.4
    return cell, (max(width, 3.0), max(height, 2.2))
