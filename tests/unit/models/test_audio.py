"""The speech encoder–decoder: shapes, sinusoids, decoding with and without a cache."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch

from attention_guide import AttentionRecorder
from attention_guide.functional import sinusoidal
from attention_guide.models import (
    SpeechStem,
    Whisper,
    WhisperConfig,
    generate,
    left_pad,
    stacked_sinusoids,
    stream,
)

TINY = WhisperConfig(
    vocab_size=20, n_mels=8, n_positions=10, max_len=12, d_model=16, n_heads=2, d_ff=32,
    n_encoder_layers=2, n_decoder_layers=2, pad_id=0, bos_id=1, eos_id=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def model() -> Whisper:
    torch.manual_seed(0)
    model = Whisper(TINY).double().eval()
    # Drawn as they start, all positions say nearly the same and greedy text is one token.
    torch.nn.init.normal_(model.decoder.positions.weight)
    return model


@pytest.fixture(scope="module")
def sound() -> torch.Tensor:
    return torch.randn(3, 8, 20, dtype=torch.float64)


def test_shapes_and_maps(model: Whisper, sound: torch.Tensor) -> None:
    text = torch.tensor([[1, 5, 6, 7]]).expand(3, 4)
    with AttentionRecorder(model) as maps:
        assert model(sound, text).shape == (3, 4, 20)
    shapes = {name: tuple(w.shape[1:]) for name, w in maps.items()}
    assert shapes["encoder.blocks.1.self_attention"] == (2, 10, 10)
    assert shapes["decoder.blocks.0.self_attention"] == (2, 4, 4)
    assert shapes["decoder.blocks.1.cross_attention"] == (2, 4, 10)
    assert model.encode(sound[..., :13]).shape == (3, 7, 16)


def test_keys_have_no_bias_and_need_none(model: Whisper, sound: torch.Tensor) -> None:
    attention = model.encoder.blocks[0].self_attention
    assert attention.k_proj.bias is None
    memory = model.encode(sound)
    attention.k_proj.bias = torch.nn.Parameter(torch.randn(16, dtype=torch.float64))
    try:
        assert torch.allclose(memory, model.encode(sound), atol=1e-12)
    finally:
        attention.k_proj.bias = None


def test_sinusoids_are_the_2017_ones_in_another_order_and_pace() -> None:
    table = stacked_sinusoids(50, 8).double()
    reference = sinusoidal(50, 8, dtype=torch.float64)
    # The first wave has frequency 1 in both.
    assert torch.allclose(table[:, [0, 4]], reference[:, :2], atol=1e-6)
    # The last has 1/10000 here, a little more there.
    angle = torch.arange(50, dtype=torch.float64) / 10_000
    assert torch.allclose(table[:, 3], angle.sin(), atol=1e-6)
    assert (reference[1:, 6] > table[1:, 3]).all()


def test_sinusoids_want_an_even_width() -> None:
    for width in (2, 5):
        with pytest.raises(ValueError, match="d_model: expected an even number from 4"):
            stacked_sinusoids(3, width)


def test_the_stem_halves_time() -> None:
    stem = SpeechStem(8, 16, 10)
    assert stem(torch.randn(1, 8, 20)).shape == (1, 10, 16)
    assert not any("positions" in name for name, _ in stem.named_parameters())
    assert "positions" in stem.state_dict()


def test_the_same_text_with_and_without_cache(model: Whisper, sound: torch.Tensor) -> None:
    cached, whole = model.generate(sound), model.generate(sound, cached=False)
    assert torch.equal(cached, whole)
    assert cached.shape[1] <= 12  # all are read but the last
    prompt = torch.tensor([[1, 5], [1, 6], [1, 7]])
    written = model.generate(sound, prompt, max_new=5)
    assert torch.equal(written, generate(model, prompt, 5, source=sound, eos_id=2, pad_id=0))
    streamed = list(stream(model, prompt, 5, source=sound, eos_id=2, pad_id=0))
    assert torch.equal(written, torch.stack(streamed, dim=1))


def test_greedy_text_is_what_the_logits_say(model: Whisper, sound: torch.Tensor) -> None:
    written = model.generate(sound, max_new=6)
    text = torch.cat([torch.ones(3, 1, dtype=torch.long), written[:, :-1]], dim=1)
    likeliest = model(sound, text).argmax(-1)
    for row, wanted in zip(written.tolist(), likeliest.tolist(), strict=True):
        n = row.index(2) + 1 if 2 in row else len(row)
        assert row[:n] == wanted[:n]
        assert set(row[n:]) <= {0}


def test_padded_prompts_write_what_each_writes_alone(model: Whisper, sound: torch.Tensor) -> None:
    prompts = [[1, 5, 6, 7], [1], [1, 9]]
    ids, padding = left_pad(prompts)
    for cached in (True, False):
        together = generate(model, ids, 5, source=sound, padding=padding, cached=cached)
        for row, prompt in enumerate(prompts):
            one = generate(model, torch.tensor([prompt]), 5, source=sound[row : row + 1])
            assert torch.equal(together[row : row + 1], one)


def test_every_parameter_learns() -> None:
    model = Whisper(TINY)
    text = torch.tensor([[1, 5, 6, 7]])
    logits = model(torch.randn(1, 8, 20), text)
    torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), text[0, 1:]).backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


def test_whisper_tiny_has_the_size_of_the_published_one() -> None:
    with torch.device("meta"):
        model = Whisper(WhisperConfig())
    encoder = [*model.stem.state_dict().values(), *model.encoder.parameters()]
    # A model card of the published encoder's weights, sinusoids included, counts 8,208,384.
    assert sum(x.numel() for x in encoder) == 8_208_384
    # The paper's table 1 says 39M for the whole; the weights that are learned are 4.7 % fewer.
    learned = sum(p.numel() for p in model.parameters())
    assert learned == 37_184_640
    assert abs(learned / 39e6 - 1) < 0.05


def test_one_config_of_at_most_fifteen_fields() -> None:
    assert len(fields(WhisperConfig)) <= 15
    for change, message in [
        ({"n_heads": 3}, "n_heads: expected a divisor of d_model = 16"),
        ({"eos_id": 20}, "eos_id: expected 0 to 19"),
        ({"d_model": 2}, "d_model: expected an even number from 4"),
        ({"n_heads": 0}, "n_heads: expected an int of at least 1; got 0"),
        ({"n_encoder_layers": -1}, "n_encoder_layers: expected an int of at least 1; got -1"),
        ({"n_positions": 0}, "n_positions: expected an int of at least 1; got 0"),
    ]:
        with pytest.raises(ValueError, match=message):
            replace(TINY, **change)


def test_wrong_inputs_say_what_is_wrong(model: Whisper, sound: torch.Tensor) -> None:
    text = torch.ones(3, 1, dtype=torch.long)
    for wrong in (sound[:, :7], torch.cat([sound, sound], dim=2), sound[0]):
        with pytest.raises(ValueError, match="M = 8 and 1 to 20 frames"):
            model(wrong, text)
    with pytest.raises(TypeError, match="spectrogram: expected a floating-point tensor"):
        model(torch.zeros(3, 8, 20, dtype=torch.long), text)
    with pytest.raises(TypeError, match=r"spectrogram: expected torch\.float64, .* weights"):
        model(sound.float(), text)
    with pytest.raises(ValueError, match=r"spectrogram: expected device cpu, .*; got meta"):
        model(sound.to("meta"), text)
    with pytest.raises(ValueError, match=r"memory: expected \(B, S, M\) with B = 2"):
        model(sound, text[:2])
    with pytest.raises(ValueError, match="at most max_len = 12 tokens; got 13"):
        model(sound, text.expand(3, 13))
    with pytest.raises(ValueError, match="room: expected at most max_len = 12; got 13"):
        model.generate(sound, max_new=13)
    memory = model.encode(sound)
    with pytest.raises(TypeError, match=r"padding: expected torch\.bool"):
        model.decode(text, memory, padding=text)
    with pytest.raises(ValueError, match=r"padding: expected \(B, N\) = \(3, 1\)"):
        model.decode(text, memory, padding=torch.ones(3, 2, dtype=torch.bool))
