"""GPT-2's names: matrices are stored as `(in, out)`, query, key and value in one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attention_guide.checkpoints._parts import NO_SPECIALS
from attention_guide.checkpoints.hugging_face import Family, expect, register
from attention_guide.checkpoints.rename import AnyRule, Ignored, Tied, same, split, transposed
from attention_guide.models.gpt2 import GPT2, GPT2Config

_BLOCK = "transformer.h.{i}."
RULES: tuple[AnyRule, ...] = (
    same("transformer.wte.weight", "embedding.weight"),
    same("transformer.wpe.weight", "positions.weight"),
    same(_BLOCK + "ln_1.{p}", "blocks.{i}.attention_residual.norm.{p}"),
    split(
        _BLOCK + "attn.c_attn.{p}",
        *(f"blocks.{{i}}.self_attention.{x}_proj.{{p}}" for x in "qkv"),
        transpose=True,
    ),
    transposed(_BLOCK + "attn.c_proj.{p}", "blocks.{i}.self_attention.out_proj.{p}"),
    same(_BLOCK + "ln_2.{p}", "blocks.{i}.feed_forward_residual.norm.{p}"),
    transposed(_BLOCK + "mlp.c_fc.{p}", "blocks.{i}.feed_forward.up_proj.{p}"),
    transposed(_BLOCK + "mlp.c_proj.{p}", "blocks.{i}.feed_forward.down_proj.{p}"),
    same("transformer.ln_f.{p}", "norm.{p}"),
    Tied("lm_head.weight", "transformer.wte.weight"),
    # Causal masks that files of 2019 to 2022 carry along.
    Ignored(r"transformer\.h\.\d+\.attn\.(masked_)?bias"),
)


def _build(config: Mapping[str, Any]) -> GPT2:
    expect(config, "activation_function", "gelu_new", "gelu_pytorch_tanh")
    expect(config, "scale_attn_weights", True)
    for name in ("scale_attn_by_inverse_layer_idx", "add_cross_attention"):
        expect(config, name, False)
    expect(config, "tie_word_embeddings", True)
    dropout = config.get("resid_pdrop", 0.1)
    for name in ("embd_pdrop", "attn_pdrop"):
        expect(config, name, dropout)
    return GPT2(
        GPT2Config(
            vocab_size=config["vocab_size"],
            d_model=config["n_embd"],
            n_heads=config["n_head"],
            n_layers=config["n_layer"],
            d_ff=config.get("n_inner"),
            max_len=config.get("n_positions", 1024),
            dropout=dropout,
            norm_eps=config.get("layer_norm_epsilon", 1e-5),
        )
    )


def _config(model: GPT2) -> dict[str, Any]:
    c = model.config
    return {
        "architectures": ["GPT2LMHeadModel"],
        "activation_function": "gelu_new",
        "vocab_size": c.vocab_size,
        "n_embd": c.d_model,
        "n_head": c.n_heads,
        "n_layer": c.n_layers,
        "n_inner": c.d_ff,
        "n_positions": c.max_len,
        "resid_pdrop": c.dropout,
        "embd_pdrop": c.dropout,
        "attn_pdrop": c.dropout,
        "layer_norm_epsilon": c.norm_eps,
        "tie_word_embeddings": True,
        **NO_SPECIALS,
    }


FAMILY = register(
    Family(
        "gpt2", _build, _config,
        rules=lambda model: RULES,
        owns=lambda model: isinstance(model, GPT2),
        prefix="transformer.",
    )
)  # fmt: skip
