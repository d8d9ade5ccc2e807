"""Models that hear against Hugging Face's: random tiny configurations, weights copied.

Whisper, the Audio Spectrogram Transformer, and the spectrograms that they read.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from attention_guide.checkpoints import (
    load_hugging_face,
    save_hugging_face,
)
from attention_guide.functional import filter_bank_energies, log_mel_spectrogram, mel_filters
from attention_guide.models import AST, ASTConfig, Whisper, WhisperConfig, generate
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
audio_utils = pytest.importorskip("transformers.audio_utils")

Record = Callable[..., None]
# No padding in it: their embedding gives the row of `pad_token_id` no gradient.
TEXT = torch.tensor([[1, 5, 6, 7, 3], [1, 9, 4, 2, 8], [1, 11, 12, 13, 14]])
# Prompts of different lengths, filled up on the left.
PROMPTS = torch.tensor([[0, 0, 1], [1, 5, 6], [0, 1, 9]])
REAL = torch.tensor([[0, 0, 1], [1, 1, 1], [0, 1, 1]]).bool()


def sound() -> Tensor:
    return torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(1)).to(
        torch.get_default_dtype()
    )


def whisper() -> nn.Module:
    config = transformers.WhisperConfig(
        vocab_size=29, num_mel_bins=8, encoder_layers=3, decoder_layers=2, d_model=32,
        encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=48,
        decoder_ffn_dim=48, max_source_positions=10, max_target_positions=16, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, begin_suppress_tokens=None,
        suppress_tokens=None, attn_implementation="eager",
    )  # fmt: skip
    return tiny(lambda: transformers.WhisperForConditionalGeneration(config))


def ast() -> nn.Module:
    config = transformers.ASTConfig(
        hidden_size=32, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48,
        patch_size=8, frequency_stride=4, time_stride=5, max_length=24, num_mel_bins=16,
        num_labels=5, attn_implementation="eager",
    )  # fmt: skip
    return tiny(lambda: transformers.ASTForAudioClassification(config))


@pytest.mark.parametrize("dtype", BOUNDS)
def test_whisper(dtype: str, parity_record: Record) -> None:
    def record(what: str, error: float) -> None:
        parity_record("transformers Whisper", what, dtype, error, BOUNDS[dtype])

    with computing_in(dtype):
        theirs, x = whisper(), sound()
        ours = ours_of(theirs)
        assert isinstance(ours, Whisper)
        expected = compare_writers(
            record, theirs, ours, ("input_features", x), TEXT,
            encoder="encoder",
            stacks={"encoder": ours.encoder.blocks, "decoder": ours.decoder.blocks},
        )  # fmt: skip
        memory = expected.encoder_last_hidden_state
        record("hidden states", worst([(ours.encode(x), memory)]))


@pytest.mark.parametrize("dtype", BOUNDS)
def test_whisper_step_by_step(dtype: str, parity_record: Record) -> None:
    """Logits of each token by the cache of each, and of all tokens at once without."""
    with computing_in(dtype), torch.no_grad():
        theirs, x = whisper(), sound()
        ours = ours_of(theirs)
        memory, cache, past = ours.encode(x), ours.decoder.new_cache(8), None
        pairs = []
        for t in range(TEXT.shape[1]):
            step = theirs(
                input_features=x, decoder_input_ids=TEXT[:, t : t + 1], past_key_values=past,
                use_cache=True,
            )  # fmt: skip
            past = step.past_key_values
            pairs.append((ours.decode(TEXT[:, t : t + 1], memory, cache=cache), step.logits))
        whole = ours(x, TEXT)
        pairs.append((torch.cat([got for got, _ in pairs], dim=1), whole))
        parity_record("transformers Whisper", "logits, cached", dtype, worst(pairs), BOUNDS[dtype])


def greedy(theirs: nn.Module, x: Tensor, cached: bool, prompt: Tensor, real: Tensor) -> Tensor:
    """Their greedy tokens: the plain loop that their other models use, without time stamps."""
    plain = transformers.generation.GenerationMixin.generate
    return plain(  # type: ignore[no-any-return]
        theirs, x, decoder_input_ids=prompt, decoder_attention_mask=real.long(),
        max_new_tokens=9, do_sample=False, num_beams=1, use_cache=cached,
    )[:, prompt.shape[1] :]  # fmt: skip


def talkative() -> nn.Module:
    """As drawn, one token is likeliest nearly everywhere; here place and sound say more."""
    theirs = whisper()
    with torch.no_grad():
        theirs.model.decoder.embed_positions.weight.mul_(30)
        for layer in theirs.model.decoder.layers:
            layer.encoder_attn.out_proj.weight.mul_(3)
            layer.encoder_attn.v_proj.weight.mul_(2)
    return theirs


def test_greedy_tokens() -> None:
    with computing_in("float64"):
        theirs, x = talkative(), sound()
        ours = ours_of(theirs)
        starts = TEXT[:, :1]
        for cached in (True, False):
            expected = greedy(theirs, x, cached, starts, torch.ones_like(starts))
            got = ours.generate(x, max_new=9, cached=cached)
            assert torch.equal(got, expected), f"cached={cached}"
        assert len(set(got.flatten().tolist())) > 3
        assert not torch.equal(got[0], got[1])


def test_greedy_tokens_of_padded_prompts() -> None:
    with computing_in("float64"):
        theirs, x = talkative(), sound()
        ours = ours_of(theirs)
        for cached in (True, False):
            expected = greedy(theirs, x, cached, PROMPTS, REAL)
            got = generate(
                ours, PROMPTS, 9, source=x, padding=REAL, cached=cached, eos_id=2, pad_id=0
            )
            assert torch.equal(got, expected), f"cached={cached}"


@pytest.mark.parametrize("dtype", BOUNDS)
def test_ast(dtype: str, parity_record: Record) -> None:
    def record(what: str, error: float) -> None:
        parity_record("transformers AST", what, dtype, error, BOUNDS[dtype])

    with computing_in(dtype):
        theirs, x = ast(), torch.randn(2, 24, 16)
        ours = ours_of(theirs)
        assert isinstance(ours, AST)
        expected = theirs(x, output_hidden_states=True, output_attentions=True)
        logits = ours(x)
        record("logits", worst([(logits, expected.logits)]))
        maps = recorded(ours, "self_attention", lambda: ours(x))
        record("attention", worst(list(zip(maps, expected.attentions, strict=True))))
        hidden = block_outputs(ours.encoder.blocks, lambda: ours(x))
        wanted = expected.hidden_states[1:]
        record("hidden states", worst(list(zip(hidden, wanted, strict=True))))
        direction = torch.randn_like(logits)
        losses = ((expected.logits * direction).sum(), (logits * direction).sum())
        record("gradients", gradient_error(theirs, ours, losses))


@pytest.mark.parametrize("make", [whisper, ast])
def test_round_trip_is_exact(make: Callable[[], nn.Module], tmp_path: Path) -> None:
    round_trip(make(), tmp_path)


def test_a_model_without_a_head_is_read_by_theirs(tmp_path: Path) -> None:
    ours = AST(ASTConfig(16, 24, 8, 4, 5, n_classes=0, d_model=32, n_heads=4, d_ff=48, n_layers=2))
    folder = save_hugging_face(ours.eval(), tmp_path)
    theirs = transformers.ASTModel.from_pretrained(folder, local_files_only=True).eval()
    x = torch.randn(2, 24, 16)
    assert (theirs(x).last_hidden_state - ours.encode(x)).abs().max() < 2e-5
    assert (theirs(x).pooler_output - ours(x)).abs().max() < 2e-5
    assert load_hugging_face(folder).config == ours.config


def test_sizes_at_the_published_configurations() -> None:
    """Counted by their code at the settings of whisper-tiny and of AudioSet's AST."""
    tiny_sizes = {
        **{f"{stack}_{name}": n for stack in ("encoder", "decoder")
           for name, n in (("layers", 4), ("attention_heads", 6), ("ffn_dim", 1536))},
        "d_model": 384, "vocab_size": 51865, "max_target_positions": 448,
    }  # fmt: skip
    with torch.device("meta"):
        theirs = transformers.WhisperForConditionalGeneration(
            transformers.WhisperConfig(**tiny_sizes)
        )
        ours = Whisper(WhisperConfig())
        heard = transformers.ASTForAudioClassification(transformers.ASTConfig(num_labels=527))
        ours_heard = AST(ASTConfig())
    sinusoids = ours.stem.positions.numel()
    assert count(theirs) == count(ours) + sinusoids == 37_760_640
    assert count(heard) == count(ours_heard)


