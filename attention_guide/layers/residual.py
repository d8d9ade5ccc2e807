"""Residual connections: a sublayer's output added to its input, and where the norms stand."""

from collections.abc import Callable
from typing import TypeAlias

from jaxtyping import Float
from torch import Tensor, nn

from attention_guide.functional import _checks
from attention_guide.layers._check import build, check_dropout, check_made, check_sizes
from attention_guide.layers.norm import LayerNorm

Sublayer: TypeAlias = Callable[[Tensor], Tensor]
# Makes a norm of a given width: LayerNorm, RMSNorm, ...
MakeNorm: TypeAlias = Callable[[int], nn.Module]


class _Residual(nn.Module):
    """What the residual connections share: a norm, dropout, and a look at what is added."""

    def __init__(self, d_model: int, *, dropout: float = 0.0, norm: MakeNorm = LayerNorm) -> None:
        super().__init__()
        check_sizes(d_model=d_model)
        check_dropout(dropout)
        self.norm = build("norm", norm, d_model)
        self.dropout = nn.Dropout(dropout)

    def _made(self, x: Tensor, sublayer: Sublayer, given: Tensor) -> Tensor:
        if not callable(sublayer):
            _checks.functions(sublayer=sublayer)
        return check_made("sublayer", sublayer(given), x)


class PostNorm(_Residual):
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

    def forward(self, x: Float[Tensor, "B T D"], sublayer: Sublayer) -> Float[Tensor, "B T D"]:
        """Add what `sublayer` makes of `x`, then normalise the sum.

        Args:
            x: `(B, T, D)`.
            sublayer: From `(B, T, D)` to `(B, T, D)`: an attention, a feed-forward, ...

        Returns:
            `(B, T, D)`.

        Raises:
            ValueError: `sublayer` answers in another shape or on another device.
            TypeError: It isn't a function or a module, or answers in another dtype.
        """
        return self.norm(x + self.dropout(self._made(x, sublayer, x)))  # type: ignore[no-any-return]


class PreNorm(_Residual):
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

    def forward(self, x: Float[Tensor, "B T D"], sublayer: Sublayer) -> Float[Tensor, "B T D"]:
        """Add what `sublayer` makes of the normalised `x`.

        Args:
            x: `(B, T, D)`.
            sublayer: From `(B, T, D)` to `(B, T, D)`: an attention, a feed-forward, ...

        Returns:
            `(B, T, D)`.

        Raises:
            ValueError: `sublayer` answers in another shape or on another device.
            TypeError: It isn't a function or a module, or answers in another dtype.
        """
        return x + self.dropout(self._made(x, sublayer, self.norm(x)))  # type: ignore[no-any-return]


class SandwichNorm(_Residual):
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
        super().__init__(d_model, dropout=dropout, norm=norm)
        self.norm_after = build("norm", norm, d_model)

    def forward(self, x: Float[Tensor, "B T D"], sublayer: Sublayer) -> Float[Tensor, "B T D"]:
        """Add the normalised output of `sublayer` on the normalised `x`.

        Args:
            x: `(B, T, D)`.
            sublayer: From `(B, T, D)` to `(B, T, D)`: an attention, a feed-forward, ...

        Returns:
            `(B, T, D)`.

        Raises:
            ValueError: `sublayer` answers in another shape or on another device.
            TypeError: It isn't a function or a module, or answers in another dtype.
        """
        made = self._made(x, sublayer, self.norm(x))
        return x + self.dropout(self.norm_after(made))  # type: ignore[no-any-return]
