"""Position-wise feed-forward networks: ReLU, GELU and gated (SwiGLU)."""

from collections.abc import Callable
from typing import TypeAlias

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from attention_guide.functional import _checks
from attention_guide.layers._check import check_dropout, check_made, check_sizes, check_width

Activation: TypeAlias = Callable[[Tensor], Tensor]


class FeedForward(nn.Module):
    r"""Feed-forward, $y = W_2 \, \sigma(W_1 x + b_1) + b_2$, the same at every position.

    ```
    (B, T, D) ── up_proj ──▶ (B, T, d_ff) ── activation ── dropout ── down_proj ──▶ (B, T, D)
    ```

    Args:
        d_model: Width D of the residual stream.
        d_ff: Width of the hidden layer; the paper uses 4 D.
        activation: Any elementwise function: `torch.nn.functional.relu` (the paper's, the
            default), `torch.nn.functional.gelu` (BERT and GPT-2), ...
        dropout: Share of hidden activations that training zeroes.
        bias: Learn biases.

    Cost:
        4 · B · T · D · d_ff flops; 2 · D · d_ff weights.

    Source:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762,
        section 3.3, equation 2. Dropout inside is tensor2tensor's, not the paper's. GELU:
        Hendrycks and Gimpel, "Gaussian Error Linear Units (GELUs)", arXiv:1606.08415.

    Examples:
        >>> import torch
        >>> FeedForward(8, 32, activation=torch.nn.functional.gelu)(torch.ones(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        *,
        activation: Activation = F.relu,
        dropout: float = 0.0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        check_sizes(d_model=d_model, d_ff=d_ff)
        check_dropout(dropout)
        _checks.flag("bias", bias)
        _checks.functions(activation=activation)
        self.up_proj = nn.Linear(d_model, d_ff, bias=bias)
        self.down_proj = nn.Linear(d_ff, d_model, bias=bias)
        self.activation = activation
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        """Apply the network at each position of `x`, `(..., D)`."""
        check_width("x", x, self.up_proj.in_features, self.up_proj.weight)
        hidden = self.up_proj(x)
        hidden = self.dropout(check_made("activation", self.activation(hidden), hidden))
        return self.down_proj(hidden)  # type: ignore[no-any-return]


class GatedFeedForward(nn.Module):
    r"""Gated feed-forward, $y = W_2 (\sigma(W x) \odot V x)$; with SiLU, the default, SwiGLU.

    Args:
        d_model: Width D of the residual stream.
        d_ff: Width of the hidden layer. Three matrices instead of two: 2/3 of the width that
            `FeedForward` has makes the parameter counts equal.
        activation: Function on the gate: `silu` gives SwiGLU, `gelu` GEGLU, `sigmoid` GLU.
        dropout: Share of hidden activations that training zeroes.
        bias: Learn biases; the paper has none.

    Cost:
        6 · B · T · D · d_ff flops; 3 · D · d_ff weights.

    Source:
        Shazeer, "GLU Variants Improve Transformer", arXiv:2002.05202.
        The paper's W, V, W₂ are `gate_proj`, `up_proj`, `down_proj`.

    Examples:
        >>> import torch
        >>> GatedFeedForward(8, 24)(torch.ones(2, 5, 8)).shape
        torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        d_model: int,
        d_ff: int,
        *,
        activation: Activation = F.silu,
        dropout: float = 0.0,
        bias: bool = False,
    ) -> None:
        super().__init__()
        check_sizes(d_model=d_model, d_ff=d_ff)
        check_dropout(dropout)
        _checks.flag("bias", bias)
        _checks.functions(activation=activation)
        self.gate_proj = nn.Linear(d_model, d_ff, bias=bias)
        self.up_proj = nn.Linear(d_model, d_ff, bias=bias)
        self.down_proj = nn.Linear(d_ff, d_model, bias=bias)
        self.activation = activation
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "*batch D"]) -> Float[Tensor, "*batch D"]:
        """Apply the network at each position of `x`, `(..., D)`."""
        check_width("x", x, self.up_proj.in_features, self.up_proj.weight)
        gate = self.gate_proj(x)
        hidden = check_made("activation", self.activation(gate), gate) * self.up_proj(x)
        return self.down_proj(self.dropout(hidden))  # type: ignore[no-any-return]
