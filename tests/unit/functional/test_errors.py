"""Every wrong shape, dtype and argument gives our error: it names the argument and what came."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from attention_guide import functional as f

q, k, v = torch.randn(2, 4, 5, 8), torch.randn(2, 2, 7, 8), torch.randn(2, 2, 7, 3)
ints = torch.zeros(2, 4, 5, 8, dtype=torch.long)
f8 = torch.float8_e4m3fn
logits, tokens = torch.randn(2, 6), torch.zeros(2, 3, dtype=torch.long)

ATTENTION: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"q": [1.0]}, TypeError, r"q: expected a torch.Tensor; got list"),
    ({"q": ints}, TypeError, r"q: expected a floating-point tensor; got torch.int64"),
    ({"q": q.to(f8)}, TypeError, r"q: expected a floating-point tensor of at least 16 bits; got"),
    ({"q": q[0]}, ValueError, r"q: expected \(B, H, T, K\); got \(4, 5, 8\)"),
    ({"q": q[:, :0]}, ValueError, r"q: expected .* H and K at least 1; got \(2, 0, 5, 8\)"),
    ({"q": q[..., :0]}, ValueError, r"q: expected .* H and K at least 1; got \(2, 4, 5, 0\)"),
    ({"q": q.to_sparse()}, TypeError, r"q: expected a dense tensor; got torch.sparse_coo"),
    ({"k": None}, TypeError, r"k: expected a torch.Tensor; got NoneType"),
    ({"k": k[0]}, ValueError, r"k: expected \(B, G, S, K\); got \(2, 7, 8\)"),
    ({"k": k.double()}, TypeError, r"k: expected torch.float32, the dtype of q; got torch.float64"),
    ({"k": k.to("meta")}, ValueError, r"k: expected device cpu, that of q; got meta"),
    (
        {"k": k[:1]},
        ValueError,
        r"k: expected .* with B = 2 as in q; got \(1, 2, 7, 8\)",
    ),
    ({"k": k[..., :6]}, ValueError, r"k: expected .* with K = 8 as in q; got \(2, 2, 7, 6\)"),
    (
        {"k": k[:, [0, 1, 0]]},
        ValueError,
        r"k: expected .* G a divisor of H = 4; got \(2, 3,",
    ),
    ({"k": k[:, :0]}, ValueError, r"k: expected .* G a divisor of H = 4; got \(2, 0, 7, 8\)"),
    ({"v": v[0]}, ValueError, r"v: expected \(B, G, S, E\); got \(2, 7, 3\)"),
    ({"v": v.half()}, TypeError, r"v: expected torch.float32, the dtype of k; got torch.float16"),
    ({"v": v[:, :1]}, ValueError, r"v: expected .* with G = 2 as in k; got \(2, 1, 7, 3\)"),
    ({"v": v[:, :, :6]}, ValueError, r"v: expected .* with S = 7 as in k; got \(2, 2, 6, 3\)"),
    ({"mask": torch.zeros(5, 7)}, TypeError, r"mask: expected torch.bool \(True = may attend\)"),
    (
        {"mask": torch.ones(7, 5).bool()},
        ValueError,
        r"mask: expected a shape that broadcasts to \(B, H, T, S\) = \(2, 4, 5, 7\); got \(7, 5\)",
    ),
    ({"mask": torch.ones(2, 5, 7).bool()}, ValueError, r"mask: expected a shape that broadcasts"),
    ({"mask": torch.ones(3, 2, 4, 5, 7).bool()}, ValueError, r"mask: .*got \(3, 2, 4, 5, 7\)"),
    ({"mask": torch.ones(5, 7, device="meta").bool()}, ValueError, r"mask: expected device cpu"),
    ({"bias": torch.ones(5, 7).bool()}, TypeError, r"bias: expected a floating-point tensor"),
    ({"bias": torch.ones(4, 7)}, ValueError, r"bias: expected a shape that broadcasts"),
    ({"bias": torch.ones(5, 7, device="meta")}, ValueError, r"bias: expected device cpu"),
    ({"causal": "no"}, TypeError, r"causal: expected True or False; got str"),
    ({"causal": torch.tensor([True, False])}, TypeError, r"causal: expected True or False; got T"),
    ({"window": 3}, TypeError, r"window: expected a pair \(left, right\); got 3"),
    ({"window": (1, 2, 3)}, TypeError, r"window: expected a pair"),
    ({"window": (-1, 0)}, ValueError, r"window\[0\]: expected an int of at least 0; got -1"),
    ({"window": (0, 1.5)}, TypeError, r"window\[1\]: expected an int; got float"),
    ({"window": (10**20, 0)}, ValueError, r"window\[0\]: expected an int of at most 4611"),
    ({"scale": 10**400}, ValueError, r"scale: expected a finite number; got 1000"),
    ({"scale": "big"}, TypeError, r"scale: expected a number; got str"),
    ({"scale": float("nan")}, ValueError, r"scale: expected a finite number; got nan"),
    ({"softcap": 0.0}, ValueError, r"softcap: expected a number above 0; got 0.0"),
    ({"softcap": True}, TypeError, r"softcap: expected a number; got bool"),
    (
        {"sinks": torch.zeros(3)},
        ValueError,
        r"sinks: expected \(H\) with H = 4 .*got \(3,\)",
    ),
    ({"sinks": torch.zeros(4, 1)}, ValueError, r"sinks: expected \(H\); got \(4, 1\)"),
    ({"sinks": torch.zeros(4).long()}, TypeError, r"sinks: expected a floating-point tensor"),
    ({"dropout": 1.0}, ValueError, r"dropout: expected a number below 1; got 1.0"),
    ({"dropout": -0.1}, ValueError, r"dropout: expected a number at least 0; got -0.1"),
]


@pytest.mark.parametrize("kernel", [None, "reference", "blocked", "online", "sdpa"])
@pytest.mark.parametrize(("wrong", "error", "message"), ATTENTION)
def test_attention(kernel: Any, wrong: Any, error: type[Exception], message: str) -> None:
    given = {"q": q, "k": k, "v": v, **wrong}
    with pytest.raises(error, match=message):
        f.attention(given.pop("q"), given.pop("k"), given.pop("v"), kernel=kernel, **given)


@pytest.mark.parametrize(("wrong", "error", "message"), ATTENTION)
@pytest.mark.parametrize("name", ["attention_weights", "blocked_attention", "tiled_attention"])
def test_its_siblings(name: str, wrong: Any, error: type[Exception], message: str) -> None:
    given = {"q": q, "k": k, **wrong}
    if name == "attention_weights":
        if {"v", "dropout"} & set(wrong):
            return
    else:
        given.setdefault("v", v)
    if name == "tiled_attention" and "dropout" in wrong:
        return
    with pytest.raises(error, match=message):
        getattr(f, name)(**given)


x = torch.randn(2, 5, 8)
sound = torch.randn(2, 1000)
two_masks = torch.ones(2, 1, 3, 3, dtype=torch.bool)
Call = Callable[[], Any]
OTHERS: list[tuple[Call, type[Exception], str]] = [
    (lambda: f.causal_mask(10**20), ValueError, r"t: expected an int of at most \d+; got 10"),
    (lambda: f.sinusoidal(10**20, 4), ValueError, r"length: expected an int of at most"),
    (
        lambda: f.padding_mask(tokens[:, 0].to("meta")),
        ValueError,
        r"lengths: expected a device that holds numbers; got meta",
    ),
    (
        lambda: f.attention(q, k, v, kernel="flash"),  # type: ignore[arg-type]
        ValueError,
        r"kernel: expected None or one of .*; got 'flash'",
    ),
    (lambda: f.dot_scores(x[0, 0], x), ValueError, r"q: expected \(..., T, K\)"),
    (lambda: f.dot_scores(x, x[..., :3]), ValueError, r"k: expected \(..., S, K\) with K = 8"),
    (lambda: f.dot_scores(x, x[:1]), ValueError, r"k: expected the leading axes of q, \(2,\)"),
    (lambda: f.dot_scores(x, x.double()), TypeError, r"k: expected torch.float32"),
    (lambda: f.general_scores(x, x, x[0]), ValueError, r"w: expected \(Q, K\) with Q = 8"),
    (
        lambda: f.additive_scores(x, x, x[0], x[0, :4], x[0, 0]),
        ValueError,
        r"w_k: expected \(A, K\) with A = 5",
    ),
    (
        lambda: f.additive_scores(x, x, x[0], x[0], x[0, 0]),
        ValueError,
        r"v: expected \(A\) with A = 5",
    ),
    (lambda: f.concat_scores(x, x, x[0], x[0, 0]), ValueError, r"w: expected \(A, Q\+K\)"),
    (lambda: f.scaled_dot_scores(q, x), ValueError, r"k: expected \(B, G, S, K\)"),
    (lambda: f.masked_softmax(ints), TypeError, r"scores: expected a floating-point tensor"),
    (lambda: f.masked_softmax(x, x > 9, torch.zeros(2)), ValueError, r"scores: expected \(B, H"),
    (lambda: f.masked_softmax(x, x[:, :4] > 0), ValueError, r"mask: expected a shape that broad"),
    (lambda: f.causal_mask(2.0), TypeError, r"t: expected an int; got float"),  # type: ignore[arg-type]
    (lambda: f.causal_mask(-1), ValueError, r"t: expected an int of at least 0; got -1"),
    (lambda: f.window_mask(2, 2, -1), ValueError, r"window\[0\]: expected an int of at least 0"),
    (lambda: f.padding_mask([2, 5], 4), ValueError, r"lengths: expected numbers from 0 to S = 4"),
    (lambda: f.padding_mask([-1]), ValueError, r"lengths: expected numbers from 0"),
    (lambda: f.padding_mask([1.5]), TypeError, r"lengths: expected an integer"),  # type: ignore[list-item]
    (lambda: f.padding_mask("abc"), TypeError, r"lengths: expected integers \(B\); got 'abc'"),  # type: ignore[arg-type]
    (lambda: f.padding_mask(None), TypeError, r"lengths: expected integers \(B\); got None"),  # type: ignore[arg-type]
    (lambda: f.padding_mask([[1, 2], [3]]), TypeError, r"lengths: expected integers \(B\); got \["),  # type: ignore[list-item]
    (lambda: f.position_mask(3, 3, True, offset="a"), TypeError, r"offset: expected an int"),  # type: ignore[arg-type]
    (lambda: f.position_mask(3, 3, True, offset=1.5), TypeError, r"offset: expected an int"),  # type: ignore[arg-type]
    (lambda: f.position_mask(3, 3, "yes"), TypeError, r"causal: expected True or False; got str"),  # type: ignore[arg-type]
    (lambda: f.padding_mask(tokens), ValueError, r"lengths: expected \(B\)"),
    (lambda: f.prefix_mask(3, 4), ValueError, r"prefix: expected at most S = 3; got 4"),
    (lambda: f.document_mask(tokens[0]), ValueError, r"ids: expected \(B, T\)"),
    (lambda: f.document_mask(tokens, tokens[:1]), ValueError, r"keys: expected \(B, S\) with B"),
    (lambda: f.document_mask(logits), TypeError, r"ids: expected an integer tensor"),
    (lambda: f.global_local_mask(tokens, 1, 1), TypeError, r"is_global: expected torch.bool"),
    (lambda: f.combine(q), TypeError, r"masks\[0\]: expected torch.bool"),
    (
        lambda: f.combine(f.causal_mask(2), f.causal_mask(3)),
        ValueError,
        r"masks\[1\]: expected a shape that broadcasts with \(2, 2\); got \(3, 3\)",
    ),
    (lambda: f.to_additive(q), TypeError, r"mask: expected torch.bool"),
    (lambda: f.to_additive(q > -99, torch.int32), TypeError, r"dtype: expected a floating-point"),
    (lambda: f.to_additive(q > -99, "float32"), TypeError, r"dtype: .*; got 'float32'"),  # type: ignore[arg-type]
    (
        lambda: f.to_mha(f.causal_mask(3), -5, 0),
        ValueError,
        r"batch: expected an int of at least 0",
    ),
    (lambda: f.to_mha(f.causal_mask(3), 5, 0), ValueError, r"n_heads: expected an int of at least"),
    (lambda: f.from_additive(tokens), TypeError, r"bias: expected a floating-point tensor"),
    (lambda: f.to_mha(q > -9, 3, 4), ValueError, r"mask: expected a shape that broadcasts"),
    (lambda: f.from_mha(x > 9, n_heads=3), ValueError, r"attn_mask: expected \(B\*H, T, S\)"),
    (lambda: f.from_mha(q > 9), ValueError, r"attn_mask: expected \(T, S\)"),
    (lambda: f.from_mha(x > 9), TypeError, r"n_heads: expected an int"),
    (lambda: f.to_hf_2d(q > -9), ValueError, r"mask: expected \(B, 1, 1, S\) with 1 = 1"),
    (lambda: f.to_hf_2d(q[:, :1] > -9), ValueError, r"with 1 = 1 .*; got \(2, 1, 5, 8\)"),
    (lambda: f.from_hf_2d(tokens + 2), ValueError, r"attention_mask: expected values 0 and 1"),
    (lambda: f.from_hf_4d(q), ValueError, r"attention_mask: expected \(B, 1, T, S\)"),
    (lambda: f.to_hf_4d(q > -9), ValueError, r"mask: expected \(B, 1, T, S\) or \(T, S\)"),
    (lambda: f.to_hf_4d(q[0] > -9), ValueError, r"mask: expected .* or \(T, S\); got \(4, 5, 8\)"),
    (lambda: f.to_hf_4d(q[None] > -9), ValueError, r"or \(T, S\); got \(1, 2, 4, 5, 8\)"),
    (lambda: f.to_keras(q > -9, 2), ValueError, r"mask: expected a shape that broadcasts"),
    (lambda: f.from_keras(tokens), ValueError, r"attention_mask: expected \(B, T, S\)"),
    (lambda: f.suspect_polarity(q > 0, pad_id=0), ValueError, r"pad_id: expected together"),
    (
        lambda: f.suspect_polarity(two_masks, tokens=tokens[:, :2], pad_id=0),
        ValueError,
        r"tokens: expected \(B, S\) with S = 3 as in mask; got \(2, 2\)",
    ),
    (
        lambda: f.suspect_polarity(two_masks, tokens=tokens[:1], pad_id=0),
        ValueError,
        r"tokens: expected \(B, S\) with B = 2 as in mask; got \(1, 3\)",
    ),
    (
        lambda: f.suspect_polarity(two_masks, tokens=tokens, pad_id="x"),  # type: ignore[arg-type]
        TypeError,
        r"pad_id: expected an int; got str",
    ),
    (lambda: f.sinusoidal(4, 4, dtype=torch.int32), TypeError, r"dtype: expected a floating-point"),
    (
        lambda: f.rope_tables(tokens[0], x[0, 0], dtype=torch.int64),
        TypeError,
        r"dtype: expected a floating-point dtype of .*; got torch.int64",
    ),
    (
        lambda: f.mel_filters(4, 16, 8000, dtype=torch.int32),
        TypeError,
        r"dtype: expected a floating-point dtype of .*; got torch.int32",
    ),
    (lambda: f.sinusoidal(4, 5), ValueError, r"d_model: expected an even width; got 5"),
    (lambda: f.sinusoidal(4, 4, base=0), ValueError, r"base: expected a number above 0"),
    (lambda: f.alibi_slopes(0), ValueError, r"n_heads: expected an int of at least 1"),
    (lambda: f.t5_buckets(logits), TypeError, r"distance: expected an integer tensor"),
    (lambda: f.t5_buckets(tokens, causal="x"), TypeError, r"causal: expected True or False"),  # type: ignore[arg-type]
    (lambda: f.t5_buckets(tokens, n_buckets=5), ValueError, r"n_buckets: expected a multiple of 4"),
    (
        lambda: f.t5_buckets(tokens, n_buckets=32, max_distance=8),
        ValueError,
        r"max_distance: expected an int of at least 9",
    ),
    (lambda: f.t5_bias(logits[0], 3), ValueError, r"table: expected \(N, H\)"),
    (
        lambda: f.shaw_scores(q[..., :0], torch.randn(3, 0)),
        ValueError,
        r"q: expected \(B, H, T, K\) with K at least 1; got \(2, 4, 5, 0\)",
    ),
    (lambda: f.shaw_scores(q, torch.randn(4, 8)), ValueError, r"table: expected N odd"),
    (lambda: f.shaw_scores(q, torch.randn(5, 3)), ValueError, r"table: expected \(N, K\) with K"),
    (lambda: f.shaw_values(q, torch.randn(5)), ValueError, r"table: expected \(N, E\)"),
    (lambda: f.rope_frequencies(3), ValueError, r"width: expected an even width; got 3"),
    (lambda: f.rope_tables(logits, logits[0]), TypeError, r"positions: expected an integer"),
    (lambda: f.rope_tables(ints, logits[0]), ValueError, r"positions: expected \(T\) or \(B, T\)"),
    (lambda: f.rope(q, width=10), ValueError, r"width: expected at most K = 8; got 10"),
    (lambda: f.rope(q, tokens[0]), ValueError, r"cos: expected \(T, F\) with T = 5 as in x"),
    (lambda: f.rope(q, pairing="both"), ValueError, r"pairing: expected 'half' or 'int"),  # type: ignore[arg-type]
    (
        lambda: f.apply_rope(q, torch.ones(5, 5), torch.ones(5, 5)),
        ValueError,
        r"cos: expected .* F <= K/2 = 4; got \(5, 5\)",
    ),
    (
        lambda: f.apply_rope(q, torch.ones(5, 4), torch.ones(5, 2)),
        ValueError,
        r"sin: expected \(5, 4\) as cos; got \(5, 2\)",
    ),
    (
        lambda: f.apply_rope(q, torch.ones(3, 5, 4), torch.ones(3, 5, 4)),
        ValueError,
        r"cos: expected \(B, T, F\) with B = 2",
    ),
    (
        lambda: f.convert_rope_weight(logits, 4, to="half"),
        ValueError,
        r"weight: expected \(H\*K, ...\) with H = 4; got \(2, 6\)",
    ),
    (
        lambda: f.convert_rope_weight(q, 1, to="quarter"),  # type: ignore[arg-type]
        ValueError,
        r"to: expected 'half' or 'interleaved'",
    ),
    (lambda: f.ntk_base(1e4, 2.0, 2), ValueError, r"width: expected an int of at least 3"),
    (
        lambda: f.yarn_frequencies(8, 2.0, 64, fast=0.5),
        ValueError,
        r"fast: expected a number",
    ),
    (
        lambda: f.yarn_frequencies(8, 2.0, 64, ramp="steep"),  # type: ignore[arg-type]
        ValueError,
        r"ramp: expected 'rotations' or 'index'",
    ),
    (
        lambda: f.yarn_frequencies(8, 2.0, 64, base=1.0, ramp="index"),
        ValueError,
        r"base: expected a number above 1; got 1.0",
    ),
    (
        lambda: f.apply_rope(q, torch.ones(5, 4).double(), torch.ones(5, 4).double()),
        TypeError,
        r"cos: expected torch.float32, the dtype of x; got torch.float64",
    ),
    (lambda: f.interpolate_frequencies(logits[0], 0), ValueError, r"factor: expected a number abo"),
    (lambda: f.interpolate_frequencies(logits[0], -0.5), ValueError, r"factor: .* above 0; got"),
    (lambda: f.yarn_frequencies(8, -0.5, 64), ValueError, r"factor: .* above 0; got -0.5"),
    (lambda: f.ntk_base(1e4, -0.5, 8), ValueError, r"factor: .* above 0; got -0.5"),
    (lambda: f.tiled_attention(q, k, v, rows=0), ValueError, r"rows: .* at least 1; got 0"),
    (lambda: f.tiled_attention(q, k, v, columns=0), ValueError, r"columns: .* at least 1; got 0"),
    (lambda: f.online_softmax(torch.zeros(())), ValueError, r"x: expected \(..., S\); got \(\)"),
    (lambda: f.merge_partials([], []), ValueError, r"outputs: expected as many as log_sums"),
    (lambda: f.merge_partials([q], [q]), ValueError, r"log_sums\[0\]: expected \(B, H, T\)"),
    (lambda: f.merge_partials([q], [q[..., 0]] * 2), ValueError, r"outputs: .* got 1 and 2"),
    (lambda: f.merge_partials([q] * 2, [q[..., 0]]), ValueError, r"outputs: .* got 2 and 1"),
    (lambda: f.merge_partials([q, v], [q[..., 0]] * 2), ValueError, r"output of \(2, 2, 7, 3\)"),
    (lambda: f.merge_partials([q, q[..., :3]], [q[..., 0]] * 2), ValueError, r"output of .* 3\)"),
    (lambda: f.merge_partials([q[..., :3], q], [q[..., 0]] * 2), ValueError, r"output of .* 8\)"),
    (lambda: f.yarn_attention_factor(-0.5), ValueError, r"factor: expected a number above 0"),
    (lambda: f.t5_buckets(tokens, n_buckets=0), ValueError, r"n_buckets: .* at least 1; got 0"),
    (
        lambda: f.merge_partials([q, q.double()], [q[..., 0], q[..., 0]]),
        TypeError,
        r"outputs\[1\]: expected torch.float32, the dtype of outputs\[0\]; got torch.float64",
    ),
    (
        lambda: f.merge_partials([q, q], [q[..., 0], q[..., 0].double()]),
        TypeError,
        r"log_sums\[1\]: expected torch.float32",
    ),
    (
        lambda: f.kernel_attention(q, q, q, form="banana"),  # type: ignore[arg-type]
        ValueError,
        r"form: expected 'recurrent', 'parallel' or 'chunked'; got 'banana'",
    ),
    (lambda: f.kernel_attention(q, q, q, chunk=0), ValueError, r"chunk: expected an int of at lea"),
    (
        lambda: f.kernel_attention(q, q, q, causal="no"),
        TypeError,
        r"causal: expected True or False",
    ),  # type: ignore[arg-type]
    (lambda: f.linear_attention(q, k, v), ValueError, r"k: expected .* with T = 5 as in q"),
    (
        lambda: f.linear_attention(q, q, q, form="fast"),  # type: ignore[arg-type]
        ValueError,
        r"form: expected 'recurrent', 'parallel' or 'chunked'",
    ),
    (lambda: f.linear_attention(q, q, q, decay=q[..., :3]), ValueError, r"decay: expected \(B, G"),
    (lambda: f.linear_attention(q, q, q, beta=q), ValueError, r"beta: expected \(B, G, T, 1\)"),
    (lambda: f.linear_attention(q, q, q, state=q), ValueError, r"state: expected \(B, G, K, E\)"),
    (lambda: f.elu_feature(ints), TypeError, r"x: expected a floating-point tensor"),
    (
        lambda: f.log_mel_spectrogram(sound, hop=0),
        ValueError,
        r"hop: expected an int of at least 1",
    ),
    (lambda: f.log_mel_spectrogram(sound, n_fft=0), ValueError, r"n_fft: expected an int of at l"),
    (lambda: f.log_mel_spectrogram(sound.half()), TypeError, r"waveform: .* got torch.float16"),
    (lambda: f.filter_bank_energies(sound, hop=-1), ValueError, r"hop: expected an int of at lea"),
    (lambda: f.filter_bank_energies(sound, frame=0), ValueError, r"frame: expected an int of at"),
    (lambda: f.filter_bank_energies(sound.bfloat16()), TypeError, r"waveform: .* torch.bfloat16"),
    (lambda: f.mel_filters(4, 16, 0), ValueError, r"sample_rate: expected an int of at least 1"),
    (lambda: f.mel_filters(4, 16, 8, lowest="a"), TypeError, r"lowest: expected a number; got str"),  # type: ignore[arg-type]
    (
        lambda: f.learned_positions(logits[0], 1),
        ValueError,
        r"table: expected \(N, D\); got \(6,\)",
    ),
    (lambda: f.tiled_attention(q, k, v, traffic=5), TypeError, r"traffic: expected a Traffic; got"),  # type: ignore[arg-type]
    (lambda: f.Traffic().reads(5), TypeError, r"tensors: expected a torch.Tensor; got int"),  # type: ignore[arg-type]
    (lambda: f.elu_feature(q.to(f8)), TypeError, r"x: expected a floating-point tensor of at l"),
    (lambda: f.rope(q.to(f8)), TypeError, r"x: expected .* 16 bits; got torch.float8_e4m3fn"),
    (lambda: f.online_softmax(q.to(f8)), TypeError, r"x: expected .*; got torch.float8_e4m3fn"),
    (lambda: f.from_additive(q.to(f8)), TypeError, r"bias: expected .*; got torch.float8_e4m3fn"),
    (lambda: f.to_additive(q > 0, f8), TypeError, r"dtype: expected .*; got torch.float8_e4m3fn"),
    (lambda: f.to_hf_4d(two_masks, f8), TypeError, r"dtype: expected a floating-point dtype of"),
    (lambda: f.to_additive(q > 0, finite="no"), TypeError, r"finite: expected True or False"),  # type: ignore[arg-type]
    (
        lambda: f.padding_mask(tokens[0].to(torch.uint64)),
        TypeError,
        r"lengths: expected an integer tensor, signed or uint8; got torch.uint64",
    ),
    (lambda: f.t5_buckets(tokens.to(torch.uint32)), TypeError, r"distance: .*; got torch.uint32"),
    (
        lambda: f.causal_mask(3, device="banana"),
        ValueError,
        r"device: expected the name of one, as",
    ),
    (lambda: f.prefix_mask(3, 1, device="banana"), ValueError, r"device: .*; got 'banana'"),
    (
        lambda: f.sinusoidal(4, 4, device=3.5),
        TypeError,
        r"device: expected a torch.device or its n",
    ),  # type: ignore[arg-type]
    (lambda: f.alibi_slopes(4, device="banana"), ValueError, r"device: .*; got 'banana'"),
    (lambda: f.alibi_bias(4, 2, device="banana"), ValueError, r"device: .*; got 'banana'"),
    (lambda: f.rope_frequencies(4, device="banana"), ValueError, r"device: .*; got 'banana'"),
    (lambda: f.mel_filters(4, 16, 8000, device="banana"), ValueError, r"device: .*; got 'banana'"),  # type: ignore[arg-type]
    (
        lambda: f.merge_partials(None, None),
        TypeError,
        r"outputs: expected a Sequence; got NoneType",
    ),  # type: ignore[arg-type]
    (lambda: f.merge_partials([q], 5), TypeError, r"log_sums: expected a Sequence; got int"),  # type: ignore[arg-type]
    (
        lambda: f.window_mask(3, 3, 10**20, 0),
        ValueError,
        r"window\[0\]: expected an int of at most",
    ),
    (lambda: f.position_mask(3, 3, True, offset=10**30), ValueError, r"offset: .* at most 46116"),
    (lambda: f.position_mask(3, 3, True, offset=-(10**30)), ValueError, r"offset: .* at least -46"),
    (lambda: f.sinusoidal(4, 4, offset=10**30), ValueError, r"offset: .* of at most 46116"),
    (lambda: f.yarn_frequencies(8, 2.0, 10**400), ValueError, r"original_len: .* of at most 4611"),
    (lambda: f.ntk_base(1e308, 1e308, 4), ValueError, r"factor: expected a power of 4 / 2 that a"),
    (lambda: f.ntk_base(1e308, 1e2, 4), ValueError, r"base: expected a finite number; got inf"),
]


@pytest.mark.parametrize(("call", "error", "message"), OTHERS)
def test_the_other_functions(call: Call, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


seen, sums, away = q[..., 0] > -99, q[..., 0], torch.device("meta")
ELSEWHERE: list[tuple[Call, str]] = [
    (lambda: f.attention_scores(q, q, bias=q[..., :5].to(away)), "bias"),
    (lambda: f.masked_softmax(q, seen[..., None].to(away)), "mask"),
    (lambda: f.masked_softmax(q, None, torch.zeros(4, device=away)), "sinks"),
    (lambda: f.combine(seen, seen.to(away)), r"masks\[1\]"),
    (lambda: f.document_mask(tokens, tokens.to(away)), "keys"),
    (lambda: f.suspect_polarity(two_masks, tokens=tokens.to(away), pad_id=0), "tokens"),
    (lambda: f.merge_partials([q, q.to(away)], [sums, sums]), r"outputs\[1\]"),
    (lambda: f.merge_partials([q, q], [sums, sums.to(away)]), r"log_sums\[1\]"),
    (lambda: f.rope_tables(tokens[0], x[0, 0].to(away)), "frequencies"),
    (lambda: f.apply_rope(q, torch.ones(5, 4, device=away), torch.ones(5, 4)), "cos"),
    (lambda: f.apply_rope(q, torch.ones(5, 4), torch.ones(5, 4, device=away)), "sin"),
    (lambda: f.linear_attention(q, q, q, decay=-q.abs().to(away)), "decay"),
    (lambda: f.linear_attention(q, q, q, beta=q[..., :1].to(away)), "beta"),
    (lambda: f.linear_attention(q, q, q, state=torch.zeros(2, 4, 8, 8, device=away)), "state"),
]


@pytest.mark.parametrize(("call", "name"), ELSEWHERE)
def test_another_device(call: Call, name: str) -> None:
    with pytest.raises(ValueError, match=name + r": expected device cpu, that of .*; got meta"):
        call()


def test_values_are_not_looked_at_where_there_are_none() -> None:
    assert f.repetition_penalty(logits.to(away), tokens.to(away), 1.1).shape == (2, 6)
    out, _ = f.linear_attention(*(3 * [q.to(away)]), decay=q.to(away))
    assert out.shape == q.shape
