"""Linear-attention layers: a matrix of memory instead of a cache that grows."""

from collections.abc import Callable
from typing import get_args

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attention_guide.functional import _checks, kernel_attention, linear_attention
from attention_guide.functional.linear import LinearForm, kernel_step
from attention_guide.layers._check import (
    build,
    check_choice,
    check_padding,
    check_sequence,
    check_sizes,
    head_width,
)
from attention_guide.layers.heads import merge_heads, split_heads
from attention_guide.layers.norm import RMSNorm


class LinearCache:
    """The memory of a linear-attention layer while decoding: one matrix a head, at any length.

    Examples:
        >>> import torch
        >>> layer, cache = LinearAttention(8, 2), LinearCache()
        >>> for token in torch.randn(1, 5, 8).split(1, dim=1):
        ...     out = layer(token, causal=True, cache=cache)
        >>> cache.length, cache.state.shape
        (5, torch.Size([1, 2, 4, 4]))
    """

    def __init__(self) -> None:
        self.state: Tensor | None = None
        self.length = 0

    def update(self, state: Float[Tensor, "B H K E"], t: int) -> None:
        """Keep the memory `(B, H, K, E)` after `t` more tokens.

        Raises:
            ValueError: Another number of axes, or `t` is below 0.
            TypeError: Not floating point, or `t` isn't an int.
        """
        _checks.rank("state", _checks.floating("state", state), "B H K E")
        check_sizes(least=0, t=t)
        self.state = state
        self.length += t


