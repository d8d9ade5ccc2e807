"""Models that see against Hugging Face's: random tiny configurations, weights copied.

ViT, its kin without class token (SigLIP) and with registers (DINOv2), CLIP, and the captioner.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attention_guide.checkpoints import (
    from_hugging_face,
    load_hugging_face,
    save_hugging_face,
)
from attention_guide.checkpoints._patches import newer_names
from attention_guide.checkpoints.rename import AnyRule, Ignored, expected_state, same, to_ours
from attention_guide.checkpoints.vit import RULES
from attention_guide.models import CLIP, Captioner, ViT, ViTConfig, contrastive_loss, generate
from tests.parity.hf_reference import (
    BOUNDS,
    block_outputs,
    compare_writers,
    computing_in,
    gradient_error,
    ours_of,
    recorded,
    round_trip,
    tiny,
    worst,
)

transformers = pytest.importorskip("transformers")

Record = Callable[..., None]
SIZES = {
    "hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 3, "intermediate_size": 48,
    "attn_implementation": "eager",
}  # fmt: skip
TOWER = SIZES | {"intermediate_size": 128}
TEXTS = torch.tensor([[5, 6, 19, 0, 0, 0], [7, 8, 9, 10, 11, 19], [19, 3, 4, 19, 2, 0]])
CAPTIONS = torch.tensor([[1, 5, 6, 7, 3], [1, 9, 4, 2, 0], [1, 11, 12, 13, 15]])


def images(n: int = 3) -> Tensor:
    return torch.randn(n, 3, 8, 12, generator=torch.Generator().manual_seed(1)).to(
        torch.get_default_dtype()
    )


def vit() -> nn.Module:
    config = transformers.ViTConfig(**SIZES, image_size=(8, 12), patch_size=4, num_labels=5)
    return tiny(lambda: transformers.ViTForImageClassification(config))


def clip(**text: Any) -> nn.Module:
    words = {"vocab_size": 20, "max_position_embeddings": 8, "eos_token_id": 19,
             "bos_token_id": None, "pad_token_id": None}  # fmt: skip
    config = transformers.CLIPConfig(
        text_config=TOWER | words | text,
        vision_config=TOWER | {"image_size": 8, "patch_size": 4},
        projection_dim=12,
        attn_implementation="eager",
    )
    return tiny(lambda: transformers.CLIPModel(config))


def captioner() -> nn.Module:
    config = transformers.VisionEncoderDecoderConfig.from_encoder_decoder_configs(
        transformers.ViTConfig(**SIZES, image_size=(8, 12), patch_size=4),
        transformers.GPT2Config(
            vocab_size=20, n_positions=16, n_embd=32, n_head=4, n_layer=2, bos_token_id=1,
            eos_token_id=14, pad_token_id=0, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
            attn_implementation="eager",
        ),
        decoder_start_token_id=1, pad_token_id=0, eos_token_id=14, attn_implementation="eager",
    )  # fmt: skip
    return tiny(lambda: transformers.VisionEncoderDecoderModel(config))


@pytest.mark.parametrize("dtype", BOUNDS)
def test_vit(dtype: str, parity_record: Record) -> None:
    with computing_in(dtype):
        theirs, x = vit(), images()
        ours = from_hugging_face(
            {**theirs.config.to_dict(), "architectures": ["ViTForImageClassification"]},
            theirs.state_dict(),
        )
        assert isinstance(ours, ViT)
        expected = theirs(x, output_hidden_states=True, output_attentions=True)
        logits = ours(x)

        def record(what: str, error: float) -> None:
            parity_record("transformers ViT", what, dtype, error, BOUNDS[dtype])

        record("logits", worst([(logits, expected.logits)]))
        maps = recorded(ours, "self_attention", lambda: ours(x))
        record("attention", worst(list(zip(maps, expected.attentions, strict=True))))
        hidden = [ours.tokens(x), *block_outputs(ours.encoder.blocks, lambda: ours(x))]
        record("hidden states", worst(list(zip(hidden, expected.hidden_states, strict=True))))
        direction = torch.randn_like(logits)
        losses = ((expected.logits * direction).sum(), (logits * direction).sum())
        record("gradients", gradient_error(theirs, ours, losses))


def test_vit_at_another_resolution(parity_record: Record) -> None:
    config = transformers.ViTConfig(**SIZES, image_size=8, patch_size=4, num_labels=5)
    with computing_in("float64"):
        theirs = tiny(lambda: transformers.ViTForImageClassification(config))
        x = torch.randn(2, 3, 16, 12)
        expected = theirs(x, interpolate_pos_encoding=True).logits
        error = worst([(ours_of(theirs)(x), expected)])
        parity_record("transformers ViT", "logits, other image size", "float64", error, 1e-10)


KIN_BLOCK = {
    **{f"self_attn.{x}_proj": f"self_attention.{x}_proj" for x in ("q", "k", "v", "out")},
    "layer_norm1": "attention_residual.norm",
    "layer_norm2": "feed_forward_residual.norm",
    "mlp.fc1": "feed_forward.up_proj",
    "mlp.fc2": "feed_forward.down_proj",
}
WITHOUT_CLASS_TOKEN: list[AnyRule] = [
    same("embeddings.patch_embedding.{p}", "tokens.patches.proj.{p}"),
    same("embeddings.position_embedding.{p}", "tokens.positions.{p}"),
    same("post_layernorm.{p}", "encoder.norm.{p}"),
    *(same(f"encoder.layers.{{i}}.{x}.{{p}}", f"encoder.blocks.{{i}}.{y}.{{p}}")
      for x, y in KIN_BLOCK.items()),
]  # fmt: skip


@pytest.mark.parametrize("dtype", BOUNDS)
def test_without_class_token(dtype: str, parity_record: Record) -> None:
    """SigLIP's image tower has none; what it pools by isn't ours, so tokens are compared."""
    config = transformers.SiglipVisionConfig(
        **SIZES, image_size=8, patch_size=4, hidden_act="gelu", vision_use_head=False
    )
    sizes = ViTConfig(8, 4, n_classes=0, d_model=32, n_heads=4, d_ff=48, n_layers=3)
    with computing_in(dtype):
        theirs = tiny(lambda: transformers.SiglipVisionModel(config))
        ours = ViT(replace(sizes, class_token=False)).to(torch.get_default_dtype())
        state = {n.removeprefix("vision_model."): x for n, x in theirs.state_dict().items()}
        ours.load_state_dict(to_ours(WITHOUT_CLASS_TOKEN, state, expected_state(ours)))
        x = torch.randn(2, 3, 8, 8)
        expected = theirs(x, output_attentions=True)
        error = worst([(ours.encode(x), expected.last_hidden_state)])
        parity_record("transformers SigLIP", "hidden states", dtype, error, BOUNDS[dtype])
        maps = recorded(ours, "self_attention", lambda: ours(x))
        error = worst(list(zip(maps, expected.attentions, strict=True)))
        parity_record("transformers SigLIP", "attention", dtype, error, BOUNDS[dtype])
        assert torch.equal(ours(x), ours.encode(x).mean(1))


@pytest.mark.parametrize("dtype", BOUNDS)
def test_with_registers(dtype: str, parity_record: Record) -> None:
    """DINOv2 with registers; its scales on the sublayers, which ours hasn't, are one."""
    config = transformers.Dinov2WithRegistersConfig(
        **{k: v for k, v in SIZES.items() if k != "intermediate_size"}, mlp_ratio=2,
        image_size=8, patch_size=4, num_register_tokens=2, layerscale_value=1.0,
    )  # fmt: skip
    sizes = ViTConfig(8, 4, n_classes=0, d_model=32, n_heads=4, d_ff=64, n_layers=3, n_registers=2)
    with computing_in(dtype):
        theirs = tiny(lambda: transformers.Dinov2WithRegistersModel(config))
        for name, parameter in theirs.named_parameters():
            if "layer_scale" in name:
                nn.init.ones_(parameter)
        state = newer_names({f"vit.{name}": x for name, x in theirs.state_dict().items()})
        for old, new in (("norm1", "layernorm_before"), ("norm2", "layernorm_after")):
            state = {name.replace(old, new): x for name, x in state.items()}
        registers = state.pop("vit.embeddings.register_tokens")
        ours = ViT(sizes).to(torch.get_default_dtype())
        wanted = {n: x for n, x in expected_state(ours).items() if n != "tokens.registers"}
        rules = [*RULES, Ignored(r"vit\.layers\..*layer_scale.*|vit\.embeddings\.mask_token")]
        loaded = to_ours(rules, state, wanted)
        ours.load_state_dict({**loaded, "tokens.registers": registers[0]})
        x = torch.randn(2, 3, 8, 8)
        expected = theirs(x, output_attentions=True)
        error = worst([(ours.encode(x), expected.last_hidden_state)])
        parity_record("transformers DINOv2 registers", "hidden states", dtype, error, BOUNDS[dtype])
        maps = recorded(ours, "self_attention", lambda: ours(x))
        error = worst(list(zip(maps, expected.attentions, strict=True)))
        parity_record("transformers DINOv2 registers", "attention", dtype, error, BOUNDS[dtype])


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("activation", ["quick_gelu", "gelu"])
def test_clip(activation: str, dtype: str, parity_record: Record) -> None:
    def record(what: str, error: float) -> None:
        parity_record(f"transformers CLIP, {activation}", what, dtype, error, BOUNDS[dtype])

    with computing_in(dtype):
        theirs = clip()
        for tower in (theirs.text_model, theirs.vision_model):
            for layer in tower.encoder.layers:
                layer.mlp.activation_fn = transformers.activations.ACT2FN[activation]
        settings = theirs.config.to_dict()
        for tower in ("text_config", "vision_config"):
            settings[tower]["hidden_act"] = activation
        ours = from_hugging_face(settings, theirs.state_dict())
        assert isinstance(ours, CLIP)
        x = images()[..., :8]
        asked = {"output_hidden_states": True, "output_attentions": True}
        expected = theirs(pixel_values=x, input_ids=TEXTS, return_loss=True, **asked)
        logits = ours(x, TEXTS)
        record("logits", worst([(logits, expected.logits_per_image)]))
        record("loss", worst([(contrastive_loss(logits), expected.loss)]))
        record(
            "embeddings",
            worst(
                [
                    (ours.embed_images(x), expected.image_embeds),
                    (ours.embed_texts(TEXTS), expected.text_embeds),
                ]
            ),
        )
        outputs = (("image", expected.vision_model_output), ("text", expected.text_model_output))
        for tower, output in outputs:
            maps = recorded(ours, f"{tower}_encoder", lambda: ours(x, TEXTS))
            record("attention", worst(list(zip(maps, output.attentions, strict=True))))
            blocks = getattr(ours, f"{tower}_encoder").blocks
            hidden = block_outputs(blocks, lambda: ours(x, TEXTS))
            record("hidden states", worst(list(zip(hidden, output.hidden_states[1:], strict=True))))
        losses = (expected.loss, contrastive_loss(logits))
        record("gradients", gradient_error(theirs, ours, losses))


