"""Multi-head attention: self or cross, any number of key/value heads, with or without a cache."""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypedDict, Unpack

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from attention_guide.functional import Kernel, _checks, combine
from attention_guide.layers._check import (
    build,
    check_positions,
    check_scoring,
    check_sequence,
    check_sizes,
    head_width,
)
from attention_guide.layers.cache import Cache, KVCache, MemoryCache, SlidingCache
from attention_guide.layers.heads import (
    WeightRecorder,
    attend_or_record,
    merge_heads,
    split_heads,
)

# (x: (B, H, T, K), positions: (T,) or (B, T)) -> x turned by its positions.
Rotary: TypeAlias = Callable[[Tensor, Tensor], Tensor]
# (query positions (T,), key positions (S,)) -> what to add to the scores, (H, T, S).
PositionBias: TypeAlias = Callable[[Tensor, Tensor], Tensor]


class ScoreOptions(TypedDict, total=False):
    """Arguments of `attention` that a layer passes through as they are.

    Examples:
        >>> options: ScoreOptions = {"softcap": 50.0, "window": (128, 0)}
        >>> MultiHeadAttention(8, 2, **options).options["softcap"]
        50.0
    """

    scale: float
    softcap: float
    window: tuple[int | None, int | None]


class _Keys(NamedTuple):
    """What the queries meet: keys, values, where they stand, and what a cache says of them."""

    k: Tensor
    v: Tensor
    positions: Tensor | None  # `None` where nothing asks
    mask: Tensor | None = None
    resumed: bool = False


