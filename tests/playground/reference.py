"""Small models of every kind the engine knows, and what the Python package computes in them.

Each becomes two classic scripts, the packed weights and the reference, which Node and a browser
load alike. The Python model holds the same rounded weights, in float32.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from attention_guide import AttentionRecorder
from attention_guide.checkpoints import load_own
from attention_guide.checkpoints.javascript import (
    Precision,
    engine_config,
    unpacked,
    untied,
    write_javascript,
)
from attention_guide.checkpoints.snapshots import load_snapshots
from attention_guide.explain import logit_lens
from attention_guide.functional import rope_frequencies
from attention_guide.layers import (
    AlibiBias,
    EncoderBlock,
    FeedForward,
    GatedFeedForward,
    LayerNorm,
    LearnedPositions,
    MultiHeadAttention,
    PostNorm,
    PreNorm,
    RMSNorm,
    RotaryPositions,
    SinusoidalPositions,
    TokenEmbedding,
)
from attention_guide.models import Transformer, TransformerConfig

NUMBERS = "number-words-transformer"
TOPICS = "topics-gpt"
SILENT = [[0, 1], [1, 2]]  # layer and head
VOCABULARY = 37  # no multiple of eight: the last block of columns is filled up with zeros
MAX_LEN = 20


@dataclass
class Kind:
    """One decoder: what it is made of, in Python's words and in the engine's."""

    name: str
    precision: Precision
    positions: str = "none"
    pairing: Any = "half"
    norm: Callable[[int], nn.Module] = LayerNorm
    norm_first: bool = True
    activation: Callable[[Tensor], Tensor] = nn.functional.relu
    gated: bool = False
    d_model: int = 24
    n_heads: int = 3
    n_kv_heads: int = 3
    bias: bool = True
    tied: bool = True
    config: dict[str, Any] = field(default_factory=dict)


KINDS = [
    Kind("learned-gelu", "int8", "learned", activation=nn.functional.gelu),
    Kind("rope-rms-gated", "fp16", "rope", norm=RMSNorm, gated=True, activation=nn.functional.silu,
         d_model=48, n_heads=4, n_kv_heads=2, bias=False, tied=False),
    Kind("rope-interleaved-post", "int8", "rope", "interleaved", norm_first=False),
    Kind("alibi", "int8", "alibi", norm=RMSNorm),
    Kind("sinusoidal", "fp16", "sinusoidal", tied=False),
    Kind("nowhere-multi-query", "int8", d_model=40, n_heads=4, n_kv_heads=1),
]  # fmt: skip


class DecoderOnly(nn.Module):
    """A GPT of the package's blocks, under the names that the engine expects."""

    def __init__(self, kind: Kind) -> None:
        super().__init__()
        d, heads = kind.d_model, kind.n_heads
        added = {"learned": LearnedPositions, "sinusoidal": SinusoidalPositions}.get(kind.positions)
        rotary = RotaryPositions(rope_frequencies(d // heads), pairing=kind.pairing)
        feed = GatedFeedForward if kind.gated else FeedForward
        self.embedding = TokenEmbedding(VOCABULARY, d)
        self.positions = nn.Identity() if added is None else added(d, max_len=MAX_LEN)
        self.blocks = nn.ModuleList(
            EncoderBlock(
                MultiHeadAttention(
                    d, heads, kind.n_kv_heads, bias=kind.bias,
                    rotary=rotary if kind.positions == "rope" else None,
                    position_bias=AlibiBias(heads) if kind.positions == "alibi" else None,
                ),
                feed(d, 2 * d, activation=kind.activation, bias=kind.bias),
                d,
                residual=lambda width: (PreNorm if kind.norm_first else PostNorm)(
                    width, norm=kind.norm
                ),
            )
            for _ in range(2)
        )  # fmt: skip
        self.norm = kind.norm(d)
        self.output_proj = nn.Linear(d, VOCABULARY, bias=False)
        if kind.tied:
            self.output_proj.weight = self.embedding.weight

    def forward(self, ids: Tensor) -> Tensor:
        x = self.positions(self.embedding(ids))
        for block in self.blocks:
            x = block(x, causal=True)
        return self.output_proj(self.norm(x))  # type: ignore[no-any-return]


def decoder_config(kind: Kind, model: DecoderOnly) -> dict[str, Any]:
    """The engine's words for a kind."""
    return {
        "family": "decoder", "d_model": kind.d_model, "n_heads": kind.n_heads,
        "n_kv_heads": kind.n_kv_heads, "d_ff": 2 * kind.d_model, "n_layers": 2,
        "max_len": MAX_LEN, "norm": "rms" if kind.norm is RMSNorm else "layer",
        "norm_first": kind.norm_first, "activation": kind.activation.__name__,
        "gated": kind.gated, "positions": kind.positions, "rope_pairing": kind.pairing,
        "embedding_scale": model.embedding.scale,
    }  # fmt: skip


def write_references(folder: Path) -> list[str]:
    """Write all models and references; returns their names."""
    names = [_decoder(folder, kind) for kind in KINDS]
    names.append(_post_norm_pair(folder))
    names.append(_numbers(folder))
    names.append(_topics(folder))
    names.append(_induction(folder))
    (folder / "names.json").write_text(json.dumps(names))
    return names


def _decoder(folder: Path, kind: Kind) -> str:
    torch.manual_seed(len(kind.name))
    model = _shaken(DecoderOnly(kind))
    config = decoder_config(kind, model)
    write_javascript(folder / f"{kind.name}.js", untied(model), config, precision=kind.precision)
    _round(model, kind.precision)
    ids = torch.randint(VOCABULARY, (1, 13))
    _write_reference(folder, kind.name, model, lambda: model(ids), target=ids)
    _write_readings(folder, kind.name, model, ids)
    return kind.name


def _post_norm_pair(folder: Path) -> str:
    torch.manual_seed(3)
    sizes = {"d_model": 32, "n_heads": 4, "d_ff": 48, "n_layers": 1, "n_decoder_layers": 2}
    config = TransformerConfig(29, 31, **sizes, dropout=0.0, max_len=MAX_LEN)  # type: ignore[arg-type]
    model = _shaken(Transformer(config))
    write_javascript(
        folder / "post-norm-pair.js", untied(model), engine_config(model), precision="int8"
    )
    _round(model, "int8")
    src, tgt = torch.randint(3, 29, (1, 11)), torch.randint(3, 31, (1, 9))
    _write_reference(folder, "post-norm-pair", model, lambda: model(src, tgt), src, tgt)
    return "post-norm-pair"


def _numbers(folder: Path) -> str:
    """The trained model, on a sentence that it was made for."""
    own = load_own(NUMBERS)
    source = own.vocabulary.encode(["<2de>", "twenty", "-", "one"], eos=True)
    target = own.vocabulary.encode(["ein", "und", "zwanzig"], bos=True)
    src, tgt = torch.tensor([source]), torch.tensor([target])
    assert isinstance(own.model, Transformer)
    config = engine_config(own.model)
    write_javascript(folder / f"{NUMBERS}.js", untied(own.model), config, precision="fp16")
    _write_reference(folder, NUMBERS, own.model, lambda: own.model(src, tgt), src, tgt)
    return NUMBERS


def _topics(folder: Path) -> str:
    """The trained language model, int8 per row as it is shipped, on a text of its kind."""
    own = load_own(TOPICS)
    config = engine_config(own.model)
    write_javascript(folder / f"{TOPICS}.js", untied(own.model), config, precision="int8")
    _round(own.model, "int8")
    text = "The import statement returns an object. The import"
    ids = torch.tensor([[own.vocabulary.eos_id, *own.vocabulary.encode(text)]])
    _write_reference(folder, TOPICS, own.model, lambda: own.model(ids), target=ids)
    _write_readings(folder, TOPICS, own.model, ids)
    return TOPICS


def _induction(folder: Path) -> str:
    """A snapshot from the middle of its training, on letters that repeat."""
    kept = load_snapshots("induction")
    model = kept.at(500)
    name = "induction-500"
    write_javascript(
        folder / f"{name}.js", kept.states[500], engine_config(model), precision="fp16"
    )
    ids = torch.tensor([kept.vocabulary.encode("blacksmith" * 2, bos=True)])
    _write_reference(folder, name, model, lambda: model(ids), target=ids)
    return name


def _shaken(model: nn.Module) -> Any:
    """Give norms and biases values of their own, so that one left out would be seen."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


def _round(model: nn.Module, precision: Precision) -> None:
    state = unpacked(untied(model), precision)
    missing, _ = model.load_state_dict(state, strict=False)
    assert set(missing) <= {"output_proj.weight"}


@torch.no_grad()
def _write_reference(
    folder: Path,
    name: str,
    model: nn.Module,
    run: Callable[[], Tensor],
    source: Tensor | None = None,
    target: Tensor | None = None,
) -> None:
    """Run once, and keep every module's output and every attention map."""
    kept: dict[str, Tensor] = {}

    def keep(path: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> None:
            kept[path] = output

        return hook

    handles = [
        module.register_forward_hook(keep(path))
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear | PreNorm | PostNorm)
        or path.rpartition(".")[0].endswith("blocks")
        or path in ("norm", "encoder.norm", "decoder.norm")
    ]
    with AttentionRecorder(model) as maps:
        run()
    for handle in handles:
        handle.remove()
    kept |= {f"{path}.weights": weights for path, weights in maps.items()}
    activations = {
        path: {"shape": list(value.shape[1:]), "data": _base64(value)}
        for path, value in kept.items()
    }
    reference = {
        "name": name,
        "source": None if source is None else source[0].tolist(),
        "target": target[0].tolist() if target is not None else [],
        "activations": activations,
    }
    text = f"LiveParity.add({json.dumps(reference)});\n"
    (folder / f"{name}.reference.js").write_text(text)


@torch.no_grad()
def _write_readings(folder: Path, name: str, model: Any, ids: Tensor) -> None:
    """What the logit lens reads, and what the model says with two heads at zero."""
    lens = logit_lens(
        lambda: model(ids), model.blocks, lambda stream: model.output_proj(model.norm(stream))
    )
    handles = []
    for layer, head in SILENT:
        attention = model.blocks[layer].self_attention
        width = attention.out_proj.in_features // attention.n_heads
        inside = torch.arange(attention.out_proj.in_features) // width == head
        handles.append(attention.out_proj.register_forward_pre_hook(_without(inside)))
    silenced = model(ids)
    for handle in handles:
        handle.remove()
    assert not torch.allclose(silenced, lens[-1], atol=1e-2)
    readings = {
        "lens": [_base64(layer) for layer in lens],
        "silent": SILENT,
        "silenced": _base64(silenced),
    }
    path = folder / f"{name}.reference.js"
    text = f"LiveParity.addReadings({json.dumps(name)}, {json.dumps(readings)});\n"
    path.write_text(path.read_text() + text)


def _without(inside: Tensor) -> Callable[..., tuple[Tensor]]:
    return lambda _module, inputs: (inputs[0].masked_fill(inside, 0.0),)


def _base64(value: Tensor) -> str:
    return base64.b64encode(value.float().contiguous().numpy().tobytes()).decode()
