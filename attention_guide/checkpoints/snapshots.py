"""A model at several steps of its training, in one file that the package ships."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import torch
from torch import Tensor

from attention_guide.checkpoints._reading import read_tensors
from attention_guide.checkpoints.files import write_atomically
from attention_guide.checkpoints.own import (
    MAX_BYTES,
    WEIGHTS,
    _metadata,
    check_vocabulary,
    copies,
    read_config,
    write_config,
)
from attention_guide.checkpoints.rename import expected_state
from attention_guide.models import Llama, LlamaConfig
from attention_guide.text import Vocabulary

SNAPSHOTS: Final = WEIGHTS / "snapshots"
FAMILY: Final = "llama"


@dataclass(frozen=True)
class Snapshots:
    """A training, kept at some steps.

    Attributes:
        name: The file's name.
        config: Sizes of the model.
        states: Step to weights, fp16, in the order of the steps.
        vocabulary: The vocabulary it was trained with.
        training: What the recipe noted: command, seed, steps and the like.
        card: The model card, Markdown.
    """

    name: str
    config: LlamaConfig
    states: dict[int, dict[str, Tensor]]
    vocabulary: Vocabulary
    training: dict[str, Any]
    card: str

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps that were kept, from the first on."""
        return tuple(self.states)

    def at(self, step: int) -> Llama:
        """The model after `step` steps, float32, in eval mode.

        Args:
            step: One of `steps`.

        Raises:
            ValueError: This step wasn't kept.
        """
        if step not in self.states:
            raise ValueError(f"step: expected one of {self.steps}; got {step}")
        model = Llama(self.config)
        state = {key: value.float() for key, value in self.states[step].items()}
        model.load_state_dict(state | copies(model, state))
        return model.eval()


def save_snapshots(
    name: str,
    config: LlamaConfig,
    states: Mapping[int, Mapping[str, Tensor]],
    vocabulary: Vocabulary,
    *,
    training: dict[str, Any],
    card: str,
    folder: str | Path = SNAPSHOTS,
) -> Path:
    """Write the weights of several steps with their vocabulary and their card, atomically.

    Args:
        name: The file's name.
        config: Sizes of the model.
        states: Step to state dict, as it is to be kept: see `rounded`. Tied weights are written
            once.
        vocabulary: The vocabulary of its ids.
        training: Notes on the training that JSON can hold.
        card: The model card, Markdown.
        folder: Where the file goes.

    Returns:
        The path of the weights.

    Raises:
        ValueError: No step, a file larger than 2 MiB, or a vocabulary that isn't as large as the
            model's.

    Examples:
        See `attention_guide.recipes.induction`.
    """
    if not states:
        raise ValueError("states: expected at least one step, got none")
    check_vocabulary(vocabulary, config)
    with torch.random.fork_rng(devices=[]):  # whoever saves amid a training draws on as before
        model = Llama(config)
    tied = model.state_dict().keys() - expected_state(model).keys()
    tensors = {
        f"{step}/{key}": tensor
        for step, state in states.items()
        for key, tensor in state.items()
        if key not in tied
    }
    notes = {
        "family": FAMILY,
        "config": write_config(config),
        "vocabulary": vocabulary.to_json(),
        "training": json.dumps(training, sort_keys=True),
    }
    content = safetensors.torch.save(tensors, notes)
    if len(content) > MAX_BYTES:
        raise ValueError(f"states: expected at most {MAX_BYTES} bytes, got {len(content)}")
    path = Path(folder) / f"{name}.safetensors"
    write_atomically(path.with_suffix(".md"), card.encode())
    write_atomically(path, content)
    return path


def load_snapshots(name: str, *, folder: str | Path = SNAPSHOTS) -> Snapshots:
    """Load a training of the book as it was kept, step by step.

    The file is safetensors: numbers and a JSON header, nothing that can run.

    Args:
        name: The file's name.
        folder: Where the files lie.

    Returns:
        The weights by step, and what belongs to them.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file isn't one that `save_snapshots` wrote.

    Examples:
        >>> import torch
        >>> kept = load_snapshots("induction")
        >>> model = kept.at(kept.steps[-1])
        >>> ids = torch.tensor([kept.vocabulary.encode("stamps", bos=True)])
        >>> kept.vocabulary.decode(model(ids)[0, -1:].argmax(dim=-1))
        ['t']
    """
    folder = Path(folder)
    path = folder / f"{name}.safetensors"
    if not path.is_file():
        known = sorted(file.stem for file in folder.glob("*.safetensors"))
        raise FileNotFoundError(f"name: expected one of {known}, got {name!r}")
    content = path.read_bytes()
    notes = _metadata(content, path)
    if notes["family"] != FAMILY:
        raise ValueError(f"{path.name}: expected family {FAMILY}; got {notes['family']}")
    states: dict[int, dict[str, Tensor]] = {}
    # safetensors gives names in no order; every step shall have the same one.
    for full, tensor in sorted(read_tensors(content, path).items()):
        step, _, key = full.partition("/")
        if not (step.isdigit() and key):
            raise ValueError(f"{path.name}: not snapshots of this book: it has {full!r}")
        states.setdefault(int(step), {})[key] = tensor
    return Snapshots(
        name=name,
        config=read_config(LlamaConfig, notes["config"]),
        states=dict(sorted(states.items())),
        vocabulary=Vocabulary.from_json(notes["vocabulary"]),
        training=json.loads(notes["training"]),
        card=path.with_suffix(".md").read_text(encoding="utf-8"),
    )
