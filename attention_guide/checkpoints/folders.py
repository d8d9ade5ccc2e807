"""Where other people's weights lie: in a folder, under `ATTENTION_GUIDE_WEIGHTS`, on the hub.

A file of weights is safetensors, numbers and a JSON header; a pickle is refused.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Final

from torch import Tensor

from attention_guide.checkpoints._reading import read_json, read_tensors

PICKLES: Final = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".h5", ".msgpack")
WEIGHTS_VARIABLE: Final = "ATTENTION_GUIDE_WEIGHTS"
WHOLE: Final = "model.safetensors"
INDEX: Final = "model.safetensors.index.json"
FILES: Final = ["*.json", "*.txt", "*.safetensors"]


def find_folder(source: str | Path) -> Path:
    """The folder that a source means: itself, one under `ATTENTION_GUIDE_WEIGHTS`, or the hub's.

    Args:
        source: A folder, or a name on the hub.

    Returns:
        A folder with a `config.json`.

    Raises:
        FileNotFoundError: There is no such folder, and no hub in reach.
        ValueError: The source is a pickle.

    Examples:
        >>> find_folder("model.bin")
        Traceback (most recent call last):
            ...
        ValueError: model.bin: a pickle runs code when it is read...
    """
    name = str(source)
    _refuse_pickle(name)
    shelf = os.environ.get(WEIGHTS_VARIABLE)
    candidates = [Path(source)] + ([Path(shelf) / name] if shelf else [])
    for folder in candidates:
        if (folder / "config.json").is_file():
            return folder
    if Path(source).is_dir() or not 1 <= len(Path(name).parts) <= 2 or Path(name).is_absolute():
        raise FileNotFoundError(f"{name}: expected a folder with config.json and model.safetensors")
    return _from_hub(name)


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Every tensor of a folder's safetensors, sharded or not.

    As in Hugging Face's library, `model.safetensors` comes before the shards of an index.

    Args:
        folder: The folder.

    Returns:
        Name to tensor; a name that two shards hold is taken from the one that the index names.

    Raises:
        FileNotFoundError: It has no weights, or a shard is missing.
        ValueError: It has pickles only, a file is damaged, or the index has no `weight_map` or
            names a file outside the folder.

    Examples:
        >>> import safetensors.torch, tempfile, torch
        >>> folder = Path(tempfile.mkdtemp())
        >>> safetensors.torch.save_file({"w": torch.zeros(2)}, folder / "model.safetensors")
        >>> read_weights(folder)
        {'w': tensor([0., 0.])}
    """
    # Read in Python, so that whoever watches which files a program opens sees this one.
    if (folder / WHOLE).is_file():
        return read_tensors((folder / WHOLE).read_bytes(), folder / WHOLE)
    if not (folder / INDEX).is_file():
        for file in sorted(folder.iterdir()):
            _refuse_pickle(str(file))
        raise FileNotFoundError(f"{folder}: expected model.safetensors; there is none")
    places = _read_index(folder / INDEX)
    state: dict[str, Tensor] = {}
    for shard in sorted(set(places.values())):
        held = read_tensors((folder / shard).read_bytes(), folder / shard)
        # What the index doesn't name stays, for the model to refuse as surplus.
        state |= {name: x for name, x in held.items() if places.get(name, shard) == shard}
    return state


def _read_index(index: Path) -> dict[str, str]:
    """Name to the shard that holds it, each a file beside the index."""
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict):
        raise ValueError(f"{index}: expected a weight_map, from names to files; got {places!r}")
    shards = sorted({str(shard) for shard in places.values()})
    if outside := [shard for shard in shards if Path(shard).name != shard]:
        raise ValueError(f"{index}: expected names of files beside it; got {outside}")
    if missing := [shard for shard in shards if not (index.parent / shard).is_file()]:
        raise FileNotFoundError(f"{index.parent}: expected {missing} as the index names them")
    return places


def _refuse_pickle(name: str) -> None:
    if name.endswith(PICKLES):
        raise ValueError(
            f"{name}: a pickle runs code when it is read, and other formats aren't read here; "
            "expected safetensors, which only holds numbers"
        )


def _from_hub(name: str) -> Path:
    try:
        hub = importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise FileNotFoundError(
            f"{name}: no such folder, and huggingface_hub, which fetches from the hub, isn't "
            f'installed (pip install "attention-guide[hub]"); or set {WEIGHTS_VARIABLE} to a '
            f"folder that holds {name}"
        ) from error
    try:
        return Path(hub.snapshot_download(name, allow_patterns=FILES))
    except Exception as error:
        raise FileNotFoundError(
            f"{name}: no such folder, and the hub didn't give it ({type(error).__name__}); "
            f"set {WEIGHTS_VARIABLE} to a folder that holds {name}"
        ) from error
