"""What decoding keeps: preallocated, sliding and latent caches, and the memory's keys and values.

A cache belongs to one attention layer and one batch. It is written in place, which autograd can't
follow, so it is for use under `torch.no_grad()` or `torch.inference_mode()`.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attention_guide.functional import _checks
from attention_guide.layers._buffer import Buffer, check_no_grad, check_pair, check_same
from attention_guide.layers._check import check_sizes


@runtime_checkable
class Cache(Protocol):
    """What self-attention asks of a cache.

    Examples:
        >>> def room_left(cache: Cache, max_len: int) -> int:
        ...     return max_len - cache.length
        >>> room_left(KVCache(8), 8), room_left(SlidingCache(left=2), 8)
        (8, 8)
    """

    @property
    def length(self) -> int:
        """Tokens seen so far, kept or not: the position of the next one."""

    def update(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Take in the keys and values of T new tokens; return all S that they may attend to."""

    def mask(self, t: int) -> Tensor | None:
        """After an update: which of the S keys the T newest queries may see, or `None` for causal.

        `None` means that the keys are all the tokens in order, so that the ordinary causal mask,
        aligned to the last key, is right.
        """

    def positions(self, device: torch.device | None = None) -> Tensor:
        """After an update: the absolute positions `(S,)` of the keys it returned."""


