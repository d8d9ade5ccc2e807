"""Curves over a width, a length or training steps: colour, dash and marker all tell them apart."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from attention_guide.plot._room import room_over, text_width, wrapped
from attention_guide.plot.style import (
    LINE_COLOURS,
    LINE_STYLES,
    MARKERS,
    SMALL_TEXT_SIZE,
    TEXT_SIZE,
    axes_for,
    ink,
    line_colours,
    to_numpy,
    whole,
)

# More entries than this don't fit between the lines.
MOST_INSIDE = 4
# More points than this are a dense line, on which markers would touch.
MARKED_POINTS = 25


def curves(
    series: Mapping[str, npt.ArrayLike],
    x: npt.ArrayLike | None = None,
    *,
    x_label: str,
    y_label: str,
    bands: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]] | None = None,
    log_x: bool = False,
    log_y: bool = False,
    x_ticks: Sequence[float] | None = None,
    reference: tuple[str, float] | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Figure:
    """Draw y = series[name] against a common x, at most seven named curves.

    Args:
        series: name to `(N,)` values; the order is that of the legend.
        x: `(N,)` positions; `None` counts 1, 2, …, N.
        x_label: what x is, with its unit.
        y_label: what y is, with its unit.
        bands: name to the `(N,)` lower and upper end of that curve's spread.
        log_x: logarithmic x axis.
        log_y: logarithmic y axis.
        x_ticks: the places that get a tick; they are written as plain numbers.
        reference: a label and a value, drawn as a thin grey horizontal line.
        ax: axes to draw on; `None` opens a new figure.
        title: a line above the plot.

    Returns:
        The matplotlib Figure, left open.

    Raises:
        TypeError: a series isn't made of real numbers.
        ValueError: no series or more than seven, a length differs from that of `x`, a band has no
            curve of its name, or a number that isn't above 0 has a logarithmic axis.

    Examples:
        >>> import matplotlib.pyplot as plt
        >>> figure = curves({"train": [3.0, 2.0, 1.5], "held out": [3.1, 2.4, 2.2]},
        ...                 x_label="epoch", y_label="loss (nats)")
        >>> [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
        ['train', 'held out']
        >>> plt.close(figure)
    """
    if not 1 <= len(series) <= len(LINE_COLOURS):
        raise ValueError(f"series: expected 1 to {len(LINE_COLOURS)} curves, got {len(series)}")
    lines = {name: _vector(values, f"series[{name!r}]") for name, values in series.items()}
    count = len(next(iter(lines.values())))
    positions = np.arange(1.0, count + 1) if x is None else _vector(x, "x")
    for name, values in lines.items():
        _same_length(values, positions, f"series[{name!r}]")
        _has_logarithms(values, f"series[{name!r}]", log_y)
    _has_logarithms(positions, "x", log_x)
    entries = [*lines] if reference is None else [*lines, reference[0]]
    outside = ax is None and len(entries) > MOST_INSIDE
    figure, ax = axes_for(ax, 4.6 + (max(map(text_width, entries)) + 0.6) * outside, 3.2)
    styles = zip(line_colours(ax), LINE_STYLES, MARKERS, strict=True)
    for (name, values), (colour, dash, marker) in zip(lines.items(), styles, strict=False):
        ax.plot(
            positions,
            values,
            color=colour,
            linestyle=dash,
            marker=marker if count <= MARKED_POINTS else None,
            markersize=5,
            linewidth=1.8,
            label=_legible(name),
        )
    _fill_bands(ax, bands or {}, lines, positions)
    if reference is not None:
        _has_logarithms(np.array(reference[1]), "reference", log_y)
        grey, label = ink(ax, "#555555", "#AAAAAA"), _legible(reference[0])
        ax.axhline(reference[1], color=grey, linewidth=0.9, label=label, zorder=0)
    _finish(ax, x_label, y_label, title, (log_x, log_y), x_ticks)
    if outside:
        ax.legend(
            fontsize=SMALL_TEXT_SIZE, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0)
        )
    elif len(entries) > 1:
        # Axes that were given have no room beside them.
        ax.legend(fontsize=SMALL_TEXT_SIZE, frameon=len(entries) > MOST_INSIDE)
    return figure


def loss_curve(
    losses: npt.ArrayLike,
    *,
    every: int = 1,
    smooth: int | None = None,
    held_out: Mapping[int, float] | None = None,
    y_label: str = "loss (nats a token)",
    log_y: bool = False,
    ax: Axes | None = None,
    title: str | None = None,
) -> Figure:
    """Draw a training loss against the step: each step pale, its running mean on top.

    Args:
        losses: `(N,)` recorded losses.
        every: steps between two records; the first record is that of step `every`.
        smooth: records in the running mean (the last `smooth` up to each point); `None` takes a
            fiftieth of them, 1 draws none.
        held_out: step to loss on held-out data, drawn as marked points.
        y_label: what is measured, with its unit.
        log_y: logarithmic y axis.
        ax: axes to draw on; `None` opens a new figure.
        title: a line above the plot.

    Returns:
        The matplotlib Figure, left open.

    Raises:
        TypeError: the losses aren't real numbers.
        ValueError: `losses` isn't a vector of at least one, `every` or `smooth` isn't a whole
            number of at least 1, or a loss that isn't above 0 has a logarithmic axis.

    Examples:
        >>> import matplotlib.pyplot as plt
        >>> figure = loss_curve([4.0, 2.0, 1.0, 1.0], every=10, smooth=2, held_out={40: 1.2})
        >>> figure.axes[0].lines[1].get_ydata().tolist()
        [4.0, 3.0, 1.5, 1.0]
        >>> plt.close(figure)
    """
    values = _vector(losses, "losses")
    window = max(1, len(values) // 50) if smooth is None else whole(smooth, "smooth", 1)
    whole(every, "every", 1)
    later = dict(sorted((held_out or {}).items()))
    _has_logarithms(values, "losses", log_y)
    _has_logarithms(np.array(list(later.values())), "held_out", log_y)
    steps = every * np.arange(1.0, len(values) + 1)
    figure, ax = axes_for(ax, 4.6, 3.0)
    blue, vermilion = LINE_COLOURS[:2]
    if window == 1:
        ax.plot(steps, values, color=blue, linewidth=1.6, label="training")
    else:
        ax.plot(steps, values, color=blue, linewidth=0.8, alpha=0.35, label="training, each record")
        mean = _running_mean(values, window)
        ax.plot(steps, mean, color=blue, linewidth=1.8, label=f"mean of the last {window}")
    if later:
        ax.plot(
            list(later),
            list(later.values()),
            color=vermilion,
            linestyle="--",
            marker="s",
            markersize=5,
            label="held out",
        )
    _finish(ax, "training step", y_label, title, (False, log_y), None)
    if window > 1 or later:
        ax.legend(fontsize=SMALL_TEXT_SIZE, frameon=False)
    return figure


def _vector(values: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    vector = to_numpy(values, name)
    if vector.ndim != 1 or len(vector) == 0:
        raise ValueError(f"{name}: expected a vector (N,) with N of at least 1, got {vector.shape}")
    return vector


def _same_length(
    values: npt.NDArray[np.float64], positions: npt.NDArray[np.float64], name: str
) -> None:
    if len(values) != len(positions):
        raise ValueError(f"{name}: expected N = {len(positions)} values, got {len(values)}")


def _has_logarithms(values: npt.NDArray[np.float64], name: str, log: bool) -> None:
    if log and (values <= 0).any():  # NaN is a gap on any axis
        raise ValueError(
            f"{name}: expected numbers above 0 on a logarithmic axis, got {np.nanmin(values):g}"
        )


def _legible(name: str) -> str:
    """A legend leaves out names that begin with an underscore."""
    return f" {name}" if name.startswith("_") else name


def _running_mean(values: npt.NDArray[np.float64], window: int) -> npt.NDArray[np.float64]:
    finite = np.isfinite(values)
    total = np.cumsum(np.concatenate(([0.0], np.where(finite, values, 0.0))))
    lost = np.cumsum(np.concatenate(([0], ~finite)))
    end = np.arange(1, len(values) + 1)
    start = np.maximum(end - window, 0)
    mean: npt.NDArray[np.float64] = (total[end] - total[start]) / (end - start)
    # A step that diverged is a gap as wide as the window, not the end of the line.
    mean[lost[end] > lost[start]] = np.nan
    return mean


def _fill_bands(
    ax: Axes,
    bands: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    lines: Mapping[str, npt.NDArray[np.float64]],
    positions: npt.NDArray[np.float64],
) -> None:
    names = list(lines)
    for name, (low, high) in bands.items():
        if name not in lines:
            raise ValueError(f"bands: no curve is named {name!r}; the curves are {names}")
        ends = [_vector(end, f"bands[{name!r}]") for end in (low, high)]
        for end in ends:
            _same_length(end, positions, f"bands[{name!r}]")
        colour = line_colours(ax)[names.index(name)]
        ax.fill_between(positions, ends[0], ends[1], color=colour, alpha=0.18, linewidth=0)


def _finish(
    ax: Axes,
    x_label: str,
    y_label: str,
    title: str | None,
    log: tuple[bool, bool],
    x_ticks: Sequence[float] | None,
) -> None:
    if log[0]:
        ax.set_xscale("log")
    if log[1]:
        ax.set_yscale("log")
    if x_ticks is not None:
        ax.set_xticks(list(x_ticks), [f"{tick:g}" for tick in x_ticks])
        ax.minorticks_off()
    ax.set_xlabel(x_label, fontsize=TEXT_SIZE)
    ax.set_ylabel(y_label, fontsize=TEXT_SIZE)
    ax.tick_params(labelsize=SMALL_TEXT_SIZE)
    ax.grid(True, color=ink(ax, "#DDDDDD", "#444444"), linewidth=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    if title is not None:
        ax.set_title(wrapped(title, room_over(ax, 0.0), TEXT_SIZE), fontsize=TEXT_SIZE)
