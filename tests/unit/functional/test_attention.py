"""Attention: what holds for every kernel, which kernel is chosen, and what each refuses."""

from __future__ import annotations

import sysconfig
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from attention_guide import cpu
from attention_guide.functional import (
    Traffic,
    attention,
    attention_weights,
    blocked_attention,
    causal_mask,
    padding_mask,
    tiled_attention,
    untiled_traffic,
)
from attention_guide.functional.attention import _choose

KERNELS: list[Any] = ["reference", "blocked", "sdpa", "online", None]
ALL = [k for k in KERNELS if k != "sdpa"]
D = torch.float64


def qkv(h: int = 4, g: int = 2, t: int = 6, s: int = 6, k: int = 8, e: int = 8) -> list[Tensor]:
    make = torch.Generator().manual_seed(h + 10 * t + 100 * s)
    sizes = ((2, h, t, k), (2, g, s, k), (2, g, s, e))
    return [torch.randn(*n, generator=make, dtype=D, requires_grad=True) for n in sizes]


def test_order_is_scale_softcap_bias_mask_softmax() -> None:
    q, k, _ = qkv(g=4)
    bias, mask = torch.randn(4, 6, 6, dtype=D), torch.rand(6, 6) > 0.4
    scores = q @ k.mT * 0.3
    scores = 1.5 * torch.tanh(scores / 1.5)
    scores = (scores + bias).masked_fill(~mask, -1e30)
    wanted = torch.softmax(scores, -1) * mask.any(-1, keepdim=True)
    got = attention_weights(q, k, scale=0.3, softcap=1.5, bias=bias, mask=mask)
    assert torch.allclose(got, wanted, atol=1e-14)


@pytest.mark.parametrize("kernel", KERNELS)
def test_row_that_may_attend_nowhere_gives_zero_and_no_nan(kernel: Any) -> None:
    q, k, v = qkv()
    mask = torch.ones(6, 6, dtype=torch.bool)
    mask[2] = False
    bias = torch.zeros(6, 6, dtype=D)
    bias[4] = -torch.inf
    out = attention(q, k, v, mask=mask, bias=bias, kernel=kernel)
    assert (out[:, :, [2, 4]] == 0).all()
    assert (out[:, :, [0, 1, 3, 5]] != 0).all()
    for grad in torch.autograd.grad(out.sum(), (q, k, v)):
        assert grad.isfinite().all()
    weights = attention_weights(q, k, mask=mask, bias=bias)
    assert torch.allclose(weights.sum(-1)[0, 0], torch.tensor([1.0, 1, 0, 1, 0, 1], dtype=D))


