"""What an encoding of positions makes of distance."""

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from attention_guide.plot._room import wrapped
from attention_guide.plot.cells import draw_cells, finish_colour_bar, label_axes
from attention_guide.plot.pooling import How, pool
from attention_guide.plot.style import (
    LINE_COLOURS,
    SMALL_TEXT_SIZE,
    TEXT_SIZE,
    ink,
    to_numpy,
)

BLOCKS = 128


def position_similarity(
    encodings: npt.ArrayLike, *, title: str | None = None, pooling: How = "mean"
) -> Figure:
    r"""Draw $c_{ts} = p_t \cdot p_s / (|p_t| |p_s|)$, as a map and against the distance $t - s$.

    An encoding in which only the distance counts has stripes along the diagonal and no band around
    its curve; one that treats places differently shows a band from the least to the most similar
    pair at each distance.

    Args:
        encodings: `(T, D)`, one vector a position.
        title: a line above both panels.
        pooling: "max" or "mean": what stands for a block of more than 128 positions in the map.

    Returns:
        The matplotlib Figure, left open.

    Raises:
        TypeError: The encodings aren't real numbers.
        ValueError: Not `(T, D)` with T of at least 2, not finite, or a vector of length 0.

    Cost:
        `2 · T² · D` flops.

    Examples:
        >>> figure = position_similarity(np.eye(3))
        >>> [ax.get_xlabel() for ax in figure.axes[:2]]
        ['position', 'distance in tokens']
        >>> plt.close(figure)
    """
    similarity = _cosines(encodings)
    count = len(similarity)
    figure, (left, right) = plt.subplots(1, 2, figsize=(7.0, 3.2), layout="constrained")
    everywhere = np.ones(similarity.shape, dtype=np.bool_)
    shown = pool(similarity, everywhere, pooling, longest=BLOCKS, blocks=BLOCKS)
    mesh = draw_cells(left, shown.values, shown.allowed, -1.0, 1.0)
    places = [str(place) for place in range(0, count, shown.rows)]
    name = f"position, {pooling} of {shown.rows}" if shown.pooled else "position"
    label_axes(left, places, places, (name, name), (9, 9))
    finish_colour_bar(figure.colorbar(mesh, ax=left, fraction=0.05, pad=0.03), "cosine similarity")
    apart = [np.diagonal(similarity, -distance) for distance in range(count)]
    distances = np.arange(count)
    right.fill_between(
        distances,
        [values.min() for values in apart],
        [values.max() for values in apart],
        color=LINE_COLOURS[0],
        alpha=0.2,
        linewidth=0,
        label="least to most",
    )
    mean = [values.mean() for values in apart]
    right.plot(distances, mean, color=LINE_COLOURS[0], linewidth=1.8, label="mean")
    right.set_xlabel("distance in tokens", fontsize=TEXT_SIZE)
    right.set_ylabel("cosine similarity", fontsize=TEXT_SIZE)
    right.set_ylim(-1.05, 1.05)
    right.tick_params(labelsize=SMALL_TEXT_SIZE)
    right.grid(True, color=ink(right, "#DDDDDD", "#444444"), linewidth=0.6)
    right.legend(fontsize=SMALL_TEXT_SIZE, frameon=False)
    for side in ("top", "right"):
        right.spines[side].set_visible(False)
    if title is not None:
        figure.suptitle(wrapped(title, 6.8, TEXT_SIZE), fontsize=TEXT_SIZE)
    return figure


def _cosines(encodings: npt.ArrayLike) -> npt.NDArray[np.float64]:
    vectors = to_numpy(encodings, "encodings")
    if vectors.ndim != 2 or len(vectors) < 2 or vectors.shape[1] == 0:
        raise ValueError(f"encodings: expected (T, D) with T of at least 2, got {vectors.shape}")
    if not np.isfinite(vectors).all():
        raise ValueError("encodings: expected finite numbers, got NaN or infinity among them")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    if (lengths == 0).any():
        raise ValueError(f"encodings: position {int(lengths.argmin())} is 0 and has no direction")
    directions = vectors / lengths
    cosines: npt.NDArray[np.float64] = np.clip(directions @ directions.T, -1.0, 1.0)
    return cosines
