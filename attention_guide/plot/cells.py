"""The parts that every map is made of: coloured cells, hatched cells, labels, a colour bar."""

import math

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colorbar import Colorbar
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from attention_guide.plot._room import tilted
from attention_guide.plot.style import (
    MASKED_FACE,
    MASKED_HATCH,
    SMALL_TEXT_SIZE,
    TEXT_SIZE,
    WEIGHT_COLOURS,
    luminance,
)
from attention_guide.plot.tokens import families

# Above this many cells an SVG of one path a cell is slower to show than an embedded picture.
VECTOR_CELLS = 4096
# Above this many, a line around each cell costs more time than the cell.
LINED_CELLS = 65536
# Inches; a line around a narrower cell would hide it.
LINED_CELL = 0.05
MAX_TICKS = 40


def draw_cells(
    ax: Axes,
    values: npt.NDArray[np.float64],
    allowed: npt.NDArray[np.bool_],
    vmin: float,
    vmax: float,
    cell: tuple[float, float] = (1.0, 1.0),
) -> QuadMesh:
    """Draw `(T, S)` cells, queries down, and hatch those that aren't allowed.

    `cell` is their width and height in inches, of which the ratio counts; where there is room,
    they are parted by white lines.

    Examples:
        >>> import matplotlib.pyplot as plt
        >>> figure, ax = plt.subplots()
        >>> mesh = draw_cells(ax, np.eye(2), np.eye(2, dtype=bool), 0.0, 1.0)
        >>> len(ax.patches)
        1
        >>> plt.close(figure)
    """
    queries, keys = values.shape
    small = values.size <= 400 and min(cell) >= LINED_CELL
    mesh = ax.pcolormesh(
        np.arange(keys + 1) - 0.5,
        np.arange(queries + 1) - 0.5,
        np.ma.masked_where(~allowed, values),
        cmap=WEIGHT_COLOURS,
        vmin=vmin,
        vmax=vmax,
        edgecolors="white" if small else "none" if values.size > LINED_CELLS else "face",
        linewidth=0.6 if small else 0.2,
        rasterized=values.size > VECTOR_CELLS,
    )
    ax.set_aspect(cell[1] / cell[0])
    ax.set_facecolor(MASKED_FACE)
    if not allowed.all():
        ax.add_patch(_hatched(~allowed))
    # Set, not inverted: shared axes would be turned over once a panel.
    ax.set_ylim(queries - 0.5, -0.5)
    return mesh


def label_axes(
    ax: Axes,
    rows: list[str],
    columns: list[str],
    names: tuple[str, str] = ("query", "key"),
    most: tuple[int, int] = (MAX_TICKS, MAX_TICKS),
    pitch: float = math.inf,
) -> None:
    """Write labels, at most so many a side, in fonts that have their characters.

    Those of columns, `pitch` inches apart, stand upright where they don't fit side by side.

    Examples:
        >>> import matplotlib.pyplot as plt
        >>> figure, ax = plt.subplots()
        >>> label_axes(ax, ["a"], ["b", "c"])
        >>> [tick.get_text() for tick in ax.get_xticklabels()]
        ['b', 'c']
        >>> plt.close(figure)
    """
    row_step, column_step = (
        math.ceil(len(labels) / limit) for labels, limit in zip((rows, columns), most, strict=True)
    )
    ax.set_yticks(
        range(0, len(rows), row_step), rows[::row_step], fontfamily=families(rows[::row_step])
    )
    ax.set_xticks(
        range(0, len(columns), column_step),
        columns[::column_step],
        rotation=90.0 if tilted(columns, pitch, column_step) else 0.0,
        fontfamily=families(columns[::column_step]),
    )
    ax.tick_params(length=0, labelsize=SMALL_TEXT_SIZE)
    ax.set_ylabel(names[0], fontsize=TEXT_SIZE)
    ax.set_xlabel(names[1], fontsize=TEXT_SIZE)
    for spine in ax.spines.values():
        spine.set_visible(False)


def write_values(
    ax: Axes,
    values: npt.NDArray[np.float64],
    allowed: npt.NDArray[np.bool_],
    vmin: float,
    vmax: float,
) -> None:
    """Write each allowed cell's number into it, dark on bright and bright on dark.

    Examples:
        >>> import matplotlib.pyplot as plt
        >>> figure, ax = plt.subplots()
        >>> write_values(ax, np.eye(2), np.eye(2, dtype=bool), 0.0, 1.0)
        >>> [text.get_text() for text in ax.texts]
        ['1.00', '1.00']
        >>> plt.close(figure)
    """
    shades = mpl.colormaps[WEIGHT_COLOURS](np.clip((values - vmin) / (vmax - vmin), 0.0, 1.0))
    for t, s in np.argwhere(allowed):
        ax.text(
            s,
            t,
            f"{values[t, s]:z.2f}",
            ha="center",
            va="center",
            fontsize=SMALL_TEXT_SIZE,
            color="black" if luminance(shades[t, s]) > 0.179 else "white",
        )


def finish_colour_bar(bar: Colorbar, label: str) -> None:
    """Give a colour bar its label and three ticks: both ends and the middle.

    Examples:
        >>> import matplotlib.pyplot as plt
        >>> figure, ax = plt.subplots()
        >>> bar = figure.colorbar(ax.pcolormesh(np.eye(2), vmin=0, vmax=1))
        >>> finish_colour_bar(bar, "weight")
        >>> bar.get_ticks().tolist()
        [0.0, 0.5, 1.0]
        >>> plt.close(figure)
    """
    bar.set_label(label, fontsize=SMALL_TEXT_SIZE)
    bar.ax.tick_params(labelsize=SMALL_TEXT_SIZE)
    low, high = bar.mappable.get_clim()
    bar.set_ticks(list(np.linspace(low, high, 3)))
    bar.outline.set_visible(False)
    # Without it, viewers draw hairlines between the steps of the bar.
    if bar.solids is not None:
        bar.solids.set_edgecolor("face")


def _hatched(cells: npt.NDArray[np.bool_]) -> PathPatch:
    if cells.size <= VECTOR_CELLS:
        strips = [(t, s, s + 1) for t, s in np.argwhere(cells)]
    else:
        strips = _runs(cells)
    squares = [
        Path([(a - 0.5, t - 0.5), (b - 0.5, t - 0.5), (b - 0.5, t + 0.5), (a - 0.5, t + 0.5),
              (a - 0.5, t - 0.5)], closed=True)
        for t, a, b in strips
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


def _runs(cells: npt.NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Row, start and end of each unbroken run: a causal mask is one a row, not one a cell."""
    edges = np.diff(np.pad(cells, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    starts, ends = np.argwhere(edges == 1), np.argwhere(edges == -1)
    return [(int(t), int(a), int(b)) for (t, a), (_, b) in zip(starts, ends, strict=True)]