@pytest.mark.parametrize("kernel", KERNELS)
def test_causal_aligns_to_the_last_key(kernel: Any) -> None:
    q, k, v = qkv(t=3, s=8)
    whole = attention(qkv(t=8, s=8)[0], k, v, causal=True, kernel=kernel)
    assert whole.shape[2] == 8
    wanted = attention(q, k, v, mask=causal_mask(3, 8), kernel="reference")
    assert torch.allclose(attention(q, k, v, causal=True, kernel=kernel), wanted, atol=1e-12)
    # The newest query sees every key.
    last = attention(q[:, :, -1:], k, v, kernel="reference")
    assert torch.allclose(wanted[:, :, -1:], last, atol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_queries_before_the_first_key_see_nothing(kernel: Any) -> None:
    q, k, v = qkv(t=5, s=2)
    out = attention(q, k, v, causal=True, kernel=kernel)
    assert (out[:, :, :3] == 0).all()
    assert torch.allclose(out[:, :, 3], v.repeat_interleave(2, 1)[:, :, 0], atol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_future_changes_nothing_before_it(kernel: Any) -> None:
    q, k, v = qkv(t=140, s=140)
    before = attention(q, k, v, causal=True, kernel=kernel)
    q2, k2, v2 = (x.detach().clone() for x in (q, k, v))
    q2[:, :, 100:], k2[:, :, 100:], v2[:, :, 100:] = 1e2, 1e3, -1e3
    after = attention(q2, k2, v2, causal=True, kernel=kernel)
    assert torch.equal(before[:, :, :100], after[:, :, :100])
    assert not torch.equal(before[:, :, 100:], after[:, :, 100:])


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("window", [(0, 0), (2, 1), (None, 1), (3, None), (None, None)])
@pytest.mark.parametrize("causal", [False, True])
def test_window_counts_neighbours_and_the_position_itself(
    kernel: Any, window: tuple[int | None, int | None], causal: bool
) -> None:
    t, s = 67, 70
    q, k, v = qkv(t=t, s=s)
    ahead = torch.arange(s) - (torch.arange(t)[:, None] + s - t)
    left, right = window
    mask = torch.ones(t, s, dtype=torch.bool)
    mask &= ahead >= -(s if left is None else left)
    mask &= ahead <= (s if right is None else right)
    mask &= (ahead <= 0) | (not causal)
    wanted = attention(q, k, v, mask=mask, kernel="reference")
    got = attention(q, k, v, window=window, causal=causal, kernel=kernel)
    assert torch.allclose(got, wanted, atol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_grouped_equals_repeated_heads(kernel: Any, groups: int) -> None:
    q, k, v = qkv(g=groups)
    wanted = attention(
        q, k.repeat_interleave(4 // groups, 1), v.repeat_interleave(4 // groups, 1), causal=True
    )
    assert torch.allclose(attention(q, k, v, causal=True, kernel=kernel), wanted, atol=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_padded_keys_change_nothing(kernel: Any) -> None:
    q, k, v = qkv(s=9)
    mask = padding_mask([9, 5])
    k2, v2 = k.detach().clone(), v.detach().clone()
    k2[1, :, 5:], v2[1, :, 5:] = 7.0, 1e6
    a = attention(q, k, v, mask=mask, kernel=kernel)
    b = attention(q, k2, v2, mask=mask, kernel=kernel)
    assert torch.allclose(a, b, atol=1e-9)
    alone = attention(q[1:], k[1:, :, :5], v[1:, :, :5], kernel=kernel)
    assert torch.allclose(a[1:], alone, atol=1e-12)


@pytest.mark.parametrize("kernel", ALL)
def test_sinks_take_their_share(kernel: Any) -> None:
    q, k, v = qkv()
    sinks = torch.randn(4, dtype=D, requires_grad=True)
    weights = attention_weights(q, k, sinks=sinks)
    exp = torch.exp(q @ k.repeat_interleave(2, 1).mT * 8**-0.5)
    total = exp.sum(-1, keepdim=True) + torch.exp(sinks)[None, :, None, None]
    assert torch.allclose(weights, exp / total, atol=1e-13)
    out = attention(q, k, v, sinks=sinks, kernel=kernel)
    assert torch.allclose(out, weights @ v.repeat_interleave(2, 1), atol=1e-12)
    none = torch.full((4,), -torch.inf, dtype=D)
    without = attention(q, k, v, kernel="reference")
    assert torch.allclose(attention(q, k, v, sinks=none, kernel=kernel), without, atol=1e-12)


@pytest.mark.parametrize("kernel", ALL)
@pytest.mark.parametrize("extra", ["none", "bias", "softcap", "sinks", "mask"])
def test_gradients(kernel: Any, extra: str) -> None:
    q, k, v = qkv(h=2, g=1, t=3, s=4, k=2, e=3)
    bias = torch.randn(2, 1, 4, dtype=D, requires_grad=True)
    sinks = torch.randn(2, dtype=D, requires_grad=True)
    mask = torch.tensor([[1, 1, 1, 0], [0, 0, 0, 0], [1, 0, 1, 1]]).bool()

    def run(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, sinks: Tensor) -> Tensor:
        given: dict[str, Any] = {
            "none": {"causal": True},
            "bias": {"bias": bias},
            "softcap": {"softcap": 0.7, "bias": bias},
            "sinks": {"sinks": sinks, "causal": True},
            "mask": {"mask": mask},
        }[extra]
        return attention(q, k, v, kernel=kernel, **given)

    assert torch.autograd.gradcheck(run, (q, k, v, bias, sinks), fast_mode=True)


def test_every_kernel_takes_every_option_it_claims() -> None:
    make = torch.Generator().manual_seed(0)
    for t, s in ((5, 5), (70, 70), (1, 9), (66, 130), (70, 3)):
        q, k, v = qkv(t=t, s=s)
        options: dict[str, Any] = {
            "mask": torch.rand(2, 1, t, s, generator=make) > 0.3,
            "bias": torch.randn(4, 1, s, generator=make, dtype=D, requires_grad=True),
            "window": (40, 3),
            "scale": 0.2,
            "softcap": 2.0,
            "sinks": torch.randn(4, generator=make, dtype=D, requires_grad=True),
        }
        inputs = (q, k, v, options["bias"], options["sinks"])
        results = []
        for kernel in ALL:
            out = attention(q, k, v, kernel=kernel, **options)
            seed = torch.ones_like(out)
            results.append([out, *torch.autograd.grad(out, inputs, seed)])
        for other in results[1:]:
            for a, b in zip(results[0], other, strict=True):
                assert torch.allclose(a, b, atol=1e-11)


@pytest.mark.parametrize("option", ["softcap", "sinks"])
def test_sdpa_refuses_what_torch_lacks(option: str) -> None:
    q, k, v = qkv()
    given: Any = {"softcap": 1.0, "sinks": torch.zeros(4, dtype=D)}[option]
    with pytest.raises(ValueError, match=f"{option}: the 'sdpa' kernel can't do it"):
        attention(q, k, v, kernel="sdpa", **{option: given})


def test_online_refuses_dropout() -> None:
    q, k, v = qkv()
    with pytest.raises(ValueError, match="dropout: the 'online' kernel can't do it"):
        attention(q, k, v, kernel="online", dropout=0.1)


@pytest.mark.parametrize("kernel", ["reference", "blocked", "sdpa", None])
def test_dropout_keeps_the_mean_and_drops_the_share(kernel: Any) -> None:
    torch.manual_seed(0)
    q = torch.zeros(1, 1, 200, 4)
    k, v = torch.zeros(1, 1, 400, 4), torch.ones(1, 1, 400, 4)
    out = attention(q, k, v, dropout=0.25, kernel=kernel)
    assert abs(float(out.mean()) - 1) < 0.02
    # 400 weights of 1/400, each kept with probability 3/4 and scaled by 4/3.
    assert 0.02 < float(out[..., 0].std()) < 0.04


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("shape", [(0, 5, 5), (2, 0, 5), (2, 5, 0), (2, 0, 0)])
def test_zero_length_inputs(kernel: Any, shape: tuple[int, int, int]) -> None:
    b, t, s = shape
    q, k, v = torch.randn(b, 4, t, 8), torch.randn(b, 2, s, 8), torch.randn(b, 2, s, 3)
    out = attention(q, k, v, causal=True, kernel=kernel)
    assert out.shape == (b, 4, t, 3)
    assert (out == 0).all() or s > 0


@pytest.mark.parametrize("kernel", KERNELS)
def test_memory_layout_does_not_matter(kernel: Any) -> None:
    q, k, v = (x.detach() for x in qkv(t=70, s=70))
    strided = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in (q, k, v)]
    wanted = attention(q, k, v, causal=True, kernel=kernel)
    assert torch.allclose(attention(*strided, causal=True, kernel=kernel), wanted, atol=1e-13)
    expanded = k[:1].expand(2, -1, -1, -1)
    got = attention(q, expanded, v, kernel=kernel)
    assert torch.allclose(got, attention(q, expanded.clone(), v, kernel=kernel), atol=1e-13)


@pytest.mark.parametrize("kernel", KERNELS)
def test_runs_repeat_bit_for_bit(kernel: Any) -> None:
    q, k, v = qkv(t=90, s=90)
    runs = []
    for _ in range(2):
        out = attention(q, k, v, causal=True, kernel=kernel)
        runs.append([out, *torch.autograd.grad(out.square().sum(), (q, k, v))])
    for a, b in zip(*runs, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_within_twice_the_plain_error(kernel: Any, dtype: torch.dtype) -> None:
    q, k, v = (x.detach() for x in qkv(g=4, t=80, s=80, k=16))
    low = [x.to(dtype) for x in (q, k, v)]
    exact = attention(*(x.double() for x in low), kernel="reference")
    plain = torch.softmax(low[0] @ low[1].mT / 4, dim=-1) @ low[2]
    bound = 2 * float((plain.double() - exact).abs().max())
    out = attention(*low, kernel=kernel)
    assert out.dtype == dtype
    assert float((out.double() - exact).abs().max()) <= bound


@pytest.mark.parametrize("kernel", KERNELS)
def test_large_logits_stay_finite(kernel: Any) -> None:
    q, k, v = (x.detach().float() for x in qkv())
    out = attention(1e4 * q, 1e4 * k, v, kernel=kernel)
    assert out.isfinite().all()
    best = (q @ k.repeat_interleave(2, 1).mT).argmax(-1)
    picked = v.repeat_interleave(2, 1).gather(2, best[..., None].expand(-1, -1, -1, 8))
    assert torch.allclose(out, picked, atol=1e-5)


def test_half_precision_scores_do_not_overflow() -> None:
    q = k = torch.full((1, 1, 1, 64), 40.0, dtype=torch.float16)
    assert attention_weights(q, k).item() == 1.0


def choice(**given: Any) -> str:
    q, k, v = (x.detach().float() for x in qkv(**given.pop("shape", {})))
    if "dtype" in given:
        q, k, v = (x.to(given["dtype"]) for x in (q, k, v))
    names = ("causal", "window", "softcap", "sinks", "dropout")
    defaults = {"causal": False, "window": None, "softcap": None, "sinks": None, "dropout": 0.0}
    return _choose(q, k, v, *(given.get(n, defaults[n]) for n in names))


def test_dispatch() -> None:
    assert choice() == "sdpa"
    assert choice(causal=True) == "sdpa"
    assert choice(causal=True, dtype=torch.bfloat16) == "blocked"
    assert choice(causal=True, dtype=torch.bfloat16, shape={"t": 513, "s": 513}) == "sdpa"
    assert choice(dtype=torch.bfloat16) == "sdpa"
    assert choice(softcap=1.0) == choice(sinks=torch.zeros(4)) == choice(dropout=0.1) == "blocked"
    assert choice(shape={"e": 5}) == "blocked"
    assert choice(shape={"t": 1}, causal=True, dtype=torch.bfloat16) == "sdpa"
    long = {"t": 600, "s": 600}
    assert choice(window=(100, 0), shape=long) == "blocked"
    assert choice(window=(100, None), causal=True, shape=long) == "blocked"
    assert choice(window=(100, None), shape=long) == choice(window=(500, 0), shape=long) == "sdpa"


def test_dispatch_follows_the_fast_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cpu._state, "before", "none")
    assert choice(causal=True) == choice() == choice(shape={"t": 256, "s": 256}) == "blocked"
    assert choice(causal=True, shape={"t": 512, "s": 512}) == "blocked"
    assert choice(causal=True, shape={"t": 513, "s": 513}) == "sdpa"
    assert choice(shape={"t": 256, "s": 257}) == choice(shape={"t": 257, "s": 256}) == "sdpa"


def test_block_and_tile_sizes_change_nothing() -> None:
    q, k, v = qkv(t=37, s=41)
    wanted = attention(q, k, v, causal=True, kernel="reference")
    for size in (1, 5, 37, 100):
        got = blocked_attention(q, k, v, causal=True, block=size)
        assert torch.allclose(got, wanted, atol=1e-12)
        got = tiled_attention(q, k, v, causal=True, rows=size, columns=size + 2)
        assert torch.allclose(got, wanted, atol=1e-12)


def test_bytes_of_tiles_are_counted() -> None:
    q, k, v = (torch.randn(1, 1, 256, 16, requires_grad=True) for _ in range(3))
    whole, tiled = untiled_traffic(q, k, v), Traffic()
    out = tiled_attention(q, k, v, rows=64, columns=64, traffic=tiled)
    one, keys = 256 * 16 * 4, 4 * 2 * 256 * 16 * 4
    assert tiled.read == one + keys
    assert tiled.written == one + 256 * 4
    assert whole.read == 3 * one + 2 * 256 * 256 * 4
    assert whole.total > 4 * tiled.total
    forward = tiled.total
    out.sum().backward()
    assert tiled.total > 2 * forward
    causal = Traffic()
    tiled_attention(q, k, v, causal=True, traffic=causal)
    # Ten of the sixteen tiles lie on or below the diagonal.
    assert causal.read == one + keys * 10 // 16


def test_tiled_attention_keeps_no_weights() -> None:
    q, k, v = (torch.randn(1, 1, 512, 8, requires_grad=True) for _ in range(3))
    kept = 0

    def pack(x: Tensor) -> Tensor:
        nonlocal kept
        kept += x.numel()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        tiled_attention(q, k, v)
    assert kept < 512 * 64


@pytest.mark.parametrize("kernel", ["reference", "blocked", "sdpa", None])
def test_compiles_in_one_graph(kernel: Any) -> None:
    q, k, v = (x.detach().float() for x in qkv(t=70, s=70))

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attention(q, k, v, causal=True, kernel=kernel)

    # The graph is what is tested; machine code for one of them is made below.
    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")
    assert torch.allclose(compiled(q, k, v), run(q, k, v), atol=1e-6)
    grads = []
    for f in (compiled, run):
        leaves = [x.clone().requires_grad_() for x in (q, k, v)]
        f(*leaves).square().sum().backward()
        grads.append([x.grad for x in leaves])
    for a, b in zip(*grads, strict=True):
        assert a is not None
        assert b is not None
        assert torch.allclose(a, b, atol=1e-5)


def strongest_backend() -> str:
    """Inductor where the machine can build what it writes, else all of it but the building.

    It needs a C++ compiler and the headers of Python: no wheel brings them, and not every system
    that the package runs on has them.
    """
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except (InvalidCxxCompiler, RuntimeError):
        return "aot_eager_decomp_partition"
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    return "inductor" if headers.exists() else "aot_eager_decomp_partition"


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")
def test_the_compiled_graph_computes_the_same() -> None:
    q, k, v = (x.detach().float() for x in qkv(t=20, s=20))

    def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return attention(q, k, v, causal=True, softcap=5.0)  # all ours: no kernel of torch in it

    compiled = torch.compile(run, fullgraph=True, backend=strongest_backend())
    found = []
    for f in (compiled, run):
        leaves = [x.clone().requires_grad_() for x in (q, k, v)]
        out = f(*leaves)
        out.square().sum().backward()
        found.append([out.detach(), *(x.grad for x in leaves)])
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, atol=1e-5)