def test_old_configurations_of_clip_mean_the_largest_id() -> None:
    theirs = clip(eos_token_id=2, bos_token_id=0)
    ours = ours_of(theirs)
    x = images()[..., :8]
    expected = theirs(pixel_values=x, input_ids=TEXTS).logits_per_image
    assert (ours(x, TEXTS) - expected).abs().max() < 2e-5


@pytest.mark.parametrize("dtype", BOUNDS)
def test_captioner(dtype: str, parity_record: Record) -> None:
    def record(what: str, error: float) -> None:
        parity_record("transformers ViT + GPT-2", what, dtype, error, BOUNDS[dtype])

    with computing_in(dtype):
        theirs, x = captioner(), images()
        ours = ours_of(theirs)
        assert isinstance(ours, Captioner)
        compare_writers(
            record, theirs, ours, ("pixel_values", x), CAPTIONS,
            encoder="vit", stacks={"decoder": ours.decoder.blocks},
        )  # fmt: skip


def test_captions_token_by_token() -> None:
    with computing_in("float64"):
        theirs, x = captioner(), images()
        with torch.no_grad():  # as drawn, one token is likeliest everywhere
            theirs.decoder.transformer.wpe.weight.mul_(30)
            for block in theirs.decoder.transformer.h:
                block.crossattention.c_proj.weight.mul_(3)
                block.crossattention.c_attn.weight.mul_(2)
        ours = ours_of(theirs)
        for cached in (True, False):
            expected = theirs.generate(
                pixel_values=x, max_new_tokens=9, do_sample=False, use_cache=cached, num_beams=1
            )[:, 1:]
            got = ours.generate(x, max_new=9, cached=cached)
            assert torch.equal(got, expected), f"cached={cached}"
        rows = [tuple(row) for row in got.tolist()]
        assert len(set(rows)) == 3
        assert len(set(rows[0])) > 3
        for picture, row in zip(x, rows, strict=True):
            alone = generate(ours, CAPTIONS[:1, :1], 9, source=picture[None], eos_id=14)[0]
            assert tuple(alone.tolist()) == row[: len(alone)]
            assert set(row[len(alone) :]) <= {0}
        assert any(14 in row for row in rows)  # some end before others


@pytest.mark.parametrize("make", [vit, clip, captioner])
def test_round_trip_is_exact(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    round_trip(make(), tmp_path, unused="pooler")


def test_a_model_without_a_head_is_read_by_theirs(tmp_path: Path) -> None:
    ours = ViT(ViTConfig(8, 4, n_classes=0, d_model=32, n_heads=4, d_ff=48, n_layers=2)).eval()
    folder = save_hugging_face(ours, tmp_path)
    theirs = transformers.ViTModel.from_pretrained(
        folder, local_files_only=True, add_pooling_layer=False
    ).eval()
    x = torch.randn(2, 3, 8, 8)
    assert (theirs(x).last_hidden_state - ours.encode(x)).abs().max() < 2e-5
    again = load_hugging_face(folder)
    assert again.config == ours.config
    assert torch.equal(again(x), ours(x))
