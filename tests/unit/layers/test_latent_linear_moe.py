"""Latent and linear attention, mixture of experts: each against its definition written out."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from attention_guide import AttentionRecorder
from attention_guide.functional import padding_mask, rope
from attention_guide.layers import (
    BetaGate,
    DecayGate,
    FeedForward,
    KernelAttention,
    LatentAttention,
    LatentCache,
    LinearAttention,
    LinearCache,
    MixtureOfExperts,
    balance_loss,
    load_balancing_loss,
    unit_length,
)

B, T, D, H = 2, 7, 16, 4


def tokens(t: int = T) -> Tensor:
    return torch.randn(B, t, D, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def latent(**options: object) -> LatentAttention:
    torch.manual_seed(0)
    return LatentAttention(D, H, d_latent=6, d_rope=2, **options).double()  # type: ignore[arg-type]


LATENTS = [{}, {"d_query_latent": 10}, {"d_head": 3, "d_value": 5}]


@pytest.mark.parametrize("options", LATENTS)
def test_latent_attention_is_the_formula(options: dict[str, object]) -> None:
    layer, x = latent(**options), tokens()
    c = layer.kv_norm(x @ layer.kv_down_proj.weight.T)
    turned_key = rope((x @ layer.rope_key_proj.weight.T)[:, None])[:, 0]
    q = layer.q_proj(layer.q_norm(layer.q_down_proj(x))).unflatten(-1, (H, -1))
    heads = []
    for h in range(H):
        up_key = layer.k_proj.weight.unflatten(0, (H, -1))[h]
        up_value = layer.v_proj.weight.unflatten(0, (H, -1))[h]
        q_turned = rope(q[:, :, h, layer.d_head :][:, None])[:, 0]
        scores = q[:, :, h, : layer.d_head] @ (c @ up_key.T).mT + q_turned @ turned_key.mT
        scores = scores / (layer.d_head + 2) ** 0.5
        scores = scores.masked_fill(torch.ones(T, T).triu(1).bool(), float("-inf"))
        heads.append(scores.softmax(-1) @ (c @ up_value.T))
    expected = torch.cat(heads, -1) @ layer.out_proj.weight.T
    assert torch.allclose(layer(x, causal=True), expected, atol=1e-12)


@pytest.mark.parametrize("options", LATENTS)
def test_absorbed_is_expanded_forward_and_backward(options: dict[str, object]) -> None:
    layer = latent(**options)
    x, y = tokens().requires_grad_(), tokens().requires_grad_()
    mask = padding_mask([4, T], T)
    expanded = layer(x, mask=mask, causal=True)
    absorbed = layer(y, mask=mask, causal=True, absorb=True)
    assert torch.allclose(expanded, absorbed, atol=1e-12)
    expanded.square().sum().backward()
    gradients = {name: p.grad.clone() for name, p in layer.named_parameters()}
    layer.zero_grad()
    absorbed.square().sum().backward()
    assert torch.allclose(x.grad, y.grad, atol=1e-10)
    for name, parameter in layer.named_parameters():
        assert torch.allclose(parameter.grad, gradients[name], atol=1e-10), name


@pytest.mark.parametrize("absorb", [None, False])
def test_latent_cache_is_no_cache_and_small(absorb: bool | None) -> None:
    layer, x, cache = latent(), tokens(), LatentCache(T)
    with torch.no_grad():
        steps = [
            layer(s, causal=True, cache=cache, absorb=absorb) for s in x.split([3, 1, 2, 1], 1)
        ]
    assert torch.allclose(torch.cat(steps, 1), layer(x, causal=True), atol=1e-12)
    assert cache.n_bytes == B * T * (6 + 2) * 8


def test_both_ways_have_the_same_weights() -> None:
    layer, x = latent(), tokens()
    maps = []
    for absorb in (False, True):
        with AttentionRecorder(layer) as recorded:
            layer(x, causal=True, absorb=absorb)
        maps.append(recorded[""])
    assert torch.allclose(*maps, atol=1e-12)
    assert maps[0].shape == (B, H, T, T)


LINEARS = {
    "plain": {},
    "gated": {"decay": lambda: DecayGate(D, H, 4)},
    "delta": {"beta": lambda: BetaGate(D, H), "feature": lambda: unit_length},
    "gated delta": {
        "decay": lambda: DecayGate(D, H, temperature=1.0),
        "beta": lambda: BetaGate(D, H),
        "feature": lambda: unit_length,
    },
}
linears = pytest.mark.parametrize("plugs", LINEARS.values(), ids=LINEARS.keys())


def linear(plugs: dict, **options: object) -> LinearAttention:
    torch.manual_seed(0)
    made = {name: make() for name, make in plugs.items()}
    return LinearAttention(D, H, **made, **options).double()


@linears
def test_linear_attention_is_its_recurrence(plugs: dict) -> None:
    layer, x = linear(plugs, out_norm=None), tokens()
    q, k, v = (p(x).view(B, T, H, 4) for p in (layer.q_proj, layer.k_proj, layer.v_proj))
    if layer.feature is not None:
        q, k = layer.feature(q), layer.feature(k)
    memory, outs = torch.zeros(B, H, 4, 4, dtype=torch.float64), []
    for t in range(T):
        if layer.decay is not None:
            memory = memory * layer.decay(x)[:, :, t, :, None].exp()
        written = v[:, t]
        if layer.beta is not None:
            recalled = torch.einsum("bhke,bhk->bhe", memory, k[:, t])
            written = layer.beta(x)[:, :, t] * (written - recalled)
        memory = memory + torch.einsum("bhk,bhe->bhke", k[:, t], written)
        outs.append(torch.einsum("bhke,bhk->bhe", memory, q[:, t]) / 2)
    expected = layer.out_proj(torch.stack(outs, 1).flatten(2))
    assert torch.allclose(layer(x, causal=True), expected, atol=1e-10)


@linears
@pytest.mark.parametrize("form", ["recurrent", "parallel", "chunked"])
def test_forms_and_cached_steps_agree(plugs: dict, form: str) -> None:
    layer, x, cache = linear(plugs, form=form, chunk=3), tokens(), LinearCache()
    whole = linear(plugs)(x, causal=True)
    assert torch.allclose(layer(x, causal=True), whole, atol=1e-10)
    with torch.no_grad():
        steps = [layer(step, causal=True, cache=cache) for step in x.split([3, 1, 3], 1)]
    assert torch.allclose(torch.cat(steps, 1), whole, atol=1e-10)
    assert cache.length == T


@linears
def test_padding_leaves_no_trace_in_the_memory(plugs: dict) -> None:
    layer, x, padded, bare = linear(plugs), tokens(), LinearCache(), LinearCache()
    with torch.no_grad():
        layer(x, mask=padding_mask([4, 4], T), causal=True, cache=padded)
        layer(x[:, :4], causal=True, cache=bare)
    assert torch.allclose(padded.state, bare.state, atol=1e-12)


def test_the_delta_rule_overwrites() -> None:
    layer = linear(LINEARS["delta"], out_norm=None)
    nn.init.zeros_(layer.beta.proj.weight)
    layer.beta.register_forward_hook(lambda module, args, out: out * 2)
    x, cache = tokens(1).repeat(1, 3, 1), LinearCache()
    with torch.no_grad():
        layer(x, causal=True, cache=cache)
        once = LinearCache()
        layer(x[:, :1], causal=True, cache=once)
    # The same key and value three times, at full strength, are in the memory once.
    assert torch.allclose(cache.state, once.state, atol=1e-12)


@pytest.mark.parametrize("causal", [True, False])
def test_kernel_attention_is_an_average(causal: bool) -> None:
    torch.manual_seed(0)
    layer, x = KernelAttention(D, H).double(), tokens()
    mask = padding_mask([4, T], T)
    q, k, v = (
        p(x).view(B, T, H, 4).transpose(1, 2) for p in (layer.q_proj, layer.k_proj, layer.v_proj)
    )
    weights = (nn.functional.elu(q) + 1) @ (nn.functional.elu(k) + 1).mT * mask
    weights = weights.tril() if causal else weights
    expected = (weights / weights.sum(-1, keepdim=True)) @ v
    expected = layer.out_proj(expected.transpose(1, 2).flatten(2))
    got = layer(x, mask=mask, causal=causal)
    assert torch.allclose(got, expected, atol=1e-10)
    got.sum().backward()
    assert all(p.grad.isfinite().all() for p in layer.parameters())


def test_what_linear_attention_cannot_do_is_refused() -> None:
    layer, kernel, x = linear({}), KernelAttention(D, H).double(), tokens()
    with pytest.raises(ValueError, match="causal: LinearAttention is causal by nature"):
        layer(x)
    with pytest.raises(ValueError, match="causal: a cache needs causal=True"):
        kernel(x, cache=LinearCache())
    for module in (partial(layer, causal=True), kernel):
        with pytest.raises(ValueError, match=r"mask: expected \(B, 1, 1, T\) = \(2, 1, 1, 7\)"):
            module(x, mask=torch.ones(T, T, dtype=torch.bool))
        with pytest.raises(ValueError, match="positions: linear attention takes none"):
            module(x, positions=torch.arange(T))
    with pytest.raises(ValueError, match="n_heads: expected a divisor of d_model = 16; got 3"):
        LinearAttention(16, 3)


def experts(n: int = 4, **options: object) -> MixtureOfExperts:
    torch.manual_seed(0)
    return MixtureOfExperts(D, [FeedForward(D, 8) for _ in range(n)], **options).double()  # type: ignore[arg-type]


@pytest.mark.parametrize("n_active", [1, 2, 4])
@pytest.mark.parametrize("renormalise", [True, False])
@pytest.mark.parametrize("shared", [None, FeedForward(D, 8)])
def test_mixture_is_the_weighted_sum(
    n_active: int, renormalise: bool, shared: nn.Module | None
) -> None:
    layer = experts(n_active=n_active, renormalise=renormalise, shared=shared)
    x = tokens()
    every = torch.stack([expert(x) for expert in layer.experts], dim=-1)
    probabilities = layer.router(x).softmax(-1)
    lowest = probabilities.sort(-1, descending=True).values[..., n_active - 1 : n_active]
    gates = probabilities * (probabilities >= lowest)
    gates = gates / gates.sum(-1, keepdim=True) if renormalise else gates
    expected = (every * gates[..., None, :]).sum(-1)
    expected = expected if shared is None else expected + shared(x)
    assert torch.allclose(layer(x), expected, atol=1e-12)


def test_only_the_chosen_experts_run_and_learn() -> None:
    layer = experts(n_active=1)
    with torch.no_grad():
        layer.router.weight.zero_()
        layer.router.weight[2] = 1
    layer(tokens().abs()).sum().backward()
    ran = [any(p.grad is not None for p in expert.parameters()) for expert in layer.experts]
    assert ran == [False, False, True, False]


def test_the_router_learns_through_the_weights() -> None:
    layer = experts(n_active=1, renormalise=False)
    layer(tokens()).square().sum().backward()
    assert layer.router.weight.grad.abs().sum() > 0


def test_balance_loss_is_one_when_even_and_n_when_all_go_to_one() -> None:
    even = torch.full((8, 4), 0.25)
    assert load_balancing_loss(even, torch.arange(8)[:, None] % 4).item() == pytest.approx(1)
    single = torch.zeros(8, 4)
    single[:, 1] = 1
    assert load_balancing_loss(single, torch.ones(8, 1).long()).item() == pytest.approx(4)


def test_descending_the_balance_loss_evens_the_load() -> None:
    layer = experts(n_active=1)
    with torch.no_grad():
        layer.router.weight[0] += 0.5
    x = torch.randn(512, D, dtype=torch.float64) + 0.5
    layer.route(x)

    def load() -> Tensor:
        return torch.bincount(layer.route(x).chosen.flatten(), minlength=4) / 512

    before = load().max()
    optimiser = torch.optim.SGD(layer.router.parameters(), lr=1.0)
    for _ in range(100):
        optimiser.zero_grad()
        layer(x)
        balance_loss(layer).backward()
        optimiser.step()
    assert before > 0.6
    assert load().max() < 0.4


def test_wrong_expert_counts_and_models_are_named() -> None:
    with pytest.raises(ValueError, match="n_active: expected 1 to 4; got 5"):
        experts(n_active=5)
    with pytest.raises(ValueError, match="model: expected a MixtureOfExperts that has run"):
        balance_loss(experts())
    with pytest.raises(ValueError, match="chosen: expected"):
        load_balancing_loss(torch.ones(4, 2), torch.ones(3, 1).long())
