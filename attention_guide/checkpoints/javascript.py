"""Weights for a page: a trained model as one JavaScript file that the playground's engine reads.

The file is a classic script, one call, so that a page loads it from a server and from a folder
alike. Recipes write it from the checkpoint, with the card and what the rounding cost.
"""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from attention_guide.checkpoints.files import write_atomically
from attention_guide.checkpoints.own import OwnModel
from attention_guide.models import Transformer
from attention_guide.models.gpt2 import GPT2
from attention_guide.models.llama import Llama
from attention_guide.text import ByteBPE, Vocabulary

Precision: TypeAlias = Literal["fp16", "int8"]


def pack(state: Mapping[str, Tensor], precision: Precision) -> tuple[list[dict[str, Any]], bytes]:
    """Lay out tensors one behind the other.

    `fp16`: half precision throughout. `int8`: a matrix gets a float32 scale for each row, all
    scales first, then the rows in whole steps of their scale, -127 to 127; vectors stay `fp16`.

    Args:
        state: Tensors by name.
        precision: How they are rounded.

    Returns:
        Name, shape, dtype and first byte of each, and the bytes, little-endian.

    Examples:
        >>> entries, content = pack({"w": torch.ones(2, 3), "b": torch.ones(3)}, "int8")
        >>> [(entry["dtype"], entry["at"]) for entry in entries], len(content)
        ([('int8', 0), ('fp16', 16)], 24)
    """
    entries: list[dict[str, Any]] = []
    content = bytearray()
    for name, tensor in state.items():
        values = tensor.detach().double().numpy()
        dtype = "int8" if precision == "int8" and values.ndim == 2 else "fp16"
        shape = list(values.shape)
        entries.append({"name": name, "shape": shape, "dtype": dtype, "at": len(content)})
        if dtype == "int8":
            scale, steps = _steps(values)
            content += scale.astype("<f4").tobytes() + steps.tobytes()
        else:
            content += values.astype("<f2").tobytes()
        content += bytes(-len(content) % 4)
    return entries, bytes(content)


def unpacked(state: Mapping[str, Tensor], precision: Precision) -> dict[str, Tensor]:
    """The tensors as the engine will hold them: what `pack` writes, read back, in float32.

    Args:
        state: Tensors by name.
        precision: How they are rounded.

    Returns:
        Name to tensor.

    Examples:
        >>> unpacked({"w": torch.tensor([[1.0, 0.3]])}, "int8")["w"]
        tensor([[1.0000, 0.2992]])
    """
    found = {}
    for name, tensor in state.items():
        values = tensor.detach().double().numpy()
        if precision == "int8" and values.ndim == 2:
            scale, steps = _steps(values)
            values = (scale[:, None] * steps.astype(np.float64)).astype(np.float32)
        else:
            values = values.astype(np.float16)
        found[name] = torch.from_numpy(values.astype(np.float32))
    return found


def untied(model: nn.Module) -> dict[str, Tensor]:
    """A model's tensors, without an output layer that is the target embedding's matrix.

    Args:
        model: Any model.

    Returns:
        Name to tensor.
    """
    state = dict(model.state_dict())
    output = state.get("output_proj.weight")
    for name in ("tgt_embedding.weight", "embedding.weight"):
        if output is not None and name in state and state[name].data_ptr() == output.data_ptr():
            del state["output_proj.weight"]
    return state


def engine_config(model: nn.Module) -> dict[str, Any]:
    """What the engine needs to know of a model: `Config` in the playground's blocks.js.

    Args:
        model: A `Transformer`, a `GPT2`, or a `Llama` without windows, experts and sinks.

    Returns:
        Name to value.

    Raises:
        TypeError: Another kind of model.
    """
    if not isinstance(model, Transformer | GPT2 | Llama):
        raise TypeError(f"model: expected a Transformer, a GPT2 or a Llama, got {type(model)}")
    sizes = dataclasses.asdict(model.config)
    dropped = ("dropout", "tie_weights", "vocab_size", "sinks")
    kept = {k: v for k, v in sizes.items() if v is not None and k not in dropped}
    if isinstance(model, Transformer):
        extra = {
            "family": "encoder-decoder",
            "norm": "layer",
            "activation": "relu",
            "positions": "sinusoidal",
            "embedding_scale": model.tgt_embedding.scale,
        }
    elif isinstance(model, Llama):
        extra = {
            "family": "decoder",
            "norm": "rms",
            "norm_first": True,
            "activation": "silu",
            "gated": True,
            "positions": "rope",
            "embedding_scale": 1.0,
        }
    else:
        extra = {
            "d_ff": model.config.d_ff or 4 * model.config.d_model,
            "family": "decoder",
            "norm": "layer",
            "norm_first": True,
            "activation": "gelu-tanh",
            "positions": "learned",
            "embedding_scale": 1.0,
        }
    return kept | extra


