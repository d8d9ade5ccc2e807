"""Caches: room, order, taking back, moving, and refusing what would go wrong silently."""

import pytest
import torch
from torch import Tensor

from attention_guide.layers import KVCache, LatentCache, LinearCache, MemoryCache, SlidingCache


def numbered(start: int, t: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    k = torch.arange(start, start + t).float()[None, None, :, None].expand(batch, 2, t, 3)
    return k, -k


def test_what_goes_in_comes_out_in_order() -> None:
    cache = KVCache(6)
    for start, t in ((0, 3), (3, 1), (4, 2)):
        k, v = cache.update(*numbered(start, t))
        assert torch.equal(k[0, 0, :, 0], torch.arange(start + t).float())
        assert torch.equal(v, -k)
    assert cache.n_bytes == 2 * 2 * 6 * 3 * 4
    assert cache.mask(2) is None
    assert cache.positions().tolist() == list(range(6))


def test_a_full_cache_says_so_and_stays_as_it_was() -> None:
    cache = KVCache(4)
    cache.update(*numbered(0, 3))
    with pytest.raises(ValueError, match="k: the cache has room for 4 tokens; got 5"):
        cache.update(*numbered(3, 2))
    assert cache.length == 3


def test_crop_takes_back_guesses() -> None:
    cache = KVCache(6)
    cache.update(*numbered(0, 5))
    cache.crop(2)
    k, _ = cache.update(*numbered(9, 1))
    assert k[0, 0, :, 0].tolist() == [0, 1, 9]
    for length in (4, -1):
        with pytest.raises(ValueError, match=f"length: expected 0 to 3; got {length}"):
            cache.crop(length)
    cache.crop(0)
    assert cache.length == 0


def test_reorder_moves_the_rows() -> None:
    cache = KVCache(4)
    k = torch.arange(3.0)[:, None, None, None].expand(3, 2, 2, 3)
    cache.update(k, k)
    cache.reorder(torch.tensor([2, 2, 0]))
    k, v = cache.update(torch.zeros(3, 2, 1, 3), torch.zeros(3, 2, 1, 3))
    assert k[:, 0, 0, 0].tolist() == v[:, 0, 0, 0].tolist() == [2, 2, 0]


@pytest.mark.parametrize("make", [lambda: KVCache(8), lambda: SlidingCache(2)])
def test_another_shape_dtype_or_gradient_is_refused(make: object) -> None:
    cache = make()  # type: ignore[operator]
    cache.update(*numbered(0, 2))
    with pytest.raises(ValueError, match=r"k: expected \(1, 2, T, 3\) as the cache holds it; got"):
        cache.update(*numbered(2, 1, batch=2))
    with pytest.raises(ValueError, match=r"torch.float32 on cpu as the cache holds it; got"):
        cache.update(*(x.double() for x in numbered(2, 1)))
    k, v = numbered(2, 1)
    with pytest.raises(RuntimeError, match="autograd can't follow"):
        cache.update(k.clone().requires_grad_(), v)
    with pytest.raises(RuntimeError, match=r"v: .* autograd can't follow"):
        cache.update(k, v.clone().requires_grad_())
    assert cache.length == 2
    k, v = cache.update(k, v)
    assert k[0, 0, :, 0].tolist() == [0, 1, 2]
    assert torch.equal(v, -k)


def test_sliding_keeps_the_sinks_and_the_last() -> None:
    cache = SlidingCache(left=2, n_sinks=1)
    k, _ = cache.update(*numbered(0, 5))
    assert k.shape[2] == 5
    k, _ = cache.update(*numbered(5, 1))
    assert k[0, 0, :, 0].tolist() == cache.positions().tolist() == [0, 3, 4, 5]
    assert cache.length == 6
    assert cache.mask(1).tolist() == [[True, True, True, True]]
    k, _ = cache.update(*numbered(6, 2))
    assert cache.positions().tolist() == [0, 4, 5, 6, 7]
    assert cache.mask(2).int().tolist() == [[1, 1, 1, 1, 0], [1, 0, 1, 1, 1]]


def test_overlapping_sinks_and_window_are_kept_once() -> None:
    cache = SlidingCache(left=3, n_sinks=2)
    for start in range(4):
        cache.update(*numbered(start, 1))
    assert cache.positions().tolist() == [0, 1, 2, 3]


def test_latents_are_all_that_is_kept() -> None:
    cache = LatentCache(4)
    latent, key = cache.update(torch.ones(2, 3, 5), torch.ones(2, 3, 2))
    assert (latent.shape, key.shape, cache.length) == ((2, 3, 5), (2, 3, 2), 3)
    assert cache.n_bytes == 2 * 4 * (5 + 2) * 4
    cache.crop(1)
    cache.reorder(torch.tensor([1]))
    latent, _ = cache.update(torch.zeros(1, 1, 5), torch.zeros(1, 1, 2))
    assert latent[:, :, 0].tolist() == [[1, 0]]


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="max_len: expected an int of at least 1; got 0"):
        KVCache(0)
    with pytest.raises(ValueError, match="left: expected an int of at least 0; got -1"):
        SlidingCache(-1)


def test_memory_cache_knows_its_memory() -> None:
    cache, memory = MemoryCache(), torch.ones(1, 2, 3)
    assert not cache.filled_from(memory)
    cache.get(memory, lambda m: (m, m))
    assert cache.filled_from(memory)
    assert not cache.filled_from(memory.clone())


def test_linear_cache_counts() -> None:
    cache = LinearCache()
    cache.update(torch.zeros(1, 1, 1, 1), 3)
    cache.update(torch.ones(1, 1, 1, 1), 1)
    assert cache.length == 4
    assert cache.state is not None
    assert cache.state.item() == 1


@pytest.mark.parametrize("dtype", [torch.int8, torch.int16, torch.int32])
def test_rows_of_any_integer_dtype_reorder(dtype: torch.dtype) -> None:
    cache = KVCache(4)
    cache.update(torch.arange(2.0).view(2, 1, 1, 1), torch.zeros(2, 1, 1, 1))
    cache.reorder(torch.tensor([1, 0], dtype=dtype))
    k, _ = cache.update(torch.zeros(2, 1, 1, 1), torch.zeros(2, 1, 1, 1))
    assert k[:, 0, 0, 0].tolist() == [1.0, 0.0]
