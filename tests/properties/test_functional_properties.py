"""Properties of attention over shapes, dtypes, masks, groups, windows and strides."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from attention_guide.functional import (
    apply_rope,
    attention,
    attention_weights,
    beam_search,
    chunked_prefill,
    combine,
    from_additive,
    from_mha,
    linear_attention,
    merge_partials,
    min_p,
    online_softmax,
    partial_attention,
    position_mask,
    rope_frequencies,
    rope_tables,
    to_additive,
    to_mha,
    top_k,
    top_p,
)

D = torch.float64
# How far the numbers of a dtype may be from those of float64, by their largest.
TOLERANCE = {D: 1e-10, torch.float32: 1e-5, torch.bfloat16: 5e-2, torch.float16: 1e-2}
KERNELS = ["reference", "blocked", "sdpa", "online", None]
few = settings(max_examples=60, deadline=None, derandomize=True)


@st.composite
def problems(draw: Any) -> dict[str, Any]:
    """An attention of any small size and dtype, with any of its options, in any memory layout."""
    dtype = draw(st.sampled_from(list(TOLERANCE)))
    groups, reps = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    b, t, s = draw(st.integers(0, 2)), draw(st.integers(0, 9)), draw(st.integers(0, 9))
    k, e = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    make = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))

    def randn(*size: int) -> Tensor:
        if draw(st.booleans()):
            return torch.randn(*size, generator=make, dtype=dtype)
        # The same shape with other strides: every second feature of a transposed tensor.
        wide = torch.randn(size[0], size[2], size[1], 2 * size[3], generator=make, dtype=dtype)
        return wide.transpose(1, 2)[..., ::2]

    heads = groups * reps
    options: dict[str, Any] = {"causal": draw(st.booleans())}
    side = st.none() | st.integers(0, 10)
    if draw(st.booleans()):
        options["window"] = (draw(side), draw(side))
    shape = [n if draw(st.booleans()) else 1 for n in (b, heads, t, s)][draw(st.integers(0, 3)) :]
    if draw(st.booleans()):
        options["mask"] = torch.rand(*shape, generator=make) > draw(st.sampled_from([0.2, 0.8]))
    if draw(st.booleans()):
        options["bias"] = torch.randn(*shape, generator=make, dtype=dtype)
    if draw(st.booleans()):
        options["scale"] = draw(st.floats(-2, 2))
    return {
        "q": randn(b, heads, t, k),
        "k": randn(b, groups, s, k),
        "v": randn(b, groups, s, e),
        "options": options,
    }


def tensors(problem: dict[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    return problem["q"], problem["k"], problem["v"]


def in_float64(problem: dict[str, Any]) -> dict[str, Any]:
    options = {n: x.double() if n == "bias" else x for n, x in problem["options"].items()}
    return {"options": options} | {n: problem[n].double() for n in "qkv"}


def near(got: Tensor, wanted: Tensor, times: float = 1.0) -> bool:
    """Whether `got` is `wanted` as far as its dtype can tell."""
    assert got.shape == wanted.shape
    if got.numel() == 0:
        return True
    wanted = wanted.double()
    error = (got.double() - wanted).abs().max()
    return bool(error <= times * TOLERANCE[got.dtype] * wanted.abs().max().clamp_min(1))


@few
@given(problems(), st.sampled_from(KERNELS))
def test_every_kernel_equals_the_reference(problem: dict[str, Any], kernel: Any) -> None:
    results = []
    for name, asked in ((kernel, problem), ("reference", in_float64(problem))):
        leaves = [x.clone().requires_grad_() for x in tensors(asked)]
        out = attention(*leaves, kernel=name, **asked["options"])
        grads = torch.autograd.grad(out.square().sum(), leaves, materialize_grads=True)
        results.append([out, *grads])
    assert {x.dtype for x in results[0]} == {problem["q"].dtype}
    for got, wanted in zip(*results, strict=True):
        assert near(got, wanted, times=2)


@few
@given(problems())
def test_rows_sum_to_one_or_to_nothing(problem: dict[str, Any]) -> None:
    q, k, _ = tensors(problem)
    weights = attention_weights(q, k, **problem["options"])
    options = problem["options"]
    t, s = q.shape[2], k.shape[2]
    place = position_mask(t, s, options["causal"], options.get("window"))
    allowed = combine(options.get("mask"), place)
    if allowed is None:
        allowed = torch.ones((), dtype=torch.bool)
    allowed = allowed.expand(weights.shape)
    assert (weights >= 0).all()
    assert (weights[~allowed] == 0).all()
    # Added in float64: the sum is not what is asked about.
    error = (weights.double().sum(-1) - allowed.any(-1).double()).abs()
    assert (error <= TOLERANCE[weights.dtype]).all()


@few
@given(problems(), st.sampled_from(KERNELS))
def test_sequences_of_a_batch_do_not_meet(problem: dict[str, Any], kernel: Any) -> None:
    q, k, v = tensors(problem)
    whole = attention(q, k, v, kernel=kernel, **problem["options"])
    for i in range(q.shape[0]):
        options = dict(problem["options"])
        for name in ("mask", "bias"):
            x = options.get(name)
            if x is not None and x.ndim == 4 and x.shape[0] > 1:
                options[name] = x[i : i + 1]
        one = slice(i, i + 1)
        alone = attention(q[one], k[one], v[one], kernel=kernel, **options)
        assert near(whole[one], alone)


@few
@given(problems())
def test_order_of_keys_does_not_matter(problem: dict[str, Any]) -> None:
    q, k, v = tensors(problem)
    shuffle = torch.randperm(k.shape[2])
    scale = problem["options"].get("scale")
    wanted = attention(q, k, v, scale=scale)
    got = attention(q, k[:, :, shuffle], v[:, :, shuffle], scale=scale)
    assert near(got, wanted)


@few
@given(problems(), st.integers(0, 9))
def test_parts_merge_to_the_whole(problem: dict[str, Any], cut: int) -> None:
    q, k, v = tensors(problem)
    cut = min(cut, k.shape[2])
    parts = [
        partial_attention(q, k[:, :, i], v[:, :, i]) for i in (slice(0, cut), slice(cut, None))
    ]
    out, _ = merge_partials([o for o, _ in parts], [n for _, n in parts])
    assert near(out, attention(*tensors(in_float64(problem)), kernel="reference"))


@few
@given(problems(), st.integers(1, 10))
def test_prefill_in_chunks_is_the_whole(problem: dict[str, Any], chunk: int) -> None:
    q, k, v = tensors(problem)
    q = q[:, :, : k.shape[2]]
    wanted = attention(q.double(), k.double(), v.double(), causal=True, kernel="reference")
    assert near(chunked_prefill(q, k, v, chunk=chunk), wanted)


@few
@given(st.integers(0, 3), st.integers(0, 12), st.integers(1, 5), st.integers(0, 2**31))
def test_online_softmax(rows: int, columns: int, block: int, seed: int) -> None:
    make = torch.Generator().manual_seed(seed)
    x = 50 * torch.randn(rows, columns, generator=make, dtype=D)
    assert torch.allclose(online_softmax(x, block=block), x.softmax(-1))


@few
@given(st.integers(0, 8), st.integers(1, 9), st.booleans(), st.booleans(), st.integers(0, 2**31))
def test_linear_forms_agree(t: int, chunk: int, gated: bool, delta: bool, seed: int) -> None:
    make = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(1, 2, t, 3, generator=make, dtype=D) for _ in range(3))
    k = torch.nn.functional.normalize(k, dim=-1)
    decay = -torch.rand(1, 2, t, 3, generator=make, dtype=D) if gated else None
    beta = torch.rand(1, 2, t, 1, generator=make, dtype=D) if delta else None
    results = [
        linear_attention(q, k, v, decay=decay, beta=beta, form=form, chunk=chunk)
        for form in ("recurrent", "parallel", "chunked")
    ]
    for out, state in results[1:]:
        assert torch.allclose(out, results[0][0], atol=1e-9)
        assert torch.allclose(state, results[0][1], atol=1e-9)


@few
@given(st.integers(0, 500), st.integers(0, 500), st.integers(0, 10_000), st.integers(1, 4))
def test_rope_depends_on_the_distance_alone(m: int, n: int, shift: int, pairs: int) -> None:
    q, k = torch.randn(2, 1, 1, 1, 2 * pairs, dtype=D)

    def turn(x: Tensor, place: int) -> Tensor:
        tables = rope_tables(torch.tensor([place]), rope_frequencies(2 * pairs), dtype=D)
        return apply_rope(x, *tables)

    here = (turn(q, m) * turn(k, n)).sum()
    there = (turn(q, m + shift) * turn(k, n + shift)).sum()
    assert torch.allclose(here, there, atol=1e-9)


@few
@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.data())
def test_masks_survive_the_round_trip(b: int, h: int, t: int, s: int, data: Any) -> None:
    seed = data.draw(st.integers(0, 2**31))
    mask = torch.rand(b, h, t, s, generator=torch.Generator().manual_seed(seed)) > 0.5
    # A key that everybody sees, on the diagonal too, so that no polarity is in doubt.
    mask[..., 0] = True
    assert torch.equal(from_additive(to_additive(mask)), mask)
    back = from_mha(to_mha(mask, b, h), n_heads=h)
    assert back is not None
    assert torch.equal(back, mask)


@few
@given(st.integers(1, 12), st.floats(0.01, 1.0), st.integers(1, 12), st.integers(0, 2**31))
def test_filters_never_drop_the_likeliest_nor_move_a_logit(
    vocab: int, p: float, k: int, seed: int
) -> None:
    x = torch.randn(3, vocab, generator=torch.Generator().manual_seed(seed))
    for kept in (top_p(x, p), min_p(x, p), top_k(x, k)):
        assert torch.equal(kept.argmax(-1), x.argmax(-1))
        assert torch.equal(kept[kept.isfinite()], x[kept.isfinite()])
    mass = top_p(x, p).isfinite() * x.softmax(-1)
    assert (mass.sum(-1) >= p - 1e-5).all()


@few
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 2**31))
def test_a_wider_beam_is_never_worse_when_nothing_ends(width: int, steps: int, seed: int) -> None:
    chain = torch.randn(4, 4, generator=torch.Generator().manual_seed(seed))
    chain[:, 0] = -torch.inf
    prefix = torch.tensor([[1]])

    def best(w: int) -> float:
        found = beam_search(lambda t: chain[t[:, -1]], prefix, steps, w, eos_id=0)
        return float(found.scores[0, 0])

    # 3^n beams hold every sequence of n tokens from the three that do not end it.
    assert best(width) <= best(3**steps) + 1e-5
