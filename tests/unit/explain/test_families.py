"""The methods on models of the package (causal, grouped, BERT, ViT), and on scores with a truth."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from attention_guide import AttentionRecorder
from attention_guide.explain import (
    at_embedding,
    attention_flow,
    attention_gradients,
    completeness_gap,
    deletion_curve,
    insertion_curve,
    integrated_gradients,
    kendall_tau,
    logit_lens,
    occlusion,
    patching_by_head,
    patching_by_position,
    rollout,
    shapley_sampling,
    shapley_values,
)
from attention_guide.models import (
    GPT2,
    BertClassifier,
    BertConfig,
    GPT2Config,
    Llama,
    LlamaConfig,
    ViT,
    ViTConfig,
)

D = torch.float64
IDS = torch.tensor([[5, 6, 7, 8, 9]])
OTHER = torch.tensor([[5, 6, 4, 8, 9]])


def gpt2() -> GPT2:
    return GPT2(GPT2Config(13, d_model=16, n_heads=4, n_layers=2, max_len=16))


def llama() -> Llama:
    return Llama(
        LlamaConfig(13, d_model=16, n_heads=4, n_kv_heads=2, d_ff=32, n_layers=2, max_len=16)
    )


def bert() -> BertClassifier:
    return BertClassifier(BertConfig(13, d_model=16, n_heads=4, n_layers=2, d_ff=32, max_len=16), 3)


@pytest.fixture(params=[gpt2, llama, bert], ids=lambda make: make.__name__)
def family(request: pytest.FixtureRequest) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    torch.manual_seed(0)
    model = request.param().eval().double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)  # so that attention is far from even

    def run(ids: Tensor) -> Tensor:
        logits = model(ids)
        return (logits if logits.ndim == 2 else logits[:, -1])[:, 1]

    return model, run


def embedding_of(model: nn.Module) -> nn.Module:
    return next(m for m in model.modules() if isinstance(m, nn.Embedding))


def test_attributions_are_complete(family):
    model, run = family
    score, x = at_embedding(embedding_of(model), run, IDS)
    torch.testing.assert_close(score(x), run(IDS))
    attribution = integrated_gradients(score, x, 0.5 * x, steps=300)
    assert completeness_gap(attribution, score, x, 0.5 * x).abs() < 1e-4
    shapley = shapley_values(score, x, 0.5 * x)
    torch.testing.assert_close(
        completeness_gap(shapley, score, x, 0.5 * x), torch.zeros(1, dtype=D)
    )


def test_recorded_maps_go_into_rollout_flow_and_gradients(family):
    model, run = family
    with AttentionRecorder(model) as maps:
        run(IDS)
    assert len(maps) == 2
    rolled, flow = rollout(maps.values()), attention_flow(maps.values(), queries=[4])
    torch.testing.assert_close(rolled.sum(-1), torch.ones(1, 5, dtype=D))
    assert (flow[0, 0] >= rolled[0, 4] - 1e-9).all()
    found = attention_gradients(model, partial(run, IDS))
    assert list(found) == list(maps)
    for name, (weights, gradient) in found.items():
        torch.testing.assert_close(weights, maps[name])
        assert gradient.abs().max() > 0


def test_patching_finds_the_place_that_differs(family):
    model, run = family
    where = patching_by_position(run, IDS, OTHER, {"embedding": embedding_of(model)})
    torch.testing.assert_close(where[0], torch.tensor([0, 0, 1.0, 0, 0], dtype=D))
    layers = {
        name: module for name, module in model.named_modules() if hasattr(type(module), "recorder")
    }
    heads = patching_by_head(run, IDS, OTHER, layers)
    assert heads.shape == (2, 4)
    assert torch.isfinite(heads).all()
    assert heads.abs().max() > 0


@pytest.mark.parametrize("make", [gpt2, llama])
def test_the_lens_ends_at_the_logits(make):
    torch.manual_seed(0)
    model = make().eval()
    seen = logit_lens(lambda: model(IDS), model.blocks, lambda h: model.logits(model.norm(h)))
    assert torch.equal(seen[-1], model(IDS))
    assert seen.shape == (3, 1, 5, 13)


def test_pixels_are_attributed_like_tokens():
    torch.manual_seed(0)
    config = ViTConfig(image_size=8, patch_size=4, d_model=16, n_heads=2, n_layers=1, d_ff=32)
    model = ViT(config).eval().double()
    image = torch.rand(1, 3, 8, 8, dtype=D)

    def score(x: Tensor) -> Tensor:
        return model(x).flatten(1)[:, 0]

    attribution = integrated_gradients(score, image)
    assert attribution.shape == image.shape
    assert completeness_gap(attribution, score, image).abs() < 1e-6


def test_on_an_additive_score_all_methods_say_the_same_and_it_is_the_truth():
    torch.manual_seed(0)
    x, direction = torch.randn(2, 6, 4, dtype=D), torch.randn(4, dtype=D)

    def score(x: Tensor) -> Tensor:
        return (x @ direction).sum(1)

    truth = x @ direction
    found = {
        "integrated": integrated_gradients(score, x, steps=1).sum(-1),
        "occlusion": occlusion(score, x),
        "exact": shapley_values(score, x),
        "sampled": shapley_sampling(score, x, samples=1).values,
    }
    for values in found.values():
        torch.testing.assert_close(values, truth)


def test_the_truth_is_more_faithful_than_a_guess_on_a_model_that_has_one():
    """The score reads two tokens of eight: attributions find them, position doesn't."""
    torch.manual_seed(0)
    x = torch.rand(1, 8, 3, dtype=D) + 0.5

    def score(x: Tensor) -> Tensor:
        return (x[:, 2].sum(1) * x[:, 5].sum(1)).tanh()

    found = integrated_gradients(score, x, steps=100).sum(-1)
    exact = shapley_values(score, x)
    guess = torch.arange(8, dtype=D)[None]
    assert set(found[0].topk(2).indices.tolist()) == {2, 5}
    assert set(exact[0].nonzero().flatten().tolist()) == {2, 5}
    assert deletion_curve(score, x, found).area() < deletion_curve(score, x, guess).area()
    assert insertion_curve(score, x, found).area() > insertion_curve(score, x, guess).area()
    assert kendall_tau(found[0].abs(), exact[0]) > 0.9
