"""Our attention layer and three peers, of the same widths and with the same call."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from x_transformers.x_transformers import Attention as XAttention

from attention_guide.layers import MultiHeadAttention

N_HEADS = 8


class Composed(nn.Module):
    """Four projections around torch's fused attention."""

    def __init__(self, d_model: int, causal: bool) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(d_model, d_model) for _ in range(4))
        self.causal = causal

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (p(x).unflatten(-1, (N_HEADS, -1)).transpose(1, 2)
                   for p in (self.q, self.k, self.v))  # fmt: skip
        out = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        return self.o(out.transpose(1, 2).flatten(2))


def layers(t: int, d: int, causal: bool) -> dict[str, Callable[[Tensor], Tensor]]:
    """The candidates by name, ours first."""
    ours = MultiHeadAttention(d, N_HEADS)
    mha = nn.MultiheadAttention(d, N_HEADS, batch_first=True)
    x_layer = XAttention(d, dim_head=d // N_HEADS, heads=N_HEADS, causal=causal, flash=True)
    hidden = torch.ones(t, t).triu(1).bool() if causal else None
    return {
        "ours": lambda x: ours(x, causal=causal),
        "SDPA composed": Composed(d, causal),
        "nn.MultiheadAttention": lambda x: mha(
            x, x, x, attn_mask=hidden, need_weights=False, is_causal=causal
        )[0],
        "x-transformers": lambda x: _first(x_layer(x)),
    }


def _first(out: Tensor | tuple[Tensor, ...]) -> Tensor:
    return out if isinstance(out, Tensor) else out[0]


def runner(layer: Callable[[Tensor], Tensor], x: Tensor, backward: bool) -> Callable[[], None]:
    """A call that goes through the layer once, and back if asked."""

    def run() -> None:
        with torch.set_grad_enabled(backward):
            out = layer(x)
            if backward:
                out.sum().backward()

    return run
