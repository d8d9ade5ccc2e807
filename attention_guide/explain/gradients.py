"""Gradient times attention: weights that the score would miss, and by how much."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attention_guide.functional import _checks
from attention_guide.record import AttentionRecorder, Match, _join

__all__ = ["attention_gradients", "gradient_times_attention"]


def gradient_times_attention(
    weights: Float[Tensor, "B H T S"],
    gradients: Float[Tensor, "B H T S"],
    *,
    positive: bool = False,
) -> Float[Tensor, "B T S"]:
    r"""The mean over heads of $A \odot \partial y / \partial A$, a first-order effect of weights.

    By Taylor's first term, $A_{ts} \, \partial y / \partial A_{ts}$ is what the score $y$ would
    lose if that one weight went to 0 (without the others growing to fill the row). Where $y$ is
    linear in the weights, it is exact.

    Args:
        weights: Attention weights, `(B, H, T, S)`.
        gradients: The score's gradients with respect to them, the same shape.
        positive: Set products below 0 to 0 before the mean, as Chefer et al. do: heads that speak
            against the score no longer cancel those that speak for it.

    Returns:
        `(B, T, S)`.

    Raises:
        TypeError: Not floating point.
        ValueError: Shapes that differ, or NaN.

    Source:
        Gradients of attention weights as a ranking: Serrano & Smith, "Is Attention
        Interpretable?", ACL 2019, arXiv:1906.03731. The product with its positive part, averaged
        over heads: Chefer, Gur & Wolf, "Generic Attention-model Explainability for Interpreting
        Bi-Modal and Encoder-Decoder Transformers", ICCV 2021, arXiv:2103.15679.

    Examples:
        >>> weights = torch.tensor([[[[0.5, 0.5]], [[1.0, 0.0]]]])
        >>> gradients = torch.tensor([[[[2.0, -2.0]], [[0.0, 3.0]]]])
        >>> gradient_times_attention(weights, gradients)
        tensor([[[ 0.5000, -0.5000]]])
        >>> gradient_times_attention(weights, gradients, positive=True)
        tensor([[[0.5000, 0.0000]]])
    """
    _checks.rank("weights", _checks.floating("weights", weights), "B H T S")
    _checks.floating("gradients", gradients)
    if gradients.shape != weights.shape:
        raise ValueError(
            f"gradients: expected the shape of weights, {_checks.shape(weights)}; "
            f"got {_checks.shape(gradients)}"
        )
    product = weights * gradients
    if not bool(torch.isfinite(product).all()):
        raise ValueError("weights and gradients: expected finite numbers; got NaN or infinity")
    return (product.clamp(min=0) if positive else product).mean(1)


def attention_gradients(
    model: nn.Module, run: Callable[[], Tensor], match: Match | None = None
) -> dict[str, tuple[Tensor, Tensor]]:
    r"""Weights $A$ and $\partial y / \partial A$ of a model's attention layers, for one run.

    The parameters' own gradients stay as they were.

    Args:
        model: The model, with layers that an `AttentionRecorder` can watch.
        run: Runs the model and returns the score $y$ of each item, `(B,)`.
        match: Which layers, as `AttentionRecorder` takes it; `None` for all.

    Returns:
        By layer name: the weights and their gradients, each `(B, H, T, S)`. A layer that didn't
        run is left out; one that the score doesn't depend on has gradients 0.

    Raises:
        TypeError: `run` isn't a function, or the score isn't a floating-point tensor.
        ValueError: Nothing matches, no layer ran, or the score isn't `(B,)`.
        RuntimeError: The score has no graph: the weights need parameters or inputs that require
            gradients, outside `torch.no_grad()`.

    Examples:
        >>> from attention_guide.models import Transformer, TransformerConfig
        >>> config = TransformerConfig(11, 11, d_model=16, n_heads=2, d_ff=32, n_layers=1)
        >>> model = Transformer(config).eval()
        >>> src, tgt = torch.tensor([[5, 6, 7, 2]]), torch.tensor([[1, 9]])
        >>> found = attention_gradients(model, lambda: model(src, tgt)[:, -1, 4], "cross")
        >>> {name: gradient_times_attention(*pair).shape for name, pair in found.items()}
        {'decoder.blocks.0.cross_attention': torch.Size([1, 2, 4])}
    """
    _checks.functions(run=run)
    with AttentionRecorder(model, match, gradients=True) as maps:
        score = _checks.floating("run()", run())
    if score.ndim != 1:
        raise ValueError(f"run(): expected scores (B,); got {_checks.shape(score)}")
    # A recurrent decoder's map has a step for each row. The score depends on the steps: the map
    # that joins them was made after it.
    steps = {name: maps._sink(name).passes[-1] for name in maps}
    weights = [step.weights for layer in steps.values() for step in layer]
    if not weights:
        raise ValueError(f"run: expected to run a layer of {', '.join(maps.names)}; none ran")
    if not score.requires_grad or not all(w.requires_grad for w in weights):
        raise RuntimeError(
            "run: the score has no graph; let parameters or inputs require gradients, "
            "outside torch.no_grad()"
        )
    slopes = iter(torch.autograd.grad(score.sum(), weights, materialize_grads=True))
    return {
        name: (maps[name].detach(), _join([s._replace(weights=next(slopes)) for s in layer]))
        for name, layer in steps.items()
    }
