"""Whisper's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attention_guide.checkpoints.hugging_face import Family, expect, register
from attention_guide.checkpoints.rename import AnyRule, Tied, same
from attention_guide.models.audio import Whisper, WhisperConfig

_ENCODER: Final = {
    "self_attn_layer_norm": "attention_residual.norm",
    "fc1": "feed_forward.up_proj",
    "fc2": "feed_forward.down_proj",
    "final_layer_norm": "feed_forward_residual.norm",
    **{f"self_attn.{x}_proj": f"self_attention.{x}_proj" for x in ("q", "k", "v", "out")},
}
_DECODER: Final = {
    **_ENCODER,
    "self_attn_layer_norm": "self_attention_residual.norm",
    "encoder_attn_layer_norm": "cross_attention_residual.norm",
    **{f"encoder_attn.{x}_proj": f"cross_attention.{x}_proj" for x in ("q", "k", "v", "out")},
}
RULES: Final[tuple[AnyRule, ...]] = (
    same("model.encoder.conv1.{p}", "stem.conv1.{p}"),
    same("model.encoder.conv2.{p}", "stem.conv2.{p}"),
    same("model.encoder.embed_positions.weight", "stem.positions"),
    same("model.decoder.embed_tokens.weight", "decoder.embedding.weight"),
    same("model.decoder.embed_positions.weight", "decoder.positions.weight"),
    *(
        same(f"model.{stack}.layers.{{i}}.{x}.{{p}}", f"{stack}.blocks.{{i}}.{y}.{{p}}")
        for stack, table in (("encoder", _ENCODER), ("decoder", _DECODER))
        for x, y in table.items()
    ),
    same("model.encoder.layer_norm.{p}", "encoder.norm.{p}"),
    same("model.decoder.layer_norm.{p}", "decoder.norm.{p}"),
    Tied("proj_out.weight", "model.decoder.embed_tokens.weight"),
)


def _build(config: Mapping[str, Any]) -> Whisper:
    expect(config, "activation_function", "gelu")
    expect(config, "scale_embedding", False)
    expect(config, "tie_word_embeddings", True)
    dropout = config.get("dropout", 0.0)
    for name in ("attention_dropout", "activation_dropout"):
        expect(config, name, dropout)
    for name in ("encoder_layerdrop", "decoder_layerdrop"):
        expect(config, name, 0.0)
    expect(config, "decoder_attention_heads", config["encoder_attention_heads"])
    expect(config, "decoder_ffn_dim", config["encoder_ffn_dim"])
    return Whisper(
        WhisperConfig(
            vocab_size=config["vocab_size"],
            n_mels=config.get("num_mel_bins", 80),
            n_positions=config.get("max_source_positions", 1500),
            max_len=config.get("max_target_positions", 448),
            d_model=config["d_model"],
            n_heads=config["encoder_attention_heads"],
            d_ff=config["encoder_ffn_dim"],
            n_encoder_layers=config["encoder_layers"],
            n_decoder_layers=config["decoder_layers"],
            dropout=dropout,
            pad_id=config["pad_token_id"],
            bos_id=config["decoder_start_token_id"],
            eos_id=config["eos_token_id"],
        )
    )


def _config(model: Whisper) -> dict[str, Any]:
    c = model.config
    return {
        "architectures": ["WhisperForConditionalGeneration"],
        "is_encoder_decoder": True,
        "activation_function": "gelu",
        "scale_embedding": False,
        "tie_word_embeddings": True,
        "vocab_size": c.vocab_size,
        "num_mel_bins": c.n_mels,
        "max_source_positions": c.n_positions,
        "max_target_positions": c.max_len,
        "d_model": c.d_model,
        **{f"{stack}_attention_heads": c.n_heads for stack in ("encoder", "decoder")},
        **{f"{stack}_ffn_dim": c.d_ff for stack in ("encoder", "decoder")},
        "encoder_layers": c.n_encoder_layers,
        "decoder_layers": c.n_decoder_layers,
        **dict.fromkeys(("dropout", "attention_dropout", "activation_dropout"), c.dropout),
        "pad_token_id": c.pad_id,
        # Another than the id that starts a text, which is all that ours holds.
        "bos_token_id": None,
        "decoder_start_token_id": c.bos_id,
        "eos_token_id": c.eos_id,
    }


FAMILY = register(
    Family(
        "whisper",
        _build,
        _config,
        rules=lambda model: RULES,
        owns=lambda model: isinstance(model, Whisper),
        prefix="model.",
    )
)
