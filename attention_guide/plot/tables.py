"""What a figure shows as data and in words: for a screen reader, a spreadsheet, a search."""

import csv
import html
import io
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from attention_guide.plot.checks import checked_mask, checked_weights, plain_labels
from attention_guide.plot.style import to_numpy, whole
from attention_guide.plot.words import alt_text, counted, fixed, markdown_row, weights_table

Form = Literal["markdown", "html", "csv"]


def table(
    weights: npt.ArrayLike,
    query_tokens: Sequence[str] | None = None,
    key_tokens: Sequence[str] | None = None,
    *,
    mask: npt.ArrayLike | None = None,
    form: Form = "markdown",
    digits: int = 2,
    caption: str = "Attention weights: a row a query, a column a key.",
) -> str:
    """Write an attention map as a table: numbers where the figure has colours.

    Args:
        weights: `(T, S)` array or tensor, any real dtype.
        query_tokens: T labels; `None` numbers them from 0.
        key_tokens: S labels; `None` numbers them from 0.
        mask: bool, broadcastable to `(T, S)`, `True` = may attend. A forbidden cell is a dash
            ("masked" to a screen reader), never 0; in CSV it is empty.
        form: "markdown"; "html" with a caption, header cells that name their scope, and everything
            escaped; or "csv" for a spreadsheet.
        digits: decimals of each weight.
        caption: The caption of the HTML table.

    Returns:
        The table, without a newline at its end.

    Raises:
        TypeError: as `heatmap`.
        ValueError: as `heatmap`, or an unknown form, or `digits` isn't a whole number of at least
            0.

    Examples:
        >>> print(table([[1.0, 0.0]], ["<b>"], ["a", "b"], form="csv"))
        query,a,b
        <b>,1.00,0.00
    """
    if form == "markdown":
        return weights_table(weights, query_tokens, key_tokens, mask=mask, digits=digits)
    if form not in ("html", "csv"):
        raise ValueError(f'form: expected "markdown", "html" or "csv", got {form!r}')
    values = checked_weights(weights, 0.0, 1.0)
    rows = plain_labels(query_tokens, values.shape[0], "query_tokens", "T")
    columns = plain_labels(key_tokens, values.shape[1], "key_tokens", "S")
    allowed = checked_mask(mask, values)
    cells = [
        [fixed(weight, digits) if may else None for weight, may in zip(*pair, strict=True)]
        for pair in zip(values, allowed, strict=True)
    ]
    if form == "csv":
        return _csv(
            ["query", *columns], [[name, *row] for name, row in zip(rows, cells, strict=True)]
        )
    return _html(caption, rows, columns, cells)


def describe(
    weights: npt.ArrayLike,
    query_tokens: Sequence[str] | None = None,
    key_tokens: Sequence[str] | None = None,
    *,
    mask: npt.ArrayLike | None = None,
    most: int = 8,
) -> str:
    r"""Say in words what a map, or the heads of a layer, shows: alternative text for the figure.

    Args:
        weights: `(T, S)`, or `(H, T, S)` for heads.
        query_tokens: T labels; `None` numbers them from 0.
        key_tokens: S labels; `None` numbers them from 0.
        mask: bool, broadcastable to `(T, S)`, `True` = may attend.
        most: how many queries (of a map) or heads to describe; the rest are counted.

    Returns:
        One paragraph of plain text. For heads: what each favours, how spread out its weights are
        (the mean number of keys they amount to, the exponential of their entropy), and the mean
        share on the query's own place. For both, a row counts as shares of its sum (which may be
        below 1), and a query that attends nowhere doesn't count.

    Raises:
        TypeError: as `heatmap`.
        ValueError: as `heatmap`, or `most` isn't a whole number of at least 0.

    Examples:
        >>> said = describe([[[1.0, 0.0], [0.0, 1.0]], [[0.5, 0.5], [0.5, 0.5]]], ["a", "b"])
        >>> print(said.replace(". ", ".\n"))
        Attention of 2 heads, 2 queries by 2 keys.
        Head 0: spread over 1.0 keys, 1.00 on the same place, largest from a to 0 (1.00).
        Head 1: spread over 2.0 keys, 0.50 on the same place, largest from a to 0 (0.50).
    """
    values = to_numpy(weights, "weights")
    if values.ndim == 2:
        return alt_text(values, query_tokens, key_tokens, mask=mask, most=most)
    if values.ndim != 3 or 0 in values.shape:
        raise ValueError(f"weights: expected (T, S) or (H, T, S), none 0, got {values.shape}")
    count, queries, keys = values.shape
    rows = plain_labels(query_tokens, queries, "query_tokens", "T")
    columns = plain_labels(key_tokens, keys, "key_tokens", "S")
    panels = [checked_weights(panel, 0.0, 1.0) for panel in values]
    hidden = int((~checked_mask(mask, panels[0])).sum())
    for panel in panels:
        checked_mask(mask, panel)
    opening = f"Attention of {counted(count, 'head')}, "
    opening += f"{counted(queries, 'query')} by {counted(keys, 'key')}"
    opening += f", {counted(hidden, 'cell')} masked" if hidden else ""
    most = whole(most, "most", 0)
    said = [_head(number, panel, rows, columns) for number, panel in enumerate(panels[:most])]
    rest = [f"{count - most} more"] if count > most else []
    return ". ".join([opening, *said, *rest]) + "."


