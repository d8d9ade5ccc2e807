"""The Audio Spectrogram Transformer's names: a Vision Transformer's, with two class tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

from attention_guide.checkpoints._patches import (
    encoder_rules,
    labels,
    n_classes,
    newer_names,
    with_head,
)
from attention_guide.checkpoints.hugging_face import Family, expect, register
from attention_guide.checkpoints.rename import AnyRule, Rule, same
from attention_guide.models.ast import AST, ASTConfig

PREFIX: Final = "audio_spectrogram_transformer."


def _join(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    return [torch.cat([x.squeeze(0) for x in tensors])]


def _cut(tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    return [x[None, None] for x in tensors[0]]


RULES: Final[tuple[AnyRule, ...]] = (
    Rule(
        (PREFIX + "embeddings.cls_token", PREFIX + "embeddings.distillation_token"),
        ("tokens.class_tokens",),
        _join,
        _cut,
    ),
    *encoder_rules(PREFIX, ""),
    same("classifier.layernorm.{p}", "head_norm.{p}"),
    same("classifier.dense.{p}", "head.{p}"),
)


def _build(config: Mapping[str, Any]) -> AST:
    expect(config, "hidden_act", "gelu")
    expect(config, "qkv_bias", True)
    dropout = config.get("hidden_dropout_prob", 0.0)
    expect(config, "attention_probs_dropout_prob", dropout)
    return AST(
        ASTConfig(
            n_mels=config.get("num_mel_bins", 128),
            n_frames=config.get("max_length", 1024),
            patch_size=config.get("patch_size", 16),
            mel_stride=config.get("frequency_stride", 10),
            frame_stride=config.get("time_stride", 10),
            n_classes=n_classes(config, "ASTModel"),
            d_model=config["hidden_size"],
            n_heads=config["num_attention_heads"],
            d_ff=config["intermediate_size"],
            n_layers=config["num_hidden_layers"],
            dropout=dropout,
            norm_eps=config.get("layer_norm_eps", 1e-12),
        )
    )


def _config(model: AST) -> dict[str, Any]:
    c = model.config
    return {
        "architectures": ["ASTForAudioClassification" if c.n_classes else "ASTModel"],
        "hidden_act": "gelu",
        "qkv_bias": True,
        "num_mel_bins": c.n_mels,
        "max_length": c.n_frames,
        "patch_size": c.patch_size,
        "frequency_stride": c.mel_stride,
        "time_stride": c.frame_stride,
        "hidden_size": c.d_model,
        "num_attention_heads": c.n_heads,
        "intermediate_size": c.d_ff,
        "num_hidden_layers": c.n_layers,
        "hidden_dropout_prob": c.dropout,
        "attention_probs_dropout_prob": c.dropout,
        "layer_norm_eps": c.norm_eps,
        **labels(c.n_classes),
    }


FAMILY = register(
    Family(
        "audio-spectrogram-transformer",
        _build,
        _config,
        rules=lambda model: RULES,
        owns=lambda model: isinstance(model, AST),
        prefix=PREFIX,
        bare=lambda model: not model.config.n_classes,
        tidy=newer_names,
        architecture=with_head("ASTForAudioClassification", "ASTModel"),
    )
)
