"""The same numbers for a reader who can't see the figure: a sentence, and a table."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from attention_guide.plot.checks import checked_mask, checked_weights, plain_labels
from attention_guide.plot.style import whole

# What Markdown could take for markup inside a cell.
_MARKUP = re.compile(r"[\\`*_\[\]|<>&$~]")


def alt_text(
    weights: npt.ArrayLike,
    query_tokens: Sequence[str] | None = None,
    key_tokens: Sequence[str] | None = None,
    *,
    mask: npt.ArrayLike | None = None,
    most: int = 8,
) -> str:
    """Say for each query which keys take the most weight, as a figure's alternative text.

    Args:
        weights: `(T, S)` array or tensor, any real dtype.
        query_tokens: T labels; `None` numbers them from 0.
        key_tokens: S labels; `None` numbers them from 0.
        mask: bool, broadcastable to `(T, S)`, `True` = may attend.
        most: how many queries to describe; the rest are counted.

    Returns:
        One paragraph of plain text.

    Raises:
        TypeError: as `heatmap`.
        ValueError: as `heatmap`, or `most` isn't a whole number of at least 0.

    Examples:
        >>> alt_text([[0.9, 0.1], [0.3, 0.7]], ["a", "b"])
        'Attention map, 2 queries by 2 keys. a: most on 0 (0.90). b: most on 1 (0.70).'
    """
    values = checked_weights(weights, 0.0, 1.0)
    queries, keys = values.shape
    rows = plain_labels(query_tokens, queries, "query_tokens", "T")
    columns = plain_labels(key_tokens, keys, "key_tokens", "S")
    allowed = checked_mask(mask, values)
    hidden = int((~allowed).sum())
    opening = f"Attention map, {counted(queries, 'query')} by {counted(keys, 'key')}"
    if hidden:
        opening += f", {counted(hidden, 'cell')} masked"
    sentences = [opening]
    most = whole(most, "most", 0)
    for row, label, open_keys in zip(values[:most], rows[:most], allowed[:most], strict=True):
        sentences.append(f"{label}: {_favourite(row, open_keys, columns)}")
    if queries > most:
        sentences.append(f"{queries - most} more")
    return ". ".join(sentences) + "."


def weights_table(
    weights: npt.ArrayLike,
    query_tokens: Sequence[str] | None = None,
    key_tokens: Sequence[str] | None = None,
    *,
    mask: npt.ArrayLike | None = None,
    digits: int = 2,
) -> str:
    """Write an attention map as a Markdown table: a row a query, a dash where it may not attend.

    Args:
        weights: `(T, S)` array or tensor, any real dtype.
        query_tokens: T labels; `None` numbers them from 0.
        key_tokens: S labels; `None` numbers them from 0.
        mask: bool, broadcastable to `(T, S)`, `True` = may attend.
        digits: decimals of each weight.

    Returns:
        The table, without a newline at its end.

    Raises:
        TypeError: as `heatmap`.
        ValueError: as `heatmap`, or `digits` isn't a whole number of at least 0.

    Examples:
        >>> print(weights_table([[1.0, 0.0], [0.3, 0.7]], ["a", "b"], ["a", "b"],
        ...                     mask=[[True, False], [True, True]]))
        | query | a | b |
        |---|---:|---:|
        | a | 1.00 | – |
        | b | 0.30 | 0.70 |
    """
    values = checked_weights(weights, 0.0, 1.0)
    queries, keys = values.shape
    rows = plain_labels(query_tokens, queries, "query_tokens", "T")
    columns = plain_labels(key_tokens, keys, "key_tokens", "S")
    allowed = checked_mask(mask, values)
    lines = [markdown_row(["query", *columns]), "|---|" + "---:|" * keys]
    for label, row, open_keys in zip(rows, values, allowed, strict=True):
        cells = zip(row, open_keys, strict=True)
        lines.append(markdown_row([label, *(fixed(w, digits) if may else "–" for w, may in cells)]))
    return "\n".join(lines)


def markdown_row(cells: Sequence[str]) -> str:
    r"""One row of a Markdown table, in which nothing in a cell is markup.

    Examples:
        >>> print(markdown_row(["a|b", "<i>", "*x*", "$y$"]))
        | a\|b | &lt;i&gt; | \*x\* | \$y\$ |
    """
    return "| " + " | ".join(_MARKUP.sub(_escaped, cell) for cell in cells) + " |"


def _escaped(found: re.Match[str]) -> str:
    sign = found[0]
    # The book's Markdown knows no backslash before a tilde.
    return {"<": "&lt;", ">": "&gt;", "&": "&amp;", "~": "&#126;"}.get(sign, f"\\{sign}")


def _favourite(
    row: npt.NDArray[np.float64], open_keys: npt.NDArray[np.bool_], columns: list[str]
) -> str:
    """Where most of a row's weight goes, among the keys that are open to it."""
    if not open_keys.any():
        return "may attend nowhere"
    top = row[open_keys].max()
    if top <= 0:
        return "attends nowhere"
    # Equal scores differ in float32's last digits once a softmax has been over them.
    best = np.flatnonzero(open_keys & np.isclose(row, top, rtol=1e-5, atol=0.0))
    if len(best) == 1:
        return f"most on {columns[best[0]]} ({top:.2f})"
    if len(best) == open_keys.sum():
        return f"spread evenly over {counted(len(best), 'key')} ({top:.2f} each)"
    if len(best) == 2:
        return f"most on {columns[best[0]]} and {columns[best[1]]} ({top:.2f} each)"
    return f"most on {counted(len(best), 'key')} alike ({top:.2f} each)"


def fixed(weight: float, digits: int) -> str:
    """A weight with so many decimals, and no minus before a zero.

    Examples:
        >>> fixed(-5e-6, 2)
        '0.00'
    """
    return f"{weight:z.{whole(digits, 'digits', 0)}f}"


def counted(number: int, noun: str) -> str:
    """A number with its noun.

    Examples:
        >>> counted(1, "cell"), counted(2, "query")
        ('1 cell', '2 queries')
    """
    plural = "queries" if noun == "query" else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"
