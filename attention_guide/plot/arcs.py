"""Attention as arcs between the tokens of one text."""

import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from attention_guide.plot._room import LETTER, LINE, room_over, tilted, wrapped
from attention_guide.plot.cells import finish_colour_bar
from attention_guide.plot.checks import checked_mask, checked_weights, labels
from attention_guide.plot.pooling import How, Pooled, pool
from attention_guide.plot.style import (
    MAX_WIDTH,
    SMALL_TEXT_SIZE,
    TEXT_SIZE,
    WEIGHT_COLOURS,
    axes_for,
    ink,
)
from attention_guide.plot.tokens import families, reads_right_to_left

# More tokens than this can't be labelled in a line; longer texts are drawn in blocks.
MOST_TOKENS = 48
BLOCK_TICKS = 12
# On white paper the strong must be dark, so arcs go through cividis backwards, and without its
# yellow, which the paper would swallow; on a dark background forwards, and without its navy.
PALEST = 0.75


def arcs(
    weights: npt.ArrayLike,
    tokens: Sequence[str] | None = None,
    *,
    mask: npt.ArrayLike | None = None,
    least: float = 0.05,
    right_to_left: bool | None = None,
    ax: Axes | None = None,
    title: str | None = None,
    colour_bar: bool = True,
    pooling: How = "max",
) -> Figure:
    """Draw `weights[t, s]` as an arc between tokens t and s, thicker the larger it is, and darker
    (brighter on a dark background).

    Above the line, tokens look back to earlier ones; below it, ahead to later ones; a ring around
    a dot is what a token gives to itself. Weights below `least` aren't drawn, and the figure says
    how many are.

    Args:
        weights: `(T, T)` array or tensor, self-attention over one text.
        tokens: T labels; `None` numbers them from 0.
        mask: bool, broadcastable to `(T, T)`, `True` = may attend; forbidden pairs are counted
            under the figure.
        least: The smallest weight that is drawn.
        right_to_left: Whether the first token stands at the right; `None` looks at the script.
        ax: axes to draw on; `None` opens a new figure.
        title: a line above the arcs.
        colour_bar: whether to draw it.
        pooling: "max" or "mean": what stands for a block where there are more than 48 tokens.

    Returns:
        The matplotlib Figure, left open.

    Raises:
        TypeError: as `heatmap`.
        ValueError: as `heatmap`, or the weights aren't `(T, T)`, or `least` isn't in 0 to 1.

    Examples:
        >>> import matplotlib.pyplot as plt
        >>> figure = arcs([[1.0, 0.0], [0.7, 0.3]], ["a", "b"])
        >>> len(figure.axes[0].patches), len(figure.axes[0].lines)  # arcs, rings
        (1, 2)
        >>> plt.close(figure)
    """
    values = checked_weights(weights, 0.0, 1.0)
    count = len(values)
    if values.shape != (count, count):
        raise ValueError(
            f"weights: expected (T, T), a text that attends to itself, got {values.shape}"
        )
    if not 0 <= least <= 1:
        raise ValueError(f"least: expected a number from 0 to 1, got {least}")
    allowed = checked_mask(mask, values)
    names = labels(tokens, count, "tokens", "T")
    shown = pool(values, allowed, pooling, longest=MOST_TOKENS, blocks=MOST_TOKENS)
    if shown.pooled:
        names = [str(place) for place in range(0, count, shown.rows)]
    back = (
        reads_right_to_left([] if tokens is None else tokens)
        if right_to_left is None
        else right_to_left
    )
    step = math.ceil(len(names) / BLOCK_TICKS) if shown.pooled else 1
    width = max(3.6, 0.45 * len(names) + 1.0)
    room = room_over(ax, width)
    note = wrapped(_note(shown, least, pooling), room, SMALL_TEXT_SIZE)
    title = None if title is None else wrapped(title, room, TEXT_SIZE)
    upright = tilted(
        names[::step], (room if ax else min(width, MAX_WIDTH) - 0.8) / len(names), step
    )
    lines = note.count("\n") + (title or "").count("\n")
    figure, ax = axes_for(ax, width, _height(names, upright) + LINE * lines)
    _draw(ax, shown.values, least)
    _label(ax, names, back, step, upright)
    ax.set_xlabel(note, fontsize=SMALL_TEXT_SIZE)
    if title is not None:
        ax.set_title(title, fontsize=TEXT_SIZE)
    if colour_bar:
        _bar(figure, ax)
    return figure


