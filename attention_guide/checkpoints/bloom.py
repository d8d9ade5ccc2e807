"""BLOOM's names: query, key and value in one matrix, head by head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attention_guide.checkpoints._parts import NO_SPECIALS
from attention_guide.checkpoints.hugging_face import Family, expect, register
from attention_guide.checkpoints.rename import AnyRule, Tied, same, split_by_head
from attention_guide.models.bloom import Bloom, BloomConfig

_THEIRS, _OURS = "transformer.h.{i}.", "blocks.{i}."
_PARTS = {
    "input_layernorm": "attention_residual.norm",
    "self_attention.dense": "self_attention.out_proj",
    "post_attention_layernorm": "feed_forward_residual.norm",
    "mlp.dense_h_to_4h": "feed_forward.up_proj",
    "mlp.dense_4h_to_h": "feed_forward.down_proj",
}


def rules(model: Bloom) -> Sequence[AnyRule]:
    """The table; where a packed matrix is cut depends on the heads."""
    c = model.config
    return [
        same("transformer.word_embeddings.weight", "embedding.weight"),
        same("transformer.word_embeddings_layernorm.{p}", "embedding_norm.{p}"),
        split_by_head(
            _THEIRS + "self_attention.query_key_value.{p}",
            *(_OURS + f"self_attention.{x}_proj.{{p}}" for x in "qkv"),
            n_heads=c.n_heads,
            sizes=[c.d_model // c.n_heads] * 3,
        ),
        *(same(_THEIRS + x + ".{p}", _OURS + y + ".{p}") for x, y in _PARTS.items()),
        same("transformer.ln_f.{p}", "norm.{p}"),
        Tied("lm_head.weight", "transformer.word_embeddings.weight"),
    ]


def _build(config: Mapping[str, Any]) -> Bloom:
    expect(config, "apply_residual_connection_post_layernorm", False)
    expect(config, "tie_word_embeddings", True)
    return Bloom(
        BloomConfig(
            vocab_size=config["vocab_size"],
            d_model=config.get("hidden_size", config.get("n_embed")),
            n_heads=config.get("n_head", config.get("num_attention_heads")),
            n_layers=config["n_layer"],
            max_len=config.get("seq_length", 2048),
            dropout=config.get("hidden_dropout", 0.0),
            attention_dropout=config.get("attention_dropout", 0.0),
            norm_eps=config.get("layer_norm_epsilon", 1e-5),
        )
    )


def _config(model: Bloom) -> dict[str, Any]:
    c = model.config
    return {
        "architectures": ["BloomForCausalLM"],
        "apply_residual_connection_post_layernorm": False,
        "vocab_size": c.vocab_size,
        "hidden_size": c.d_model,
        "n_head": c.n_heads,
        "n_layer": c.n_layers,
        "seq_length": c.max_len,
        "hidden_dropout": c.dropout,
        "attention_dropout": c.attention_dropout,
        "layer_norm_epsilon": c.norm_eps,
        "tie_word_embeddings": True,
        **NO_SPECIALS,
    }


FAMILY = register(
    Family(
        "bloom", _build, _config, rules,
        owns=lambda model: isinstance(model, Bloom),
        prefix="transformer.",
    )
)  # fmt: skip