class KVCache:
    """Keys and values of every token so far, in buffers allocated once.

    Args:
        max_len: Room, in tokens. The buffers are made at the first update, with the batch, heads,
            dtype and device of what comes.

    Cost:
        2 · B · G · max_len · K numbers; an update writes T rows and copies nothing else.

    Examples:
        >>> import torch
        >>> cache = KVCache(max_len=8)
        >>> k, v = cache.update(torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 4))
        >>> k, v = cache.update(torch.ones(1, 2, 1, 4), torch.ones(1, 2, 1, 4))
        >>> k.shape, cache.length
        (torch.Size([1, 2, 4, 4]), 4)
    """

    def __init__(self, max_len: int) -> None:
        self.max_len = max_len
        self._keys = Buffer(max_len)
        self._values = Buffer(max_len)

    @property
    def length(self) -> int:
        """Tokens held."""
        return self._keys.length

    @property
    def n_bytes(self) -> int:
        """Bytes allocated."""
        return self._keys.n_bytes + self._values.n_bytes

    def update(
        self, k: Float[Tensor, "B G T K"], v: Float[Tensor, "B G T E"]
    ) -> tuple[Float[Tensor, "B G S K"], Float[Tensor, "B G S E"]]:
        """Append T tokens; return views of all S held.

        Args:
            k: Keys, `(B, G, T, K)`.
            v: Values, `(B, G, T, E)`.

        Returns:
            Keys, `(B, G, S, K)`, and values, `(B, G, S, E)`.

        Raises:
            ValueError: No room; another batch, head or width than before; or v has another B, G
                or T than k.
            TypeError: Not floating point.
            RuntimeError: The tensors want gradients.
        """
        # Both before either: a refused update leaves the cache as it was.
        check_pair("k", k, "B G T K", "v", v, "B G T E")
        self._keys.check("k", k)
        self._values.check("v", v)
        return self._keys.append(k), self._values.append(v)

    def mask(self, t: int) -> None:
        """Nothing to add to a causal mask."""

    def positions(self, device: torch.device | None = None) -> Int[Tensor, " S"]:
        """0 … S - 1, `(S,)`."""
        _checks.maybe_device(device)
        return torch.arange(self.length, device=device)

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens (speculative decoding takes back guesses).

        Raises:
            ValueError: There aren't so many.
            TypeError: `length` isn't an int.
        """
        self._keys.crop(length)
        self._values.crop(length)

    def reorder(self, rows: Int[Tensor, " B2"]) -> None:
        """Make batch row i what row `rows[i]` was, with rows `(B2,)` (beam search moves beams).

        Raises:
            ValueError: Not one axis, or (on CPU) a row that isn't there.
            TypeError: Not integers.
        """
        self._keys.reorder(rows)
        self._values.reorder(rows)


class SlidingCache:
    """Keys and values of the last tokens, and of the first few, whatever the length.

    A query sees itself, `left` tokens before it, and the first `n_sinks` tokens: exactly
    `window=(left, 0)` when `n_sinks` is 0.

    Args:
        left: Neighbours to the left that a query may see, beside itself.
        n_sinks: First tokens that are never forgotten ("attention sinks"), beside those that a
            layer's own window shows.

    Cost:
        2 · B · G · (n_sinks + left) · K numbers, however long the text.

    Source:
        Xiao et al., "Efficient Streaming Language Models with Attention Sinks", 2023,
        arXiv:2309.17453, section 3.2. The paper numbers positions inside the cache; here keys
        keep the position of their token, so that the result equals masked full attention.

    Examples:
        >>> import torch
        >>> cache = SlidingCache(left=2, n_sinks=1)
        >>> for step in range(6):
        ...     k, v = cache.update(torch.ones(1, 1, 1, 4), torch.ones(1, 1, 1, 4))
        >>> cache.positions()
        tensor([0, 3, 4, 5])
    """

    def __init__(self, left: int, *, n_sinks: int = 0) -> None:
        check_sizes(least=0, left=left, n_sinks=n_sinks)
        self.left = left
        self.n_sinks = n_sinks
        self._length = 0
        self._kept: tuple[Tensor, Tensor, Tensor] | None = None
        self._returned = torch.empty(0, dtype=torch.long)

    @property
    def length(self) -> int:
        """Tokens seen, forgotten ones included."""
        return self._length

    @property
    def n_bytes(self) -> int:
        """Bytes kept between updates."""
        kept = self._kept or ()
        return sum(x.numel() * x.element_size() for x in kept[:2])

    def update(
        self, k: Float[Tensor, "B G T K"], v: Float[Tensor, "B G T E"]
    ) -> tuple[Float[Tensor, "B G S K"], Float[Tensor, "B G S E"]]:
        """Append T tokens; return those that any of the T may see; then forget the rest.

        Args:
            k: Keys, `(B, G, T, K)`.
            v: Values, `(B, G, T, E)`.

        Returns:
            Keys, `(B, G, S, K)`, and values, `(B, G, S, E)`.

        Raises:
            ValueError: Another batch, head or width than before, or v has another B, G or T
                than k.
            TypeError: Not floating point.
            RuntimeError: The tensors want gradients.
        """
        check_pair("k", k, "B G T K", "v", v, "B G T E")
        for name, x, held in zip("kv", (k, v), self._kept or (k, v), strict=False):
            check_no_grad(name, x)
            check_same(name, x, held)
        start, self._length = self._length, self._length + k.shape[-2]
        positions = torch.arange(start, self._length, device=k.device)
        if self._kept is not None:
            old_k, old_v, old_positions = self._kept
            k, v = torch.cat([old_k, k], dim=-2), torch.cat([old_v, v], dim=-2)
            positions = torch.cat([old_positions, positions])
        self._returned = positions
        keep = (positions < self.n_sinks) | (positions >= self._length - self.left)
        self._kept = (k[..., keep, :], v[..., keep, :], positions[keep])
        return k, v

    def mask(self, t: int) -> Bool[Tensor, "T S"]:
        """Causal, `left` neighbours, and the sinks, `(T, S)` for the `t` newest queries."""
        check_sizes(least=0, t=t)
        key = self._returned
        query = torch.arange(self._length - t, self._length, device=key.device)[:, None]
        near = (query - key <= self.left) | (key < self.n_sinks)
        return near & (key <= query)

    def positions(self, device: torch.device | None = None) -> Int[Tensor, " S"]:
        """Of the keys that the last update returned, `(S,)`."""
        _checks.maybe_device(device)
        return self._returned.to(device)


class LatentCache:
    """What latent attention keeps: one compressed vector and one rotary key a token, for all heads.

    Args:
        max_len: Room, in tokens.

    Cost:
        B · max_len · (R + K_rope) numbers, against 2 · B · H · max_len · K for `KVCache`.

    Source:
        DeepSeek-AI, "DeepSeek-V2", arXiv:2405.04434, section 2.1.

    Examples:
        >>> import torch
        >>> cache = LatentCache(max_len=8)
        >>> latent, rope_key = cache.update(torch.ones(1, 3, 16), torch.ones(1, 3, 4))
        >>> latent.shape, cache.n_bytes
        (torch.Size([1, 3, 16]), 640)
    """

    def __init__(self, max_len: int) -> None:
        self.max_len = max_len
        self._latents = Buffer(max_len)
        self._rope_keys = Buffer(max_len)

    @property
    def length(self) -> int:
        """Tokens held."""
        return self._latents.length

    @property
    def n_bytes(self) -> int:
        """Bytes allocated."""
        return self._latents.n_bytes + self._rope_keys.n_bytes

    def update(
        self, latent: Float[Tensor, "B T R"], rope_key: Float[Tensor, "B T P"]
    ) -> tuple[Float[Tensor, "B S R"], Float[Tensor, "B S P"]]:
        """Append T tokens; return views of all S held.

        Args:
            latent: Latents, `(B, T, R)`.
            rope_key: Rotary keys, `(B, T, P)`.

        Returns:
            Latents, `(B, S, R)`, and rotary keys, `(B, S, P)`.

        Raises:
            ValueError: No room; another batch or width than before; or rope_key has another B
                or T than latent.
            TypeError: Not floating point.
            RuntimeError: The tensors want gradients.
        """
        check_pair("latent", latent, "B T R", "rope_key", rope_key, "B T P")
        self._latents.check("latent", latent)
        self._rope_keys.check("rope_key", rope_key)
        return self._latents.append(latent), self._rope_keys.append(rope_key)

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        self._latents.crop(length)
        self._rope_keys.crop(length)

    def reorder(self, rows: Int[Tensor, " B2"]) -> None:
        """Make batch row i what row `rows[i]` was, with rows `(B2,)`."""
        self._latents.reorder(rows)
        self._rope_keys.reorder(rows)


class MemoryCache:
    """Keys and values of the encoder's output, projected once for a whole decoding.

    It knows which memory it was filled from, so that another one is projected anew and never
    answered with stale keys.

    Examples:
        >>> import torch
        >>> memory, cache = torch.ones(1, 3, 4), MemoryCache()
        >>> k, v = cache.get(memory, lambda m: (2 * m, 3 * m))
        >>> k, v = cache.get(memory, lambda m: 1 / 0)  # filled: not called again
        >>> float(k[0, 0, 0]), cache.filled_from(memory)
        (2.0, True)
    """

    def __init__(self) -> None:
        self._memory: Tensor | None = None
        self._entry: tuple[Tensor, Tensor] | None = None

    def filled_from(self, memory: Tensor) -> bool:
        """Whether `get` would answer without projecting."""
        return self._memory is memory

    def get(
        self, memory: Tensor, project: Callable[[Tensor], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """Keys and values of `memory`, by `project` the first time only."""
        _checks.tensor("memory", memory)
        _checks.functions(project=project)
        if self._entry is None or self._memory is not memory:
            self._entry = project(memory)
            self._memory = memory
        return self._entry


class BlockCache(NamedTuple):
    """What one decoder block keeps while decoding.

    Attributes:
        self_attention: Keys and values of the target so far.
        cross_attention: Keys and values of the memory.

    Examples:
        >>> BlockCache(KVCache(8), MemoryCache()).self_attention.length
        0
    """

    self_attention: Cache
    cross_attention: MemoryCache