def _drawn(values: npt.NDArray[np.float64], least: float) -> npt.NDArray[np.intp]:
    return np.argwhere(values >= max(least, 1e-9))


def _note(shown: Pooled, least: float, pooling: How) -> str:
    masked = int((~shown.allowed).sum())
    drawn = len(_drawn(shown.values, least))
    note = f"{drawn} of {shown.values.size - masked} weights: those of {least:g} and more"
    note += f"; {masked} masked" if masked else ""
    return note + (f"; {pooling} of each {shown.rows} tokens" if shown.pooled else "")


def _draw(ax: Axes, values: npt.NDArray[np.float64], least: float) -> None:
    places = _drawn(values, least)
    order = np.argsort([values[t, s] for t, s in places], kind="stable")  # the largest on top
    for t, s in places[order]:
        weight = min(values[t, s], 1.0)
        shade, width = mpl.colormaps[WEIGHT_COLOURS](_shade(ax, weight)), 0.5 + 4.0 * weight
        if t == s:
            ax.plot(t, 0, "o", markersize=13, mfc="none", mec=shade, mew=width)
        else:
            arc = PathPatch(_arc(t, s), fill=False, edgecolor=shade, linewidth=width)
            ax.add_patch(arc)
    count = len(values)
    ax.scatter(range(count), np.zeros(count), s=16, color=ink(ax, "black", "white"), zorder=3)
    reach = max((abs(int(t) - int(s)) for t, s in places), default=1)
    height = max(0.6, reach / 2)
    ahead = any(s > t for t, s in places)
    ax.set_xlim(-0.7, count - 0.3)
    ax.set_ylim(-height - 0.2 if ahead else -0.5, height + 0.2)


def _shade(ax: Axes, weight: float) -> float:
    pale = PALEST * (1 - weight)
    return pale if ink(ax, "dark", "bright") == "dark" else 1 - pale


def _arc(query: int, key: int) -> Path:
    """Half an ellipse, above the line for a look back, below it for a look ahead."""
    left, right = min(query, key), max(query, key)
    side = 1.0 if key < query else -1.0
    # Two thirds of the height of the controls is the height of the curve.
    top = side * (right - left) / 2 * 4 / 3
    return Path(
        [(left, 0.0), (left, top), (right, top), (right, 0.0)],
        [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
    )


def _label(ax: Axes, names: list[str], back: bool, step: int, upright: bool) -> None:
    ax.set_xticks(
        range(0, len(names), step),
        names[::step],
        rotation=90.0 if upright else 0.0,
        fontfamily=families(names),
        fontsize=SMALL_TEXT_SIZE,
    )
    ax.set_yticks([])
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    if back:
        ax.invert_xaxis()


def _bar(figure: Figure, ax: Axes) -> None:
    ends = _shade(ax, 0.0), _shade(ax, 1.0)
    shades = mpl.colormaps[WEIGHT_COLOURS](np.linspace(*ends, 256))
    colours = mpl.colors.ListedColormap(shades)
    mappable = ScalarMappable(Normalize(0.0, 1.0), colours)
    finish_colour_bar(figure.colorbar(mappable, ax=ax, fraction=0.04, pad=0.02), "attention weight")


def _height(names: list[str], upright: bool) -> float:
    letters = max(len(name) for name in names) if upright else 2
    return min(2.6 + 0.05 * len(names), 4.5) + LETTER * letters
