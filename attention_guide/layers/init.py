"""Initialisation: Xavier, and normal with the residual writers scaled by depth."""

import math

from torch import nn

from attention_guide.functional import _checks
from attention_guide.layers._check import check_sizes

# The projections that write into the residual stream, by the names used throughout the package.
RESIDUAL_WRITERS = ("out_proj", "down_proj")


def xavier_init(model: nn.Module) -> None:
    r"""Xavier: $W \sim U(-a, a)$, $a = \sqrt{6 / (\text{fan}_\text{in} + \text{fan}_\text{out})}$.

    A forward and a backward pass then both keep the variance of what flows through a linear
    layer, as far as one matrix can do both. Biases are 0, embeddings $N(0, 1/D)$.

    Args:
        model: Every `nn.Linear` and `nn.Embedding` inside is drawn anew, in place.

    Raises:
        TypeError: `model` isn't a module.

    Source:
        Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
        networks", 2010. Embeddings: so that the factor $\sqrt D$
        of Vaswani et al. 2017, section 3.4, brings them to unit variance (as tensor2tensor).

    Examples:
        >>> import torch
        >>> layer = torch.nn.Linear(64, 32)
        >>> xavier_init(layer)
        >>> bool(layer.weight.abs().max() <= (6 / (64 + 32)) ** 0.5), bool((layer.bias == 0).all())
        (True, True)
    """
    _checks.instance("model", model, nn.Module)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            _zero_bias(module)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=module.embedding_dim**-0.5)


def depth_scaled_init(model: nn.Module, n_layers: int, *, std: float = 0.02) -> None:
    r"""Normal, $W \sim N(0, \sigma^2)$; residual writers get $N(0, \sigma^2 / 2L)$ for $L$ blocks.

    Two sublayers a block add to the stream, so its variance at the end would grow with
    $2L$; the smaller draw makes it independent of depth.

    Args:
        model: Every `nn.Linear` and `nn.Embedding` inside is drawn anew, in place. Writers into
            the stream are those named `out_proj` and `down_proj`, as the package names them.
        n_layers: Number of blocks $L$.
        std: Standard deviation $\sigma$ of the other weights.

    Raises:
        ValueError: `n_layers` is below 1, or `std` below 0.
        TypeError: `model` isn't a module, `n_layers` not an int, or `std` not a number.

    Source:
        Radford et al., "Language Models are Unsupervised Multitask Learners", 2019:
        residual weights are scaled by $1/\sqrt{N}$ with N residual layers, here $2L$.

    Examples:
        >>> import torch
        >>> from attention_guide.layers import FeedForward
        >>> _ = torch.manual_seed(0)
        >>> layer = FeedForward(256, 1024)
        >>> depth_scaled_init(layer, n_layers=8)
        >>> ratio = layer.up_proj.weight.std() / layer.down_proj.weight.std()
        >>> round(ratio.item(), 1)
        4.0
    """
    _checks.instance("model", model, nn.Module)
    check_sizes(n_layers=n_layers)
    _checks.number("std", std, least=0)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            writes = name.rpartition(".")[-1] in RESIDUAL_WRITERS
            scale = 1 / math.sqrt(2 * n_layers) if writes else 1.0
            nn.init.normal_(module.weight, std=std * scale)
            _zero_bias(module)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=std)


def _zero_bias(linear: nn.Linear) -> None:
    if linear.bias is not None:
        nn.init.zeros_(linear.bias)
