"""MultiHeadAttention: equal to the formula written out, for every way of grouping and plugging."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from attention_guide.functional import attention, causal_mask, padding_mask, rope, rope_frequencies
from attention_guide.layers import (
    AlibiBias,
    KVCache,
    MemoryCache,
    MultiHeadAttention,
    RelativeBias,
    RMSNorm,
    RotaryPositions,
    SlidingCache,
)

B, T, D, H = 2, 9, 16, 4
PLUGS = {
    "plain": {},
    "multi-query": {"n_kv_heads": 1},
    "grouped": {"n_kv_heads": 2},
    "wide heads": {"d_head": 6},
    "qk-norm": {"qk_norm": RMSNorm},
    "softcap": {"softcap": 2.0},
    "window": {"window": (3, 0)},
    "scale": {"scale": 0.3},
    "sinks": {"sinks": nn.Parameter(torch.tensor([0.5, -1.0, 2.0, 0.0], dtype=torch.float64))},
    "rope": {"rotary": rope},
    "rope tables": {"rotary": RotaryPositions(rope_frequencies(4), max_len=32)},
    "partial rope": {"rotary": partial(rope, width=2, pairing="interleaved")},
    "alibi": {"position_bias": AlibiBias(H)},
    "t5": {"position_bias": RelativeBias(H, n_buckets=6, max_distance=8, causal=True)},
    "all": {"n_kv_heads": 2, "qk_norm": RMSNorm, "softcap": 3.0, "window": (4, 0), "rotary": rope,
            "position_bias": AlibiBias(H)},
}  # fmt: skip
plugs = pytest.mark.parametrize("plug", PLUGS.values(), ids=PLUGS.keys())


def build(plug: dict[str, object]) -> MultiHeadAttention:
    torch.manual_seed(0)
    return MultiHeadAttention(D, H, **plug).double()  # type: ignore[arg-type]


def tokens(t: int = T, d: int = D) -> Tensor:
    return torch.randn(B, t, d, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def by_hand(layer: MultiHeadAttention, x: Tensor, mask: Tensor) -> Tensor:
    """One head after the other, with nothing but matrix products and a softmax."""
    k_width, group = layer.d_head, H // layer.n_kv_heads
    heads = []
    for head in range(H):
        q_rows = slice(head * k_width, (head + 1) * k_width)
        kv_rows = slice(head // group * k_width, (head // group + 1) * k_width)
        q = x @ layer.q_proj.weight[q_rows].T + layer.q_proj.bias[q_rows]
        k = x @ layer.k_proj.weight[kv_rows].T + layer.k_proj.bias[kv_rows]
        v = x @ layer.v_proj.weight[kv_rows].T + layer.v_proj.bias[kv_rows]
        scores = (q @ k.mT / k_width**0.5).masked_fill(~mask, float("-inf"))
        heads.append(scores.softmax(-1) @ v)
    return torch.cat(heads, dim=-1) @ layer.out_proj.weight.T + layer.out_proj.bias


@pytest.mark.parametrize("n_kv_heads", [1, 2, 4])
@pytest.mark.parametrize("d_head", [None, 6])
def test_it_is_the_formula(n_kv_heads: int, d_head: int | None) -> None:
    layer, x = build({"n_kv_heads": n_kv_heads, "d_head": d_head}), tokens()
    assert torch.allclose(layer(x, causal=True), by_hand(layer, x, causal_mask(T)), atol=1e-12)


def test_every_option_reaches_the_function() -> None:
    for name, plug in PLUGS.items():
        if name not in ("plain", "multi-query", "grouped", "wide heads"):
            layer, plain = build(plug), build({"n_kv_heads": plug.get("n_kv_heads")})
            plain.load_state_dict(layer.state_dict(), strict=False)
            difference = layer(tokens(), causal=True) - plain(tokens(), causal=True)
            assert difference.abs().max() > 1e-3, name


@plugs
def test_causal_is_causal_bit_for_bit(plug: dict[str, object]) -> None:
    layer, x = build({**plug, "kernel": "reference"}), tokens()
    changed = x.clone()
    changed[:, 5:] += 1
    assert torch.equal(layer(x, causal=True)[:, :5], layer(changed, causal=True)[:, :5])


@plugs
@pytest.mark.parametrize("steps", [[1] * T, [4, 1, 1, 3], [T]])
def test_cached_is_uncached(plug: dict[str, object], steps: list[int]) -> None:
    layer, x, cache = build(plug), tokens(), KVCache(T)
    whole = layer(x, causal=True)
    with torch.no_grad():
        parts = [layer(part, causal=True, cache=cache) for part in x.split(steps, dim=1)]
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-12)


@plugs
@pytest.mark.parametrize("n_sinks", [0, 2])
@pytest.mark.parametrize("steps", [[1] * T, [4, 1, 1, 3], [T]])
def test_sliding_cache_is_the_windowed_mask(
    plug: dict[str, object], n_sinks: int, steps: list[int]
) -> None:
    layer, x, cache = build({**plug, "window": None}), tokens(), SlidingCache(2, n_sinks=n_sinks)
    distance = torch.arange(T)[:, None] - torch.arange(T)
    mask = (distance >= 0) & ((distance <= 2) | (torch.arange(T) < n_sinks))
    whole = layer(x, mask=mask)
    with torch.no_grad():
        parts = [layer(part, causal=True, cache=cache) for part in x.split(steps, dim=1)]
    assert torch.allclose(torch.cat(parts, dim=1), whole, atol=1e-12)


def test_sliding_cache_forgets_the_rest() -> None:
    layer, cache = build({}), SlidingCache(2, n_sinks=1)
    with torch.no_grad():
        for token in tokens().split(1, dim=1):
            layer(token, causal=True, cache=cache)
    assert cache.n_bytes == 2 * B * H * (1 + 2) * 4 * 8
    assert cache.length == T


def test_rows_of_a_batch_may_stand_at_their_own_positions() -> None:
    layer, x = build({"rotary": rope}), tokens(5)
    shifted = layer(x, causal=True, positions=torch.stack([torch.arange(5), torch.arange(7, 12)]))
    assert torch.allclose(shifted, layer(x, causal=True), atol=1e-10)
    doubled = layer(x, causal=True, positions=2 * torch.arange(5))
    assert not torch.allclose(doubled, layer(x, causal=True), atol=1e-3)


def test_padding_changes_nothing_before_it() -> None:
    layer, x = build({}), tokens()
    mask = padding_mask([4, 9], T)
    other = x.clone()
    other[0, 4:] = 7.0
    got, expected = layer(other, mask=mask), layer(x[:1, :4])
    assert torch.allclose(got[:1, :4], expected, atol=1e-12)
    assert torch.allclose(got[1], layer(x)[1], atol=1e-12)


def test_a_query_that_may_attend_nowhere_gets_the_output_bias() -> None:
    layer = build({})
    out = layer(tokens(), mask=torch.zeros(T, T, dtype=torch.bool))
    assert torch.allclose(out, layer.out_proj.bias.expand_as(out))


def test_without_positions_it_is_equivariant() -> None:
    layer, x, order = build({}), tokens(), torch.randperm(T)
    assert torch.allclose(layer(x[:, order]), layer(x)[:, order], atol=1e-12)


def test_cross_attention_reads_memory_of_another_width() -> None:
    layer, x, memory = build({"d_memory": 6}), tokens(), tokens(5, 6)
    q = layer.q_proj(x).view(B, T, H, 4).transpose(1, 2)
    k = layer.k_proj(memory).view(B, 5, H, 4).transpose(1, 2)
    v = layer.v_proj(memory).view(B, 5, H, 4).transpose(1, 2)
    expected = layer.out_proj(attention(q, k, v).transpose(1, 2).flatten(2))
    assert torch.allclose(layer(x, memory), expected)


def test_memory_cache_projects_once_and_never_answers_for_another_memory() -> None:
    layer, x, cache = build({"d_memory": 6}), tokens(1), MemoryCache()
    memory, other = tokens(5, 6), 2 * tokens(5, 6)
    calls: list[int] = []
    layer.k_proj.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        for _ in range(3):
            assert torch.equal(layer(x, memory, cache=cache), layer(x, memory))
        assert len(calls) == 1 + 3
        assert torch.equal(layer(x, other, cache=cache), layer(x, other))


def test_dropout_acts_in_training_alone() -> None:
    layer, x = build({"dropout": 0.5}), tokens()
    torch.manual_seed(0)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))


def test_sinks_are_learned_only_as_a_parameter() -> None:
    fixed = MultiHeadAttention(D, H, sinks=torch.zeros(H))
    learned = MultiHeadAttention(D, H, sinks=nn.Parameter(torch.zeros(H)))
    assert "sinks" not in dict(fixed.named_parameters())
    assert "sinks" in fixed.state_dict()
    learned(torch.randn(1, 3, D)).sum().backward()
    assert learned.sinks is not None
    assert learned.sinks.grad is not None


def test_gradcheck() -> None:
    layer = MultiHeadAttention(4, 2, 1, qk_norm=RMSNorm, rotary=rope, softcap=2.0).double()
    x = torch.randn(1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(partial(layer, causal=True), (x,))


def test_compiles_whole_for_any_length() -> None:
    layer = MultiHeadAttention(D, H, 2, qk_norm=RMSNorm, rotary=rope).eval()
    compiled = torch.compile(layer, fullgraph=True, backend="eager", dynamic=True)
    for length in (T, T + 2):
        x = torch.randn(B, length, D)
        assert torch.allclose(compiled(x, causal=True), layer(x, causal=True), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m: m(torch.ones(2, 16)), ValueError, r"x: expected \(B, T, D\) with D = 16"),
        (lambda m: m(torch.ones(2, 3, 8)), ValueError, r"D = 16; got \(2, 3, 8\)"),
        (lambda m: m(torch.ones(2, 3, 16).long()), TypeError, "x: expected a floating-point"),
        (lambda m: m(tokens(), tokens(3, 8)), ValueError, r"memory: expected \(B, S, M\) with M"),
        (lambda m: m(tokens(), tokens()[:1]), ValueError, "memory: .* B = 2"),
        (lambda m: m(tokens(), cache=MemoryCache()), TypeError, "cache: expected a MemoryCache"),
        (lambda m: m(tokens(), tokens(), cache=KVCache(9)), TypeError, "got KVCache"),
        (lambda m: m(tokens(), mask=torch.ones(3, 3, dtype=torch.bool)), ValueError, "mask"),
        (lambda m: m(tokens(), mask=torch.ones(T, T)), TypeError, "mask: expected torch.bool"),
    ],
)
def test_wrong_arguments_are_named(call: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(build({}))  # type: ignore[operator]


def test_wrong_sizes_are_named() -> None:
    with pytest.raises(ValueError, match="n_kv_heads: expected a divisor of n_heads = 4; got 3"):
        MultiHeadAttention(16, 4, 3)
    with pytest.raises(ValueError, match="n_heads: expected a divisor of d_model = 16; got 3"):
        MultiHeadAttention(16, 3)
