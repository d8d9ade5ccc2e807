"""Models that see and hear make their helper tensors where their input is: seen on meta."""

from __future__ import annotations

import torch

from attention_guide.functional import filter_bank_energies, log_mel_spectrogram
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
    contrastive_loss,
)

IMAGE = ViTConfig(8, 4, n_classes=3, d_model=16, n_heads=2, d_ff=24, n_layers=2, n_registers=1)
SOUND = ASTConfig(16, 24, 8, 4, 4, n_classes=3, d_model=16, n_heads=2, d_ff=24, n_layers=2)
PAIR = CLIPConfig(20, 8, 19, 16, 2, 1, 8, 4, 3, 16, 2, 1, 12)
SPEECH = WhisperConfig(20, 8, 10, 12, 16, 2, 24, 1, 1, pad_id=0, bos_id=1, eos_id=2)
CAPTION = CaptionerConfig(20, IMAGE, max_len=12, d_model=16, n_heads=2, d_ff=24, n_layers=1)


def on_meta(*shape: int) -> torch.Tensor:
    return torch.zeros(*shape, device="meta")


def test_encoders() -> None:
    images = on_meta(2, 3, 8, 8)
    assert ViT(IMAGE).to("meta")(images).device.type == "meta"
    # Another size: positions are interpolated.
    assert ViT(IMAGE).to("meta")(on_meta(2, 3, 12, 8)).device.type == "meta"
    assert AST(SOUND).to("meta")(on_meta(2, 24, 16)).device.type == "meta"
    assert CLIP(PAIR).to("meta").embed_images(images).device.type == "meta"
    assert contrastive_loss(on_meta(3, 3)).device.type == "meta"


def test_decoders_with_padding_and_cache() -> None:
    for model, source in [
        (Whisper(SPEECH), on_meta(2, 8, 20)),
        (Captioner(CAPTION), on_meta(2, 3, 8, 8)),
    ]:
        model = model.to("meta").eval()
        ids = on_meta(2, 3).long()
        with torch.no_grad():
            assert model(source, ids).device.type == "meta"
            memory, cache = model.encode(source), model.decoder.new_cache(8)
            for step, n in enumerate((3, 4, 5)):
                new = ids if step == 0 else ids[:, :1]
                padding = on_meta(2, n).bool()
                logits = model.decode(new, memory, padding=padding, cache=cache)
                assert logits.device.type == "meta"
            start = model.decoding(source, room=4)
            assert start(ids, None).shape == (2, 20)


def test_spectrograms() -> None:
    assert log_mel_spectrogram(on_meta(2, 1600)).device.type == "meta"
    assert filter_bank_energies(on_meta(2, 1600)).device.type == "meta"


def test_models_run_in_bfloat16() -> None:
    images, sound = torch.randn(2, 3, 8, 8).bfloat16(), torch.randn(2, 8, 20).bfloat16()
    texts = torch.tensor([[5, 19], [19, 3]])
    assert ViT(IMAGE).bfloat16()(images).dtype == torch.bfloat16
    assert ViT(IMAGE).bfloat16()(torch.randn(2, 3, 12, 8).bfloat16()).dtype == torch.bfloat16
    assert CLIP(PAIR).bfloat16()(images, texts).dtype == torch.bfloat16
    assert AST(SOUND).bfloat16()(torch.randn(2, 24, 16).bfloat16()).dtype == torch.bfloat16
    model = Whisper(SPEECH).bfloat16().eval()
    assert model(sound, texts).dtype == torch.bfloat16
    assert model.generate(sound, max_new=3).dtype == torch.long