class LinearAttention(nn.Module):
    r"""Linear attention, $S_t = e^{g_t} S_{t-1} + k_t u_t^\top$ and $o_t = S_t^\top q_t$.

    It is causal by nature, and what it keeps has a fixed size. Plain, gated and delta-rule layers
    differ by what is plugged in:

    - plain: `LinearAttention(d, h)`;
    - gated (GLA): `decay=DecayGate(d, h, d_head)`;
    - delta rule (DeltaNet): `beta=BetaGate(d, h)`, `feature=unit_length`;
    - gated delta rule: `DecayGate(d, h)` and both of these.

    Args:
        d_model: Width D of the residual stream.
        n_heads: Heads H.
        d_head: Width K of queries, keys and values; `None` for D / H.
        bias: Learn biases in the four projections.
        feature: What is done to queries and keys: `unit_length`, `elu_feature`, `torch.relu`, ...
        decay: Makes the log-gates $g$, `(B, H, T, 1)` or `(B, H, T, K)`, from x.
        beta: Makes the delta rule's writing strengths, `(B, H, T, 1)`, from x.
        out_norm: Makes a norm of each head's output, which nothing else bounds; `None` for none.
        form: How it is computed: the same numbers at another cost, see `linear_attention`.
        chunk: Length of a chunk of the chunked form.

    Raises:
        ValueError: D isn't a multiple of H while `d_head` is `None`; an unknown form, or a size
            below 1.
        TypeError: A size that isn't an int.

    Cost:
        B · T · H · K² · 4 flops beside the projections; the cache is B · H · K² numbers.

    Source:
        Gated: Yang et al., "Gated Linear Attention Transformers with Hardware-Efficient
        Training", ICML 2024, arXiv:2312.06635; delta rule: Yang et al.,
        "Parallelizing Linear Transformers with the Delta Rule over Sequence Length", NeurIPS
        2024, arXiv:2406.06484; both: Yang, Kautz and Hatamizadeh, "Gated Delta Networks", ICLR
        2025, arXiv:2412.06464. Without their short convolutions and output gates.

    Examples:
        >>> import torch
        >>> from attention_guide.layers import BetaGate, DecayGate, unit_length
        >>> gates = {"decay": DecayGate(8, 2), "beta": BetaGate(8, 2), "feature": unit_length}
        >>> LinearAttention(8, 2, **gates)(torch.randn(2, 5, 8), causal=True).shape
        torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        d_head: int | None = None,
        bias: bool = False,
        feature: Callable[[Tensor], Tensor] | None = None,
        decay: nn.Module | None = None,
        beta: nn.Module | None = None,
        out_norm: Callable[[int], nn.Module] | None = RMSNorm,
        form: LinearForm = "chunked",
        chunk: int = 64,
    ) -> None:
        super().__init__()
        check_choice("form", form, get_args(LinearForm))
        check_sizes(chunk=chunk)
        _checks.flag("bias", bias)
        _checks.maybe_functions(feature=feature, decay=decay, beta=beta)
        self.n_heads = n_heads
        self.d_head = head_width(d_model, n_heads, d_head)
        width = n_heads * self.d_head
        self.q_proj = nn.Linear(d_model, width, bias=bias)
        self.k_proj = nn.Linear(d_model, width, bias=bias)
        self.v_proj = nn.Linear(d_model, width, bias=bias)
        self.out_proj = nn.Linear(width, d_model, bias=bias)
        self.out_norm: nn.Module = nn.Identity()
        if out_norm is not None:
            self.out_norm = build("out_norm", out_norm, self.d_head)
        self.feature = feature
        self.decay = decay
        self.beta = beta
        self.form: LinearForm = form
        self.chunk = chunk

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        *,
        mask: Bool[Tensor, "B 1 1 T"] | None = None,
        causal: bool = False,
        positions: Int[Tensor, "*B T"] | None = None,
        cache: LinearCache | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Pass `x`, `(B, T, D)`, through the recurrence.

        Args:
            x: `(B, T, D)`.
            mask: `(B, 1, 1, T)`, `False` for tokens that leave no trace (padding). No other mask
                can be expressed.
            causal: Must be `True`.
            positions: Must be `None`, where others take `(B, T)`: order comes from the recurrence.
            cache: The memory so far.

        Returns:
            `(B, T, D)`.

        Raises:
            ValueError: A shape that doesn't fit, or something that linear attention can't do.
            TypeError: A dtype that doesn't fit, or a cache of the wrong kind.
        """
        _check_linear(self, x, mask, causal, positions, cache)
        if not causal:
            raise ValueError("causal: LinearAttention is causal by nature; got causal=False")
        q, k, v = _project(self, x)
        if self.feature is not None:
            q, k = self.feature(q), self.feature(k)
        decay = None if self.decay is None else self.decay(x)
        beta = None if self.beta is None else self.beta(x)
        if mask is not None:
            real = mask.transpose(-1, -2)
            # A padded token writes nothing and lets nothing fade.
            k, v = _hide("feature", k, real), v.where(real, 0.0)
            decay = None if decay is None else _hide("decay", decay, real)
        out, state = linear_attention(
            q,
            k,
            v,
            decay=decay,
            beta=beta,
            state=None if cache is None else cache.state,
            form=self.form,
            chunk=self.chunk,
        )
        if cache is not None:
            cache.update(state, x.shape[1])
        return self.out_proj(merge_heads(self.out_norm(out)))  # type: ignore[no-any-return]


