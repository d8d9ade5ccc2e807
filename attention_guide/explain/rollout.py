"""Attention rollout: what a layer's tokens would hold of the input if attention only mixed."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from attention_guide.explain._inputs import layer_maps
from attention_guide.functional import _checks

__all__ = ["mixing", "rollout"]


def rollout(
    layers: Iterable[Float[Tensor, "B H T T"]], *, residual: float = 0.5
) -> Float[Tensor, "B T T"]:
    r"""Rollout, $R = M_L \cdots M_2 M_1$ with the mixing $M_l = (1 - r) \bar{A}_l + r I$.

    Each layer's heads are averaged, the residual connection is counted as attention to oneself,
    and the layers are multiplied. What values, norms and feed-forwards do is left out: an
    approximation, to be tested against the model (`deletion_curve`), not believed.

    Args:
        layers: One map `(B, H, T, T)` a layer, the first layer first: `maps.values()` of an
            `AttentionRecorder` on a stack of self-attentions.
        residual: The share $r$ of the residual connection.

    Returns:
        `(B, T, T)`: how much of input token s is in output token t. Rows sum to 1. In the maps'
        dtype, float32 at least: in bfloat16 the rows would drift from 1.

    Raises:
        TypeError: A map isn't floating point, or has another dtype than the first.
        ValueError: No map, one that isn't `(B, H, T, T)`, or `residual` outside 0 to 1.

    Cost:
        `2 · B · L · T³` flops.

    Source:
        Abnar & Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020, arXiv:2005.00928,
        section 3; their $A$ is our $M$, with $r = 0.5$.

    Examples:
        >>> attend_left = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])
        >>> rollout([attend_left, attend_left])[0]
        tensor([[1.0000, 0.0000],
                [0.7500, 0.2500]])
    """
    mixed = mixing(layers, residual=residual)
    rolled = mixed[0]
    for layer in mixed[1:]:
        rolled = layer @ rolled
    return rolled


def mixing(
    layers: Iterable[Float[Tensor, "B H T T"]], *, residual: float = 0.5
) -> list[Float[Tensor, "B T T"]]:
    r"""Each layer's mixing, $M = (1 - r) \bar{A} + r I$, its rows scaled to sum to 1.

    The scaling matters where a query may attend nowhere (its row becomes the residual alone) and
    where part of the weight goes to a sink.

    Args:
        layers: One map `(B, H, T, T)` a layer.
        residual: The share $r$ of the residual connection.

    Returns:
        One `(B, T, T)` a layer, in the maps' dtype, float32 at least.

    Raises:
        TypeError: A map isn't floating point, or has another dtype than the first.
        ValueError: No map, one that isn't `(B, H, T, T)`, a row of zeros with `residual` 0, or
            `residual` outside 0 to 1.

    Examples:
        >>> mixing([torch.zeros(1, 1, 2, 2)])[0][0]
        tensor([[1., 0.],
                [0., 1.]])
    """
    share = _checks.number("residual", residual, least=0, most=1)
    maps = layer_maps(layers)
    dtype = torch.promote_types(maps[0].dtype, torch.float32)
    own = torch.eye(maps[0].shape[-1], dtype=dtype, device=maps[0].device)
    mixed = []
    for weights in maps:
        layer = (1 - share) * weights.mean(1, dtype=dtype) + share * own
        total = layer.sum(-1, keepdim=True)
        if bool((total == 0).any()):
            raise ValueError("layers: a query attends nowhere and residual is 0: nothing flows")
        mixed.append(layer / total)
    return mixed