def rounding_cost(
    model: nn.Module, measure: Callable[[nn.Module], dict[str, float]]
) -> dict[str, dict[str, float]]:
    """What each rounding does to a model, measured.

    Args:
        model: The model.
        measure: Name to number for a model in eval mode, such as its loss.

    Returns:
        What was measured before, with `fp16` and with `int8`.
    """
    found = {"before": measure(model)}
    precisions: tuple[Precision, ...] = ("fp16", "int8")
    for precision in precisions:
        twin = copy.deepcopy(model)
        missing, _ = twin.load_state_dict(unpacked(untied(model), precision), strict=False)
        assert set(missing) <= {"output_proj.weight"}, missing
        found[precision] = measure(twin)
    return found


def write_javascript(
    path: Path,
    state: Mapping[str, Tensor],
    config: Mapping[str, Any],
    *,
    precision: Precision,
    vocabulary: Vocabulary | ByteBPE | None = None,
    card: str = "",
    rounding: Mapping[str, Any] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Path:
    """Write a model as a script, atomically.

    Args:
        path: The file; its stem is the model's name.
        state: Tensors by name.
        config: What `engine_config` gives.
        precision: How the weights are rounded.
        vocabulary: What the ids mean. A `ByteBPE` is written as GPT-2's files have it, each byte
            one printable character, with its merges in order.
        card: The model card.
        rounding: What the rounding cost.
        extra: What else a figure wants to know, as JSON can hold it.

    Returns:
        The path.
    """
    entries, content = pack(state, precision)
    head = {
        "name": path.stem,
        "config": dict(config),
        "rounding": dict(rounding or {}),
        **_tokens(vocabulary),
        "card": card,
        "tensors": entries,
        **(extra or {}),
    }
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":"))
    data = base64.b64encode(content).decode()
    origin = "// Written by attention_guide/checkpoints/javascript.py."
    script = f'{origin}\nLiveWeights.add({text[:-1]},"data":"{data}"}});\n'
    write_atomically(path, script.encode())
    return path


def write_own_javascript(
    own: OwnModel,
    folder: Path,
    *,
    precision: Precision,
    measure: Callable[[nn.Module], dict[str, float]],
    about: Mapping[str, Any] | None = None,
) -> Path:
    """Write one of the book's own models for the playground.

    Args:
        own: The model, as `load_own` gives it.
        folder: Where the file goes; it is named as the checkpoint.
        precision: How the weights are rounded.
        measure: What the rounding is judged by, see `rounding_cost`.
        about: What else to say of that measurement, such as on how many pairs.

    Returns:
        The path.
    """
    return write_javascript(
        folder / f"{own.name}.js",
        untied(own.model),
        engine_config(own.model),
        precision=precision,
        vocabulary=own.vocabulary,
        card=own.card,
        rounding={**(about or {}), **rounding_cost(own.model, measure)},
    )


def _tokens(vocabulary: Vocabulary | ByteBPE | None) -> dict[str, Any]:
    if vocabulary is None:
        return {"vocabulary": []}
    if isinstance(vocabulary, Vocabulary):
        return {"vocabulary": vocabulary.decode(range(len(vocabulary)), specials=True)}
    fields = json.loads(vocabulary.to_json())
    names = {index: name for name, index in (fields["vocab"] | fields["specials"]).items()}
    return {
        "vocabulary": [names.get(index, "") for index in range(len(vocabulary))],
        "merges": fields["merges"],
        "specials": fields["specials"],
    }


def _steps(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = (np.abs(values).max(axis=1) / 127).astype(np.float32)
    safe = np.where(scale == 0, 1, scale).astype(np.float64)
    return scale, np.rint(values / safe[:, None]).clip(-127, 127).astype(np.int8)
