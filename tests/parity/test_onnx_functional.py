"""Every ONNX operator vector that our functions claim, through each kernel that claims it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from attention_guide.functional import (
    apply_rope,
    attention,
    attention_scores,
    attention_weights,
    combine,
    linear_attention,
    masked_softmax,
    position_mask,
    rope_frequencies,
    rope_tables,
)
from tests.parity.onnx_cases import compare, of, unpack

KERNELS = ["reference", "blocked", "sdpa", "online", None]


def split(x: Tensor, heads: int | None) -> Tensor:
    return x if heads is None else x.unflatten(-1, (heads, -1)).transpose(1, 2)


def plan_attention(inputs: dict[str, Tensor], attributes: dict[str, Any]) -> dict[str, Any]:
    """ONNX's arguments in our words; its causal alignment is ours only with a cache."""
    flat = inputs["Q"].ndim == 3
    heads = attributes.get("q_num_heads") if flat else None
    groups = attributes.get("kv_num_heads") if flat else None
    q = split(inputs["Q"], heads)
    k, v = split(inputs["K"], groups), split(inputs["V"], groups)
    past = 0
    if "past_key" in inputs:
        past = inputs["past_key"].shape[2]
        k = torch.cat([inputs["past_key"], k], dim=2)
        v = torch.cat([inputs["past_value"], v], dim=2)
    t, s = q.shape[2], k.shape[2]
    mask, bias = None, None
    given = inputs.get("attn_mask")
    if given is not None:
        short = s - given.shape[-1]
        low: Any = False if given.dtype == torch.bool else -torch.inf
        given = torch.nn.functional.pad(given, (0, short), value=low) if short > 0 else given
        mask, bias = (given, None) if given.dtype == torch.bool else (None, given)
    sides = [attributes.get(f"{side}_window_size", -1) for side in ("left", "right")]
    window = tuple(None if n < 0 else n for n in sides) if max(sides) >= 0 else None
    causal = bool(attributes.get("is_causal", 0))
    real = inputs.get("nonpad_kv_seqlen")
    if real is not None:
        places = [position_mask(t, s, causal, window, offset=int(n) - t) for n in real]
        if places[0] is not None:
            mask = combine(mask, torch.stack(places)[:, None])  # type: ignore[arg-type]
        mask = combine(mask, (torch.arange(s) < real[:, None])[:, None, None])
        causal, window = False, None
    elif past != s - t:
        mask = combine(mask, position_mask(t, s, causal, window, offset=past))
        causal, window = False, None
    cap = attributes.get("softcap", 0.0)
    options = {
        "mask": mask,
        "bias": bias,
        "causal": causal,
        "window": window,
        "scale": attributes.get("scale"),
        "softcap": cap if cap > 0 else None,
    }
    return {"q": q, "k": k, "v": v, "flat": flat, "options": options}


def scores_of(plan: dict[str, Any], mode: int, precision: int | None) -> Tensor:
    q, k, options = plan["q"], plan["k"], plan["options"]
    kind = q.dtype
    if mode == 3:
        if precision is not None:
            q, k = (x.to(torch.float32 if precision == 1 else torch.float64) for x in (q, k))
        return attention_weights(q, k, **options).to(kind)
    scores = attention_scores(
        q,
        k,
        scale=options["scale"],
        softcap=options["softcap"] if mode else None,
        bias=options["bias"] if mode == 2 else None,
    )
    if mode == 2:
        place = position_mask(q.shape[2], k.shape[2], options["causal"], options["window"])
        allowed = combine(options["mask"], place)
        scores = scores if allowed is None else scores.masked_fill(~allowed, -torch.inf)
    return scores


def refuses(kernel: str | None, plan: dict[str, Any]) -> bool:
    return kernel == "sdpa" and plan["options"]["softcap"] is not None


def run_attention(case: Any, kernel: Any) -> list[tuple[Tensor, Tensor]] | None:
    inputs, wanted, attributes = unpack(case)
    plan = plan_attention(inputs, attributes)
    if refuses(kernel, plan):
        with pytest.raises(ValueError, match="softcap: the 'sdpa' kernel can't do it"):
            attention(plan["q"], plan["k"], plan["v"], kernel=kernel, **plan["options"])
        return None
    out = attention(plan["q"], plan["k"], plan["v"], kernel=kernel, **plan["options"])
    got = {
        "Y": out.transpose(1, 2).flatten(2) if plan["flat"] else out,
        "present_key": plan["k"],
        "present_value": plan["v"],
    }
    if "qk_matmul_output" in wanted:
        mode = attributes.get("qk_matmul_output_mode", 0)
        got["qk_matmul_output"] = scores_of(plan, mode, attributes.get("softmax_precision"))
    return [(got[name], x) for name, x in wanted.items()]


