"""What makes linear attention gated or a delta rule: small modules that plug into it."""

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attention_guide.functional import _checks
from attention_guide.layers._check import check_sequence, check_sizes
from attention_guide.layers.heads import split_heads


class DecayGate(nn.Module):
    r"""Log-gates, $g = \log \sigma(W x + b) / \tau \le 0$: how much of the memory each step keeps.

    Args:
        d_model: Width D.
        n_heads: Heads H.
        width: 1 for one gate a head, the head width K for one a key feature.
        temperature: The divisor $\tau$; it keeps gates near 1 at the start.

    Source:
        Yang et al., "Gated Linear Attention Transformers with Hardware-Efficient Training", ICML
        2024, arXiv:2312.06635, with a full matrix instead of a low-rank one.

    Examples:
        >>> import torch
        >>> DecayGate(8, 2, width=4)(torch.randn(3, 5, 8)).shape
        torch.Size([3, 2, 5, 4])
    """

    def __init__(
        self, d_model: int, n_heads: int, width: int = 1, *, temperature: float = 16.0
    ) -> None:
        super().__init__()
        check_sizes(d_model=d_model, n_heads=n_heads, width=width)
        _checks.number("temperature", temperature, above=0)
        self.proj = nn.Linear(d_model, n_heads * width)
        self.n_heads = n_heads
        self.temperature = temperature

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B H T W"]:
        """Log-gates of `x`, `(B, T, D)` → `(B, H, T, W)` with W = `width`."""
        check_sequence("x", x, self.proj.in_features, weight=self.proj.weight)
        return split_heads(F.logsigmoid(self.proj(x)) / self.temperature, self.n_heads)


class BetaGate(nn.Module):
    r"""Writing strengths, $\beta = \sigma(W x) \in (0, 1)$: how far a value is overwritten.

    Args:
        d_model: Width D.
        n_heads: Heads H.

    Source:
        Schlag, Irie and Schmidhuber, "Linear Transformers Are Secretly Fast Weight Programmers",
        ICML 2021, arXiv:2102.11174.

    Examples:
        >>> import torch
        >>> BetaGate(8, 2)(torch.randn(3, 5, 8)).shape
        torch.Size([3, 2, 5, 1])
    """

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        check_sizes(d_model=d_model, n_heads=n_heads)
        self.proj = nn.Linear(d_model, n_heads, bias=False)
        self.n_heads = n_heads

    def forward(self, x: Float[Tensor, "B T D"]) -> Float[Tensor, "B H T 1"]:
        """Strengths of `x`, `(B, T, D)` → `(B, H, T, 1)`."""
        check_sequence("x", x, self.proj.in_features, weight=self.proj.weight)
        return split_heads(self.proj(x).sigmoid(), self.n_heads)


def unit_length(x: Float[Tensor, "*B K"]) -> Float[Tensor, "*B K"]:
    r"""Unit vectors, $x / \lVert x \rVert$: keys that the delta rule can overwrite exactly.

    Args:
        x: Queries or keys, `(..., K)`.

    Returns:
        The same directions, of length 1, `(..., K)`.

    Raises:
        ValueError: No axis.
        TypeError: Not floating point.

    Examples:
        >>> import torch
        >>> unit_length(torch.tensor([3.0, 4.0]))
        tensor([0.6000, 0.8000])
    """
    _checks.trailing("x", _checks.floating("x", x), "K")
    return F.normalize(x, dim=-1)
