"""A whole training run: loss, learning rate and gradient norm over the same steps."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from attention_guide.plot._room import wrapped
from attention_guide.plot.lines import loss_curve
from attention_guide.plot.style import LINE_COLOURS, SMALL_TEXT_SIZE, TEXT_SIZE, ink, to_numpy


def training_curves(
    loss: npt.ArrayLike,
    *,
    rate: npt.ArrayLike | None = None,
    grad_norm: npt.ArrayLike | None = None,
    held_out: Mapping[int, float] | None = None,
    clip: float | None = None,
    every: int = 1,
    smooth: int | None = None,
    log_loss: bool = False,
    title: str | None = None,
) -> Figure:
    """Draw loss, learning rate and gradient norm one below the other, a panel for each given.

    The three fields of a `History` go in as they are:
    `training_curves(history.loss, rate=history.rate, grad_norm=history.grad_norm)`. Read together
    they say why a loss jumps: a rate that is still warming up, a norm that clipping holds down.

    Args:
        loss: `(N,)` training losses.
        rate: `(N,)` learning rates.
        grad_norm: `(N,)` norms of the whole gradient, before clipping.
        held_out: step to loss on held-out data.
        clip: The norm at which gradients were clipped, drawn as a line in that panel.
        every: Steps between two records.
        smooth: Records in the running mean of the loss, as `loss_curve` has it.
        log_loss: Logarithmic loss axis.
        title: A line above all panels.

    Returns:
        The matplotlib Figure, left open.

    Raises:
        TypeError: A series isn't made of real numbers.
        ValueError: A series isn't `(N,)` with the N of the loss, `clip` comes without `grad_norm`,
            or as `loss_curve`.

    Examples:
        >>> figure = training_curves([3.0, 2.0, 1.5], rate=[0.1, 0.2, 0.1], grad_norm=[1, 5, 2])
        >>> [ax.get_ylabel() for ax in figure.axes]
        ['loss (nats a token)', 'learning rate', 'gradient norm']
        >>> plt.close(figure)
    """
    if clip is not None and grad_norm is None:
        raise ValueError(f"clip: expected grad_norm, in whose panel it is drawn, got only {clip}")
    extra = {
        name: _beside(values, name, loss)
        for name, values in (("rate", rate), ("grad_norm", grad_norm))
        if values is not None
    }
    heights = [2.2, *[1.0] * len(extra)]
    figure, grid = plt.subplots(
        len(heights),
        1,
        figsize=(4.8, 2.4 + 1.2 * len(extra)),
        height_ratios=heights,
        sharex=True,
        squeeze=False,
        layout="constrained",
    )
    panels = list(grid.flat)
    loss_curve(loss, every=every, smooth=smooth, held_out=held_out, log_y=log_loss, ax=panels[0])
    labels = {"rate": "learning rate", "grad_norm": "gradient norm"}
    for ax, (name, values) in zip(panels[1:], extra.items(), strict=True):
        steps = every * np.arange(1.0, len(values) + 1)
        ax.plot(steps, values, color=LINE_COLOURS[0], linewidth=1.2)
        if name == "grad_norm" and clip is not None:
            grey = ink(ax, "#555555", "#AAAAAA")
            ax.axhline(clip, color=grey, linewidth=0.9, linestyle="--", label="clipped above")
            ax.legend(fontsize=SMALL_TEXT_SIZE, loc="upper right", edgecolor="none")
        ax.set_ylabel(labels[name], fontsize=TEXT_SIZE)
        ax.tick_params(labelsize=SMALL_TEXT_SIZE)
        ax.grid(True, color=ink(ax, "#DDDDDD", "#444444"), linewidth=0.6)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
    for ax in panels[:-1]:
        ax.set_xlabel("")
    panels[-1].set_xlabel("training step", fontsize=TEXT_SIZE)
    figure.align_ylabels(panels)
    if title is not None:
        room = figure.get_figwidth() - 0.2
        figure.suptitle(wrapped(title, room, TEXT_SIZE), fontsize=TEXT_SIZE)
    return figure


def _beside(values: npt.ArrayLike, name: str, loss: npt.ArrayLike) -> npt.NDArray[np.float64]:
    series = to_numpy(values, name)
    wanted = to_numpy(loss, "loss").shape
    if series.shape != wanted:
        raise ValueError(f"{name}: expected (N,) = {wanted} values, as in loss, got {series.shape}")
    return series
