"""Models to and from Hugging Face: a configuration and a state dict, a folder, or the hub.

Every family has a small file beside this one that registers a `Family` under Hugging Face's
`model_type`. A file of weights is safetensors, numbers and a JSON header; a pickle is refused.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import torch
from torch import Tensor, nn

from attention_guide.checkpoints._reading import check_fits, read_json
from attention_guide.checkpoints.files import write_atomically
from attention_guide.checkpoints.folders import INDEX, WHOLE, find_folder, read_weights
from attention_guide.checkpoints.rename import AnyRule, expected_state, to_ours, to_theirs
from attention_guide.functional import _checks

_FAMILIES: Final[dict[str, Family]] = {}


@dataclass(frozen=True)
class Family:
    """How one of Hugging Face's model types is ours.

    Attributes:
        model_type: Its name in `config.json`.
        build: From their configuration to our model, its weights not yet set. It raises a
            `ValueError` for every setting that our model doesn't have.
        config: From our model to their configuration.
        rules: From our model to its rename table.
        owns: Whether a model of ours is of this family.
        prefix: What their names begin with where a head stands on the model, and may not where
            none does.
        bare: Whether a model of ours has no head, so that its names are written without `prefix`.
        tidy: Brings names of older files to today's.
        architecture: Tells theirs from a state's names, for a configuration that doesn't say it;
            `None` where a family has one only.
    """

    model_type: str
    build: Callable[[Mapping[str, Any]], nn.Module]
    config: Callable[[Any], dict[str, Any]]
    rules: Callable[[Any], Sequence[AnyRule]]
    owns: Callable[[nn.Module], bool]
    prefix: str = ""
    bare: Callable[[Any], bool] = lambda model: False
    tidy: Callable[[dict[str, Tensor]], dict[str, Tensor]] = lambda state: state
    architecture: Callable[[Iterable[str]], str] | None = None


def register(family: Family) -> Family:
    """Make a family known under its model type.

    Args:
        family: The family; its file calls this when it is imported.

    Returns:
        The same.

    Raises:
        ValueError: Another family has the name.
    """
    if _FAMILIES.setdefault(family.model_type, family) is not family:
        raise ValueError(f"family: {family.model_type!r} is registered already")
    return family


def families() -> dict[str, Family]:
    """Every family, by Hugging Face's `model_type`.

    Examples:
        >>> families()["gpt2"].prefix
        'transformer.'
    """
    package = importlib.import_module("attention_guide.checkpoints")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(_FAMILIES.items()))


def from_hugging_face(
    config: Mapping[str, Any], state: Mapping[str, Tensor], *, dtype: torch.dtype | None = None
) -> nn.Module:
    """Our model with the weights of one of Hugging Face's.

    Args:
        config: What their `config.json` holds, or `model.config.to_dict()`. Where it names no
            architecture, the state's names tell it.
        state: Name to tensor, as their file or `model.state_dict()` has them.
        dtype: What the weights are cast to; `None` for theirs, which is then one for all.

    Returns:
        The model, in eval mode, on the CPU.

    Raises:
        TypeError: `dtype` isn't a floating-point dtype.
        ValueError: A family or a setting that we don't have, a setting that isn't there, names,
            sizes or dtypes that don't fit (the message lists all missing and all surplus names),
            or a weight too large for `dtype`.

    Examples:
        >>> from attention_guide.models import GPT2, GPT2Config
        >>> config, state = to_hugging_face(GPT2(GPT2Config(7, d_model=8, n_heads=2, n_layers=1)))
        >>> from_hugging_face(config, state)(torch.tensor([[1, 2, 3]])).shape
        torch.Size([1, 3, 7])
    """
    if dtype is not None:
        _checks.float_dtype("dtype", dtype)
    family = _family(config)
    if family.architecture is not None and not config.get("architectures"):
        config = {**config, "architectures": [family.architecture(state)]}
    try:
        model = family.build(config)
    except KeyError as error:
        raise ValueError(f"config: {error.args[0]}: expected it; there is none") from error
    ours = rename_state(model, state)
    if dtype is not None:
        for name, x in ours.items():
            check_fits(name, x, dtype)
    model.to(dtype=_dtype(ours) if dtype is None else dtype)
    model.load_state_dict(ours, strict=False)  # what isn't in it is tied, as to_ours has checked
    return model.eval()


def to_hugging_face(model: nn.Module) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Their configuration and state dict for a model of ours.

    The way back is exact in the weights and in every setting that decides what the model
    computes. What ours doesn't hold can't come back: the tokenizer, the names of classes (which
    become `LABEL_0`, `LABEL_1`, …), and special ids that only a generating loop reads, such as a
    language model's `eos_token_id`; these are written as `None`, for the caller to set.

    Args:
        model: A model of one of `families()`.

    Returns:
        The configuration, as `config.json` holds it, and name to tensor, contiguous, on the CPU.
        Tied weights are there once, as in their files.

    Raises:
        ValueError: No family has the model, or Hugging Face's model has no place for a setting.

    Examples:
        >>> from attention_guide.models import GPT2, GPT2Config
        >>> model = GPT2(GPT2Config(7, d_model=8, n_heads=2, n_layers=1))
        >>> config, state = to_hugging_face(model)
        >>> config["architectures"], "transformer.h.0.attn.c_attn.weight" in state
        (['GPT2LMHeadModel'], True)
    """
    family = _owner(model)
    # First, since it says more of what has no place than a list of names would.
    config = {"model_type": family.model_type, **family.config(model)}
    state = to_theirs(family.rules(model), expected_state(model))
    if family.bare(model):
        state = {name.removeprefix(family.prefix): x for name, x in state.items()}
    return config, {name: x.detach().cpu().contiguous() for name, x in state.items()}