def curves_table(
    series: Mapping[str, npt.ArrayLike],
    x: npt.ArrayLike | None = None,
    *,
    x_label: str = "x",
    form: Literal["markdown", "csv"] = "markdown",
    digits: int = 4,
) -> str:
    """Write the curves of `curves` as a table: a row for each x.

    Args:
        series: name to `(N,)` values.
        x: `(N,)` positions; `None` counts 1, 2, …, N.
        x_label: The first column's name.
        form: "markdown" or "csv".
        digits: significant digits; an x gets as many as tell it from the others.

    Returns:
        The table, without a newline at its end.

    Raises:
        TypeError: a series isn't made of real numbers.
        ValueError: no series, different lengths, an unknown form, or `digits` isn't a whole number
            of at least 1.

    Examples:
        >>> print(curves_table({"loss": [3.0, 1.5]}, x_label="epoch"))
        | epoch | loss |
        |---:|---:|
        | 1 | 3 |
        | 2 | 1.5 |
    """
    columns = [to_numpy(values, f"series[{name!r}]") for name, values in series.items()]
    if not columns:
        raise ValueError("series: expected at least one curve, got none")
    places = np.arange(1.0, len(columns[0]) + 1) if x is None else to_numpy(x, "x")
    if places.ndim != 1:
        raise ValueError(f"x: expected a vector (N,), got {places.shape}")
    for name, values in zip(series, columns, strict=True):
        if values.ndim != 1 or values.shape != places.shape:
            raise ValueError(
                f"series[{name!r}]: expected N = {len(places)} values, got {values.shape}"
            )
    whole(digits, "digits", 1)
    rows = [
        [place, *(f"{value:.{digits}g}" for value in row)]
        for place, *row in zip(_told_apart(places, digits), *columns, strict=True)
    ]
    names = [x_label, *series]
    if form == "csv":
        return _csv(names, rows)
    if form != "markdown":
        raise ValueError(f'form: expected "markdown" or "csv", got {form!r}')
    lines = [names, ["---:"] * len(names), *rows]
    text = [markdown_row(line) for line in lines]
    text[1] = "|" + "---:|" * len(names)
    return "\n".join(text)


def _told_apart(places: npt.NDArray[np.float64], digits: int) -> list[str]:
    """Positions in so many significant digits, or as many more as different ones need."""
    for more in range(digits, max(digits, 17) + 1):
        texts = [
            f"{x:.0f}" if x.is_integer() and abs(x) < 1e16 else f"{x:.{more}g}"
            for x in (places + 0.0).tolist()  # -0 is 0
        ]
        if len(set(texts)) >= len(np.unique(places)):
            break
    return texts


def _head(number: int, panel: npt.NDArray[np.float64], rows: list[str], columns: list[str]) -> str:
    weights = np.maximum(panel, 0.0)
    total = weights.sum(1, keepdims=True)
    attends = total[:, 0] > 0
    if not attends.any():
        return f"Head {number}: attends nowhere"
    share = weights / np.where(total > 0, total, 1.0)
    entropy = -(share * np.log(np.where(share > 0, share, 1.0))).sum(1)[attends]
    spread = float(np.exp(entropy).mean())
    best = np.unravel_index(int(panel.argmax()), panel.shape)
    t, s = int(best[0]), int(best[1])
    said = f"Head {number}: spread over {spread:.1f} keys"
    if panel.shape[0] == panel.shape[1]:
        said += f", {float(np.diagonal(share)[attends].mean()):.2f} on the same place"
    return f"{said}, largest from {rows[t]} to {columns[s]} ({panel[t, s]:.2f})"


def _csv(header: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    # A spreadsheet runs a cell that begins like a formula; an apostrophe makes it text.
    writer.writerow([_harmless(cell) for cell in header])
    for name, *cells in rows:
        writer.writerow([_harmless(name or ""), *("" if cell is None else cell for cell in cells)])
    return out.getvalue().rstrip("\n")


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@") and not _is_number(cell) else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _html(caption: str, rows: list[str], columns: list[str], cells: list[list[str | None]]) -> str:
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in columns)
    body = "\n".join(
        f'<tr><th scope="row">{html.escape(name)}</th>'
        + "".join(
            '<td aria-label="masked">–</td>' if cell is None else f"<td>{cell}</td>" for cell in row
        )
        + "</tr>"
        for name, row in zip(rows, cells, strict=True)
    )
    return (
        f"<table>\n<caption>{html.escape(caption)}</caption>\n"
        f'<thead><tr><th scope="col">query</th>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table>"
    )
