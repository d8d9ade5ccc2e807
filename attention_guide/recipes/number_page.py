"""The number-word Transformer as a script of the playground, with what the rounding cost."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from attention_guide.checkpoints.javascript import write_own_javascript
from attention_guide.checkpoints.own import WEIGHTS, load_own
from attention_guide.data.numbers import Pair, draw_numbers, number_pairs
from attention_guide.recipes.number_settings import Setting, training_numbers
from attention_guide.text import Vocabulary, pad_batch

HELD_OUT = 200


def write_number_page(setting: Setting, folder: Path, *, weights: Path = WEIGHTS) -> Path:
    """Write a row's checkpoint for the playground, in half precision: it is small enough.

    Args:
        setting: The row's setting; it names the checkpoint.
        folder: Where the script goes.
        weights: Folder of the checkpoints.

    Returns:
        The path of the script.

    Raises:
        ValueError: The row keeps no checkpoint, or it isn't a Transformer's.
    """
    if setting.checkpoint is None or setting.family != "transformer":
        raise ValueError("setting: expected a Transformer that leaves a checkpoint")
    own = load_own(setting.checkpoint, folder=weights)
    vocabulary = own.vocabulary
    assert isinstance(vocabulary, Vocabulary)
    seen = training_numbers(setting, seed=own.training["seed"])
    pairs = number_pairs(draw_numbers(HELD_OUT, seed=1, exclude=seen))
    return write_own_javascript(
        own,
        folder,
        precision="fp16",
        measure=lambda model: quality(model, vocabulary, pairs),
        about={"pairs": len(pairs)},
    )


@torch.no_grad()
def quality(model: nn.Module, vocabulary: Vocabulary, pairs: list[Pair]) -> dict[str, float]:
    """Cross-entropy in nats a piece, and the share of targets that are the likeliest throughout.

    Args:
        model: A `Transformer` in eval mode.
        vocabulary: Its vocabulary.
        pairs: Sources and right targets.

    Returns:
        `loss` and `exact`.
    """
    pad = vocabulary.pad_id
    sources = pad_batch([vocabulary.encode(p.source, eos=True) for p in pairs], pad_id=pad)
    targets = pad_batch(
        [vocabulary.encode(p.target, bos=True, eos=True) for p in pairs], pad_id=pad
    )
    logits: Tensor = model(sources, targets[:, :-1])
    wanted = targets[:, 1:]
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=pad)
    right = ((logits.argmax(-1) == wanted) | (wanted == pad)).all(1).double().mean()
    return {"loss": float(f"{loss.item():.3g}"), "exact": round(right.item(), 4)}
