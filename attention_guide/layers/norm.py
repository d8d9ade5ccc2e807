"""Normalisation over the model width: LayerNorm and RMSNorm."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attention_guide.functional import _checks
from attention_guide.layers._check import check_sizes, check_width


def layer_norm(
    x: Float[Tensor, "*batch D"],
    weight: Float[Tensor, " D"] | None = None,
    bias: Float[Tensor, " D"] | None = None,
    *,
    eps: float = 1e-5,
) -> Float[Tensor, "*batch D"]:
    r"""LayerNorm, $y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta$, over the last axis.

    The readable reference: `LayerNorm` computes the same with torch's fused kernel.

    Args:
        x: `(..., D)`, floating point.
        weight: `(D,)`, the gain $\gamma$; `None` for 1.
        bias: `(D,)`, the shift $\beta$; `None` for 0.
        eps: Added to the variance, inside the root.

    Returns:
        `(..., D)`, of x's dtype.

    Raises:
        ValueError: `weight` or `bias` isn't as wide as `x`, or eps is below 0.
        TypeError: Not floating point, or of two dtypes.

    Source:
        Ba, Kiros and Hinton, "Layer Normalization", arXiv:1607.06450.
        The variance is the biased one (divided by D, not D - 1).

    Examples:
        >>> import torch
        >>> layer_norm(torch.tensor([[1.0, 3.0]]), eps=0.0)
        tensor([[-1.,  1.]])
    """
    _check_normed(x, eps, weight=weight, bias=bias)
    mean = x.mean(dim=-1, keepdim=True)
    variance = (x - mean).square().mean(dim=-1, keepdim=True)
    return _affine((x - mean) * torch.rsqrt(variance + eps), weight, bias)


def rms_norm(
    x: Float[Tensor, "*batch D"],
    weight: Float[Tensor, " D"] | None = None,
    *,
    eps: float = 1e-6,
) -> Float[Tensor, "*batch D"]:
    r"""RMSNorm, $y = \gamma x / \sqrt{\mathrm{mean}(x^2) + \epsilon}$, over the last axis.

    The readable reference: `RMSNorm` computes the same with torch's fused kernel.

    Args:
        x: `(..., D)`, floating point.
        weight: `(D,)`, the gain $\gamma$; `None` for 1.
        eps: Added to the mean square, inside the root.

    Returns:
        `(..., D)`, of x's dtype.

    Raises:
        ValueError: `weight` isn't as wide as `x`, or eps is below 0.
        TypeError: Not floating point, or of two dtypes.

    Source:
        Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019,
        arXiv:1910.07467. The paper has no eps; every implementation does.

    Examples:
        >>> import torch
        >>> rms_norm(torch.tensor([[3.0, -3.0]]), eps=0.0)
        tensor([[ 1., -1.]])
    """
    _check_normed(x, eps, weight=weight)
    return _affine(x * torch.rsqrt(x.square().mean(dim=-1, keepdim=True) + eps), weight, None)


class LayerNorm(nn.Module):
    r"""LayerNorm, $y = \gamma (x - \mu) / \sqrt{\sigma^2 + \epsilon} + \beta$, over the last axis.

    Args:
        d_model: Width D of the last axis.
        eps: Added to the variance, inside the root.
        bias: Learn a shift as well as a gain.

    Source:
        Ba, Kiros and Hinton, "Layer Normalization", arXiv:1607.06450.

    Examples:
        >>> import torch
        >>> norm = LayerNorm(2)
        >>> norm(torch.tensor([[1.0, 3.0]])).round(decimals=2)
        tensor([[-1.,  1.]], grad_fn=...)
    """

    def __init__(self, d_model: int, *, eps: float = 1e-5, bias: bool = True) -> None:
        super().__init__()
        check_sizes(d_model=d_model)
        self.eps = _checks.number("eps", eps, least=0)
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model)) if _checks.flag("bias", bias) else None

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        """Normalise `x`, `(..., D)`."""
        check_width("x", x, self.weight.shape[0], self.weight)
        # Under autocast the kernel answers in float32, whatever came.
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps).to(x.dtype)

    def extra_repr(self) -> str:
        """Width and eps, for `print(module)`."""
        return f"{self.weight.numel()}, eps={self.eps}"


class RMSNorm(nn.Module):
    r"""RMSNorm, $y = \gamma x / \sqrt{\mathrm{mean}(x^2) + \epsilon}$, over the last axis.

    Args:
        d_model: Width D of the last axis.
        eps: Added to the mean square, inside the root.

    Source:
        Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019,
        arXiv:1910.07467.

    Examples:
        >>> import torch
        >>> RMSNorm(2)(torch.tensor([[3.0, -3.0]])).round(decimals=2)
        tensor([[ 1., -1.]], grad_fn=...)
    """

    def __init__(self, d_model: int, *, eps: float = 1e-6) -> None:
        super().__init__()
        check_sizes(d_model=d_model)
        self.eps = _checks.number("eps", eps, least=0)
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        """Normalise `x`, `(..., D)`."""
        check_width("x", x, self.weight.shape[0], self.weight)
        # Under autocast x may be narrower than the weight, which the fused kernel refuses.
        wide = x.to(self.weight.dtype)
        return F.rms_norm(wide, self.weight.shape, self.weight, self.eps).to(x.dtype)

    def extra_repr(self) -> str:
        """Width and eps, for `print(module)`."""
        return f"{self.weight.numel()}, eps={self.eps}"


def _affine(x: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    if weight is not None:
        x = x * weight
    return x if bias is None else x + bias


def _check_normed(x: Tensor, eps: float, **parameters: Tensor | None) -> None:
    _checks.trailing("x", _checks.floating("x", x), "D")
    _checks.number("eps", eps, least=0)
    for name, parameter in parameters.items():
        if parameter is not None:
            _checks.rank(name, _checks.floating(name, parameter), "D")
            _checks.axis(name, parameter, 0, x.shape[-1], "D", "as in x")
            _checks.like(name, parameter, "x", x)