class KernelAttention(nn.Module):
    r"""Averages, $o_t = \sum_s w_{ts} v_s / \sum_s w_{ts}$, $w_{ts} = \phi(q_t)^\top \phi(k_s)$.

    Softmax attention with $e^{q^\top k}$ replaced by a product of features: averages of the
    values still, both ways or causal, in time linear in the length.

    Args:
        d_model: Width D of the residual stream.
        n_heads: Heads H.
        d_head: Head width K; `None` for D / H.
        bias: Learn biases in the four projections.
        form: How causal sums are computed, see `linear_attention`.
        chunk: Length of a chunk of the chunked form.

    Raises:
        ValueError: D isn't a multiple of H while `d_head` is `None`; an unknown form, or a size
            below 1.
        TypeError: A size that isn't an int.

    Cost:
        4 · B · H · T · K² flops beside the projections.

    Source:
        Katharopoulos et al., "Transformers are RNNs", ICML 2020, arXiv:2006.16236.

    Examples:
        >>> import torch
        >>> layer, x = KernelAttention(8, 2), torch.randn(2, 5, 8)
        >>> layer(x).shape, layer(x, causal=True).shape
        (torch.Size([2, 5, 8]), torch.Size([2, 5, 8]))
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        *,
        d_head: int | None = None,
        bias: bool = True,
        form: LinearForm = "chunked",
        chunk: int = 64,
    ) -> None:
        super().__init__()
        check_choice("form", form, get_args(LinearForm))
        check_sizes(chunk=chunk)
        _checks.flag("bias", bias)
        self.n_heads = n_heads
        self.d_head = head_width(d_model, n_heads, d_head)
        width = n_heads * self.d_head
        self.q_proj = nn.Linear(d_model, width, bias=bias)
        self.k_proj = nn.Linear(d_model, width, bias=bias)
        self.v_proj = nn.Linear(d_model, width, bias=bias)
        self.out_proj = nn.Linear(width, d_model, bias=bias)
        self.form: LinearForm = form
        self.chunk = chunk

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        *,
        mask: Bool[Tensor, "B 1 1 T"] | None = None,
        causal: bool = False,
        positions: Int[Tensor, "*B T"] | None = None,
        cache: LinearCache | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Attend from `x`, `(B, T, D)`, to itself.

        Args:
            x: `(B, T, D)`.
            mask: `(B, 1, 1, T)`, `False` for keys that nobody sees (padding). No other mask can be
                expressed.
            causal: No query sees a key to the right of it. A cache needs it.
            positions: Must be `None`, where others take `(B, T)`: add positions to x instead.
            cache: The sums so far.

        Returns:
            `(B, T, D)`.

        Raises:
            ValueError: A shape that doesn't fit, or something that kernel attention can't do.
            TypeError: A dtype that doesn't fit, or a cache of the wrong kind.
        """
        _check_linear(self, x, mask, causal, positions, cache)
        q, k, v = _project(self, x)
        if mask is not None:
            # elu(-inf) + 1 = 0: the feature of a key that isn't there.
            k = k.where(mask.transpose(-1, -2), float("-inf"))
        if cache is None:
            out = kernel_attention(q, k, v, causal=causal, form=self.form, chunk=self.chunk)
        elif causal:
            out, state = kernel_step(q, k, v, cache.state, form=self.form, chunk=self.chunk)
            cache.update(state, x.shape[1])
        else:
            raise ValueError("causal: a cache needs causal=True; got causal=False")
        return self.out_proj(merge_heads(out))  # type: ignore[no-any-return]


def _project(layer: LinearAttention | KernelAttention, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    h = layer.n_heads
    return (
        split_heads(layer.q_proj(x), h),
        split_heads(layer.k_proj(x), h),
        split_heads(layer.v_proj(x), h),
    )


def _hide(name: str, x: Tensor, real: Tensor) -> Tensor:
    """Zeros for what isn't real, of what a plug-in made; `where` alone would stretch it to fit."""
    _checks.rank(name, _checks.floating(name, x), "B H T K")
    for position in (0, 2):
        _checks.axis(name, x, position, real.shape[position], "B H T K", "as in x")
    return x.where(real, 0.0)


def _check_linear(
    layer: LinearAttention | KernelAttention,
    x: Tensor,
    mask: Tensor | None,
    causal: bool,
    positions: Tensor | None,
    cache: LinearCache | None,
) -> None:
    check_sequence("x", x, layer.q_proj.in_features, weight=layer.q_proj.weight)
    _checks.flag("causal", causal)
    if positions is not None:
        raise ValueError("positions: linear attention takes none; expected None")
    if mask is not None:
        check_padding(mask, x.shape[0], x.shape[1])
    if cache is not None:
        _checks.instance("cache", cache, LinearCache)
