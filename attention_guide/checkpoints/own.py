"""The small models that this book trained, shipped with the package."""

from __future__ import annotations

import dataclasses
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import safetensors.torch
import torch
from torch import Tensor, nn

from attention_guide.checkpoints.files import write_atomically
from attention_guide.models import Transformer, TransformerConfig
from attention_guide.models.gpt2 import GPT2, GPT2Config
from attention_guide.models.llama import Llama, LlamaConfig
from attention_guide.models.rnn import RecurrentConfig, RecurrentSeq2Seq
from attention_guide.text import ByteBPE, Vocabulary

WEIGHTS: Final = Path(__file__).parent / "weights"
MAX_BYTES: Final = 2 * 1024**2


class _Family(NamedTuple):
    """What a file needs to become a model again."""

    model: Any
    config: Any
    vocabulary: type[Vocabulary] | type[ByteBPE]


_FAMILIES: Final = {
    "transformer": _Family(Transformer, TransformerConfig, Vocabulary),
    "recurrent": _Family(RecurrentSeq2Seq, RecurrentConfig, Vocabulary),
    "gpt2": _Family(GPT2, GPT2Config, ByteBPE),
    "llama": _Family(Llama, LlamaConfig, Vocabulary),
}


@dataclass(frozen=True)
class OwnModel:
    """A trained model with what is needed to use it.

    Attributes:
        name: The checkpoint's name.
        model: The model, float32, in eval mode.
        vocabulary: What its ids mean: a `Vocabulary` of whole tokens, which source and target
            share, or the `ByteBPE` that cuts a language model's text.
        training: What the recipe noted: command, seed, steps and the like.
        card: The model card, Markdown.
    """

    name: str
    model: nn.Module
    vocabulary: Vocabulary | ByteBPE
    training: dict[str, Any]
    card: str


def own_names(folder: Path = WEIGHTS) -> list[str]:
    """The names that `load_own` knows.

    Args:
        folder: Where the checkpoints lie.

    Examples:
        >>> "number-words-transformer" in own_names()
        True
    """
    return sorted(path.stem for path in folder.glob("*.safetensors"))


def load_own(name: str, *, folder: Path = WEIGHTS) -> OwnModel:
    """Load one of the book's own models: weights, vocabulary, model card.

    The file is safetensors: numbers and a JSON header, nothing that can run.

    Args:
        name: One of `own_names()`.
        folder: Where the checkpoints lie.

    Returns:
        The model and what belongs to it.

    Raises:
        FileNotFoundError: There is no checkpoint of that name.
        ValueError: The file isn't one that `save_own` wrote, or it doesn't fit its model.

    Examples:
        >>> own = load_own("number-words-transformer")
        >>> own.name, own.model.training
        ('number-words-transformer', False)
    """
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"name: expected one of {own_names(folder)}, got {name!r}")
    content = path.read_bytes()
    notes = _metadata(content, path)
    family = _FAMILIES[notes["family"]]
    model = family.model(family.config(**json.loads(notes["config"])))
    state = {key: value.float() for key, value in safetensors.torch.load(content).items()}
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path.name}: the weights don't fit the model: {error}") from error
    return OwnModel(
        name=name,
        model=model.eval(),
        vocabulary=family.vocabulary.from_json(notes["vocabulary"]),
        training=json.loads(notes["training"]),
        card=path.with_suffix(".md").read_text(encoding="utf-8"),
    )


def save_own(
    name: str,
    model: nn.Module,
    vocabulary: Vocabulary | ByteBPE,
    *,
    training: dict[str, Any],
    card: str,
    dtype: torch.dtype = torch.float16,
    folder: Path = WEIGHTS,
) -> Path:
    """Write a model of the book with its vocabulary and its card, atomically.

    Args:
        name: The checkpoint's name.
        model: A `Transformer`, a `RecurrentSeq2Seq`, a `GPT2` or a `Llama`.
        vocabulary: What its ids mean, of the kind that its family has.
        training: Notes on the training that JSON can hold.
        card: The model card, Markdown.
        dtype: What the weights are rounded to. Measure the model after rounding.
        folder: Where the checkpoint goes.

    Returns:
        The path of the weights.

    Raises:
        TypeError: Another kind of model, or of vocabulary.
        ValueError: The file would be larger than 2 MiB.

    Examples:
        See `attention_guide.recipes.number_words`.
    """
    families = [key for key, family in _FAMILIES.items() if isinstance(model, family.model)]
    if not families:
        raise TypeError(f"model: expected one of {', '.join(_FAMILIES)}, got {type(model)}")
    kind = _FAMILIES[families[0]].vocabulary
    if not isinstance(vocabulary, kind):
        raise TypeError(f"vocabulary: expected a {kind.__name__}, got {type(vocabulary)}")
    notes = {
        "family": families[0],
        "config": json.dumps(dataclasses.asdict(model.config)),  # type: ignore[call-overload]
        "vocabulary": vocabulary.to_json(),
        "training": json.dumps(training, sort_keys=True),
    }
    content = safetensors.torch.save(rounded(model, dtype), notes)
    if len(content) > MAX_BYTES:
        raise ValueError(
            f"model: expected at most {MAX_BYTES} bytes as {dtype}, got {len(content)}"
        )
    path = folder / f"{name}.safetensors"
    write_atomically(path.with_suffix(".md"), card.encode())
    write_atomically(path, content)
    return path


def rounded(model: nn.Module, dtype: torch.dtype = torch.float16) -> dict[str, Tensor]:
    """The model's state with every floating-point tensor rounded to `dtype`.

    Args:
        model: Any module.
        dtype: A floating-point dtype.

    Returns:
        Name to tensor, contiguous, on the CPU.

    Examples:
        >>> rounded(nn.Linear(2, 1))["weight"].dtype
        torch.float16
    """
    return {
        key: value.detach()
        .cpu()
        .to(dtype if value.is_floating_point() else value.dtype)
        .contiguous()
        for key, value in model.state_dict().items()
    }


def _metadata(content: bytes, path: Path) -> dict[str, str]:
    # safetensors' own reader of metadata wants a path; the bytes have been read already.
    try:
        (length,) = struct.unpack("<Q", content[:8])
        notes: dict[str, str] = json.loads(content[8 : 8 + length])["__metadata__"]
    except (struct.error, ValueError, KeyError) as error:
        raise ValueError(f"{path.name}: not a checkpoint of this book: {error!r}") from error
    missing = {"family", "config", "vocabulary", "training"} - notes.keys()
    if missing or notes["family"] not in _FAMILIES:
        raise ValueError(f"{path.name}: not a checkpoint of this book: {sorted(notes)}")
    return notes