class MultiHeadAttention(nn.Module):
    r"""Multi-head attention, $\mathrm{concat}_h(\mathrm{softmax}(q_h k_h^\top / \sqrt K) v_h) W_O$.

    ```
    x      (B, T, D) ── q_proj ─▶ (B, H, T, K) ┐
    memory (B, S, D) ── k_proj ─▶ (B, G, S, K) ┼─ attention ─▶ (B, H, T, K) ── out_proj ─▶ (B, T, D)
                     └─ v_proj ─▶ (B, G, S, K) ┘
    ```

    Self-attention is `layer(x)`, cross-attention `layer(x, memory)`. G = H is multi-head, G = 1
    multi-query and anything between grouped-query attention. What varies between models is
    plugged in: a function that turns queries and keys by their position, one that adds a bias, a
    norm for queries and keys.

    Args:
        d_model: Width D of the residual stream.
        n_heads: Query heads H.
        n_kv_heads: Key/value heads G, a divisor of H; `None` for H.
        d_head: Head width K; `None` for D / H.
        d_memory: Width of `memory` where it isn't D.
        bias: Learn biases in the four projections.
        dropout: Share of attention weights that training zeroes.
        qk_norm: Makes a norm of the head width, for queries and for keys: `RMSNorm`, say.
        rotary: Turns queries and keys by position, as `RotaryPositions` does.
        position_bias: Adds to the scores by position, as `AlibiBias` does.
        sinks: One logit a head, `(H,)`, that takes part in the softmax and has no value; learned
            where it is an `nn.Parameter`.
        kernel: Which of `attention`'s kernels; `None` lets it choose.
        **options: `scale`, `softcap`, `window`, as `attention` has them.

    Raises:
        ValueError: H isn't a multiple of G, or D not one of H while `d_head` is `None`; or an
            argument is out of its bounds.
        TypeError: An argument of the wrong type, or an unknown one.

    Cost:
        4 · B · T · D · (H + G) · K flops for the projections (S = T), 4 · B · H · T · S · K for
        the attention.

    Source:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, arXiv:1706.03762, section
        3.2.2. Multi-query: Shazeer, arXiv:1911.02150; grouped: Ainslie et al., EMNLP 2023,
        arXiv:2305.13245; norm of queries and keys: Henry et al., Findings of EMNLP 2020,
        arXiv:2010.04245 (which divides by the length; `RMSNorm` also learns a gain).

    Examples:
        >>> import torch
        >>> layer = MultiHeadAttention(d_model=16, n_heads=4, n_kv_heads=2)
        >>> x, memory = torch.ones(2, 3, 16), torch.ones(2, 5, 16)
        >>> layer(x, causal=True).shape, layer(x, memory).shape
        (torch.Size([2, 3, 16]), torch.Size([2, 3, 16]))
    """

    # Shadowed on chosen layers while an AttentionRecorder watches: nothing is paid when it is off.
    recorder: WeightRecorder | None = None
    sinks: Tensor | None

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        n_kv_heads: int | None = None,
        *,
        d_head: int | None = None,
        d_memory: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        qk_norm: Callable[[int], nn.Module] | None = None,
        rotary: Rotary | None = None,
        position_bias: PositionBias | None = None,
        sinks: Tensor | None = None,
        kernel: Kernel | None = None,
        **options: Unpack[ScoreOptions],
    ) -> None:
        super().__init__()
        _check_sharing(n_heads, n_kv_heads)
        check_sizes(d_memory=d_memory)
        check_scoring(dropout, kernel, options.get("scale"))
        _check_options(n_heads, sinks, options)
        _checks.flag("bias", bias)
        _checks.maybe_functions(rotary=rotary, position_bias=position_bias)
        self.d_model = d_model
        self.n_heads = n_heads
        self.n_kv_heads = n_heads if n_kv_heads is None else n_kv_heads
        self.d_head = head_width(d_model, n_heads, d_head)
        d_memory = d_model if d_memory is None else d_memory
        self.q_proj = nn.Linear(d_model, n_heads * self.d_head, bias=bias)
        self.k_proj = nn.Linear(d_memory, self.n_kv_heads * self.d_head, bias=bias)
        self.v_proj = nn.Linear(d_memory, self.n_kv_heads * self.d_head, bias=bias)
        self.out_proj = nn.Linear(n_heads * self.d_head, d_model, bias=bias)
        self.q_norm = None if qk_norm is None else build("qk_norm", qk_norm, self.d_head)
        self.k_norm = None if qk_norm is None else build("qk_norm", qk_norm, self.d_head)
        self.dropout = dropout
        self.rotary = rotary
        self.position_bias = position_bias
        if isinstance(sinks, nn.Parameter) or sinks is None:
            self.sinks = sinks
        else:
            self.register_buffer("sinks", sinks)
        self.kernel = kernel
        self.options = options

    def forward(
        self,
        x: Float[Tensor, "B T D"],
        memory: Float[Tensor, "B S M"] | None = None,
        *,
        mask: Bool[Tensor, "..."] | None = None,
        causal: bool = False,
        positions: Int[Tensor, "*B T"] | None = None,
        cache: Cache | MemoryCache | None = None,
    ) -> Float[Tensor, "B T D"]:
        """Attend from `x` to itself, or to `memory`.

        Args:
            x: `(B, T, D)`.
            memory: `(B, S, M)`; `None` for self-attention.
            mask: Bool, `True` = may attend, broadcastable to `(B, H, T, S)`; S counts the keys
                that the cache returns.
            causal: No query sees a key to the right of it, the last query being at the last key.
            positions: Where x stands, for `rotary`, `(T,)` or `(B, T)`; `None` for after what the
                cache holds. (A `position_bias` counts the tokens of self-attention by itself.)
            cache: For self-attention a `KVCache` or `SlidingCache`; for cross-attention a
                `MemoryCache`.

        Returns:
            `(B, T, D)`.

        Raises:
            ValueError: A shape that doesn't fit, or a `SlidingCache` that shows other keys than
                the layer's `window` and `causal` do.
            TypeError: A dtype that doesn't fit, or a cache of the wrong kind.
        """
        self._check(x, memory, positions, cache)
        if isinstance(cache, SlidingCache):
            self._check_sliding(x, causal, cache)
        start = 0 if cache is None or isinstance(cache, MemoryCache) else cache.length
        index = self._count(start, x)
        if memory is not None and positions is not None:
            index = positions  # a MemoryCache doesn't know where the queries stand
        positions = index if positions is None else positions
        # The products in a row, then all that is cheap: what it needs stays in the chip's cache.
        q = self.q_proj(x)
        keys = self._keys(x, memory, positions, index, cache)
        q = self._place(split_heads(q, self.n_heads), self.q_norm, positions)
        options: dict[str, Any] = {**self.options, "causal": causal, "sinks": self.sinks}
        if keys.mask is not None:
            # Tokens are missing from the cache, so that counting columns says nothing any more.
            mask = combine(mask, keys.mask)
            options.update(causal=False, window=None)
        if self.position_bias is not None:
            assert index is not None
            assert keys.positions is not None
            options["bias"] = self.position_bias(index, keys.positions)
        attended = attend_or_record(
            self.recorder,
            q,
            keys.k,
            keys.v,
            mask=mask,
            dropout=self.dropout if self.training else 0.0,
            kernel=self.kernel,
            resumed=keys.resumed,
            # Columns are keys; where the cache has forgotten some, they say which.
            positions=None if keys.mask is None else keys.positions,
            **options,
        )
        return self.out_proj(merge_heads(attended))  # type: ignore[no-any-return]

    def _keys(
        self,
        x: Tensor,
        memory: Tensor | None,
        positions: Tensor | None,
        index: Tensor | None,
        cache: Cache | MemoryCache | None,
    ) -> _Keys:
        """Project what is attended to, or fetch it from the cache."""
        if memory is not None:
            index = self._count(0, memory)
            if not isinstance(cache, MemoryCache):
                return _Keys(*self._keys_values(memory, index), index)
            resumed = cache.filled_from(memory)
            k, v = cache.get(memory, lambda m: self._keys_values(m, index))
            return _Keys(k, v, index, resumed=resumed)
        k, v = self._keys_values(x, positions)
        if cache is None:
            return _Keys(k, v, index)
        assert not isinstance(cache, MemoryCache)
        resumed = cache.length > 0
        k, v = cache.update(k, v)
        mask = cache.mask(x.shape[1])
        asked = self.position_bias is not None or mask is not None
        return _Keys(k, v, cache.positions(x.device) if asked else None, mask, resumed)

    def _keys_values(self, source: Tensor, positions: Tensor | None) -> tuple[Tensor, Tensor]:
        k, v = self.k_proj(source), self.v_proj(source)
        k = self._place(split_heads(k, self.n_kv_heads), self.k_norm, positions)
        return k, split_heads(v, self.n_kv_heads)

    def _place(self, x: Tensor, norm: nn.Module | None, positions: Tensor | None) -> Tensor:
        x = x if norm is None else norm(x)
        if self.rotary is None:
            return x
        assert positions is not None
        return self.rotary(x, positions)

    def _count(self, start: int, x: Tensor) -> Tensor | None:
        """Positions of x's tokens from `start` on, if anything in this layer asks for them."""
        if self.rotary is None and self.position_bias is None:
            return None
        return torch.arange(start, start + x.shape[1], device=x.device)

    def _check(
        self,
        x: Tensor,
        memory: Tensor | None,
        positions: Tensor | None,
        cache: Cache | MemoryCache | None,
    ) -> None:
        proj = self.q_proj
        check_sequence("x", x, proj.in_features, weight=proj.weight)
        if memory is not None:
            proj = self.k_proj
            check_sequence("memory", memory, proj.in_features, "B S M", proj.weight)
            _checks.axis("memory", memory, 0, x.shape[0], "B S M", "as x has it")
        if positions is not None:
            check_positions(positions, x)
        if cache is not None:
            fits = isinstance(cache, MemoryCache) if memory is not None else _is_cache(cache)
            if not fits:
                raise TypeError(
                    "cache: expected a MemoryCache with memory, a KVCache or SlidingCache "
                    f"without; got {type(cache).__name__}"
                )

    def _check_sliding(self, x: Tensor, causal: bool, cache: SlidingCache) -> None:
        """The cache's mask takes the place of the layer's, so it must not say something else."""
        if not _checks.flag("causal", causal) and x.shape[1] > 1:
            raise ValueError(
                "causal: expected True with a SlidingCache, which hides what comes later; got False"
            )
        left = (self.options.get("window") or (None, None))[0]
        if left not in (None, cache.left):
            raise ValueError(
                f"cache: expected a SlidingCache with left = {left}, that of the layer's window; "
                f"got left = {cache.left}"
            )

    def extra_repr(self) -> str:
        """Heads and widths, for `print(module)`."""
        return f"n_heads={self.n_heads}, n_kv_heads={self.n_kv_heads}, d_head={self.d_head}"


def _is_cache(cache: object) -> bool:
    # The classes first: the protocol alone is slow to look for.
    return isinstance(cache, (KVCache, SlidingCache, Cache))


def _check_sharing(n_heads: int, n_kv_heads: int | None) -> None:
    check_sizes(n_heads=n_heads, n_kv_heads=n_kv_heads)
    if n_kv_heads is not None and n_heads % n_kv_heads:
        raise ValueError(f"n_kv_heads: expected a divisor of n_heads = {n_heads}; got {n_kv_heads}")


def _check_options(n_heads: int, sinks: Tensor | None, options: ScoreOptions) -> None:
    if sinks is not None:
        _checks.rank("sinks", _checks.floating("sinks", sinks), "H")
        _checks.axis("sinks", sinks, 0, n_heads, "H", "as n_heads has it")
    unknown = sorted(options.keys() - ScoreOptions.__annotations__.keys())
    if unknown:
        known = ", ".join(ScoreOptions.__annotations__)
        raise TypeError(f"options: expected any of {known}; got {', '.join(unknown)}")
    softcap, window = options.get("softcap"), options.get("window")
    if softcap is not None:
        _checks.number("softcap", softcap, above=0)
    if window is not None:
        _checks.window_pair(window)
