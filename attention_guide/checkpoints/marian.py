"""Marian's names, onto the Transformer of 2017."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attention_guide.checkpoints.hugging_face import Family, expect, register
from attention_guide.checkpoints.rename import AnyRule, Ignored, Tied, same
from attention_guide.models.marian import Marian, MarianConfig

_ATTENTIONS = {
    "encoder": {"self_attn": ("self_attention", "attention_residual")},
    "decoder": {
        "self_attn": ("self_attention", "self_attention_residual"),
        "encoder_attn": ("cross_attention", "cross_attention_residual"),
    },
}
_REST = {
    "fc1": "feed_forward.up_proj",
    "fc2": "feed_forward.down_proj",
    "final_layer_norm": "feed_forward_residual.norm",
}


def _stack(stack: str) -> list[AnyRule]:
    theirs, ours = f"model.{stack}.layers.{{i}}.", f"{stack}.blocks.{{i}}."
    table: list[AnyRule] = [same(theirs + x + ".{p}", ours + y + ".{p}") for x, y in _REST.items()]
    for name, (attention, residual) in _ATTENTIONS[stack].items():
        table += [
            same(f"{theirs}{name}.{x}_proj.{{p}}", f"{ours}{attention}.{x}_proj.{{p}}")
            for x in ("q", "k", "v", "out")
        ]
        table.append(same(f"{theirs}{name}_layer_norm.{{p}}", f"{ours}{residual}.norm.{{p}}"))
    return table


RULES: tuple[AnyRule, ...] = (
    same("model.shared.weight", "src_embedding.weight"),
    *_stack("encoder"),
    *_stack("decoder"),
    same("final_logits_bias", "logits_bias"),
    Tied("model.encoder.embed_tokens.weight", "model.shared.weight"),
    Tied("model.decoder.embed_tokens.weight", "model.shared.weight"),
    Tied("lm_head.weight", "model.shared.weight"),
    # Tables of sines and cosines.
    Ignored(r"model\.(encoder|decoder)\.embed_positions\.weight"),
)


def _build(config: Mapping[str, Any]) -> Marian:
    for name, value in {
        "scale_embedding": True, "share_encoder_decoder_embeddings": True,
        "tie_word_embeddings": True, "attention_dropout": 0.0, "activation_dropout": 0.0,
        "normalize_before": False, "normalize_embedding": False, "add_final_layer_norm": False,
        "decoder_attention_heads": config["encoder_attention_heads"],
        "decoder_ffn_dim": config["encoder_ffn_dim"],
        "decoder_vocab_size": config["vocab_size"],
        "decoder_start_token_id": config["pad_token_id"],
    }.items():  # fmt: skip
        expect(config, name, value)
    activation = expect(config, "activation_function", "swish", "silu", "relu", "gelu")
    return Marian(
        MarianConfig(
            vocab_size=config["vocab_size"],
            d_model=config["d_model"],
            n_heads=config["encoder_attention_heads"],
            d_ff=config["encoder_ffn_dim"],
            n_layers=config["encoder_layers"],
            n_decoder_layers=config["decoder_layers"],
            max_len=config["max_position_embeddings"],
            dropout=config["dropout"],
            activation="swish" if activation == "silu" else activation,
            pad_id=config["pad_token_id"],
            eos_id=config["eos_token_id"],
        )
    )


def _config(model: Marian) -> dict[str, Any]:
    # Transformer's own annotation is of another class.
    c: Any = model.config
    return {
        "architectures": ["MarianMTModel"],
        "vocab_size": c.vocab_size,
        "decoder_vocab_size": c.vocab_size,
        "d_model": c.d_model,
        "encoder_attention_heads": c.n_heads,
        "decoder_attention_heads": c.n_heads,
        "encoder_ffn_dim": c.d_ff,
        "decoder_ffn_dim": c.d_ff,
        "encoder_layers": c.n_layers,
        "decoder_layers": c.n_layers if c.n_decoder_layers is None else c.n_decoder_layers,
        "max_position_embeddings": c.max_len,
        "dropout": c.dropout,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "activation_function": c.activation,
        "scale_embedding": True,
        "share_encoder_decoder_embeddings": True,
        "tie_word_embeddings": True,
        "is_encoder_decoder": True,
        "pad_token_id": c.pad_id,
        "eos_token_id": c.eos_id,
        "decoder_start_token_id": c.pad_id,
        "forced_eos_token_id": c.eos_id,
    }


FAMILY = register(
    Family(
        "marian", _build, _config,
        rules=lambda model: RULES,
        owns=lambda model: isinstance(model, Marian),
    )
)  # fmt: skip
