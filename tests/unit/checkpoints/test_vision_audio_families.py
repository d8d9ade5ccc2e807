"""ViT, CLIP, Whisper, AST and the captioner: old names, heads or none, what is refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from attention_guide.checkpoints import from_hugging_face, to_hugging_face
from attention_guide.models import (
    AST,
    CLIP,
    ASTConfig,
    Captioner,
    CaptionerConfig,
    CLIPConfig,
    ViT,
    ViTConfig,
    Whisper,
    WhisperConfig,
)

IMAGE = ViTConfig(8, 4, n_classes=3, d_model=16, n_heads=2, d_ff=24, n_layers=2)
SOUND = ASTConfig(16, 24, 8, 4, 4, n_classes=3, d_model=16, n_heads=2, d_ff=24, n_layers=2)
PAIR = CLIPConfig(20, 8, 19, 16, 2, 1, 8, 4, 3, 16, 2, 1, 12)
SPEECH = WhisperConfig(20, 8, 10, 12, 16, 2, 24, 1, 1, pad_id=0, bos_id=1, eos_id=2)
CAPTION = CaptionerConfig(20, IMAGE, max_len=12, d_model=16, n_heads=2, d_ff=24, n_layers=1)
MODELS: list[nn.Module] = [
    ViT(IMAGE),
    ViT(replace(IMAGE, n_classes=0, image_size=(8, 12))),
    AST(SOUND),
    AST(replace(SOUND, n_classes=0)),
    CLIP(PAIR),
    CLIP(PAIR, activation=F.gelu),
    Whisper(SPEECH),
    Captioner(replace(CAPTION, image=replace(IMAGE, n_classes=0))),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_there_and_back(model: nn.Module) -> None:
    config, state = to_hugging_face(model)
    again = from_hugging_face(config, state)
    assert again.config == model.config
    for name, x in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], x), name
    assert getattr(again, "activation", None) is getattr(model, "activation", None)


@pytest.mark.parametrize("model", MODELS[:4], ids=lambda m: type(m).__name__)
def test_a_configuration_that_names_no_architecture(model: nn.Module) -> None:
    config, state = to_hugging_face(model)
    again = from_hugging_face(config | {"architectures": None}, state)
    assert again.config == model.config


def older(name: str) -> str:
    """Today's name as files of before 2026 have it."""
    for new, old in [
        ("attention.q_proj", "attention.attention.query"),
        ("attention.k_proj", "attention.attention.key"),
        ("attention.v_proj", "attention.attention.value"),
        ("attention.o_proj", "attention.output.dense"),
        ("mlp.fc1", "intermediate.dense"),
        ("mlp.fc2", "output.dense"),
        ("layers.", "encoder.layer."),
    ]:
        name = name.replace(new, old)
    return name


@pytest.mark.parametrize("model", MODELS[:4], ids=lambda m: type(m).__name__)
def test_older_names_are_read(model: nn.Module) -> None:
    config, state = to_hugging_face(model)
    old = {older(name): x for name, x in state.items()}
    assert any("encoder.layer.1.attention.attention.key.bias" in name for name in old)
    again = from_hugging_face(config, old).state_dict()
    assert all(torch.equal(again[name], x) for name, x in model.state_dict().items())


def test_without_a_head_names_have_no_prefix_and_a_pooler_is_left_out() -> None:
    config, state = to_hugging_face(MODELS[1])
    assert config["architectures"] == ["ViTModel"]
    assert "embeddings.cls_token" in state
    pooler = {"pooler.dense.weight": torch.ones(16, 16), "pooler.dense.bias": torch.ones(16)}
    assert isinstance(from_hugging_face(config, state | pooler), ViT)


REFUSED: list[tuple[int, dict[str, Any], str]] = [
    (0, {"hidden_act": "relu"}, "hidden_act: expected one of"),
    (0, {"qkv_bias": False}, "qkv_bias: expected one of"),
    (0, {"attention_probs_dropout_prob": 0.5}, "attention_probs_dropout_prob: expected"),
    (0, {"patch_size": [4, 2]}, "patch_size: expected a square"),
    (2, {"qkv_bias": False}, "qkv_bias: expected one of"),
    (6, {"decoder_ffn_dim": 99}, "decoder_ffn_dim: expected one of"),
    (6, {"encoder_layerdrop": 0.1}, "encoder_layerdrop: expected one of"),
    (6, {"scale_embedding": True}, "scale_embedding: expected one of"),
    (7, {"encoder": {"model_type": "swin"}}, "model_type: expected one of"),
]


@pytest.mark.parametrize(("which", "change", "message"), REFUSED)
def test_settings_that_ours_has_not_are_refused(
    which: int, change: dict[str, Any], message: str
) -> None:
    config, state = to_hugging_face(MODELS[which])
    with pytest.raises(ValueError, match=f"config: {message}"):
        from_hugging_face(config | change, state)


def test_towers_that_differ_are_refused() -> None:
    config, state = to_hugging_face(MODELS[4])
    for change in ({"hidden_act": "gelu"}, {"layer_norm_eps": 1e-6}, {"intermediate_size": 7}):
        with pytest.raises(ValueError, match=f"config: {next(iter(change))}: expected"):
            from_hugging_face(config | {"vision_config": config["vision_config"] | change}, state)


def test_what_theirs_has_no_place_for_is_refused() -> None:
    for model, message in [
        (ViT(replace(IMAGE, n_registers=1)), "a class token and no registers"),
        (ViT(replace(IMAGE, class_token=False)), "a class token and no registers"),
        (CLIP(PAIR, activation=F.relu), "expected an activation among quick_gelu, gelu"),
        (CLIP(replace(PAIR, eos_id=2)), "eos_id 2 means the largest id"),
        (Captioner(replace(CAPTION, d_model=32)), "a projection between encoder and decoder"),
    ]:
        with pytest.raises(ValueError, match=message):
            to_hugging_face(model)


def test_missing_and_surplus_names_are_all_listed() -> None:
    config, state = to_hugging_face(MODELS[6])
    state["model.encoder.conv3.bias"] = state.pop("model.encoder.conv1.bias")
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"] + 1
    message = (
        r"missing: model\.encoder\.conv1\.bias; surplus: model\.encoder\.conv3\.bias; "
        r"unequal: proj_out\.weight differs from model\.decoder\.embed_tokens\.weight"
    )
    with pytest.raises(ValueError, match=message):
        from_hugging_face(config, state)


def test_a_caption_model_needs_its_marks() -> None:
    config, state = to_hugging_face(MODELS[7])
    bare = {**config, "eos_token_id": None, "decoder": {**config["decoder"], "eos_token_id": None}}
    with pytest.raises(ValueError, match="config: expected one of eos_token_id; got none"):
        from_hugging_face(bare, state)
