"""What decoding refuses, by name: ids, counts, choices, padding, and more than has room."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from attention_guide.functional import greedy
from attention_guide.functional.decoding import generate as generate_from_step
from attention_guide.layers import BlockCache, KVCache, MemoryCache, SlidingCache
from attention_guide.models import (
    GPT2,
    T5,
    Captioner,
    CaptionerConfig,
    Gemma2,
    Gemma2Config,
    GPT2Config,
    T5Config,
    Transformer,
    TransformerConfig,
    ViTConfig,
    generate,
    left_pad,
    sampler,
    stream,
)

PROMPT = torch.tensor([[5, 6, 7], [8, 9, 10]])


def gpt2() -> GPT2:
    torch.manual_seed(0)
    return GPT2(GPT2Config(50, d_model=8, n_heads=2, n_layers=1, max_len=16)).eval()


def gemma2() -> Gemma2:
    torch.manual_seed(0)
    sizes = {"d_model": 8, "n_heads": 2, "n_kv_heads": 1, "d_head": 4, "d_ff": 16, "n_layers": 2}
    return Gemma2(Gemma2Config(11, max_len=32, window=4, **sizes)).double().eval()


def five(logits: Tensor) -> Tensor:
    return torch.tensor([5])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"eos_id": 2.5}, TypeError, "eos_id: expected an int; got float"),
        ({"eos_id": "x"}, TypeError, "eos_id: expected an int; got str"),
        ({"eos_id": [3]}, TypeError, "eos_id: expected an int; got list"),
        ({"eos_id": -1}, ValueError, "eos_id: expected an int of at least 0; got -1"),
        ({"eos_id": 50}, ValueError, "eos_id: expected 0 to 49; got 50"),
        ({"eos_id": 7, "pad_id": 2.9}, TypeError, "pad_id: expected an int; got float"),
        ({"eos_id": 7, "pad_id": 77}, ValueError, "pad_id: expected 0 to 49; got 77"),
        ({"pad_id": 3}, ValueError, "pad_id: expected None without eos_id"),
        ({"max_new": True}, TypeError, "max_new: expected an int; got bool"),
        ({"max_new": 2.5}, TypeError, "max_new: expected an int; got float"),
        ({"max_new": "3"}, TypeError, "max_new: expected an int; got str"),
        ({"max_new": -1}, ValueError, "max_new: expected an int of at least 0; got -1"),
        ({"padding": [[True] * 3] * 2}, TypeError, r"padding: expected a torch\.Tensor; got list"),
        ({"choose": 3}, TypeError, "choose: expected a function or a module; got int"),
    ],
)
def test_arguments_are_named(options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        next(stream(gpt2(), PROMPT, **{"max_new": 4, **options}))


@pytest.mark.parametrize("token", [50, -1])
def test_a_choice_outside_the_vocabulary_is_refused_in_the_last_step_too(token: int) -> None:
    def choose(logits: Tensor) -> Tensor:
        return torch.full((2,), token)

    message = rf"choose\(logits\): expected numbers from 0 to below V = 50; got {token}"
    with pytest.raises(ValueError, match=message):
        generate(gpt2(), PROMPT, 1, choose=choose)
    with pytest.raises(ValueError, match=message):
        generate_from_step(lambda tokens: torch.zeros(2, 50), PROMPT, 1, choose=choose)


def test_what_follows_an_end_needs_an_end() -> None:
    with pytest.raises(ValueError, match="pad_id: expected None without eos_id"):
        generate_from_step(lambda tokens: torch.zeros(2, 50), PROMPT, 1, pad_id=3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"temperature": 0.0}, "temperature: expected a number above 0"),
        ({"top_k": 0}, "top_k: expected an int of at least 1"),
        ({"top_p": 1.5}, r"top_p: expected a number at most 1; got 1\.5"),
        ({"min_p": 1.5}, r"min_p: expected a number at most 1; got 1\.5"),
    ],
)
def test_a_sampler_names_its_own_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sampler(**options)


@pytest.mark.parametrize("cached", [True, False])
def test_the_last_token_written_need_not_be_read(cached: bool) -> None:
    model = gpt2()
    written = generate(model, PROMPT, 14, cached=cached)
    whole = torch.cat([PROMPT, written], dim=1)
    assert torch.equal(greedy(model(whole[:, :-1])[:, -1]), written[:, -1])
    with pytest.raises(ValueError, match="room: expected at most max_len = 16; got 17"):
        generate(model, PROMPT, 15, cached=cached)


def test_all_ways_to_decode_have_one_limit() -> None:
    pair = Transformer(TransformerConfig(23, 23, 16, 4, 24, 1, max_len=8)).eval()
    start, src = torch.ones(1, 1, dtype=torch.long), torch.tensor([[5, 6, 7]])
    assert generate(pair, start, 8, source=src).shape == (1, 8)
    assert pair.generate(src, max_len=8, choose=five).shape == (1, 8)
    eyes = ViTConfig(8, 4, d_model=8, n_heads=2, d_ff=8, n_layers=1)
    teller = Captioner(CaptionerConfig(20, eyes, 8, d_model=8, n_heads=2, d_ff=8, n_layers=1))
    images, longest = torch.ones(1, 3, 8, 8), torch.ones(1, 8, dtype=torch.long)
    assert teller.eval().generate(images, choose=five).shape == (1, 8)
    assert teller.generate(images, longest, choose=five).shape == (1, 1)
    with pytest.raises(ValueError, match="room: expected at most max_len = 8; got 9"):
        teller.generate(images, torch.ones(1, 9, dtype=torch.long))


def test_a_refused_feed_leaves_all_caches_as_they_were() -> None:
    model, ids = gemma2(), torch.arange(1, 10)[None]
    with torch.no_grad():
        caches = model.new_cache(5)
        model(ids[:, :3], cache=caches)
        with pytest.raises(ValueError, match="ids: the cache has room for 5 tokens; got 9"):
            model(ids[:, 3:], cache=caches)
        assert [cache.length for cache in caches] == [3, 3]
        assert torch.allclose(model(ids[:, 3:5], cache=caches), model(ids[:, :5])[:, 3:])


def test_caches_that_stand_apart_are_refused() -> None:
    model, ids = gemma2(), torch.arange(1, 4)[None]
    with torch.no_grad():
        caches = model.new_cache(8)
        model(ids, cache=caches)
        caches[1].crop(2)  # as an interrupted step would leave them
        with pytest.raises(ValueError, match=r"layers that have seen as many tokens; got \[3, 2\]"):
            model(ids, cache=caches)


def test_a_pair_checks_the_room_of_all_layers_first() -> None:
    model = T5(T5Config(11, d_model=8, d_head=4, n_heads=2, d_ff=16, n_layers=2)).eval()
    caches = [BlockCache(kept, MemoryCache()) for kept in (SlidingCache(9), KVCache(4))]
    src = torch.tensor([[5, 6]])
    with torch.no_grad():
        memory = model.encode(src)
        with pytest.raises(ValueError, match="the cache has room for 4 tokens; got 5"):
            model.decode(torch.zeros(1, 5, dtype=torch.long), memory, src, cache=caches)
    assert [cache.self_attention.length for cache in caches] == [0, 0]


def test_padding_needs_a_cache_that_keeps_it() -> None:
    model, (prompt, padding) = gemma2(), left_pad([[5, 6, 7, 8], [3]])
    with torch.no_grad():
        with pytest.raises(ValueError, match=r"padding: .* new_cache\(\.\.\., padded=True\)"):
            model(prompt, padding=padding, cache=model.new_cache(8))
        padded = model(prompt, padding=padding, cache=model.new_cache(8, padded=True))
        assert torch.allclose(padded[1, -1], model(prompt[1:, 3:])[0, -1])
