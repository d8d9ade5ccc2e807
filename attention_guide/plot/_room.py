"""How much room texts and cells take, in inches, before anything is drawn."""

import re
from functools import lru_cache

from matplotlib import cbook
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from attention_guide.plot.style import MAX_WIDTH, SMALL_TEXT_SIZE, figure_of
from attention_guide.plot.tokens import families

# Width of a letter at SMALL_TEXT_SIZE, roughly.
LETTER = 0.085
LINE = 0.17
# Between two labels that stand side by side.
GAP = 0.04
# A row is at least so high, and so is a whole map, until it is a third as high as it is wide.
LEAST_CELL = 0.16
LEAST_MAP = 0.42
# Where a text is broken, best first: between clauses, between words; a formula stays whole.
BREAKS = (r"(?:\$[^$]*\$|[^;])+;?\s*", r"(?:\$[^$]*\$|\S)+\s*")
# What the axes of a new figure get of its width; layouts give them no less for a text over them.
SHARE = 0.775


@lru_cache(maxsize=4096)
def text_width(text: str, size: float = SMALL_TEXT_SIZE) -> float:
    r"""Width of a line of text in points of this size.

    Examples:
        >>> text_width("ill") < text_width("www") == text_width("www", 4.5) * 2
        True
    """
    font = FontProperties(family=families([text]), size=size)
    formula = cbook.is_math_text(text)
    plain = text if formula else text.replace(r"\$", "$")
    width, _, _ = text_to_path.get_text_width_height_descent(plain, font, formula)
    return float(width) / 72


def wrapped(text: str, room: float, size: float) -> str:
    r"""The text in lines that fit, broken between clauses or words, a word where it is too long.

    Examples:
        >>> wrapped("two words", 9.0, 10.0), wrapped("two words", 0.5, 10.0)
        ('two words', 'two\nwords')
    """
    lines = []
    for line in text.split("\n"):
        if text_width(line, size) <= room:
            lines.append(line)
            continue
        lines.append("")
        for piece in _pieces(line, room, size, BREAKS):
            if lines[-1] and text_width((lines[-1] + piece).rstrip(), size) > room:
                lines[-1] = lines[-1].rstrip()
                lines.append("")
            lines[-1] += piece
    return "\n".join(lines)


def _pieces(text: str, room: float, size: float, breaks: tuple[str, ...]) -> list[str]:
    if not breaks:
        return [text] if "$" in text else list(text)
    pieces: list[str] = []
    for piece in re.findall(breaks[0], text):
        fits = text_width(piece.rstrip(), size) <= room
        pieces += [piece] if fits else _pieces(piece, room, size, breaks[1:])
    return pieces


def room_over(ax: Axes | None, width: float) -> float:
    """Width for a text over or under axes, those that were given or those of a new figure.

    Examples:
        >>> room_over(None, 4.0)
        3.1
    """
    if ax is None:
        return SHARE * min(width, MAX_WIDTH)
    return float(ax.bbox.width / figure_of(ax).dpi)


def cell_sides(
    shape: tuple[int, ...], across: float, down: float, largest: float = 9.0
) -> tuple[float, float]:
    """Width and height of the cells of a `(T, S)` map: squares, unless that makes a thin strip.

    Examples:
        >>> cell_sides((2, 4), 4.0, 4.0), cell_sides((1, 100), 4.0, 4.0)
        ((1.0, 1.0), (0.04, 0.42))
    """
    queries, keys = shape
    side = min(largest, across / keys, down / queries)
    return _side(side, keys, queries), _side(side, queries, keys)


def _side(side: float, along: int, beside: int) -> float:
    least = max(LEAST_CELL * along, LEAST_MAP)
    return max(side, min(least, side * beside / 3) / along)


def below(columns: list[str], upright: bool) -> float:
    """Inches that the labels of the columns need.

    Examples:
        >>> below(["a", "b"], False) < below(["a", "a long token"], True)
        True
    """
    if not upright:
        return 0.6 + LETTER * 2
    return 0.6 + max(max(LETTER * len(label), text_width(label)) for label in columns)


def tilted(columns: list[str], pitch: float, step: int = 1) -> bool:
    """Whether labels, of which each `step`-th is written, must stand upright in such columns.

    Examples:
        >>> tilted(["the", "cat"], 0.5), tilted(["the", "cat"], 0.2), tilted(["caterpillar"], 0.5)
        (False, True, True)
    """
    if len(columns) > 12 or max(len(label) for label in columns) > 5:
        return True
    return max(map(text_width, columns[::step])) > step * pitch - GAP
