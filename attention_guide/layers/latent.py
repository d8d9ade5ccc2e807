"""Latent attention (MLA): keys and values of all heads out of one small vector a token."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attention_guide.functional import Kernel, _checks, rope
from attention_guide.layers._check import (
    build,
    check_made,
    check_positions,
    check_scoring,
    check_sequence,
    check_sizes,
    head_width,
)
from attention_guide.layers.attention import Rotary
from attention_guide.layers.cache import LatentCache
from attention_guide.layers.heads import (
    WeightRecorder,
    attend_or_record,
    merge_heads,
    split_heads,
)
from attention_guide.layers.norm import RMSNorm


class LatentAttention(nn.Module):
    r"""Latent attention: $k_h = U_h c$, $v_h = V_h c$ with one latent $c = W x$ for all heads.

    ```
    x (B, T, D) ─ kv_down_proj ─ norm ─▶ c (B, S, R) ─ k_proj ─▶ (B, H, S, K) ┐ keys, width K + P
                ├ rope_key_proj ─ rotary ─▶ (B, 1, S, P), one for all heads ──┘
                │                        c ─ v_proj ─▶ (B, H, S, E)
                └ q_down_proj ─ norm ─ q_proj ─▶ (B, H, T, K + P), the last P turned by rotary
    ```

    The cache keeps `c` and the rotary key alone. There are two ways to compute the same, and both
    are here. *Expanded*: make keys and values of all heads. *Absorbed*: since
    $q_h^\top U_h c = (U_h^\top q_h)^\top c$, move $U_h$ to the query and $V_h$ behind the sum, and
    attend to the latents themselves as to one key/value head of width R + P: more flops, but
    nothing is expanded. Decoding absorbs, training expands.

    Args:
        d_model: Width D of the residual stream.
        n_heads: Heads H.
        d_latent: Width R of the latent.
        d_rope: Width P of the part that carries positions, even.
        d_head: Width K of the part of a key that doesn't; `None` for D / H.
        d_value: Width E of a head's value; `None` for K.
        d_query_latent: Width of the queries' own latent; `None` for queries straight from x.
        dropout: Share of attention weights that training zeroes.
        rotary: Turns the P features by position.
        scale: Takes the place of $1/\sqrt{K + P}$.
        norm: Makes the norms of the latents.
        kernel: Which of `attention`'s kernels; `None` lets it choose.

    Raises:
        ValueError: D isn't a multiple of H while `d_head` is `None`; or an argument is out of its
            bounds.
        TypeError: An argument of the wrong type.

    Cost:
        The cache holds R + P numbers a token, against 2 · H · K of multi-head attention. Scores
        and sums take 2 · B · H · T · S · (K + P + E) flops expanded, 2 · B · H · T · S · (2R + P)
        absorbed; expanding takes 2 · B · S · R · H · (K + E).

    Source:
        DeepSeek-AI, "DeepSeek-V2", arXiv:2405.04434, section 2.1; the paper's
        $W^{DKV}, W^{UK}, W^{UV}, W^{KR}$ are `kv_down_proj`, `k_proj`, `v_proj`,
        `rope_key_proj`; $W^{DQ}$ is `q_down_proj`, and $W^{UQ}$ and $W^{QR}$ are stacked in
        `q_proj`.

    Examples:
        >>> layer = LatentAttention(32, 4, d_latent=12, d_rope=4)
        >>> x = torch.randn(2, 5, 32)
        >>> expanded, absorbed = layer(x, causal=True), layer(x, causal=True, absorb=True)
        >>> expanded.shape, torch.allclose(expanded, absorbed, atol=1e-5)
        (torch.Size([2, 5, 32]), True)
    """

    recorder: WeightRecorder | None = None

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        d_latent: int,
        d_rope: int,
        d_head: int | None = None,
        d_value: int | None = None,
        d_query_latent: int | None = None,
        dropout: float = 0.0,
        rotary: Rotary = rope,
        scale: float | None = None,
        norm: Callable[[int], nn.Module] = RMSNorm,
        kernel: Kernel | None = None,
    ) -> None:
        super().__init__()
        check_sizes(
            d_latent=d_latent, d_rope=d_rope, d_value=d_value, d_query_latent=d_query_latent
        )
        check_scoring(dropout, kernel, scale)
        _checks.functions(rotary=rotary)
        self.n_heads, self.d_rope, self.d_latent = n_heads, d_rope, d_latent
        self.d_head = head_width(d_model, n_heads, d_head)
        self.d_value = self.d_head if d_value is None else d_value
        self.q_down_proj: nn.Module = nn.Identity()
        self.q_norm: nn.Module = nn.Identity()
        if d_query_latent is not None:
            self.q_down_proj = nn.Linear(d_model, d_query_latent, bias=False)
            self.q_norm = build("norm", norm, d_query_latent)
        width = d_model if d_query_latent is None else d_query_latent
        self.q_proj = nn.Linear(width, n_heads * (self.d_head + d_rope), bias=False)
        self.kv_down_proj = nn.Linear(d_model, d_latent, bias=False)
        self.kv_norm = build("norm", norm, d_latent)
        self.rope_key_proj = nn.Linear(d_model, d_rope, bias=False)
        self.k_proj = nn.Linear(d_latent, n_heads * self.d_head, bias=False)
        self.v_proj = nn.Linear(d_latent, n_heads * self.d_value, bias=False)
        self.out_proj = nn.Linear(n_heads * self.d_value, d_model, bias=False)
        self.rotary = rotary
        self.scale = (self.d_head + d_rope) ** -0.5 if scale is None else scale
        self.dropout = dropout
        self.kernel = kernel

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        *,
        mask: Bool[Tensor, "..."] | None = None,
        causal: bool = False,
        positions: Int[Tensor, "*B T"] | None = None,
        cache: LatentCache | None = None,
        absorb: bool | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Attend from `x` to itself.

        Args:
            x: `(B, T, D)`.
            mask: Bool, `True` = may attend, broadcastable to `(B, H, T, S)`.
            causal: No query sees a key to the right of it, the last query being at the last key.
            positions: Of x, `(T,)` or `(B, T)`; `None` for those after what the cache holds.
            cache: Keeps the latents.
            absorb: Which way to compute it; `None` absorbs where there is a cache.

        Returns:
            `(B, T, D)`.

        Raises:
            ValueError: A shape that doesn't fit.
            TypeError: A dtype that doesn't fit, or a cache of the wrong kind.
        """
        self._check(x, positions, cache, absorb)
        start = 0 if cache is None else cache.length
        if positions is None:
            positions = torch.arange(start, start + x.shape[1], device=x.device)
        q = split_heads(self.q_proj(self.q_norm(self.q_down_proj(x))), self.n_heads)
        content, turned = q[..., : self.d_head], q[..., self.d_head :]
        turned = self._turn(turned, positions)
        latent = self.kv_norm(self.kv_down_proj(x))
        rope_key = self._turn(self.rope_key_proj(x)[:, None], positions)[:, 0]
        if cache is not None:
            latent, rope_key = cache.update(latent, rope_key)
        options: dict[str, Any] = {
            "mask": mask,
            "causal": causal,
            "scale": self.scale,
            "dropout": self.dropout if self.training else 0.0,
            "kernel": self.kernel,
            "resumed": start > 0,
        }
        absorb = cache is not None if absorb is None else absorb
        attend = self._absorbed if absorb else self._expanded
        return self.out_proj(merge_heads(attend(content, turned, latent, rope_key, options)))  # type: ignore[no-any-return]

    def _turn(self, x: Tensor, positions: Tensor) -> Tensor:
        return check_made("rotary", self.rotary(x, positions), x)

    def _check(
        self,
        x: Tensor,
        positions: Tensor | None,
        cache: LatentCache | None,
        absorb: bool | None,
    ) -> None:
        weight = self.kv_down_proj.weight
        check_sequence("x", x, self.kv_down_proj.in_features, weight=weight)
        if positions is not None:
            check_positions(positions, x)
        if cache is not None:
            _checks.instance("cache", cache, LatentCache)
        if absorb is not None:
            _checks.flag("absorb", absorb)

    def _expanded(
        self, content: Tensor, turned: Tensor, latent: Tensor, rope_key: Tensor, options: Any
    ) -> Tensor:
        k = split_heads(self.k_proj(latent), self.n_heads)
        v = split_heads(self.v_proj(latent), self.n_heads)
        q = torch.cat([content, turned], dim=-1)
        k = torch.cat([k, rope_key[:, None].expand(-1, self.n_heads, -1, -1)], dim=-1)
        return attend_or_record(self.recorder, q, k, v, **options)

    def _absorbed(
        self, content: Tensor, turned: Tensor, latent: Tensor, rope_key: Tensor, options: Any
    ) -> Tensor:
        up_key = self.k_proj.weight.view(self.n_heads, self.d_head, self.d_latent)
        up_value = self.v_proj.weight.view(self.n_heads, self.d_value, self.d_latent)
        q = torch.cat([content @ up_key, turned], dim=-1)
        k = torch.cat([latent, rope_key], dim=-1)[:, None]
        summed = attend_or_record(self.recorder, q, k, latent[:, None], **options)
        return summed @ up_value.transpose(-1, -2)
