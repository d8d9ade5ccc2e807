"""Gradients of attention: finite differences, a recurrent decoder's steps, what is refused."""

from __future__ import annotations

import pytest
import torch

from attention_guide import AttentionRecorder
from attention_guide.explain import attention_gradients, gradient_times_attention
from attention_guide.models import (
    RecurrentConfig,
    RecurrentSeq2Seq,
    Transformer,
    TransformerConfig,
)


def test_gradients_of_attention_are_those_of_finite_differences():
    torch.manual_seed(0)
    config = TransformerConfig(11, 11, d_model=16, n_heads=2, d_ff=32, n_layers=1)
    model = Transformer(config).eval().double()
    src, tgt = torch.tensor([[5, 6, 7, 2]]), torch.tensor([[1, 9]])
    name = "decoder.blocks.0.cross_attention"
    weights, gradient = attention_gradients(model, lambda: model(src, tgt)[:, -1, 4], name)[name]
    layer = model.decoder.blocks[0].cross_attention
    held = weights.clone()

    class Held:
        """Puts weights of ours in the place of the layer's own."""

        def add(self, _own, **_options):
            return held

    layer.recorder = Held()
    try:
        for place in [(0, 0, 0, 0), (0, 1, 1, 2), (0, 1, 0, 3)]:
            ends = []
            for step in (1e-5, -1e-5):
                held = weights.clone()
                held[place] += step
                with torch.no_grad():
                    ends.append(model(src, tgt)[0, -1, 4])
            slope = (ends[0] - ends[1]) / 2e-5
            torch.testing.assert_close(slope, gradient[place], rtol=1e-6, atol=1e-9)
    finally:
        del layer.recorder
    assert all(parameter.grad is None for parameter in model.parameters())
    product = gradient_times_attention(weights, gradient)
    torch.testing.assert_close(product, (weights * gradient).mean(1))
    assert (gradient_times_attention(weights, gradient, positive=True) >= product - 1e-15).all()


@pytest.mark.parametrize("attention", ["additive", "general"])
def test_gradients_reach_every_step_of_a_recurrent_decoder(attention):
    torch.manual_seed(0)
    model = RecurrentSeq2Seq(RecurrentConfig(11, 13, d_model=8, attention=attention)).eval()
    src, tgt = torch.tensor([[4, 5, 6, 7]]), torch.tensor([[1, 7, 8]])
    with AttentionRecorder(model, gradients=True) as maps:
        model(src, tgt)[:, -1, 4].sum().backward()
    weights, gradient = attention_gradients(model, lambda: model(src, tgt)[:, -1, 4])["decoder"]
    assert (gradient.abs().amax(-1) > 0).all()
    torch.testing.assert_close(weights, maps["decoder"].detach())
    torch.testing.assert_close(gradient, maps.grad("decoder"))
    _, early = attention_gradients(model, lambda: model(src, tgt)[:, 0, 4])["decoder"]
    assert (early[:, :, 0].abs() > 0).any()
    assert torch.equal(early[:, :, 1:], torch.zeros(1, 1, 2, 4))  # the future has no say


def test_gradients_without_a_graph_say_so():
    config = TransformerConfig(11, 11, d_model=16, n_heads=2, d_ff=32, n_layers=1)
    model = Transformer(config).eval().requires_grad_(False)
    src, tgt = torch.tensor([[5, 2]]), torch.tensor([[1]])
    with pytest.raises(RuntimeError, match="no graph"):
        attention_gradients(model, lambda: model(src, tgt)[:, -1, 4])
    with pytest.raises(ValueError, match=r"scores \(B,\)"):
        attention_gradients(model, lambda: model(src, tgt))
    with pytest.raises(ValueError, match=r"run: expected to run a layer of .*; none ran"):
        attention_gradients(model, lambda: torch.ones(1, requires_grad=True))
    with pytest.raises(TypeError, match=r"run\(\): expected a torch.Tensor; got float"):
        attention_gradients(model, lambda: 3.0)
    with pytest.raises(TypeError, match="run: expected a function"):
        attention_gradients(model, 3)
    with pytest.raises(ValueError, match="gradients: expected the shape"):
        gradient_times_attention(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 3))
    with pytest.raises(ValueError, match="NaN"):
        gradient_times_attention(torch.ones(1, 1, 1, 1), torch.full((1, 1, 1, 1), float("nan")))
