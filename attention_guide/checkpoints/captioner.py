"""The captioner's names: a "vision-encoder-decoder" of a ViT and a GPT-2 with cross-attention."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attention_guide.checkpoints._patches import encoder_rules, in_front, newer_names
from attention_guide.checkpoints.hugging_face import Family, expect, register
from attention_guide.checkpoints.rename import AnyRule, Ignored, Tied, same, split, transposed
from attention_guide.checkpoints.vit import read_sizes, write_sizes
from attention_guide.models.captioner import Captioner, CaptionerConfig

_THEIRS: Final = "decoder.transformer."
_BLOCK, _OURS = _THEIRS + "h.{i}.", "decoder.blocks.{i}."
_NORMS: Final = {
    "ln_1": "self_attention_residual",
    "ln_cross_attn": "cross_attention_residual",
    "ln_2": "feed_forward_residual",
}
# Stored as (in, out).
_MATRICES: Final = {
    "attn.c_proj": "self_attention.out_proj",
    "crossattention.q_attn": "cross_attention.q_proj",
    "crossattention.c_proj": "cross_attention.out_proj",
    "mlp.c_fc": "feed_forward.up_proj",
    "mlp.c_proj": "feed_forward.down_proj",
}
RULES: Final[tuple[AnyRule, ...]] = (
    in_front("encoder.embeddings.cls_token", "vit.tokens.class_tokens"),
    *encoder_rules("encoder.", "vit."),
    same(_THEIRS + "wte.weight", "decoder.embedding.weight"),
    same(_THEIRS + "wpe.weight", "decoder.positions.weight"),
    *(same(_BLOCK + f"{x}.{{p}}", _OURS + f"{y}.norm.{{p}}") for x, y in _NORMS.items()),
    split(
        _BLOCK + "attn.c_attn.{p}",
        *(_OURS + f"self_attention.{x}_proj.{{p}}" for x in "qkv"),
        transpose=True,
    ),
    split(
        _BLOCK + "crossattention.c_attn.{p}",
        *(_OURS + f"cross_attention.{x}_proj.{{p}}" for x in "kv"),
        transpose=True,
    ),
    *(transposed(_BLOCK + f"{x}.{{p}}", _OURS + f"{y}.{{p}}") for x, y in _MATRICES.items()),
    same(_THEIRS + "ln_f.{p}", "decoder.norm.{p}"),
    Tied("decoder.lm_head.weight", _THEIRS + "wte.weight"),
    # Nothing reads the encoder's pooler; causal masks are in files of 2022 and before.
    Ignored(r"encoder\.pooler\.dense\.(weight|bias)"),
    Ignored(r"decoder\.transformer\.h\.\d+\.(attn|crossattention)\.(masked_)?bias"),
)


def _build(config: Mapping[str, Any]) -> Captioner:
    image, text = config["encoder"], config["decoder"]
    expect(image, "model_type", "vit")
    expect(text, "model_type", "gpt2")
    expect(text, "activation_function", "gelu_new", "gelu_pytorch_tanh")
    expect(text, "add_cross_attention", True)
    expect(text, "scale_attn_weights", True)
    expect(text, "scale_attn_by_inverse_layer_idx", False)
    expect(text, "tie_word_embeddings", True)
    # A narrower encoder would have a projection in front of the decoder.
    expect(text, "n_embd", image["hidden_size"])
    dropout = text.get("resid_pdrop", 0.1)
    for name in ("embd_pdrop", "attn_pdrop"):
        expect(text, name, dropout)
    return Captioner(
        CaptionerConfig(
            vocab_size=text["vocab_size"],
            image=read_sizes(image, classes=0),
            max_len=text.get("n_positions", 1024),
            d_model=text["n_embd"],
            n_heads=text["n_head"],
            d_ff=text.get("n_inner") or 4 * text["n_embd"],
            n_layers=text["n_layer"],
            dropout=dropout,
            norm_eps=text.get("layer_norm_epsilon", 1e-5),
            pad_id=_mark(config, "pad_token_id", "eos_token_id"),
            bos_id=_mark(config, "decoder_start_token_id", "bos_token_id"),
            eos_id=_mark(config, "eos_token_id"),
        )
    )


def _mark(config: Mapping[str, Any], *names: str) -> int:
    """The first of some special tokens that is given, for the whole or for its decoder."""
    for name in names:
        for place in (config, config["decoder"]):
            if place.get(name) is not None:
                return int(place[name])
    raise ValueError(f"config: expected one of {', '.join(names)}; got none")


def _config(model: Captioner) -> dict[str, Any]:
    c = model.config
    if c.image.d_model != c.d_model:
        raise ValueError(
            "model: Hugging Face's has a projection between encoder and decoder of different "
            f"widths; got {c.image.d_model} and {c.d_model}"
        )
    text = {
        "model_type": "gpt2", "activation_function": "gelu_new", "add_cross_attention": True,
        "is_decoder": True, "tie_word_embeddings": True, "vocab_size": c.vocab_size,
        "n_embd": c.d_model, "n_head": c.n_heads, "n_layer": c.n_layers, "n_inner": c.d_ff,
        "n_positions": c.max_len, "layer_norm_epsilon": c.norm_eps, "bos_token_id": c.bos_id,
        "eos_token_id": c.eos_id, "pad_token_id": c.pad_id,
        **dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), c.dropout),
    }  # fmt: skip
    return {
        "architectures": ["VisionEncoderDecoderModel"],
        "is_encoder_decoder": True,
        "encoder": write_sizes(c.image),
        "decoder": text,
        "decoder_start_token_id": c.bos_id,
        "eos_token_id": c.eos_id,
        "pad_token_id": c.pad_id,
    }


FAMILY = register(
    Family(
        "vision-encoder-decoder",
        _build,
        _config,
        rules=lambda model: RULES,
        owns=lambda model: isinstance(model, Captioner),
        tidy=newer_names,
    )
)
