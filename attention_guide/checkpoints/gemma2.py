"""Gemma 2's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attention_guide.checkpoints._parts import NO_SPECIALS, read_rope, write_rope
from attention_guide.checkpoints.hugging_face import Family, expect, register
from attention_guide.checkpoints.rename import AnyRule, Tied, same
from attention_guide.models.gemma2 import Gemma2, Gemma2Config

_THEIRS, _OURS = "model.layers.{i}.", "blocks.{i}."
_NORMS = {
    "input_layernorm": "attention_residual.norm",
    "post_attention_layernorm": "attention_residual.norm_after",
    "pre_feedforward_layernorm": "feed_forward_residual.norm",
    "post_feedforward_layernorm": "feed_forward_residual.norm_after",
}
RULES: tuple[AnyRule, ...] = (
    same("model.embed_tokens.weight", "embedding.weight"),
    *(
        same(_THEIRS + f"self_attn.{x}_proj.weight", _OURS + f"self_attention.{y}_proj.weight")
        for x, y in {"q": "q", "k": "k", "v": "v", "o": "out"}.items()
    ),
    *(
        same(_THEIRS + f"mlp.{x}_proj.weight", _OURS + f"feed_forward.{x}_proj.weight")
        for x in ("gate", "up", "down")
    ),
    *(same(_THEIRS + x + ".weight", _OURS + y + ".weight") for x, y in _NORMS.items()),
    same("model.norm.weight", "norm.weight"),
    Tied("lm_head.weight", "model.embed_tokens.weight"),
)


def _build(config: Mapping[str, Any]) -> Gemma2:
    expect(config, "hidden_activation", "gelu_pytorch_tanh", None)
    expect(config, "attention_bias", False)
    expect(config, "attention_dropout", 0.0)
    expect(config, "tie_word_embeddings", True)
    expect(config, "use_bidirectional_attention", None, False)
    base, yarn, rope = read_rope(config)
    if yarn is not None:
        kind = rope.get("rope_type", rope.get("type"))
        raise ValueError(f"config: rope_type: expected 'default'; got {kind!r}")
    n_layers = config["num_hidden_layers"]
    kinds = ["sliding_attention", "full_attention"] * n_layers
    expect(config, "layer_types", kinds[:n_layers], None)
    for name in ("attn_logit_softcapping", "final_logit_softcapping", "sliding_window"):
        if config.get(name) is None:
            raise ValueError(f"config: {name}: expected a number; got None")
    return Gemma2(
        Gemma2Config(
            vocab_size=config["vocab_size"],
            d_model=config["hidden_size"],
            n_heads=config["num_attention_heads"],
            n_kv_heads=config["num_key_value_heads"],
            d_head=config["head_dim"],
            d_ff=config["intermediate_size"],
            n_layers=n_layers,
            max_len=config["max_position_embeddings"],
            window=config["sliding_window"],
            rope_base=base,
            score_width=config["query_pre_attn_scalar"],
            score_cap=config["attn_logit_softcapping"],
            logit_cap=config["final_logit_softcapping"],
            norm_eps=config["rms_norm_eps"],
        )
    )


def _config(model: Gemma2) -> dict[str, Any]:
    c = model.config
    return {
        "architectures": ["Gemma2ForCausalLM"],
        "hidden_activation": "gelu_pytorch_tanh",
        "vocab_size": c.vocab_size,
        "hidden_size": c.d_model,
        "num_attention_heads": c.n_heads,
        "num_key_value_heads": c.n_kv_heads,
        "head_dim": c.d_head,
        "intermediate_size": c.d_ff,
        "num_hidden_layers": c.n_layers,
        "max_position_embeddings": c.max_len,
        "sliding_window": c.window,
        "query_pre_attn_scalar": c.score_width,
        "attn_logit_softcapping": c.score_cap,
        "final_logit_softcapping": c.logit_cap,
        "rms_norm_eps": c.norm_eps,
        "tie_word_embeddings": True,
        **NO_SPECIALS,
        **write_rope(c.rope_base, None),
    }


FAMILY = register(
    Family(
        "gemma2", _build, _config,
        rules=lambda model: RULES,
        owns=lambda model: isinstance(model, Gemma2),
        prefix="model.",
    )
)  # fmt: skip
