"""Residual connections: a sublayer's output added to its input, and where the norms stand."""

from collections.abc import Callable
from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor, nn

from attention_guide.functional import _checks
from attention_guide.layers._check import check_dropout, check_sizes
from attention_guide.layers.norm import LayerNorm

Sublayer: TypeAlias = Callable[[Tensor], Tensor]
# Makes a norm of a given width: LayerNorm, RMSNorm, ...
MakeNorm: TypeAlias = Callable[[int], nn.Module]


class PostNorm(nn.Module):
    r"""Post-norm, $\mathrm{norm}(x + f(x))$: the residual connection of 2017.

    Args:
        d_model: Width D of the residual stream.
        dropout: Share of the sublayer's output that training zeroes.
        norm: Makes the norm.

    Source:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, sections
        3.1 and 5.4.

    Examples:
        >>> import torch
        >>> around = PostNorm(4)
        >>> around(torch.tensor([[1.0, 1.0, 3.0, 3.0]]), torch.zeros_like).round(decimals=2)
        tensor([[-1., -1.,  1.,  1.]], grad_fn=...)
    """

    def __init__(self, d_model: int, *, dropout: float = 0.0, norm: MakeNorm = LayerNorm) -> None:
        super().__init__()
        check_sizes(d_model=d_model)
        check_dropout(dropout)
        _checks.functions(norm=norm)
        self.norm = norm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B T D"], sublayer: Sublayer) -> Float[Tensor, "B T D"]:
        """Add what `sublayer` makes of `x`, then normalise the sum.

        Raises:
            ValueError: `sublayer` answers in another shape.
        """
        return self.norm(x + self.dropout(check_added(x, "sublayer", sublayer(x))))  # type: ignore[no-any-return]


class PreNorm(nn.Module):
    r"""Pre-norm, $x + f(\mathrm{norm}(x))$: an unbroken residual stream.

    Args:
        d_model: Width D of the residual stream.
        dropout: Share of the sublayer's output that training zeroes.
        norm: Makes the norm.

    Source:
        Xiong et al., "On Layer Normalization in the Transformer Architecture", ICML 2020,
        arXiv:2002.04745.

    Examples:
        >>> import torch
        >>> around = PreNorm(4)
        >>> around(torch.tensor([[1.0, 1.0, 3.0, 3.0]]), torch.zeros_like)
        tensor([[1., 1., 3., 3.]])
    """

    def __init__(self, d_model: int, *, dropout: float = 0.0, norm: MakeNorm = LayerNorm) -> None:
        super().__init__()
        check_sizes(d_model=d_model)
        check_dropout(dropout)
        _checks.functions(norm=norm)
        self.norm = norm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B T D"], sublayer: Sublayer) -> Float[Tensor, "B T D"]:
        """Add what `sublayer` makes of the normalised `x`.

        Raises:
            ValueError: `sublayer` answers in another shape.
        """
        return x + self.dropout(check_added(x, "sublayer", sublayer(self.norm(x))))  # type: ignore[no-any-return]


class SandwichNorm(nn.Module):
    r"""Sandwich norm, $x + \mathrm{norm}_2(f(\mathrm{norm}_1(x)))$: a bounded addition.

    Args:
        d_model: Width D of the residual stream.
        dropout: Share of the sublayer's output that training zeroes.
        norm: Makes the norms.

    Source:
        Ding et al., "CogView: Mastering Text-to-Image Generation via Transformers", NeurIPS
        2021, arXiv:2105.13290, where it is "Sandwich-LN".

    Examples:
        >>> import torch
        >>> around = SandwichNorm(4)
        >>> around(torch.tensor([[1.0, 1.0, 3.0, 3.0]]), lambda x: 100 * x).round(decimals=2)
        tensor([[0., 0., 4., 4.]], grad_fn=...)
    """

    def __init__(self, d_model: int, *, dropout: float = 0.0, norm: MakeNorm = LayerNorm) -> None:
        super().__init__()
        check_sizes(d_model=d_model)
        check_dropout(dropout)
        _checks.functions(norm=norm)
        self.norm = norm(d_model)
        self.norm_after = norm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "B T D"], sublayer: Sublayer) -> Float[Tensor, "B T D"]:
        """Add the normalised output of `sublayer` on the normalised `x`.

        Raises:
            ValueError: `sublayer` answers in another shape.
        """
        made = check_added(x, "sublayer", sublayer(self.norm(x)))
        return x + self.dropout(self.norm_after(made))  # type: ignore[no-any-return]


def check_added(x: Tensor, name: str, made: Tensor) -> Tensor:
    """Demand that what is added to `x` is as large as `x`."""
    if _checks.tensor(name, made).shape != x.shape:
        raise ValueError(
            f"{name}: expected an output of the shape {_checks.shape(x)} of x; "
            f"got {_checks.shape(made)}"
        )
    return made