def count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("n_mels", [80, 128])
def test_whispers_features(n_mels: int, parity_record: Record) -> None:
    extractor = transformers.WhisperFeatureExtractor(feature_size=n_mels)
    filters = mel_filters(n_mels, 400, 16_000, dtype=torch.float64)
    expected = torch.from_numpy(extractor.mel_filters.T)
    parity_record(
        "transformers WhisperFeatureExtractor", "mel filters", "float64",
        worst([(filters, expected)]), 1e-10,
    )  # fmt: skip
    torch.manual_seed(0)
    waveform = torch.randn(2, 16_000) * torch.linspace(0, 1, 16_000)
    found = extractor(
        [row.numpy() for row in waveform], sampling_rate=16_000, padding="longest",
        return_tensors="pt",
    ).input_features  # fmt: skip
    parity_record(
        "transformers WhisperFeatureExtractor", "features", "float32",
        worst([(log_mel_spectrogram(waveform, n_mels=n_mels), found)]), 2e-5,
    )  # fmt: skip
    in_float64 = audio_utils.spectrogram(
        waveform[0].double().numpy(), audio_utils.window_function(400, "hann"), frame_length=400,
        hop_length=160, power=2.0, mel_filters=extractor.mel_filters, log_mel="log10",
        dtype="float64",
    )[:, :-1]  # fmt: skip
    logs = torch.from_numpy(in_float64)
    wanted = (torch.maximum(logs, logs.max() - 8) + 4) / 4
    got = log_mel_spectrogram(waveform[0].double(), n_mels=n_mels)
    # Their transform keeps complex64 in between, whatever comes.
    assert worst([(got, wanted)]) < 2e-5


