"""The attention layer, forward and with backward, against the best of three peers.

Peers: projections around scaled_dot_product_attention, nn.MultiheadAttention without weights, and
x-transformers with flash. A row's ratio is ours over the fastest peer of that row.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from x_transformers.x_transformers import Attention as XAttention

from attention_guide.cpu import fast_matmul, fast_matmul_is_on
from attention_guide.layers import MultiHeadAttention
from benchmarks._rounds import ratio, seconds

SHAPES = ((8, 128, 256, 12), (2, 1024, 512, 2))  # B, T, D, calls a round
N_HEADS, ROUNDS = 8, 21


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


def candidates(t: int, d: int, causal: bool) -> dict[str, Callable[[Tensor], Tensor]]:
    ours = MultiHeadAttention(d, N_HEADS)
    mha = nn.MultiheadAttention(d, N_HEADS, batch_first=True)
    x_layer = XAttention(d, dim_head=d // N_HEADS, heads=N_HEADS, causal=causal, flash=True)
    hidden = torch.ones(t, t).triu(1).bool() if causal else None
    return {
        "ours": lambda x: ours(x, causal=causal),
        "sdpa": Composed(d, causal),
        "mha": lambda x: mha(x, x, x, attn_mask=hidden, need_weights=False, is_causal=causal)[0],
        "x-transformers": lambda x: _first(x_layer(x)),
    }


def _first(out: Tensor | tuple[Tensor, ...]) -> Tensor:
    return out if isinstance(out, Tensor) else out[0]


def measure(b: int, t: int, d: int, inner: int, causal: bool, backward: bool) -> None:
    torch.manual_seed(0)
    x = torch.randn(b, t, d, requires_grad=backward)

    def call(layer: Callable[[Tensor], Tensor]) -> Callable[[], object]:
        def run() -> None:
            with torch.set_grad_enabled(backward):
                out = layer(x)
                if backward:
                    out.sum().backward()

        return run

    runs = {name: call(layer) for name, layer in candidates(t, d, causal).items()}
    times = seconds(runs, ROUNDS, inner)
    peers = {name: statistics.median(v) for name, v in times.items() if name != "ours"}
    best = min(peers, key=peers.__getitem__)
    kind = f"{'causal' if causal else 'full':6} {'forward+backward' if backward else 'forward':16}"
    print(f"B{b} T{t} d{d}  {kind}  {ratio(times['ours'], times[best])}  best peer: {best}")


def main() -> None:
    """Print a row for each shape, mask and direction; then the same with fast_matmul."""
    for fast in (False, True):
        if fast:
            fast_matmul()
        print(f"fast_matmul: {'on' if fast_matmul_is_on() else 'off'}, "
              f"{torch.get_num_threads()} threads, torch {torch.__version__}")  # fmt: skip
        for b, t, d, inner in SHAPES:
            for causal in (False, True):
                for backward in (False, True):
                    measure(b, t, d, inner, causal, backward)


if __name__ == "__main__":
    main()
