"""The small models that this book trained, shipped with the package."""

from __future__ import annotations

import copy
import dataclasses
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import safetensors.torch
import torch
from torch import Tensor, nn

from attention_guide.checkpoints._reading import check_fits, read_tensors
from attention_guide.checkpoints.files import write_atomically
from attention_guide.checkpoints.rename import expected_state
from attention_guide.functional import _checks
from attention_guide.models import Transformer, TransformerConfig
from attention_guide.models.gpt2 import GPT2, GPT2Config
from attention_guide.models.llama import Llama, LlamaConfig
from attention_guide.models.rnn import RecurrentConfig, RecurrentSeq2Seq
from attention_guide.models.rotary import Yarn
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


def own_names(folder: str | Path = WEIGHTS) -> list[str]:
    """The names that `load_own` knows.

    Args:
        folder: Where the checkpoints lie.

    Examples:
        >>> "number-words-transformer" in own_names()
        True
    """
    return sorted(path.stem for path in Path(folder).glob("*.safetensors"))


def load_own(name: str, *, folder: str | Path = WEIGHTS) -> OwnModel:
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
    path = Path(folder) / f"{name}.safetensors"
    if not path.is_file():
        raise FileNotFoundError(f"name: expected one of {own_names(folder)}, got {name!r}")
    content = path.read_bytes()
    notes = _metadata(content, path)
    family = _FAMILIES[notes["family"]]
    model = family.model(read_config(family.config, notes["config"]))
    state = {key: value.float() for key, value in read_tensors(content, path).items()}
    try:
        model.load_state_dict(state | copies(model, state))
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
    folder: str | Path = WEIGHTS,
) -> Path:
    """Write a model of the book with its vocabulary and its card, atomically.

    The file holds the model's configuration and weights, and no code. So a model is refused that
    its configuration doesn't make again, such as one with another `feed_forward=`: both are run
    on a few ids and must agree. Tied weights are there once.

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
        TypeError: Another kind of model, or of vocabulary, or `dtype` isn't a floating-point one.
        ValueError: The file would be larger than 2 MiB, the vocabulary isn't as large as the
            model's, a weight is too large for `dtype`, or the configuration doesn't say all that
            the model is.

    Examples:
        See `attention_guide.recipes.number_words`.
    """
    families = [key for key, family in _FAMILIES.items() if isinstance(model, family.model)]
    if not families:
        raise TypeError(f"model: expected one of {', '.join(_FAMILIES)}, got {type(model)}")
    kind = _FAMILIES[families[0]].vocabulary
    if not isinstance(vocabulary, kind):
        raise TypeError(f"vocabulary: expected a {kind.__name__}, got {type(vocabulary)}")
    config: Any = model.config
    notes = {
        "family": families[0],
        "config": write_config(config),
        "vocabulary": vocabulary.to_json(),
        "training": json.dumps(training, sort_keys=True),
    }
    once = expected_state(model)
    state = {key: value for key, value in rounded(model, dtype).items() if key in once}
    content = safetensors.torch.save(state, notes)
    if len(content) > MAX_BYTES:
        raise ValueError(
            f"model: expected at most {MAX_BYTES} bytes as {dtype}, got {len(content)}"
        )
    check_vocabulary(vocabulary, config)
    with torch.random.fork_rng(devices=[]):  # whoever saves amid a training draws on as before
        _check_rebuilt(model, _FAMILIES[families[0]].model(config))
    path = Path(folder) / f"{name}.safetensors"
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

    Raises:
        TypeError: `dtype` isn't a floating-point dtype.
        ValueError: A weight is too large for it.

    Examples:
        >>> rounded(nn.Linear(2, 1))["weight"].dtype
        torch.float16
    """
    _checks.float_dtype("dtype", dtype)
    state = {key: value.detach().cpu() for key, value in model.state_dict().items()}
    for key, value in state.items():
        if value.is_floating_point():
            check_fits(key, value, dtype)
            state[key] = value.to(dtype)
    return {key: value.contiguous() for key, value in state.items()}


def write_config(config: Any) -> str:
    """A configuration as JSON that `read_config` makes equal again.

    Raises:
        ValueError: JSON can't hold it.
    """
    text = json.dumps(dataclasses.asdict(config))
    if read_config(type(config), text) != config:
        raise ValueError(f"config: expected one that JSON can hold; got {config}")
    return text


def read_config(kind: Any, text: str) -> Any:
    """The configuration of a class that `write_config` wrote."""
    # JSON knows neither tuples nor dataclasses.
    fields: dict[str, Any] = json.loads(text)
    fields = {key: tuple(x) if isinstance(x, list) else x for key, x in fields.items()}
    if fields.get("yarn") is not None:
        fields["yarn"] = Yarn(**fields["yarn"])
    return kind(**fields)


def check_vocabulary(vocabulary: Vocabulary | ByteBPE, config: Any) -> None:
    """Demand of a vocabulary that it has a meaning for each of the model's ids, and no more."""
    for name in ("vocab_size", "src_vocab_size", "tgt_vocab_size"):
        size = getattr(config, name, len(vocabulary))
        if size != len(vocabulary):
            raise ValueError(f"vocabulary: expected {name} = {size} ids; got {len(vocabulary)}")


def copies(model: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The second names of tied weights, which a file need not hold."""
    whole, once = model.state_dict(), expected_state(model)
    first = {value.data_ptr(): key for key, value in whole.items() if key in once}
    pairs = {key: first[value.data_ptr()] for key, value in whole.items() if key not in once}
    return {key: state[name] for key, name in pairs.items() if key not in state and name in state}


@torch.no_grad()
def _check_rebuilt(model: nn.Module, made: nn.Module) -> None:
    """Demand of what the configuration made that it computes what the model does."""
    model, made = copy.deepcopy(model).cpu().float().eval(), made.cpu().float().eval()
    wrong = f"model: expected one that {type(model.config).__name__} tells whole"
    try:
        made.load_state_dict(model.state_dict())
    except RuntimeError as error:
        raise ValueError(f"{wrong}; its weights are others: {error}") from error
    config: Any = model.config
    sizes = [getattr(config, name, 16) for name in ("src_vocab_size", "tgt_vocab_size")]
    size = min(getattr(config, "vocab_size", 16), *sizes)
    known = [i for i in range(size) if i != getattr(config, "pad_id", None)]
    ids = torch.tensor([known[: getattr(config, "max_len", 16)]])
    texts = (ids,) if hasattr(config, "vocab_size") else (ids, ids)
    got, again = model(*texts), made(*texts)
    if not torch.allclose(got, again, rtol=1e-5, atol=1e-6, equal_nan=True):
        raise ValueError(f"{wrong}; made again from it, it computes something else")


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
