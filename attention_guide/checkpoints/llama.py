"""The names of Llama, of Mistral (Llama with a window) and of Mixtral (with experts)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from attention_guide.checkpoints._parts import (
    NO_SPECIALS,
    read_rope,
    unpack_experts,
    write_rope,
)
from attention_guide.checkpoints.hugging_face import Family, expect, register
from attention_guide.checkpoints.rename import AnyRule, Ignored, Tied, same
from attention_guide.models.llama import Llama, LlamaConfig

_THEIRS, _OURS = "model.layers.{i}.", "blocks.{i}."
_EXPERT = {"w1": "gate_proj", "w2": "down_proj", "w3": "up_proj"}


def rules(model: Llama) -> Sequence[AnyRule]:
    """The table: with the output layer's matrix where it isn't the embedding's, with experts."""
    table: list[AnyRule] = [
        same("model.embed_tokens.weight", "embedding.weight"),
        *(
            same(_THEIRS + f"self_attn.{x}_proj.weight", _OURS + f"self_attention.{y}_proj.weight")
            for x, y in {"q": "q", "k": "k", "v": "v", "o": "out"}.items()
        ),
        *(
            same(_THEIRS + f"mlp.{x}_proj.weight", _OURS + f"feed_forward.{x}_proj.weight")
            for x in ("gate", "up", "down")
        ),
        same(_THEIRS + "input_layernorm.weight", _OURS + "attention_residual.norm.weight"),
        same(
            _THEIRS + "post_attention_layernorm.weight",
            _OURS + "feed_forward_residual.norm.weight",
        ),
        same("model.norm.weight", "norm.weight"),
        # A table of frequencies, in files of 2023.
        Ignored(r"model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq"),
    ]
    if model.config.experts is not None:
        moe = _THEIRS + "block_sparse_moe."
        table.append(same(moe + "gate.weight", _OURS + "feed_forward.router.weight"))
        for theirs, ours in _EXPERT.items():
            ours = _OURS + f"feed_forward.experts.{{j}}.{ours}.weight"
            table.append(same(moe + f"experts.{{j}}.{theirs}.weight", ours))
    if model.config.tie_weights:
        table.append(Tied("lm_head.weight", "model.embed_tokens.weight"))
    else:
        table.append(same("lm_head.weight", "output_proj.weight"))
    return table


def _build(config: Mapping[str, Any]) -> Llama:
    kind = config["model_type"]
    expect(config, "hidden_act", "silu")
    for name in ("attention_bias", "mlp_bias"):
        expect(config, name, False)
    expect(config, "attention_dropout", 0.0)
    base, yarn, _ = read_rope(config)
    usual = config["hidden_size"] // config["num_attention_heads"]
    experts = None
    if kind == "mixtral":
        experts = (config["num_local_experts"], config["num_experts_per_tok"])
    return Llama(
        LlamaConfig(
            vocab_size=config["vocab_size"],
            d_model=config["hidden_size"],
            n_heads=config["num_attention_heads"],
            n_kv_heads=config.get("num_key_value_heads"),
            d_head=None if config.get("head_dim") == usual else config.get("head_dim"),
            d_ff=config["intermediate_size"],
            n_layers=config["num_hidden_layers"],
            max_len=config["max_position_embeddings"],
            rope_base=base,
            yarn=yarn,
            window=None if kind == "llama" else config.get("sliding_window"),
            experts=experts,
            norm_eps=config["rms_norm_eps"],
            tie_weights=config.get("tie_word_embeddings", False),
        )
    )


def _config(model: Llama) -> dict[str, Any]:
    c = model.config
    kind = _kind(model)
    if c.sinks:
        raise ValueError("model: Hugging Face's Llama, Mistral and Mixtral have no sinks; got them")
    config = {
        "architectures": [f"{kind.capitalize()}ForCausalLM"],
        "hidden_act": "silu",
        "vocab_size": c.vocab_size,
        "hidden_size": c.d_model,
        "num_attention_heads": c.n_heads,
        "num_key_value_heads": c.n_heads if c.n_kv_heads is None else c.n_kv_heads,
        "head_dim": c.d_model // c.n_heads if c.d_head is None else c.d_head,
        "intermediate_size": c.d_ff,
        "num_hidden_layers": c.n_layers,
        "max_position_embeddings": c.max_len,
        "rms_norm_eps": c.norm_eps,
        "tie_word_embeddings": c.tie_weights,
        "attention_dropout": 0.0,
        **NO_SPECIALS,
        **write_rope(c.rope_base, c.yarn),
    }
    if kind == "llama":
        return config | {"attention_bias": False, "mlp_bias": False}
    if c.experts is not None:
        config |= {"num_local_experts": c.experts[0], "num_experts_per_tok": c.experts[1]}
    return config | {"sliding_window": c.window}


def _kind(model: Llama) -> str:
    if model.config.experts is not None:
        return "mixtral"
    return "llama" if model.config.window is None else "mistral"


def _tidy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Mixtral's modules of today have other names than its files."""
    back = {name: short for short, name in _EXPERT.items()}

    def old(name: str) -> str:
        name = re.sub(r"\.mlp\.(gate\.|experts\.\d)", r".block_sparse_moe.\1", name)
        found = re.fullmatch(r"(.*block_sparse_moe\.experts\.\d+\.)(\w+_proj)(\.weight)", name)
        return name if found is None else found[1] + back[found[2]] + found[3]

    return {old(name): x for name, x in unpack_experts(state).items()}


def _owned_as(kind: str) -> Callable[[nn.Module], bool]:
    return lambda model: isinstance(model, Llama) and _kind(model) == kind


for _name in ("llama", "mistral", "mixtral"):
    register(
        Family(
            _name,
            _build,
            _config,
            rules,
            owns=_owned_as(_name),
            prefix="model.",
            tidy=_tidy if _name == "mixtral" else dict,
        )
    )