@pytest.mark.parametrize("kernel", KERNELS)
def test_attention_vectors(kernel: Any, parity_record: Any) -> None:
    refused = compare(
        "Attention",
        f"attention, kernel={kernel}",
        lambda case: run_attention(case, kernel),
        parity_record,
    )
    softcapped = sum(unpack(case)[2].get("softcap", 0.0) > 0 for case in of("Attention"))
    assert refused == (softcapped if kernel == "sdpa" else 0)


@pytest.mark.parametrize("kernel", KERNELS)
def test_flex_attention_vectors(kernel: Any, parity_record: Any) -> None:
    def run(case: Any) -> list[tuple[Tensor, Tensor]] | None:
        inputs, wanted, attributes = unpack(case)
        q, k, v = inputs["Q"], inputs["K"], inputs["V"]
        options: dict[str, Any] = {"scale": attributes.get("scale"), "kernel": kernel}
        t, s = q.shape[2], k.shape[2]
        name = case.name.removeprefix("test_flexattention").removeprefix("_")
        if name == "score_mod":
            options["bias"] = torch.full((1, 1), 0.5)
        elif name == "causal_mask":
            options["causal"] = True
        elif name == "relative_positional":
            options["bias"] = (torch.arange(t)[:, None] - torch.arange(s)).float()
        elif name == "soft_cap":
            if kernel == "sdpa":
                return None
            options["softcap"] = 20.0
        elif name == "prob_mod":
            # The weights are halved, and the output is linear in them.
            v = v * 0.5
        else:
            assert not attributes.keys() - {"scale"}
        return [(attention(q, k, v, **options), wanted["Y"])]

    refused = compare("FlexAttention", f"attention, kernel={kernel}", run, parity_record)
    assert refused == (1 if kernel == "sdpa" else 0)


@pytest.mark.parametrize("form", ["recurrent", "parallel", "chunked"])
def test_linear_attention_vectors(form: Any, parity_record: Any) -> None:
    def run(case: Any) -> list[tuple[Tensor, Tensor]]:
        inputs, wanted, attributes = unpack(case)
        heads, groups = attributes["q_num_heads"], attributes["kv_num_heads"]
        q = split(inputs["query"], heads)
        k, v = split(inputs["key"], groups), split(inputs["value"], groups)
        decay, beta = inputs.get("decay"), inputs.get("beta")
        out, state = linear_attention(
            q,
            k,
            v,
            decay=None if decay is None else split(decay, groups),
            beta=None if beta is None else beta.transpose(1, 2)[..., None],
            state=inputs.get("past_state"),
            scale=attributes.get("scale") or None,
            form=form,
            chunk=3,
        )
        got = {
            "output": out.transpose(1, 2).flatten(2),
            "present_state": state.to(wanted["present_state"].dtype)
            if "present_state" in wanted
            else state,
        }
        return [(got[name], x) for name, x in wanted.items()]

    compare("LinearAttention", f"linear_attention, form={form}", run, parity_record)


def test_rotary_embedding_vectors(parity_record: Any) -> None:
    def run(case: Any) -> list[tuple[Tensor, Tensor]]:
        inputs, wanted, attributes = unpack(case)
        flat = inputs["input"].ndim == 3
        x = split(inputs["input"], attributes.get("num_heads") if flat else None)
        cos, sin = inputs["cos_cache"], inputs["sin_cache"]
        if "position_ids" in inputs:
            cos, sin = cos[inputs["position_ids"]], sin[inputs["position_ids"]]
        out = apply_rope(
            x, cos, sin, pairing="interleaved" if attributes.get("interleaved") else "half"
        )
        return [(out.transpose(1, 2).flatten(2) if flat else out, wanted["output"])]

    compare("RotaryEmbedding", "apply_rope", run, parity_record)


def test_softmax_vectors(parity_record: Any) -> None:
    def run(case: Any) -> list[tuple[Tensor, Tensor]]:
        inputs, wanted, attributes = unpack(case)
        axis = attributes.get("axis", -1)
        x = next(iter(inputs.values())).transpose(axis, -1)
        return [(masked_softmax(x).transpose(axis, -1), next(iter(wanted.values())))]

    compare("Softmax", "masked_softmax", run, parity_record)


def test_rope_tables_are_what_rotary_embedding_takes() -> None:
    cos, sin = rope_tables(torch.arange(50), rope_frequencies(8))
    assert cos.shape == sin.shape == (50, 4)
    assert torch.allclose(cos**2 + sin**2, torch.ones(()))
