"""The Audio Spectrogram Transformer: overlapping patches, two class tokens."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from attention_guide import AttentionRecorder
from attention_guide.models import AST, ASTConfig

TINY = ASTConfig(
    n_mels=16, n_frames=24, patch_size=8, mel_stride=4, frame_stride=2, n_classes=5,
    d_model=16, n_heads=2, d_ff=32, n_layers=2,
)  # fmt: skip


def test_shapes_and_maps() -> None:
    model, sound = AST(TINY).eval(), torch.randn(2, 24, 16)
    n = 2 + 3 * 9
    assert model.encode(sound).shape == (2, n, 16)
    with AttentionRecorder(model) as maps:
        assert model(sound).shape == (2, 5)
    assert [tuple(w.shape) for w in maps.values()] == [(2, 2, n, n)] * 2
    assert AST(replace(TINY, n_classes=0))(sound).shape == (2, 16)


def test_patches_go_over_all_frames_first() -> None:
    model = AST(replace(TINY, frame_stride=8)).double()
    torch.nn.init.zeros_(model.tokens.positions.weight)
    sound = torch.randn(1, 24, 16, dtype=torch.float64)
    first = model.tokens(sound.transpose(1, 2)[:, None])
    louder = sound.clone()
    louder[:, 8:16, :4] += 1  # the lowest mels of the second stretch of time: patch 1 alone
    second = model.tokens(louder.transpose(1, 2)[:, None])
    assert (first != second).any(dim=-1).nonzero()[:, 1].tolist() == [2 + 1]


def test_the_result_is_the_mean_of_both_class_tokens() -> None:
    tokens = torch.randn(2, 9, 16)
    assert torch.allclose(AST(TINY).pool(tokens), (tokens[:, 0] + tokens[:, 1]) / 2)


def test_other_lengths_are_read_with_interpolated_positions() -> None:
    model = AST(TINY)
    assert model(torch.randn(1, 40, 16)).shape == (1, 5)
    assert model(torch.randn(1, 8, 16)).shape == (1, 5)


def test_every_parameter_learns() -> None:
    model = AST(TINY)
    model(torch.randn(2, 24, 16)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


def test_ten_seconds_are_as_many_patches_as_the_paper_says() -> None:
    with torch.device("meta"):
        model = AST(ASTConfig())
    # Section 2.1: N = 12 ⌈(100 t − 16) / 10⌉ patches, t being 10.24 s here.
    assert model.tokens.positions.weight.shape == (2 + 1212, 768)


def test_one_config_of_at_most_fifteen_fields() -> None:
    assert len(fields(ASTConfig)) <= 15
    for change, message in [
        ({"n_heads": 3}, "n_heads: expected a divisor of d_model = 16"),
        ({"n_heads": 0}, "n_heads: expected an int of at least 1; got 0"),
        ({"n_layers": -1}, "n_layers: expected an int of at least 1; got -1"),
        ({"n_mels": 7}, "n_mels: expected at least patch_size = 8"),
        ({"frame_stride": 9}, "frame_stride: expected 1 to patch_size = 8"),
    ]:
        with pytest.raises(ValueError, match=message):
            replace(TINY, **change)


def test_wrong_inputs_say_what_is_wrong() -> None:
    model = AST(TINY)
    for wrong in (torch.randn(2, 24, 15), torch.randn(2, 7, 16), torch.randn(24, 16)):
        with pytest.raises(ValueError, match="M = 16 and at least 8 frames"):
            model(wrong)
    with pytest.raises(TypeError, match="spectrogram: expected a floating-point tensor"):
        model(torch.zeros(2, 24, 16, dtype=torch.long))
