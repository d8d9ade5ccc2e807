"""AdamW with weight decay where the field has it: on matrices, not on norms, biases, embeddings."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

# Modules whose own parameters scale, shift or are looked up: none of them multiplies activations.
_EXEMPT_MODULE = re.compile(r"norm|embedding|position|bias", re.IGNORECASE)
# Raw parameters that are looked up or put in front: class tokens, registers, positions.
_EXEMPT_NAME = re.compile(r"bias|token|register|embed|position", re.IGNORECASE)


def decay_groups(
    model: nn.Module, weight_decay: float, *, decay_embeddings: bool = False
) -> list[dict[str, Any]]:
    """Two parameter groups: the matrices with decay, everything else without.

    Without: every parameter of fewer than two dimensions (biases, gains), every bias whatever
    its shape (that of relative positions, say), the parameters of norms, of token and position
    embeddings, class tokens and registers. A tensor that is shared, as a tied output projection
    is, occurs once; it is decayed only if every module that holds it would decay it. Frozen
    parameters (`requires_grad` off) are left out.

    Args:
        model: The model, wrapped or not.
        weight_decay: The decay of the first group.
        decay_embeddings: Whether to decay embeddings (and what is tied to them) as well.

    Returns:
        Groups for any `torch.optim` optimiser; each names its parameters under `"names"`. A
        group that would be empty is left out.

    Raises:
        ValueError: `weight_decay` is negative, or no parameter wants a gradient.

    Source:
        The split is that of minGPT (Karpathy), which exempts biases, layer norms and
        embeddings. nanoGPT decays whatever has two dimensions, embeddings included:
        `decay_embeddings=True`. The decoupled decay is Loshchilov and Hutter (2019).

    Examples:
        >>> model = nn.Sequential(nn.Embedding(9, 4), nn.Linear(4, 4), nn.LayerNorm(4))
        >>> [group["names"] for group in decay_groups(model, 0.1)]
        [['1.weight'], ['0.weight', '1.bias', '2.weight', '2.bias']]
    """
    if weight_decay < 0.0:
        raise ValueError(f"weight_decay: expected 0 or more, got {weight_decay}")
    names: dict[nn.Parameter, str] = {}
    exempt: set[nn.Parameter] = set()
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            names.setdefault(parameter, f"{prefix}.{name}" if prefix else name)
            if _is_exempt(module, name, parameter, decay_embeddings):
                exempt.add(parameter)
    if not names:
        raise ValueError("model: expected a parameter that wants a gradient, got none")
    decayed = [p for p in names if p not in exempt]
    rest = [p for p in names if p in exempt]
    groups = [
        {"params": parameters, "weight_decay": decay, "names": [names[p] for p in parameters]}
        for parameters, decay in ((decayed, weight_decay), (rest, 0.0))
    ]
    return [group for group in groups if group["params"]]


def adamw(
    model: nn.Module,
    lr: float,
    *,
    weight_decay: float = 0.1,
    betas: tuple[float, float] = (0.9, 0.95),
    eps: float = 1e-8,
    decay_embeddings: bool = False,
) -> torch.optim.AdamW:
    """`w ← w − η (m̂ / (√v̂ + ε) + λ w)`, with `λ = 0` for norms, biases and embeddings.

    Args:
        model: The model; wrap it for several processes first.
        lr: `η`, the peak rate; a schedule multiplies it.
        weight_decay: `λ` of the matrices.
        betas: Decay rates of the two moments.
        eps: `ε`.
        decay_embeddings: See `decay_groups`.

    Returns:
        torch's optimiser, over every parameter that wants a gradient, each once.

    Raises:
        ValueError: As `decay_groups`.

    Source:
        Loshchilov and Hutter (2019), algorithm 2. The defaults `betas=(0.9, 0.95)` and
        `weight_decay=0.1` are those of Brown et al. (2020), appendix B.

    Examples:
        >>> optimizer = adamw(nn.Linear(3, 2), lr=1e-3)
        >>> [(len(group["params"]), group["weight_decay"]) for group in optimizer.param_groups]
        [(1, 0.1), (1, 0.0)]
    """
    groups = decay_groups(model, weight_decay, decay_embeddings=decay_embeddings)
    return torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps)


def _is_exempt(
    module: nn.Module, name: str, parameter: nn.Parameter, decay_embeddings: bool
) -> bool:
    kind = type(module).__name__
    if parameter.ndim < 2 or "bias" in name.lower() or re.search("norm|bias", kind, re.IGNORECASE):
        return True
    if decay_embeddings:
        return False
    looked_up = isinstance(module, nn.Embedding | nn.EmbeddingBag)
    return looked_up or bool(_EXEMPT_MODULE.search(kind) or _EXEMPT_NAME.search(name))