def rename_state(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Their tensors under the names of a model of ours: weights, or gradients to compare.

    Args:
        model: A model of one of `families()`.
        state: Name to tensor.

    Returns:
        Name to tensor, for all of `expected_state(model)`.

    Raises:
        ValueError: Names, sizes or dtypes don't fit; the message lists all of them.

    Examples:
        >>> from attention_guide.models import GPT2, GPT2Config
        >>> model = GPT2(GPT2Config(7, d_model=8, n_heads=2, n_layers=1))
        >>> theirs = to_hugging_face(model)[1]
        >>> "blocks.0.self_attention.k_proj.weight" in rename_state(model, theirs)
        True
    """
    family = _owner(model)
    state = _with_prefix(family.tidy(dict(state)), family.prefix)
    return to_ours(family.rules(model), state, expected_state(model))


def save_hugging_face(model: nn.Module, folder: str | Path) -> Path:
    """Write `config.json` and `model.safetensors`, as `from_pretrained` reads them.

    Args:
        model: A model of one of `families()`.
        folder: Where they go; it is made where it is missing.

    Returns:
        The folder.

    Raises:
        FileExistsError: The folder holds a sharded model, which would lie beside the new one.
        ValueError: As `to_hugging_face` has it.

    Examples:
        >>> import tempfile
        >>> from attention_guide.models import GPT2, GPT2Config
        >>> model = GPT2(GPT2Config(7, d_model=8, n_heads=2, n_layers=1))
        >>> folder = save_hugging_face(model, tempfile.mkdtemp())
        >>> sorted(file.name for file in folder.iterdir())
        ['config.json', 'model.safetensors']
    """
    folder = Path(folder)
    if (folder / INDEX).exists():
        raise FileExistsError(
            f"folder: expected one without a sharded model; got {folder} with {INDEX}: "
            "delete it and its shards first"
        )
    config, state = to_hugging_face(model)
    dtype = str(_dtype(state)).removeprefix("torch.")
    text = json.dumps({**config, "torch_dtype": dtype}, indent=2, sort_keys=True) + "\n"
    content = safetensors.torch.save(state, {"format": "pt"})
    write_atomically(folder / "config.json", text.encode())
    write_atomically(folder / WHOLE, content)
    return folder


def load_hugging_face(source: str | Path, *, dtype: torch.dtype | None = None) -> nn.Module:
    """Our model with weights from a folder or from the hub.

    Args:
        source: A folder with `config.json` and `model.safetensors` (or, where there is none, a
            sharded `model.safetensors.index.json`), or a name on the hub such as `"gpt2"`, which
            is first looked for in the folder that `ATTENTION_GUIDE_WEIGHTS` names.
        dtype: What the weights are cast to; `None` for theirs.

    Returns:
        The model, in eval mode, on the CPU.

    Raises:
        FileNotFoundError: There is no such folder, and no hub in reach.
        TypeError: `dtype` isn't a floating-point dtype.
        ValueError: Weights as a pickle only, a damaged file, or as `from_hugging_face` has it.

    Examples:
        >>> import tempfile
        >>> from attention_guide.models import GPT2, GPT2Config
        >>> model = GPT2(GPT2Config(7, d_model=8, n_heads=2, n_layers=1))
        >>> again = load_hugging_face(save_hugging_face(model, tempfile.mkdtemp()))
        >>> torch.equal(again.norm.weight, model.norm.weight)
        True
    """
    folder = find_folder(source)
    config = read_json(folder / "config.json")
    return from_hugging_face(config, read_weights(folder), dtype=dtype)


def expect(config: Mapping[str, Any], name: str, *allowed: Any) -> Any:
    """Demand a setting of theirs that our model has; a missing one counts as the first allowed.

    Args:
        config: Their configuration.
        name: The setting.
        *allowed: Its values that we have.

    Returns:
        Its value.

    Raises:
        ValueError: It has another.

    Examples:
        >>> expect({"hidden_act": "relu"}, "hidden_act", "gelu")
        Traceback (most recent call last):
            ...
        ValueError: config: hidden_act: expected one of ['gelu']; got 'relu'
    """
    value = config.get(name, allowed[0])
    if value not in allowed:
        raise ValueError(f"config: {name}: expected one of {list(allowed)}; got {value!r}")
    return value


def _family(config: Mapping[str, Any]) -> Family:
    known = families()
    kind = config.get("model_type")
    if kind not in known:
        raise ValueError(f"config: model_type: expected one of {', '.join(known)}; got {kind!r}")
    return known[kind]


def _owner(model: nn.Module) -> Family:
    known = families()
    for family in known.values():
        if family.owns(model):
            return family
    raise ValueError(f"model: expected one of {', '.join(known)}; got {type(model).__name__}")


def _with_prefix(state: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    if any(name.startswith(prefix) for name in state):
        return state
    return {prefix + name: x for name, x in state.items()}


def _dtype(state: Mapping[str, Tensor]) -> torch.dtype:
    counts = Counter(x.dtype for x in state.values())
    if len(counts) != 1:
        found = ", ".join(f"{n} of {dtype}" for dtype, n in counts.items())
        raise ValueError(f"state: expected one dtype; got {found}: say which by dtype=")
    return next(iter(counts))
