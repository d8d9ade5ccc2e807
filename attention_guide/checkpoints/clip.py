"""CLIP's names: a text model and a vision model side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch.nn.functional as F
from torch import Tensor

from attention_guide.checkpoints.hugging_face import Family, expect, register
from attention_guide.checkpoints.rename import AnyRule, Ignored, Rule, same
from attention_guide.models.clip import CLIP, CLIPConfig, quick_gelu

ACTIVATIONS: Final[dict[str, Callable[[Tensor], Tensor]]] = {
    "quick_gelu": quick_gelu,
    "gelu": F.gelu,
}
# Until August 2023 configurations named a wrong end; readers then took the largest id for it.
OLD_EOS: Final = 2
_BLOCK: Final = {
    **{f"self_attn.{x}_proj": f"self_attention.{x}_proj" for x in ("q", "k", "v", "out")},
    "layer_norm1": "attention_residual.norm",
    "layer_norm2": "feed_forward_residual.norm",
    "mlp.fc1": "feed_forward.up_proj",
    "mlp.fc2": "feed_forward.down_proj",
}
_TEXT, _VISION = "text_model.embeddings.", "vision_model.embeddings."
RULES: Final[tuple[AnyRule, ...]] = (
    same("logit_scale", "log_scale"),
    same(_TEXT + "token_embedding.weight", "text_embedding.weight"),
    same(_TEXT + "position_embedding.weight", "text_positions.weight"),
    same("text_model.final_layer_norm.{p}", "text_encoder.norm.{p}"),
    same("text_projection.weight", "text_proj.weight"),
    Rule(
        (_VISION + "class_embedding",),
        ("image_tokens.class_tokens",),
        lambda x: [x[0].unsqueeze(0)],
        lambda x: [x[0].squeeze(0)],
    ),
    same(_VISION + "patch_embedding.weight", "image_tokens.patches.proj.weight"),
    same(_VISION + "position_embedding.weight", "image_tokens.positions.weight"),
    same("vision_model.pre_layrnorm.{p}", "image_norm.{p}"),  # their spelling
    same("vision_model.post_layernorm.{p}", "image_encoder.norm.{p}"),
    same("visual_projection.weight", "image_proj.weight"),
    *(
        same(f"{theirs}_model.encoder.layers.{{i}}.{x}.{{p}}",
             f"{ours}_encoder.blocks.{{i}}.{y}.{{p}}")
        for theirs, ours in (("text", "text"), ("vision", "image"))
        for x, y in _BLOCK.items()
    ),
    Ignored(r"(text|vision)_model\.embeddings\.position_ids"),
)  # fmt: skip
# What their configurations leave out where it is as in the first release.
_TEXT_DEFAULTS: Final[dict[str, Any]] = {
    "vocab_size": 49408, "hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12,
    "num_attention_heads": 8, "max_position_embeddings": 77, "eos_token_id": 49407,
    "layer_norm_eps": 1e-5, "hidden_act": "quick_gelu",
}  # fmt: skip
_VISION_DEFAULTS: Final[dict[str, Any]] = {
    "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12,
    "num_attention_heads": 12, "num_channels": 3, "image_size": 224, "patch_size": 32,
    "layer_norm_eps": 1e-5, "hidden_act": "quick_gelu",
}  # fmt: skip


def _build(config: Mapping[str, Any]) -> CLIP:
    text, image = (
        defaults | dict(config.get(name) or {}) | dict(config.get(f"{name}_dict") or {})
        for name, defaults in (("text_config", _TEXT_DEFAULTS), ("vision_config", _VISION_DEFAULTS))
    )
    for tower in (text, image):
        expect(tower, "attention_dropout", 0.0)
        expect(tower, "intermediate_size", 4 * tower["hidden_size"])
        expect(tower, "hidden_act", text["hidden_act"])
        expect(tower, "layer_norm_eps", text["layer_norm_eps"])
    eos_id = text["eos_token_id"]
    return CLIP(
        CLIPConfig(
            vocab_size=text["vocab_size"],
            max_len=text["max_position_embeddings"],
            eos_id=text["vocab_size"] - 1 if eos_id == OLD_EOS else eos_id,
            d_text=text["hidden_size"],
            n_text_heads=text["num_attention_heads"],
            n_text_layers=text["num_hidden_layers"],
            image_size=image["image_size"],
            patch_size=image["patch_size"],
            n_channels=image["num_channels"],
            d_image=image["hidden_size"],
            n_image_heads=image["num_attention_heads"],
            n_image_layers=image["num_hidden_layers"],
            d_joint=config.get("projection_dim", 512),
            norm_eps=text["layer_norm_eps"],
        ),
        activation=ACTIVATIONS[expect(text, "hidden_act", *ACTIVATIONS)],
    )


def _config(model: CLIP) -> dict[str, Any]:
    c = model.config
    used = model.activation
    names = [name for name, function in ACTIVATIONS.items() if function is used]
    if not names:
        raise ValueError(f"model: expected an activation among {', '.join(ACTIVATIONS)}")
    if c.eos_id == OLD_EOS:
        raise ValueError(f"model: eos_id {OLD_EOS} means the largest id to Hugging Face's readers")
    shared = {"hidden_act": names[0], "layer_norm_eps": c.norm_eps, "projection_dim": c.d_joint}
    text = {
        "model_type": "clip_text_model", "vocab_size": c.vocab_size, "hidden_size": c.d_text,
        "intermediate_size": 4 * c.d_text, "num_hidden_layers": c.n_text_layers,
        "num_attention_heads": c.n_text_heads, "max_position_embeddings": c.max_len,
        "eos_token_id": c.eos_id, "bos_token_id": None, "pad_token_id": None,
    }  # fmt: skip
    image = {
        "model_type": "clip_vision_model", "hidden_size": c.d_image,
        "intermediate_size": 4 * c.d_image, "num_hidden_layers": c.n_image_layers,
        "num_attention_heads": c.n_image_heads, "num_channels": c.n_channels,
        "image_size": c.image_size, "patch_size": c.patch_size,
    }  # fmt: skip
    return {
        "architectures": ["CLIPModel"],
        "projection_dim": c.d_joint,
        "text_config": shared | text,
        "vision_config": shared | image,
    }


FAMILY = register(
    Family(
        "clip",
        _build,
        _config,
        rules=lambda model: RULES,
        owns=lambda model: isinstance(model, CLIP),
    )
)
