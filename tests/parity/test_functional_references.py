"""Our functions against torch, transformers and plain loops, forward and backward."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attention_guide.functional import (
    alibi_slopes,
    apply_rope,
    attention,
    attention_weights,
    causal_mask,
    min_p,
    repetition_penalty,
    rope_frequencies,
    rope_tables,
    t5_buckets,
    temperature,
    to_mha,
    top_k,
    top_p,
    yarn_attention_factor,
    yarn_frequencies,
)

BOUNDS = {torch.float64: 1e-10, torch.float32: 2e-5}
SHAPES = [(4, 4, 7, 7, 8, 8), (4, 2, 70, 70, 8, 8), (4, 1, 5, 130, 8, 6), (2, 2, 1, 9, 16, 16)]


def qkv(shape: tuple[int, ...], dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    heads, groups, t, s, k, e = shape
    make = torch.Generator().manual_seed(sum(shape))
    sizes = ((2, heads, t, k), (2, groups, s, k), (2, groups, s, e))
    q, k_, v = (torch.randn(*size, generator=make, dtype=dtype) for size in sizes)
    return q.requires_grad_(), k_.requires_grad_(), v.requires_grad_()


def gap(got: list[Tensor], wanted: list[Tensor]) -> float:
    return max(float((a - b).detach().abs().max()) for a, b in zip(got, wanted, strict=True))


@pytest.mark.parametrize("dtype", list(BOUNDS))
@pytest.mark.parametrize("kernel", ["reference", "blocked", "sdpa", "online", None])
@pytest.mark.parametrize("kind", ["plain", "causal", "mask", "bias"])
def test_kernels_equal_torch_sdpa(
    kind: str, kernel: Any, dtype: torch.dtype, parity_record: Any
) -> None:
    for shape in SHAPES:
        q, k, v = qkv(shape, dtype)
        t, s = shape[2], shape[3]
        theirs: dict[str, Any] = {}
        ours: dict[str, Any] = {}
        if kind == "causal":
            theirs["attn_mask"], ours["causal"] = causal_mask(t, s), True
        if kind == "mask":
            theirs["attn_mask"] = ours["mask"] = torch.rand(2, 1, t, s) > 0.3
        if kind == "bias":
            theirs["attn_mask"] = ours["bias"] = torch.randn(1, shape[0], t, s, dtype=dtype)
        reps = shape[0] // shape[1]
        wanted = F.scaled_dot_product_attention(
            q, k.repeat_interleave(reps, 1), v.repeat_interleave(reps, 1), **theirs
        )
        got = attention(q, k, v, kernel=kernel, **ours)
        seed = torch.randn_like(wanted)
        pairs = [[x, *torch.autograd.grad(x, (q, k, v), seed)] for x in (got, wanted)]
        name = str(dtype).removeprefix("torch.")
        what = f"attention, kernel={kernel}, {kind}, forward and backward"
        parity_record("torch SDPA", what, name, gap(*pairs), BOUNDS[dtype])


@pytest.mark.parametrize("dtype", list(BOUNDS))
def test_weights_equal_those_of_torch_multi_head_attention(
    dtype: torch.dtype, parity_record: Any
) -> None:
    layer = torch.nn.MultiheadAttention(8, 2, batch_first=True, dtype=dtype)
    x = torch.randn(3, 5, 8, dtype=dtype)
    mask = causal_mask(5)
    _, wanted = layer(x, x, x, attn_mask=to_mha(mask, 3, 2), average_attn_weights=False)
    q, k, _ = F.linear(x, layer.in_proj_weight, layer.in_proj_bias).chunk(3, dim=-1)
    heads = [y.unflatten(-1, (2, 4)).transpose(1, 2) for y in (q, k)]
    error = gap([attention_weights(*heads, causal=True)], [wanted])
    name = str(dtype).removeprefix("torch.")
    parity_record("torch MultiheadAttention", "attention_weights", name, error, BOUNDS[dtype])


def test_softcap_equals_torch_flex_attention(parity_record: Any) -> None:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    q, k, v = (x.detach() for x in qkv((2, 2, 6, 6, 16, 16), torch.float32))

    def cap(score: Tensor, *_: Tensor) -> Tensor:
        return 3.0 * torch.tanh(score / 3.0)

    def causal(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return i >= j

    with warnings.catch_warnings():
        # It warns that it is slow without compilation; its plain form is what is wanted here.
        warnings.simplefilter("ignore")
        blocks = create_block_mask(causal, 1, 1, 6, 6, device="cpu")
        wanted = flex_attention(q, k, v, score_mod=cap, block_mask=blocks)
    error = gap([attention(q, k, v, causal=True, softcap=3.0)], [wanted])
    parity_record("torch FlexAttention", "attention, softcap, causal", "float32", error, 2e-5)


def test_sinks_equal_those_of_gpt_oss(parity_record: Any) -> None:
    from transformers.models.gpt_oss import modeling_gpt_oss as theirs

    class Layer(torch.nn.Module):
        num_key_value_groups = 2

        def __init__(self) -> None:
            super().__init__()
            self.sinks = torch.nn.Parameter(torch.randn(4))

    layer = Layer().eval()
    q, k, v = qkv((4, 2, 6, 6, 8, 8), torch.float32)
    bias = torch.zeros(1, 1, 6, 6).masked_fill(~causal_mask(6), torch.finfo(torch.float32).min)
    out, weights = theirs.eager_attention_forward(layer, q, k, v, bias, scaling=8**-0.5)
    got = attention(q, k, v, causal=True, sinks=layer.sinks)
    mine = attention_weights(q, k, causal=True, sinks=layer.sinks)
    error = gap([got, mine], [out.transpose(1, 2), weights])
    parity_record("transformers gpt-oss", "attention, sinks", "float32", error, 2e-5)


def test_rope_equals_llama_and_gptj(parity_record: Any) -> None:
    from transformers.models.gptj import modeling_gptj as gptj
    from transformers.models.llama import modeling_llama as llama

    x = torch.randn(2, 4, 9, 8)
    cos, sin = rope_tables(torch.arange(9), rope_frequencies(8))
    wide = [torch.cat([y, y], dim=-1)[None] for y in (cos, sin)]
    wanted, _ = llama.apply_rotary_pos_emb(x, x, *wide)
    error = gap([apply_rope(x, cos, sin)], [wanted])
    parity_record("transformers Llama", "apply_rope, half", "float32", error, 2e-6)
    wanted = gptj.apply_rotary_pos_emb(x.transpose(1, 2), sin[None], cos[None]).transpose(1, 2)
    error = gap([apply_rope(x, cos, sin, pairing="interleaved")], [wanted])
    parity_record("transformers GPT-J", "apply_rope, interleaved", "float32", error, 2e-6)


@pytest.mark.parametrize("factor", [2.0, 8.0])
def test_yarn_equals_transformers(factor: float, parity_record: Any) -> None:
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    rope = {
        "rope_type": "yarn",
        "rope_theta": 10_000.0,
        "factor": factor,
        "original_max_position_embeddings": 2048,
    }
    config = LlamaConfig(
        hidden_size=128, num_attention_heads=2, max_position_embeddings=4096, rope_parameters=rope
    )
    wanted, attention_factor = ROPE_INIT_FUNCTIONS["yarn"](config, torch.device("cpu"))
    got = yarn_frequencies(64, factor, 2048, ramp="index")
    error = float(((got - wanted) / wanted).abs().max())
    parity_record("transformers", "yarn_frequencies, ramp=index", "float32", error, 2e-6)
    assert yarn_attention_factor(factor) == pytest.approx(attention_factor)


@pytest.mark.parametrize("causal", [False, True])
def test_t5_buckets_equal_transformers(causal: bool, parity_record: Any) -> None:
    from transformers.models.t5.modeling_t5 import T5Attention

    distance = torch.arange(-300, 301)
    for n, far in ((32, 128), (16, 64), (8, 20)):
        wanted = T5Attention._relative_position_bucket(
            distance, bidirectional=not causal, num_buckets=n, max_distance=far
        )
        got = t5_buckets(distance, n_buckets=n, max_distance=far, causal=causal)
        what = f"t5_buckets, {'causal' if causal else 'both sides'}"
        parity_record("transformers T5", what, "int64", float((got - wanted).abs().max()), 0.0)


@pytest.mark.parametrize("heads", [1, 2, 3, 8, 12, 16, 20])
def test_alibi_slopes_equal_bloom(heads: int, parity_record: Any) -> None:
    from transformers.models.bloom.modeling_bloom import build_alibi_tensor

    # The bias at distance 1 of the second key is the slope itself.
    wanted = build_alibi_tensor(torch.ones(1, 2, dtype=torch.long), heads, torch.float32)
    error = float((alibi_slopes(heads) / wanted[:, 0, 1] - 1).abs().max())
    parity_record("transformers BLOOM", "alibi_slopes", "float32", error, 1e-6)


def test_filters_equal_transformers(parity_record: Any) -> None:
    from transformers.generation import logits_process as theirs

    def same(name: str, got: Tensor, wanted: Tensor, bound: float = 0.0) -> None:
        assert torch.equal(got.isinf(), wanted.isinf())
        error = float((got - wanted).masked_fill(got.isinf(), 0.0).abs().max())
        parity_record("transformers", name, "float32", error, bound)

    logits, said = torch.randn(5, 40), torch.randint(0, 40, (5, 7))
    for k in (1, 5, 40, 99):
        same("top_k", top_k(logits, k), theirs.TopKLogitsWarper(k)(said, logits))
    for p in (0.05, 0.5, 0.9, 0.999):
        same("top_p", top_p(logits, p), theirs.TopPLogitsWarper(p)(said, logits))
        same("min_p", min_p(logits, p), theirs.MinPLogitsWarper(p)(said, logits))
    wanted = theirs.TemperatureLogitsWarper(0.7)(said, logits)
    same("temperature", temperature(logits, 0.7), wanted)
    wanted = theirs.RepetitionPenaltyLogitsProcessor(1.3)(said, logits)
    same("repetition_penalty", repetition_penalty(logits, said, 1.3), wanted, 1e-6)
