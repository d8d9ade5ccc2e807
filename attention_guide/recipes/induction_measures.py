"""Letters that repeat, and what a model of them knows: losses, and where its heads look."""

from __future__ import annotations

from string import ascii_lowercase
from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from attention_guide import AttentionRecorder
from attention_guide.explain import induction_score, repeated_ids
from attention_guide.text import Vocabulary
from attention_guide.train import cross_entropy

LETTERS: Final = Vocabulary(ascii_lowercase)
"""The vocabulary: special tokens, then the 26 letters."""

FIRST_ID: Final = LETTERS.encode("a")[0]
"""The id of the letter a; the other letters follow."""

__all__ = [
    "FIRST_ID",
    "LETTERS",
    "held_out_letters",
    "measure",
    "previous_token_score",
    "repeated_letters",
]


def repeated_letters(period: int, batch: int, generator: torch.Generator) -> Int[Tensor, "B T"]:
    """`batch` texts of one period behind a start token, `(B, 1 + 2 P)`.

    Args:
        period: P, at most 26.
        batch: B.
        generator: Draws the letters.
    """
    ids = repeated_ids(len(LETTERS), period, batch=batch, first_id=FIRST_ID, generator=generator)
    return torch.cat([torch.full((batch, 1), LETTERS.bos_id), ids], dim=1)


def held_out_letters(seed: int) -> Int[Tensor, "B T"]:
    """What a seed is measured on: 128 texts of 16 letters twice, `(128, 33)`.

    Args:
        seed: The seed of the training.
    """
    return repeated_letters(16, 128, torch.Generator().manual_seed(1000 + seed))


def previous_token_score(weights: Float[Tensor, "B H T T"]) -> Float[Tensor, " H"]:
    r"""Attention to the token before, the mean over $t \ge 1$ of $w_{t,t-1}$.

    Args:
        weights: Attention weights of one layer, `(B, H, T, T)`.

    Returns:
        `(H,)`, 0 to 1.

    Examples:
        >>> previous_token_score(torch.eye(3).roll(-1, dims=1).expand(1, 1, 3, 3))
        tensor([1.])
    """
    return weights.diagonal(offset=-1, dim1=-2, dim2=-1).mean(dim=(0, 2))


@torch.no_grad()
def measure(model: nn.Module, ids: Int[Tensor, "B T"]) -> dict[str, float]:
    """Loss on both halves, accuracy on the second, and the heads that stand out in each layer.

    The first letter of the second half counts for the first: nothing says that it comes.

    Args:
        model: A language model.
        ids: As `letter_batches` yields them.

    Returns:
        Names to numbers; losses in nats a letter.
    """
    with AttentionRecorder(model) as maps:
        logits = model(ids)[:, :-1]
    targets = ids[:, 1:]
    known = targets.shape[1] // 2 + 1
    found = {
        "first half: loss": cross_entropy(logits[:, :known], targets[:, :known]),
        "second half: loss": cross_entropy(logits[:, known:], targets[:, known:]),
        "second half: accuracy": (logits.argmax(-1) == targets)[:, known:].float().mean(),
    }
    for layer, weights in enumerate(maps.values(), start=1):
        found[f"layer {layer}: induction score"] = induction_score(weights, ids).max()
        found[f"layer {layer}: previous-token score"] = previous_token_score(weights).max()
    return {name: float(value) for name, value in found.items()}
