"""Bertviz's head view, still: queries left, keys right, a line for each weight of each head."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from attention_guide.plot._room import LETTER, LINE, room_over, wrapped
from attention_guide.plot.checks import checked_mask, checked_weights, labels
from attention_guide.plot.pooling import How, Pooled, pool
from attention_guide.plot.style import (
    LINE_COLOURS,
    LINE_STYLES,
    MAX_WIDTH,
    SMALL_TEXT_SIZE,
    TEXT_SIZE,
    axes_for,
    line_colours,
    to_numpy,
)
from attention_guide.plot.tokens import families

MOST_TOKENS = 48
# Labels stand on both sides, and the lines between them need room.
LONGEST = 20
# Inches of an entry of the legend.
ENTRY = 1.1


def head_view(
    weights: npt.ArrayLike,
    query_tokens: Sequence[str] | None = None,
    key_tokens: Sequence[str] | None = None,
    *,
    heads: Sequence[int] | None = None,
    mask: npt.ArrayLike | None = None,
    least: float = 0.1,
    ax: Axes | None = None,
    title: str | None = None,
    pooling: How = "max",
) -> Figure:
    """Draw `weights[h, t, s]` as a line from query t to key s, in head h's colour and dash.

    The line is thicker and less transparent the larger the weight is, and the heads leave a token
    one below the other, so that two heads that agree stay two lines. Weights below `least` aren't
    drawn, and the figure says how many are.

    Args:
        weights: `(H, T, S)` array or tensor, the heads of one layer.
        query_tokens: T labels, at the left; `None` numbers them from 0.
        key_tokens: S labels, at the right; `None` numbers them from 0.
        heads: Which heads, at most seven (more can't be told apart); `None` for all.
        mask: bool, broadcastable to `(T, S)`, `True` = may attend; forbidden pairs are counted
            under the figure.
        least: The smallest weight that is drawn.
        ax: axes to draw on; `None` opens a new figure.
        title: a line above the view.
        pooling: "max" or "mean": what stands for a block of a side of more than 48 tokens.

    Returns:
        The matplotlib Figure, left open.

    Raises:
        TypeError: as `heatmap`.
        ValueError: as `heatmap`, or the weights aren't `(H, T, S)`, or more than seven heads are
            to be drawn, or one that isn't there, or `least` isn't in 0 to 1.

    Examples:
        >>> import matplotlib.pyplot as plt
        >>> figure = head_view([[[1.0, 0.0]], [[0.5, 0.5]]], ["a"], ["a", "b"])
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['head 0', 'head 1']
        >>> plt.close(figure)
    """
    values = to_numpy(weights, "weights")
    if values.ndim != 3 or 0 in values.shape:
        raise ValueError(f"weights: expected (H, T, S), none of them 0, got {values.shape}")
    if not 0 <= least <= 1:
        raise ValueError(f"least: expected a number from 0 to 1, got {least}")
    chosen = _chosen(heads, len(values))
    sides = [
        labels(query_tokens, values.shape[1], "query_tokens", "T", LONGEST),
        labels(key_tokens, values.shape[2], "key_tokens", "S", LONGEST),
    ]
    shown = [_pooled(values[head], mask, pooling) for head in chosen]
    for place, block in enumerate((shown[0].rows, shown[0].columns)):
        if block > 1:
            sides[place] = [str(i) for i in range(0, values.shape[1 + place], block)]
    width, height = _size(*sides)
    room = room_over(ax, width)
    note = wrapped(_note(shown, least, pooling), room, SMALL_TEXT_SIZE)
    title = None if title is None else wrapped(title, room, TEXT_SIZE)
    across = max(1, min(4, int((room if ax else min(width, MAX_WIDTH) - 0.15) / ENTRY)))
    down = math.ceil(len(chosen) / across)
    lines = down - math.ceil(len(chosen) / 4) + note.count("\n") + (title or "").count("\n")
    figure, ax = axes_for(ax, width, height + LINE * lines)
    for index, panel in enumerate(shown):
        _draw(ax, panel.values, least, index, len(chosen))
    _label(ax, *sides)
    _legend(ax, chosen, across)
    ax.set_xlabel(note, fontsize=SMALL_TEXT_SIZE)
    if title is not None:
        ax.set_title(title, fontsize=TEXT_SIZE, pad=22 + 72 * LINE * (down - 1))
    return figure


def _chosen(heads: Sequence[int] | None, count: int) -> list[int]:
    chosen = list(range(count)) if heads is None else list(heads)
    if not 1 <= len(chosen) <= len(LINE_COLOURS):
        raise ValueError(
            f"heads: expected 1 to {len(LINE_COLOURS)} of the {count} heads, got {len(chosen)}; "
            "more can't be told apart"
        )
    if len(set(chosen)) < len(chosen) or not all(0 <= head < count for head in chosen):
        raise ValueError(f"heads: expected different numbers from 0 to {count - 1}, got {chosen}")
    return chosen


def _pooled(panel: npt.NDArray[np.float64], mask: npt.ArrayLike | None, pooling: How) -> Pooled:
    values = checked_weights(panel, 0.0, 1.0)
    allowed = checked_mask(mask, values)
    return pool(values, allowed, pooling, longest=MOST_TOKENS, blocks=MOST_TOKENS)


def _drawn(values: npt.NDArray[np.float64], least: float) -> npt.NDArray[np.intp]:
    return np.argwhere(values >= max(least, 1e-9))


def _draw(ax: Axes, values: npt.NDArray[np.float64], least: float, index: int, count: int) -> None:
    shift = 0.5 * ((index + 0.5) / count - 0.5)
    for t, s in _drawn(values, least):
        weight = values[t, s]
        ax.plot(
            [0.0, 1.0],
            [t + shift, s + shift],
            color=line_colours(ax)[index],
            linestyle=LINE_STYLES[index],
            linewidth=0.6 + 2.4 * weight,
            alpha=0.35 + 0.65 * min(weight, 1.0),
            solid_capstyle="butt",
        )


def _label(ax: Axes, rows: list[str], columns: list[str]) -> None:
    ax.set_ylim(max(len(rows), len(columns)) - 0.4, -0.6)
    ax.set_xlim(-0.02, 1.02)
    ax.set_xticks([])
    ax.set_yticks(range(len(rows)), rows, fontfamily=families(rows), fontsize=SMALL_TEXT_SIZE)
    ax.tick_params(length=0)
    opposite = ax.secondary_yaxis("right")
    opposite.set_yticks(
        range(len(columns)), columns, fontfamily=families(columns), fontsize=SMALL_TEXT_SIZE
    )
    opposite.tick_params(length=0)
    ax.set_ylabel("query", fontsize=TEXT_SIZE)
    opposite.set_ylabel("key", fontsize=TEXT_SIZE)
    for spine in (*ax.spines.values(), *opposite.spines.values()):
        spine.set_visible(False)


def _legend(ax: Axes, chosen: list[int], across: int) -> None:
    handles = [
        Line2D([], [], color=line_colours(ax)[i], linestyle=LINE_STYLES[i], linewidth=2.2,
               label=f"head {head}")
        for i, head in enumerate(chosen)
    ]  # fmt: skip
    ax.legend(
        handles=handles,
        fontsize=SMALL_TEXT_SIZE,
        frameon=False,
        ncols=min(len(handles), across),
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        handlelength=3.0,
        columnspacing=1.2,
    )


def _note(shown: list[Pooled], least: float, pooling: How) -> str:
    masked = int((~shown[0].allowed).sum())
    pairs = shown[0].values.size - masked
    drawn = sum(len(_drawn(panel.values, least)) for panel in shown)
    note = f"{drawn} of {pairs * len(shown)} weights: those of {least:g} and more"
    note += f"; {masked} pairs masked" if masked else ""
    if shown[0].pooled:
        note += f"; {pooling} of {shown[0].rows} queries by {shown[0].columns} keys"
    return note


def _size(rows: list[str], columns: list[str]) -> tuple[float, float]:
    letters = max(map(len, rows)) + max(map(len, columns))
    return 3.4 + LETTER * letters, min(1.3 + 0.24 * max(len(rows), len(columns)), 9.0)
