"""Edges that a one-character mistake would move: found by `python -m benchmarks mutation`."""

from __future__ import annotations

import importlib
import inspect
import math
import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attention_guide import functional
from attention_guide.functional import (
    MaskPolarityWarning,
    alibi_slopes,
    attention,
    blocked_attention,
    convert_rope_weight,
    filter_bank_energies,
    generate,
    global_local_mask,
    log_mel_spectrogram,
    mel_filters,
    merge_partials,
    min_p,
    ntk_base,
    rope_frequencies,
    sinusoidal,
    suspect_polarity,
    t5_buckets,
    to_hf_4d,
    to_sdpa,
    top_p,
    yarn_attention_factor,
    yarn_frequencies,
)
from attention_guide.functional.blocked import key_range


def heads(h: int, t: int, width: int) -> Tensor:
    return torch.randn(1, h, t, width, dtype=torch.float64)


@pytest.fixture
def fused(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What torch's fused attention is called with."""
    calls: list[dict[str, Any]] = []
    inner = F.scaled_dot_product_attention

    def call(q: Tensor, k: Tensor, v: Tensor, **options: Any) -> Tensor:
        calls.append({"heads": q.shape[1], **options})
        return inner(q, k, v, **options)

    monkeypatch.setattr(F, "scaled_dot_product_attention", call)
    return calls


def test_torch_is_told_of_causal_and_given_no_mask_where_it_agrees(fused: Any) -> None:
    q = heads(2, 4, 8)
    attention(q, q, q, causal=True, kernel="sdpa")
    assert fused[-1]["is_causal"] is True
    assert fused[-1].get("attn_mask") is None
    attention(q[:, :, :2], q, q, causal=True, kernel="sdpa")
    assert fused[-1]["is_causal"] is False
    assert fused[-1]["attn_mask"] is not None


def test_without_a_mask_a_group_becomes_queries_and_only_a_group(fused: Any) -> None:
    q, k = heads(4, 3, 8), heads(2, 5, 8)
    attention(q, k, k, kernel="sdpa")
    assert fused[-1]["heads"] == 2
    assert not fused[-1].get("enable_gqa")
    attention(q, q, q, kernel="sdpa")
    assert fused[-1]["heads"] == 4
    assert not fused[-1].get("enable_gqa")
    attention(q, k, k, mask=torch.ones(3, 5).bool(), kernel="sdpa")
    assert fused[-1]["enable_gqa"] is True


@pytest.mark.parametrize(
    ("shapes", "asks"),
    [
        (((1, 1, 1), (1, 1, 1), (1, 1, 1)), True),
        (((2, 3, 8), (2, 5, 8), (2, 5, 8)), True),
        (((2, 0, 8), (2, 5, 8), (2, 5, 8)), False),
        (((2, 3, 8), (2, 0, 8), (2, 0, 8)), False),
        (((2, 3, 8), (2, 5, 8), (2, 5, 0)), False),
    ],
)
def test_only_where_nothing_is_to_compute_nobody_chooses(
    shapes: tuple[tuple[int, int, int], ...], asks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = importlib.import_module("attention_guide.functional.attention")
    asked = []
    choose = module._choose
    monkeypatch.setattr(module, "_choose", lambda *a: asked.append(a) or choose(*a))
    q, k, v = (heads(*shape) for shape in shapes)
    assert attention(q, k, v).shape == (*q.shape[:3], v.shape[3])
    assert bool(asked) is asks


@pytest.mark.parametrize(
    ("place", "causal", "window", "keys"),
    [
        ((64, 128, 256, 256), False, (10, 10), (54, 138)),
        ((64, 128, 256, 256), True, (10, 10), (54, 128)),
        ((0, 64, 256, 256), True, None, (0, 64)),
        ((0, 2, 4, 10), True, (3, 0), (3, 8)),
        ((0, 2, 4, 10), False, (None, 1), (0, 9)),
        ((2, 4, 4, 10), False, (1, None), (7, 10)),
        ((2, 4, 4, 10), False, None, (0, 10)),
        ((0, 2, 8, 3), True, None, (0, 0)),
    ],
)
def test_a_block_reads_the_keys_that_it_sees(
    place: tuple[int, int, int, int], causal: bool, window: Any, keys: tuple[int, int]
) -> None:
    assert key_range(*place, causal, window) == keys


def test_a_bias_may_be_a_single_number() -> None:
    q = heads(1, 70, 4)
    got = blocked_attention(q, q, q, bias=torch.tensor(3.0, dtype=torch.float64))
    assert torch.allclose(got, attention(q, q, q, kernel="reference"))


def test_hugging_face_gets_finite_numbers_only() -> None:
    bias = to_hf_4d(torch.ones(3, 3).tril().bool(), torch.float16)
    assert bias.isfinite().all()
    assert bias.min() == torch.finfo(torch.float16).min


@pytest.mark.parametrize("keep", [top_p, min_p])
@pytest.mark.parametrize("p", [1.5, 1.0001, 0.0, -0.1])
def test_a_share_is_above_nothing_and_at_most_all(keep: Any, p: float) -> None:
    with pytest.raises(ValueError, match="p: expected"):
        keep(torch.zeros(1, 3), p)


def test_two_global_tokens_see_each_other() -> None:
    chosen = torch.zeros(1, 9).bool()
    chosen[0, [0, 8]] = True
    mask = global_local_mask(chosen, 1, 1)[0, 0]
    assert mask[0, 8]
    assert mask[8, 0]
    assert mask[0].all()
    assert mask[:, 8].all()
    assert not mask[2, 6]


@pytest.mark.parametrize("shape", [(1, 2, 2), (1, 2, 4), (1, 1, 3), (2, 2, 3), (1, 2)])
def test_sums_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="log_sums"):
        merge_partials([torch.zeros(1, 2, 3, 4)], [torch.zeros(shape)])


@pytest.mark.parametrize("ndim", [2, 3, 4])
def test_padding_alone_is_noticed_whatever_the_rank(ndim: int) -> None:
    tokens = torch.tensor([[5, 6, 0]])
    mask = (tokens == 0).expand(2, 3).reshape(*[1] * (ndim - 2), 2, 3)
    assert suspect_polarity(mask, tokens=tokens, pad_id=0) == "lets only padding be seen"
    assert suspect_polarity(~mask, tokens=tokens, pad_id=0) is None
    assert suspect_polarity(mask[..., :0], tokens=tokens[:, :0], pad_id=0) is None


def test_the_warning_points_at_the_caller() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        to_sdpa(torch.ones(3, 3).triu(1).bool())
    assert [w.category for w in caught] == [MaskPolarityWarning]
    assert caught[0].filename == __file__


def test_no_position_is_no_row() -> None:
    assert sinusoidal(0, 8).shape == (0, 8)


@pytest.mark.parametrize("n", [3, 5, 6, 7, 12, 15, 20, 31])
def test_slopes_between_powers_are_every_second_of_twice_as_many(n: int) -> None:
    lower = 2 ** int(math.log2(n))
    more = alibi_slopes(2 * lower)[::2][: n - lower]
    assert torch.equal(alibi_slopes(n), torch.cat([alibi_slopes(lower), more]))


@pytest.mark.parametrize("causal", [False, True])
def test_buckets_are_exact_then_logarithmic(causal: bool) -> None:
    n, farthest = 32, 128
    side = n if causal else n // 2
    exact = side // 2
    for far in range(200):
        wanted = far
        if far >= exact:
            share = math.log(far / exact) / math.log(farthest / exact) * (side - exact)
            if abs(share - round(share)) < 1e-4:
                continue  # on the edge of a bucket, the last digit decides
            wanted = min(exact + int(share), side - 1)
        got = t5_buckets(torch.tensor([-far, far]), causal=causal)
        assert got[0] == wanted, far
        assert got[1] == (0 if causal else wanted + side * (far > 0))


@pytest.mark.parametrize(("causal", "multiple"), [(True, 2), (False, 4)])
def test_buckets_come_in_multiples(causal: bool, multiple: int) -> None:
    with pytest.raises(ValueError, match=f"a multiple of {multiple}; got {multiple + 1}"):
        t5_buckets(torch.tensor([1]), n_buckets=multiple + 1, causal=causal)


@pytest.mark.parametrize("width", [3, 6])
def test_only_an_even_part_of_a_head_can_be_reordered(width: int) -> None:
    with pytest.raises(ValueError, match=f"even number up to K = 4; got {width}"):
        convert_rope_weight(torch.zeros(8, 2), 2, to="half", width=width)


def test_a_factor_below_one_shortens() -> None:
    assert ntk_base(100.0, 0.5, 4) == 100.0 * 0.5**2
    assert yarn_attention_factor(0.5) == 1.0
    assert yarn_attention_factor(math.e) == pytest.approx(1.1)


def test_a_frame_is_centred_sharpened_and_windowed_evenly() -> None:
    frame = torch.randn(400, dtype=torch.float64).numpy()
    centred = frame - frame.mean()
    sharp = centred - 0.97 * np.concatenate([centred[:1], centred[:-1]])
    power = np.abs(np.fft.rfft(sharp * np.hanning(400), 512)) ** 2  # zero at both ends
    filters = mel_filters(40, 512, 16_000, lowest=20.0, scale="kaldi", dtype=torch.float64)
    wanted = np.log(filters.numpy() @ power)
    got = filter_bank_energies(torch.from_numpy(frame), n_mels=40)
    assert np.allclose(got[0].numpy(), wanted, atol=1e-9)


def test_slaney_s_scale_goes_there_and_back() -> None:
    """Straight up to 1000 Hz at mel 15; from there a factor of 6.4 in 27 mels."""
    module = importlib.import_module("attention_guide.functional.spectrogram")
    hertz = torch.tensor([0.0, 200.0, 1000.0, 6400.0, 950.0, 1050.0], dtype=torch.float64)
    mels = module._to_mel(hertz, "slaney")
    assert mels[:4].tolist() == pytest.approx([0.0, 3.0, 15.0, 42.0])
    assert torch.allclose(module._slaney_to_hertz(mels), hertz)


@pytest.mark.parametrize("frame", [400, 512])
def test_a_frame_is_padded_to_a_power_of_two(frame: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    inner = torch.fft.rfft
    monkeypatch.setattr(torch.fft, "rfft", lambda x: lengths.append(x.shape[-1]) or inner(x))
    filter_bank_energies(torch.randn(800), frame=frame)
    assert lengths == [512]


def test_no_operand_is_without_a_name() -> None:
    for name in functional.__all__:
        if inspect.isfunction(function := getattr(functional, name)):
            kinds = {p.kind for p in inspect.signature(function).parameters.values()}
            assert inspect.Parameter.POSITIONAL_ONLY not in kinds, name
    operands = [*heads(1, 2, 4).expand(3, 1, 1, 2, 4), torch.ones(2, 2).bool()]
    with pytest.raises(TypeError, match="positional"):
        attention(*operands)


@pytest.mark.parametrize("s", [3, 200])
def test_a_bias_of_one_axis_is_cut_with_the_keys(s: int) -> None:
    q, bias = heads(2, s, 4), torch.randn(s, dtype=torch.float64)
    allowed = torch.arange(s) != 1
    wanted = attention(q, q, q, bias=bias, mask=allowed, causal=True, kernel="reference")
    for kernel in (None, "blocked", "sdpa", "online"):
        found = attention(q, q, q, bias=bias, mask=allowed, causal=True, kernel=kernel)
        assert torch.allclose(found, wanted)


def test_sequences_end_one_by_one() -> None:
    """Three sequences of two tokens: what has ended is counted for each sequence."""

    def count_up(tokens: Tensor) -> Tensor:
        return F.one_hot(tokens[:, -1] + 1, 9).float()

    prefix = torch.tensor([[0, 1], [0, 3], [0, 2]])
    found = generate(count_up, prefix, 9, eos_id=4, pad_id=0)
    assert found.tolist() == [[0, 1, 2, 3, 4], [0, 3, 4, 0, 0], [0, 2, 3, 4, 0]]


def test_two_positions_that_see_each_other_only() -> None:
    mask = torch.tensor([[False, True], [True, False]])
    assert suspect_polarity(mask) == "lets no query see itself"


def test_one_pair_of_features_is_rotated() -> None:
    weight = torch.arange(5.0)
    assert convert_rope_weight(weight, 1, to="half", width=2).tolist() == [0, 1, 2, 3, 4]
    assert convert_rope_weight(weight, 1, to="half", width=4).tolist() == [0, 2, 1, 3, 4]


def test_filters_reach_half_the_sample_rate() -> None:
    assert torch.equal(mel_filters(8, 64, 8000), mel_filters(8, 64, 8000, highest=4000.0))
    assert torch.equal(
        mel_filters(8, 64, 8000, scale="kaldi"),
        mel_filters(8, 64, 8000, scale="kaldi", highest=4000.0),
    )


def test_features_of_speech_are_those_of_sixteen_thousand_samples_a_second() -> None:
    wave = torch.sin(torch.arange(4000) / 3)
    assert torch.equal(log_mel_spectrogram(wave), log_mel_spectrogram(wave, sample_rate=16_000))


def test_the_ramp_by_index_runs_between_the_pairs_that_turn_32_times_and_once() -> None:
    """64 · ln(2048 / (2π · turns)) / (2 · ln 10000) is 8.06 for 32 turns and 20.11 for one."""
    shares = yarn_frequencies(64, 4.0, 2048, ramp="index") / rope_frequencies(64)
    assert shares[:9].tolist() == [1.0] * 9
    assert (shares[9:21].diff() < 0).all()
    assert 0.25 < shares[20] < shares[9] < 1
    assert shares[21:].tolist() == [0.25] * 11
