"""A figure as SVG, PDF and PNG from one call, the same bytes whenever it is drawn again."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

FORMATS = ("svg", "pdf", "png")
# Ids inside an SVG are hashes with this salt instead of random numbers.
SALT = "attention-guide"
# Drawings after which a layout is where it will stay, to the eye.
LAYOUTS = 4
# What no XML file may hold: most control characters, lone surrogates, U+FFFE and U+FFFF.
_NOT_XML = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def save(
    figure: Figure,
    stem: str | os.PathLike[str],
    *,
    formats: Iterable[str] = FORMATS,
    alt: str | None = None,
    dpi: float = 200.0,
) -> list[Path]:
    """Write a figure to `stem.svg`, `stem.pdf` and `stem.png`; the same figure, the same bytes.

    The same holds on another machine with the same fonts and the same matplotlib. Text in the SVG
    is drawn as outlines, so that it looks alike where the fonts are missing; in the PDF it is text,
    to be searched and copied, but where a script reorders or joins its signs, as Devanagari does, a
    copy may differ from the token.

    Args:
        figure: What is to be written; it stays open.
        stem: The path without an ending; folders that don't exist are made.
        formats: Some of "svg", "pdf", "png".
        alt: The figure in words, kept as the file's description: `alt_text(...)` or
            `describe(...)`. Control characters that XML can't hold become U+FFFD.
        dpi: Dots an inch, of the PNG and of maps too large for vectors.

    Returns:
        The paths, in the order of `formats`.

    Raises:
        ValueError: No format or an unknown one, or a `dpi` that isn't above 0.

    Examples:
        >>> import tempfile, matplotlib.pyplot as plt
        >>> from attention_guide.plot import heatmap
        >>> figure = heatmap([[1.0, 0.0], [0.3, 0.7]])
        >>> [path.name for path in save(figure, Path(tempfile.mkdtemp()) / "map")]
        ['map.svg', 'map.pdf', 'map.png']
        >>> plt.close(figure)
    """
    wanted = [formats] if isinstance(formats, str) else list(formats)
    unknown = [form for form in wanted if form not in FORMATS]
    if unknown or not wanted:
        raise ValueError(f"formats: expected some of {', '.join(FORMATS)}; got {wanted}")
    if not dpi > 0:
        raise ValueError(f"dpi: expected a number above 0, got {dpi}")
    base = Path(stem)
    base.parent.mkdir(parents=True, exist_ok=True)
    paths = [base.with_name(f"{base.name}.{form}") for form in wanted]
    with (
        _settled(figure),
        mpl.rc_context({"svg.hashsalt": SALT, "svg.fonttype": "path", "pdf.fonttype": 42}),
    ):
        for path, form in zip(paths, wanted, strict=True):
            figure.savefig(path, format=form, dpi=dpi, metadata=_metadata(form, alt))
    return paths


@contextmanager
def _settled(figure: Figure) -> Iterator[None]:
    """Lay the figure out once for all files, and put everything back where it was.

    A layout engine starts from where the last drawing left the axes and moves maps of equal aspect
    a little further each time: the second file would differ from the first, and the second call
    from the first.
    """
    engine = figure.get_layout_engine()
    before = [
        (
            ax,
            ax.get_position(original=True).frozen(),
            ax.get_position().frozen(),
            ax.get_in_layout(),
        )
        for ax in figure.axes
    ]
    for _ in range(LAYOUTS):
        figure.draw_without_rendering()
    figure.set_layout_engine("none")
    try:
        yield
    finally:
        figure.set_layout_engine(engine)
        for ax, original, active, in_layout in before:
            ax.set_position(original, which="original")
            ax.set_position(active, which="active")
            ax.set_in_layout(in_layout)  # a position that is set takes the axes out of it


def _metadata(form: str, alt: str | None) -> dict[str, Any]:
    if alt is not None:
        alt = _NOT_XML.sub("\ufffd", alt)
    if form == "svg":
        return {"Date": None, **({} if alt is None else {"Description": alt})}
    if form == "pdf":
        return {"CreationDate": None, **({} if alt is None else {"Subject": alt})}
    return {} if alt is None else {"Description": alt}
