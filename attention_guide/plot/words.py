"""The same numbers for a reader who can't see the figure: a sentence, and a table."""

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from attention_guide.plot.checks import checked_mask, checked_weights, plain_labels

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
    """Say for each query which key takes the most weight, as a figure's alternative text.

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
        ValueError: as `heatmap`.

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
    opening = f"Attention map, {_count(queries, 'query')} by {_count(keys, 'key')}"
    if hidden:
        opening += f", {_count(hidden, 'cell')} masked"
    sentences = [opening]
    for row, label, open_keys in zip(values[:most], rows[:most], allowed[:most], strict=True):
        if not open_keys.any():
            sentences.append(f"{label}: may attend nowhere")
        else:
            best = int(row.argmax())
            sentences.append(f"{label}: most on {columns[best]} ({row[best]:.2f})")
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
        ValueError: as `heatmap`.

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
        cells = np.where(open_keys, [f"{weight:.{digits}f}" for weight in row], "–")
        lines.append(markdown_row([label, *cells]))
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
    return {"<": "&lt;", ">": "&gt;", "&": "&amp;"}.get(sign, f"\\{sign}")


def _count(number: int, noun: str) -> str:
    plural = "queries" if noun == "query" else f"{noun}s"
    return f"{number} {noun if number == 1 else plural}"