def test_asts_features(parity_record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their own transform, as where torchaudio isn't installed."""
    from transformers.models.audio_spectrogram_transformer import (
        feature_extraction_audio_spectrogram_transformer as module,
    )

    monkeypatch.setattr(module, "is_speech_available", lambda: False)
    with pytest.warns(UserWarning, match="all zero values"):  # 128 filters are many for 257 bins
        extractor = transformers.ASTFeatureExtractor(max_length=98, do_normalize=True)
    filters = mel_filters(128, 512, 16_000, lowest=20.0, scale="kaldi", dtype=torch.float64)
    expected = torch.from_numpy(extractor.mel_filters.T)
    parity_record(
        "transformers ASTFeatureExtractor", "mel filters", "float64",
        worst([(filters, expected)]), 1e-10,
    )  # fmt: skip
    torch.manual_seed(0)
    waveform = torch.randn(16_000) * torch.linspace(0, 1, 16_000)
    found = extractor(waveform.numpy(), sampling_rate=16_000, return_tensors="pt").input_values[0]
    energies = filter_bank_energies(waveform.double())
    got = (energies - extractor.mean) / (2 * extractor.std)
    parity_record(
        "transformers ASTFeatureExtractor", "features", "float32",
        worst([(got.float(), found.float())]), 2e-5,
    )  # fmt: skip
