"""What every figure of this package shares: colours, sizes, and the way numbers come in."""

from numbers import Integral
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

OKABE_ITO: dict[str, str] = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky blue": "#56B4E9",
    "bluish green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "reddish purple": "#CC79A7",
}
"""Eight colours that readers with any common colour vision tell apart.

Source: Okabe & Ito, *Color Universal Design* (2008), <https://jfly.uni-koeln.de/color/>.
"""

# Yellow is left out (too pale for a line on white), black comes last (it is also the axes' colour).
LINE_COLOURS: tuple[str, ...] = tuple(
    OKABE_ITO[name]
    for name in (
        "blue",
        "vermilion",
        "bluish green",
        "orange",
        "reddish purple",
        "sky blue",
        "black",
    )
)
"""The colours of lines, in the order in which they are taken."""

LINE_STYLES: tuple[Any, ...] = (
    "-",
    "--",
    "-.",
    ":",
    (0, (5, 1, 1, 1, 1, 1)),
    (0, (1, 2)),
    (0, (8, 2)),
)
"""A dash pattern for each colour of a line, so that lines differ in grey as well."""

MARKERS: tuple[str, ...] = ("o", "s", "^", "D", "v", "P", "X")
"""A marker for each colour of a line."""

WEIGHT_COLOURS = "cividis"
MASKED_FACE = "#F2F2F2"
MASKED_HATCH = "#8A8A8A"

# A figure of 5 inches is shown at two thirds of its size on a screen of 360 px.
MAX_WIDTH = 7.0
TEXT_SIZE = 10.0
SMALL_TEXT_SIZE = 9.0


def to_numpy(values: npt.ArrayLike, name: str) -> npt.NDArray[np.float64]:
    """Bring a list, an array or a tensor (on any device, with or without gradient) to float64.

    Args:
        values: numbers of any shape and real or bool dtype.
        name: the argument's name, for the error.

    Returns:
        A float64 array of the same shape.

    Raises:
        TypeError: the values aren't real numbers.

    Examples:
        >>> import torch
        >>> to_numpy(torch.ones(2, dtype=torch.bfloat16, requires_grad=True), "weights")
        array([1., 1.])
    """
    dtype = str(getattr(values, "dtype", ""))
    if "complex" in dtype:  # numpy would drop the imaginary part
        raise TypeError(f"{name}: expected an array of real numbers, got {dtype}")
    detach = getattr(values, "detach", None)
    # numpy knows no bfloat16, so a tensor is widened by its own library first.
    source = detach().cpu().double() if detach is not None else values
    try:
        return np.asarray(source, dtype=np.float64)
    except (TypeError, ValueError) as error:
        kind = type(values).__name__
        raise TypeError(f"{name}: expected an array of real numbers, got {kind}") from error


def ink(ax: Axes, on_bright: str, on_dark: str) -> str:
    """Take the colour that can be seen on what is behind the axes.

    Examples:
        >>> figure, ax = plt.subplots(facecolor="black", subplot_kw={"facecolor": "none"})
        >>> ink(ax, "black", "white")
        'white'
        >>> plt.close(figure)
    """
    face = to_rgba(ax.get_facecolor())
    if face[3] == 0:
        face = to_rgba(figure_of(ax).get_facecolor())
    return on_bright if luminance(np.array(face)) > 0.179 else on_dark


def line_colours(ax: Axes) -> tuple[str, ...]:
    """`LINE_COLOURS`, with white for black on a dark background.

    Examples:
        >>> figure, ax = plt.subplots()
        >>> line_colours(ax) == LINE_COLOURS
        True
        >>> plt.close(figure)
    """
    return (*LINE_COLOURS[:-1], ink(ax, LINE_COLOURS[-1], "#FFFFFF"))


def luminance(colour: npt.NDArray[np.float64]) -> float:
    """WCAG's relative luminance; at 0.179 black and white have the same contrast, 4.6 to 1.

    Examples:
        >>> luminance(np.zeros(3)), luminance(np.ones(3))
        (0.0, 1.0)
    """
    channels = colour[:3]
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))


def whole(number: int, name: str, least: int) -> int:
    """Take a whole number that isn't too small, or say what came instead.

    Examples:
        >>> whole(2, "digits", 0)
        2
    """
    if not isinstance(number, Integral) or number < least:
        raise ValueError(f"{name}: expected a whole number of at least {least}, got {number}")
    return int(number)


def axes_for(ax: Axes | None, width: float, height: float) -> tuple[Figure, Axes]:
    """Take the axes that were given, or open a figure of this size in inches around new ones.

    Examples:
        >>> figure, ax = axes_for(None, 4.0, 3.0)
        >>> ax.figure is figure
        True
        >>> plt.close(figure)
    """
    if ax is None:
        figure, ax = plt.subplots(figsize=(min(width, MAX_WIDTH), height), layout="compressed")
        return figure, ax
    return figure_of(ax), ax


def figure_of(ax: Axes) -> Figure:
    """Find the whole figure of axes, also of those in a part of one.

    Examples:
        >>> figure = plt.figure()
        >>> figure_of(figure.subfigures().subplots()) is figure
        True
        >>> plt.close(figure)
    """
    owner = ax.get_figure(root=True)
    assert owner is not None  # axes are made in one
    return owner
