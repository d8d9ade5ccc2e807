"""Several sequences in one row, so that nothing, or next to nothing, is padding."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor

from attention_guide.text import _check


class Packed(NamedTuple):
    """Rows of packed sequences, with what a model must know to keep them apart.

    Attributes:
        ids: The ids, int64, shape `(B, T)`.
        documents: Which sequence each id is from, by its number; -1 for padding: what
            `document_mask` takes, shape `(B, T)`.
        positions: The place of each id in its own sequence, from 0; 0 for padding, `(B, T)`.
    """

    ids: Int[Tensor, "B T"]
    documents: Int[Tensor, "B T"]
    positions: Int[Tensor, "B T"]


def pack(
    sequences: Sequence[Sequence[int]], length: int, *, pad_id: int = 0, split: bool = False
) -> Packed:
    """Put whole sequences into as few rows as best-fit decreasing finds.

    The longest come first, each into the row with the least room that is enough.

    Args:
        sequences: `N` sequences of ids. An empty one takes no room and isn't in the result.
        length: `T`, ids in a row.
        pad_id: The id to fill with.
        split: Whether to cut a sequence longer than `T` into pieces (their positions go on,
            and they keep its number) and not to raise.

    Returns:
        The rows.

    Raises:
        TypeError: An id isn't an integer.
        ValueError: No sequence, `length < 1`, or one too long without `split`.

    Cost:
        `O(N log N)` but for inserting into a list of open rows.

    Source:
        Krell et al. (2021), arXiv:2107.02027, pack sequences for BERT and keep them apart by
        mask and positions; best-fit decreasing is a classic of bin packing.

    Examples:
        >>> packed = pack([[5, 6, 7], [8], [9, 9]], length=4)
        >>> packed.ids
        tensor([[5, 6, 7, 8],
                [9, 9, 0, 0]])
        >>> packed.documents
        tensor([[ 0,  0,  0,  1],
                [ 2,  2, -1, -1]])
    """
    pieces = _pieces(sequences, length, split)
    rows: list[list[_Piece]] = []
    room: list[tuple[int, int]] = []  # (free places, row), sorted
    for piece in sorted(pieces, key=lambda p: -len(p.ids)):
        place = bisect_left(room, (len(piece.ids), -1))
        if place == len(room):
            rows.append([])
            free, row = length, len(rows) - 1
        else:
            free, row = room.pop(place)
        rows[row].append(piece)
        insort(room, (free - len(piece.ids), row))
    return _as_rows(rows, length, pad_id)


def pack_stream(
    sequences: Iterable[Sequence[int]], length: int, *, pad_id: int = 0, drop_last: bool = True
) -> Packed:
    """Join the sequences end to end and cut the row into rows: language models' usual way.

    A sequence may go on in the next row, where its beginning can't be seen.

    Args:
        sequences: Sequences of ids, each with its end-of-sequence id if there is to be one.
        length: `T`, ids in a row.
        pad_id: The id to fill the last row with.
        drop_last: Whether to leave the last row out if it isn't full.

    Returns:
        The rows; without padding if `drop_last`.

    Raises:
        TypeError: An id isn't an integer.
        ValueError: `length < 1`, or there aren't enough ids for a row.

    Examples:
        >>> packed = pack_stream([[5, 6, 7], [8, 9], [4]], length=2)
        >>> packed.ids.tolist(), packed.documents.tolist(), packed.positions.tolist()
        ([[5, 6], [7, 8], [9, 4]], [[0, 0], [0, 1], [1, 2]], [[0, 1], [2, 0], [1, 0]])
    """
    sequences = list(sequences)
    rows: list[list[_Piece]] = [[]]
    free = length
    for piece in _pieces(sequences, length, split=True):
        while piece.ids:
            if free == 0:
                rows.append([])
                free = length
            rows[-1].append(_Piece(piece.ids[:free], piece.number, piece.start))
            taken = len(rows[-1][-1].ids)
            piece = _Piece(piece.ids[taken:], piece.number, piece.start + taken)
            free -= taken
    if drop_last and free:
        rows.pop()
    if not rows or not rows[0]:
        raise ValueError(f"sequences: expected at least {length} ids for a row")
    return _as_rows(rows, length, pad_id)


def next_tokens(packed: Packed, *, pad_id: int = 0) -> Int[Tensor, "B T"]:
    """The target of each place: the next id of the same sequence, else padding.

    Without this the last id of one sequence would be asked for the first of the next.

    Args:
        packed: What `pack` or `pack_stream` gave.
        pad_id: The id of a target that counts for nothing; choose one that no sequence has.

    Returns:
        The targets, int64, shape `(B, T)`.

    Raises:
        TypeError: `pad_id` isn't an integer.

    Examples:
        >>> next_tokens(pack([[5, 6, 7], [8, 9]], length=6))
        tensor([[6, 7, 0, 9, 0, 0]])
    """
    pad_id = _check.integer("pad_id", pad_id)
    targets = torch.full_like(packed.ids, pad_id)
    same = (packed.documents[:, 1:] == packed.documents[:, :-1]) & (packed.documents[:, 1:] >= 0)
    targets[:, :-1] = torch.where(same, packed.ids[:, 1:], pad_id)
    return targets


def unpack(packed: Packed) -> dict[int, list[int]]:
    """Number to sequence: the inverse of `pack`.

    Examples:
        >>> unpack(pack([[5, 6], [7], [8, 9]], length=3))
        {0: [5, 6], 1: [7], 2: [8, 9]}
    """
    found: dict[int, list[tuple[int, int]]] = {}
    flat = (t.flatten().tolist() for t in packed)
    for token, document, position in zip(*flat, strict=True):
        if document >= 0:
            found.setdefault(document, []).append((position, token))
    return {number: [token for _, token in sorted(found[number])] for number in sorted(found)}


class _Piece(NamedTuple):
    """Part of a sequence: its ids, the sequence's number, and where in it they begin."""

    ids: list[int]
    number: int
    start: int


def _pieces(sequences: Sequence[Sequence[int]], length: int, split: bool) -> list[_Piece]:
    if length < 1:
        raise ValueError(f"length: expected at least 1, got {length}")
    if not sequences:
        raise ValueError("sequences: expected at least one, got none")
    pieces = []
    for number, sequence in enumerate(sequences):
        if len(sequence) > length and not split:
            raise ValueError(
                f"length: expected at least {len(sequence)}, the length of sequence {number}, "
                f"or split=True; got {length}"
            )
        ids = _check.integers("sequences", sequence)
        for start in range(0, len(ids), length):
            pieces.append(_Piece(ids[start : start + length], number, start))
    return pieces


def _as_rows(rows: Sequence[Sequence[_Piece]], length: int, pad_id: int) -> Packed:
    ids = torch.full((len(rows), length), _check.integer("pad_id", pad_id))
    documents, positions = torch.full_like(ids, -1), torch.zeros_like(ids)
    for r, row in enumerate(rows):
        at = 0
        for piece in row:
            end = at + len(piece.ids)
            ids[r, at:end] = torch.tensor(piece.ids)
            documents[r, at:end] = piece.number
            positions[r, at:end] = torch.arange(piece.start, piece.start + len(piece.ids))
            at = end
    return Packed(ids, documents, positions)
