"""Write what the playground's engine reads: trained weights and its kernel, as JavaScript files.

`python -m book.playground models` packs the trained models, `python -m book.playground kernel WASM`
puts an assembled kernel.wat into kernel.js. Both files are committed: serving the book needs
neither Node nor an assembler. tests/playground does both again and compares.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from attention_guide.checkpoints import OwnModel, load_own
from attention_guide.data.numbers import Pair, draw_numbers, number_pairs
from attention_guide.models import Transformer
from attention_guide.recipes.number_settings import SETTINGS, training_numbers
from book.chapters import ROOT

FOLDER = ROOT / "docs/assets/playground"
MODELS = FOLDER / "models"
NUMBERS = "number-words-transformer"

Precision = Literal["fp16", "int8"]


def pack(state: Mapping[str, Tensor], precision: Precision) -> tuple[list[dict[str, Any]], bytes]:
    """Lay out tensors one behind the other.

    `fp16`: half precision throughout. `int8`: a matrix gets a float32 scale for each row, all
    scales first, then the rows in whole steps of their scale, -127 to 127; vectors stay `fp16`.

    Args:
        state: Tensors by name.
        precision: How they are rounded.

    Returns:
        Name, shape, dtype and first byte of each, and the bytes, little-endian.
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


def rounded(state: Mapping[str, Tensor], precision: Precision) -> dict[str, Tensor]:
    """The tensors as the engine will hold them: what `pack` writes, read back, in float32."""
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


def _steps(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = (np.abs(values).max(axis=1) / 127).astype(np.float32)
    safe = np.where(scale == 0, 1, scale).astype(np.float64)
    return scale, np.rint(values / safe[:, None]).clip(-127, 127).astype(np.int8)


def untied(model: torch.nn.Module) -> dict[str, Tensor]:
    """A model's tensors, without an output layer that is the target embedding's matrix."""
    state = dict(model.state_dict())
    output = state.get("output_proj.weight")
    for name in ("tgt_embedding.weight", "embedding.weight"):
        if output is not None and name in state and state[name].data_ptr() == output.data_ptr():
            del state["output_proj.weight"]
    return state


def write(
    path: Path,
    state: Mapping[str, Tensor],
    config: dict[str, Any],
    *,
    precision: Precision,
    vocabulary: list[str] | None = None,
    card: str = "",
    rounding: dict[str, Any] | None = None,
) -> Path:
    """Write a model as a classic script, one call: the engine loads it from anywhere.

    Args:
        path: The file; its stem is the model's name.
        state: Tensors by name.
        config: What `Config` in blocks.js lists.
        precision: How the weights are rounded.
        vocabulary: Token of each id.
        card: The model card.
        rounding: What the rounding cost.

    Returns:
        The path.
    """
    entries, content = pack(state, precision)
    head = {
        "name": path.stem,
        "config": config,
        "rounding": rounding or {},
        "vocabulary": vocabulary or [],
        "card": card,
        "tensors": entries,
    }
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":"))
    data = base64.b64encode(content).decode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'// Written by book/playground.py.\nLiveWeights.add({text[:-1]},"data":"{data}"}});\n',
        encoding="utf-8",
    )
    return path


def transformer_config(model: Transformer) -> dict[str, Any]:
    """What the engine needs to know of an encoder–decoder Transformer."""
    c = dataclasses.asdict(model.config)
    kept = {k: v for k, v in c.items() if v is not None and k not in ("dropout", "tie_weights")}
    extra = {
        "family": "encoder-decoder",
        "norm": "layer",
        "activation": "relu",
        "positions": "sinusoidal",
        "embedding_scale": model.tgt_embedding.scale,
    }
    return kept | extra


@torch.no_grad()
def cost_of_rounding(own: OwnModel, numbers: list[int]) -> dict[str, Any]:
    """Loss and exact match on `numbers`, in six directions, before rounding and after."""
    model = own.model
    assert isinstance(model, Transformer)
    before = untied(model)
    pairs = number_pairs(numbers)
    found: dict[str, Any] = {"pairs": len(pairs), "before": _quality(model, own, pairs)}
    for precision in ("fp16", "int8"):
        twin = Transformer(model.config).eval()
        state = rounded(before, precision)
        twin.load_state_dict(state | {"output_proj.weight": state["tgt_embedding.weight"]})
        found[precision] = _quality(twin, own, pairs)
    return found


def _quality(model: Transformer, own: OwnModel, pairs: list[Pair]) -> dict[str, float]:
    """Cross-entropy in nats a piece, and the share of targets that are the likeliest throughout."""
    vocabulary, pad = own.vocabulary, model.config.pad_id
    sources = _batch([vocabulary.encode(p.source, eos=True) for p in pairs], pad)
    targets = _batch([vocabulary.encode(p.target, bos=True, eos=True) for p in pairs], pad)
    logits = model(sources, targets[:, :-1])
    wanted = targets[:, 1:]
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), ignore_index=0)
    right = ((logits.argmax(-1) == wanted) | (wanted == pad)).all(1).double().mean()
    return {"loss": float(f"{loss.item():.3g}"), "exact": round(right.item(), 4)}


def _batch(rows: list[list[int]], pad: int) -> Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [pad] * (longest - len(row)) for row in rows])


def number_words(folder: Path = MODELS) -> Path:
    """Pack the number-words Transformer, which is small enough for half precision."""
    own = load_own(NUMBERS)
    assert isinstance(own.model, Transformer)
    training = training_numbers(SETTINGS["transformer"], seed=0)
    held_out = draw_numbers(200, seed=1, exclude=training)
    vocabulary = own.vocabulary.decode(range(len(own.vocabulary)), specials=True)
    return write(
        folder / f"{NUMBERS}.js",
        untied(own.model),
        transformer_config(own.model),
        precision="fp16",
        vocabulary=vocabulary,
        card=own.card,
        rounding=cost_of_rounding(own, held_out),
    )


def embed_kernel(wasm: bytes, path: Path = FOLDER / "kernel.js") -> None:
    """Put the assembled kernel into kernel.js."""
    text = base64.b64encode(wasm).decode()
    source = re.sub(r'const WASM =\s*"[^"]*";', f'const WASM = "{text}";', path.read_text("utf-8"))
    path.write_text(source, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """`models`, or `kernel WASM`."""
    if arguments == ["models"]:
        path = number_words()
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1024:.0f} KB")
    elif len(arguments) == 2 and arguments[0] == "kernel":
        embed_kernel(Path(arguments[1]).read_bytes())
    else:
        print(__doc__)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
