"""Attention maps: queries down, keys across, forbidden cells hatched."""

import math
from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from attention_guide.plot.checks import checked_mask, checked_weights, labels
from attention_guide.plot.style import (
    MASKED_FACE,
    MASKED_HATCH,
    MAX_WIDTH,
    SMALL_TEXT_SIZE,
    TEXT_SIZE,
    WEIGHT_COLOURS,
    axes_for,
    to_numpy,
)

# Above this many cells an SVG of one path a cell is slower to show than an embedded picture.
VECTOR_CELLS = 4096
MAX_TICKS = 40
# Width of a letter at SMALL_TEXT_SIZE, in inches.
LETTER = 0.085


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
) -> Figure:
    """Draw `weights[t, s]`, how much query t takes from key s, as one coloured cell each.

    Queries run down, keys run across, and the colour scale is fixed at 0 to 1 so that two maps can
    be compared. Cells that the mask forbids are hatched: a forbidden key and a key that happens to
    get no weight are different facts.

    Args:
        weights: `(T, S)` array or tensor, any real dtype.
        query_tokens: T labels for the rows; `None` numbers them from 0.
        key_tokens: S labels for the columns; `None` numbers them from 0.
        mask: bool, broadcastable to `(T, S)`, `True` = may attend; leading axes of length 1 are
            dropped, so a `(1, 1, 1, S)` padding mask fits.
        ax: axes to draw on; `None` opens a new figure.
        title: a line above the map.
        annotate: write each weight into its cell; `None` does so up to 64 cells.
        vmin: the value at the dark end of the colour bar.
        vmax: the value at the bright end of the colour bar.
        colour_label: what the colour bar measures.
        colour_bar: whether to draw it (a panel that shares its neighbour's bar needs none).

    Returns:
        The matplotlib Figure, left open.

    Raises:
        TypeError: the weights or the mask aren't arrays of numbers, or the mask isn't bool.
        ValueError: a shape or a count of tokens doesn't fit, a weight is NaN or outside
            `vmin..vmax`, or a forbidden cell has weight (hatching would hide a leak).

    Examples:
        >>> figure = heatmap([[1.0, 0.0], [0.3, 0.7]], ["a", "b"], ["a", "b"],
        ...                  mask=[[True, False], [True, True]])
        >>> [label.get_text() for label in figure.axes[0].get_yticklabels()]
        ['a', 'b']
        >>> plt.close(figure)
    """
    values = checked_weights(weights, vmin, vmax)
    queries, keys = values.shape
    row_labels = labels(query_tokens, queries, "query_tokens", "T")
    column_labels = labels(key_tokens, keys, "key_tokens", "S")
    allowed = checked_mask(mask, values)
    figure, ax = axes_for(ax, *_map_size(row_labels, column_labels, colour_bar))
    mesh = _draw_cells(ax, values, allowed, vmin, vmax)
    _label_axes(ax, row_labels, column_labels)
    if annotate or (annotate is None and values.size <= 64):
        _write_values(ax, values, allowed, vmin, vmax)
    if title is not None:
        ax.set_title(title, fontsize=TEXT_SIZE)
    if colour_bar:
        # Inset, so that the bar is as tall as the map whatever the map's aspect.
        beside = ax.inset_axes((1.03, 0.0, 0.05, 1.0))
        _finish_colour_bar(figure.colorbar(mesh, cax=beside), colour_label)
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
) -> Figure:
    """Draw all heads of one layer at once: H maps with one colour scale.

    Args:
        weights: `(H, T, S)` array or tensor, any real dtype.
        query_tokens: T labels for the rows, written at the left edge only.
        key_tokens: S labels for the columns, written at the bottom edge only.
        mask: bool, broadcastable to `(T, S)`, `True` = may attend; the same for all heads.
        columns: maps side by side; `None` takes two or three up to 4 heads, then four.
        titles: H titles; `None` writes "head 0", "head 1", …
        title: a line above all maps.
        vmax: the value at the bright end of the one colour bar.

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
    count, queries, keys = values.shape
    names = [f"head {head}" for head in range(count)] if titles is None else list(titles)
    if len(names) != count:
        raise ValueError(f"titles: expected H = {count} titles, got {len(names)}")
    row_labels = labels(query_tokens, queries, "query_tokens", "T")
    column_labels = labels(key_tokens, keys, "key_tokens", "S")
    across = columns or min(count, {3: 3}.get(count, 2 if count <= 4 else 4))
    down = math.ceil(count / across)
    side = (min(MAX_WIDTH, 2.4 * across + 1.2) - 1.2) / across
    height = down * (side * min(max(queries / keys, 0.4), 2.0) + 0.3) + _below(column_labels)
    figure, grid = plt.subplots(
        down,
        across,
        figsize=(side * across + 1.2, height),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for ax, panel, name in zip(grid.flat, values, names, strict=False):
        _draw_panel(ax, panel, mask, name, vmax, row_labels, column_labels)
    for ax in grid.flat[count:]:
        ax.set_axis_off()
    for ax in grid.flat[max(0, count - across) : count]:
        ax.tick_params(labelbottom=True)
    for ax in grid.flat:
        ax.label_outer()
    bar = figure.colorbar(grid.flat[0].collections[0], ax=grid, fraction=0.05, pad=0.03)
    _finish_colour_bar(bar, "attention weight")
    if title is not None:
        figure.suptitle(title, fontsize=TEXT_SIZE)
    return figure


def _draw_panel(
    ax: Axes,
    panel: npt.NDArray[np.float64],
    mask: npt.ArrayLike | None,
    name: str,
    vmax: float,
    row_labels: list[str],
    column_labels: list[str],
) -> None:
    values = checked_weights(panel, 0.0, vmax)
    _draw_cells(ax, values, checked_mask(mask, values), 0.0, vmax)
    _label_axes(ax, row_labels, column_labels)
    ax.set_title(name, fontsize=TEXT_SIZE)


def _map_size(rows: list[str], columns: list[str], colour_bar: bool) -> tuple[float, float]:
    cell = min(0.62, 4.2 / max(len(columns), 1), 6.0 / max(len(rows), 1))
    left = 0.5 + LETTER * max(len(label) for label in rows)
    width = left + cell * len(columns) + (1.1 if colour_bar else 0.2)
    return max(width, 3.0), max(_below(columns) + cell * len(rows) + 0.4, 2.2)


def _below(columns: list[str]) -> float:
    letters = max(len(label) for label in columns) if _tilted(columns) else 2
    return 0.6 + LETTER * letters


def _tilted(columns: list[str]) -> bool:
    return len(columns) > 12 or max(len(label) for label in columns) > 5


def _draw_cells(
    ax: Axes,
    values: npt.NDArray[np.float64],
    allowed: npt.NDArray[np.bool_],
    vmin: float,
    vmax: float,
) -> QuadMesh:
    queries, keys = values.shape
    mesh = ax.pcolormesh(
        np.arange(keys + 1) - 0.5,
        np.arange(queries + 1) - 0.5,
        np.ma.masked_where(~allowed, values),
        cmap=WEIGHT_COLOURS,
        vmin=vmin,
        vmax=vmax,
        edgecolors="white" if values.size <= 400 else "face",
        linewidth=0.6 if values.size <= 400 else 0.2,
        rasterized=values.size > VECTOR_CELLS,
    )
    ax.set_aspect("equal")
    ax.set_facecolor(MASKED_FACE)
    if not allowed.all():
        ax.add_patch(_hatched(~allowed))
    # Set, not inverted: shared axes would be turned over once a panel.
    ax.set_ylim(queries - 0.5, -0.5)
    return mesh


def _hatched(cells: npt.NDArray[np.bool_]) -> PathPatch:
    squares = [
        Path([(s - 0.5, t - 0.5), (s + 0.5, t - 0.5), (s + 0.5, t + 0.5), (s - 0.5, t + 0.5),
              (s - 0.5, t - 0.5)], closed=True)
        for t, s in np.argwhere(cells)
    ]  # fmt: skip
    with mpl.rc_context({"hatch.linewidth": 0.7}):
        return PathPatch(
            Path.make_compound_path(*squares),
            facecolor=MASKED_FACE,
            edgecolor=MASKED_HATCH,
            hatch="////",
            linewidth=0.0,
            label="masked",
        )


def _label_axes(ax: Axes, rows: list[str], columns: list[str]) -> None:
    row_step, column_step = (math.ceil(len(labels) / MAX_TICKS) for labels in (rows, columns))
    ax.set_yticks(range(0, len(rows), row_step), rows[::row_step])
    tilt = 90.0 if _tilted(columns) else 0.0
    ax.set_xticks(range(0, len(columns), column_step), columns[::column_step], rotation=tilt)
    ax.tick_params(length=0, labelsize=SMALL_TEXT_SIZE)
    ax.set_xlabel("key", fontsize=TEXT_SIZE)
    ax.set_ylabel("query", fontsize=TEXT_SIZE)
    for spine in ax.spines.values():
        spine.set_visible(False)


def _write_values(
    ax: Axes,
    values: npt.NDArray[np.float64],
    allowed: npt.NDArray[np.bool_],
    vmin: float,
    vmax: float,
) -> None:
    shades = mpl.colormaps[WEIGHT_COLOURS](np.clip((values - vmin) / (vmax - vmin), 0.0, 1.0))
    for t, s in np.argwhere(allowed):
        ax.text(
            s,
            t,
            f"{values[t, s]:.2f}",
            ha="center",
            va="center",
            fontsize=SMALL_TEXT_SIZE,
            color=_readable_on(shades[t, s]),
        )


def _readable_on(shade: npt.NDArray[np.float64]) -> str:
    # WCAG's relative luminance; at 0.179 black and white text have the same contrast, 4.6 to 1.
    channels = shade[:3]
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ np.array([0.2126, 0.7152, 0.0722]))
    return "black" if luminance > 0.179 else "white"


def _finish_colour_bar(bar: Colorbar, label: str) -> None:
    bar.set_label(label, fontsize=SMALL_TEXT_SIZE)
    bar.ax.tick_params(labelsize=SMALL_TEXT_SIZE)
    low, high = bar.mappable.get_clim()
    bar.set_ticks(list(np.linspace(low, high, 3)))
    bar.outline.set_visible(False)
    # Without it, viewers draw hairlines between the steps of the bar.
    if bar.solids is not None:
        bar.solids.set_edgecolor("face")
