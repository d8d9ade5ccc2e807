"""The Vision Transformer's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from attention_guide.checkpoints._patches import (
    encoder_rules,
    in_front,
    labels,
    n_classes,
    newer_names,
    with_head,
)
from attention_guide.checkpoints.hugging_face import Family, expect, register
from attention_guide.checkpoints.rename import AnyRule, Ignored, same
from attention_guide.models.vit import ViT, ViTConfig

RULES: Final[tuple[AnyRule, ...]] = (
    in_front("vit.embeddings.cls_token", "tokens.class_tokens"),
    *encoder_rules("vit.", ""),
    same("classifier.{p}", "head.{p}"),
    # What a model without a head has on top; no classifier reads it.
    Ignored(r"vit\.pooler\.dense\.(weight|bias)"),
)


def read_sizes(config: Mapping[str, Any], *, classes: int) -> ViTConfig:
    """Our sizes from their configuration.

    Args:
        config: Theirs, of model type "vit".
        classes: Size of the output, 0 for no head.

    Returns:
        Ours.

    Raises:
        ValueError: A setting that our model doesn't have.

    Examples:
        >>> sizes = {"hidden_size": 8, "num_attention_heads": 2, "num_hidden_layers": 1}
        >>> read_sizes({**sizes, "intermediate_size": 32}, classes=0).d_model
        8
    """
    expect(config, "hidden_act", "gelu")
    expect(config, "qkv_bias", True)
    dropout = config.get("hidden_dropout_prob", 0.0)
    expect(config, "attention_probs_dropout_prob", dropout)
    size, patch = config.get("image_size", 224), config.get("patch_size", 16)
    height, width = (patch, patch) if isinstance(patch, int) else patch
    if height != width:
        raise ValueError(f"config: patch_size: expected a square; got {patch}")
    return ViTConfig(
        image_size=size if isinstance(size, int) else tuple(size),
        patch_size=height,
        n_channels=config.get("num_channels", 3),
        n_classes=classes,
        d_model=config["hidden_size"],
        n_heads=config["num_attention_heads"],
        d_ff=config["intermediate_size"],
        n_layers=config["num_hidden_layers"],
        dropout=dropout,
        norm_eps=config.get("layer_norm_eps", 1e-12),
    )


def write_sizes(config: ViTConfig) -> dict[str, Any]:
    """Their configuration from our sizes: the way back.

    Args:
        config: Ours.

    Returns:
        Theirs, without architectures and labels.

    Raises:
        ValueError: Theirs has a class token and no registers; ours is otherwise.

    Examples:
        >>> write_sizes(ViTConfig())["hidden_size"]
        768
    """
    if not config.class_token or config.n_registers:
        raise ValueError("model: Hugging Face's ViT has a class token and no registers")
    size = config.image_size
    return {
        "model_type": "vit",
        "hidden_act": "gelu",
        "qkv_bias": True,
        "image_size": size if isinstance(size, int) else list(size),
        "patch_size": config.patch_size,
        "num_channels": config.n_channels,
        "hidden_size": config.d_model,
        "num_attention_heads": config.n_heads,
        "intermediate_size": config.d_ff,
        "num_hidden_layers": config.n_layers,
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": config.dropout,
        "layer_norm_eps": config.norm_eps,
    }


def _rules(model: ViT) -> Sequence[AnyRule]:
    write_sizes(model.config)  # says more of what has no place than a list of names would
    return RULES


def _config(model: ViT) -> dict[str, Any]:
    classes = model.config.n_classes
    architecture = "ViTForImageClassification" if classes else "ViTModel"
    return {**write_sizes(model.config), **labels(classes), "architectures": [architecture]}


FAMILY = register(
    Family(
        "vit",
        build=lambda config: ViT(read_sizes(config, classes=n_classes(config, "ViTModel"))),
        config=_config,
        rules=_rules,
        owns=lambda model: isinstance(model, ViT),
        prefix="vit.",
        bare=lambda model: not model.config.n_classes,
        tidy=newer_names,
        architecture=with_head("ViTForImageClassification", "ViTModel"),
    )
)
