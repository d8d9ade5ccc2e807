"""One way to decode: padding, caches, ends, sampling, streaming, and what a prompt must be."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from attention_guide import AttentionRecorder
from attention_guide.functional import greedy
from attention_guide.layers import SlidingCache
from attention_guide.models import (
    GPT2,
    T5,
    BertConfig,
    Bloom,
    BloomConfig,
    Decodes,
    DeepSeek,
    DeepSeekConfig,
    ExpertSizes,
    Gemma2,
    Gemma2Config,
    GPT2Config,
    LanguageModel,
    LatentSizes,
    Llama,
    LlamaConfig,
    Marian,
    MarianConfig,
    T5Config,
    Transformer,
    TransformerConfig,
    generate,
    left_pad,
    sampler,
    stream,
)

SMALL = {"d_model": 16, "n_heads": 4, "n_layers": 2, "max_len": 32}
FAMILIES = {
    "gpt2": lambda: GPT2(GPT2Config(23, **SMALL)),
    "llama": lambda: Llama(LlamaConfig(23, n_kv_heads=2, d_ff=24, **SMALL)),
    "window, sinks, experts": lambda: Llama(
        LlamaConfig(23, d_ff=24, window=3, sinks=True, experts=(4, 2), **SMALL)
    ),
    "gemma2": lambda: Gemma2(Gemma2Config(23, d_head=4, d_ff=24, window=3, **SMALL)),
    "bloom": lambda: Bloom(BloomConfig(23, **SMALL)),
    "deepseek": lambda: DeepSeek(
        DeepSeekConfig(
            23, d_ff=24, n_dense_layers=1, latent=LatentSizes(8, 8, 4, 4, 4),
            experts=ExpertSizes(4, 2, 1, 8, 2, 1), **SMALL,
        )
    ),
}  # fmt: skip
ROWS = [[5, 9, 11], [7, 8, 3, 4, 2, 21], [12]]


def model(family: str) -> LanguageModel:
    torch.manual_seed(0)
    made = FAMILIES[family]().double().eval()
    with torch.no_grad():
        for parameter in made.parameters():
            # Matrices much, so that the text depends on the prompt; gains and shifts a little.
            parameter.add_((0.5 if parameter.ndim > 1 else 0.05) * torch.randn_like(parameter))
    return made


@pytest.mark.parametrize("family", FAMILIES)
def test_padded_rows_with_and_without_cache_are_the_rows_alone(family: str) -> None:
    made = model(family)
    assert isinstance(made, Decodes)
    prompt, padding = left_pad(ROWS)
    cached = generate(made, prompt, 8, padding=padding)
    assert torch.equal(cached, generate(made, prompt, 8, padding=padding, cached=False))
    for row, got in zip(ROWS, cached, strict=True):
        assert torch.equal(generate(made, torch.tensor([row]), 8)[0], got)
    assert len({tuple(row) for row in cached.tolist()}) == 3  # the prompts matter


@pytest.mark.parametrize("family", FAMILIES)
def test_no_token_sees_a_later_one(family: str) -> None:
    made = model(family)
    ids = torch.tensor([ROWS[1]])
    other = ids.clone()
    other[0, 4:] = 17
    assert torch.allclose(made(ids)[:, :4], made(other)[:, :4], rtol=0, atol=1e-12)
    assert not torch.allclose(made(ids)[:, 4:], made(other)[:, 4:])


def test_stream_hands_out_what_generate_collects() -> None:
    made = model("gpt2")
    prompt, padding = left_pad(ROWS)
    steps = stream(made, prompt, 5, padding=padding)
    first = next(steps)
    assert first.shape == (3,)
    rest = torch.stack([first, *steps], dim=1)
    assert torch.equal(rest, generate(made, prompt, 5, padding=padding))


def test_a_row_ends_and_is_filled_up() -> None:
    made = model("gpt2")
    prompt, padding = left_pad(ROWS)
    free = generate(made, prompt, 8, padding=padding)
    end = int(free[0, 2])
    ended = generate(made, prompt, 8, padding=padding, eos_id=end, pad_id=22)
    for whole, row in zip(free.tolist(), ended.tolist(), strict=True):
        stop = whole.index(end) + 1 if end in whole else 8
        expected = whole[:stop] + [22] * (8 - stop)
        assert row == expected[: len(row)]
    alone = generate(made, torch.tensor([ROWS[0]]), 8, eos_id=end)
    assert alone[0, -1] == end
    assert alone.shape[1] < 8


def test_sampling_keeps_to_its_filters_and_its_seed() -> None:
    made = model("llama")
    prompt = torch.tensor([ROWS[1]]).repeat(64, 1)

    def draw(seed: int, **options: float) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return generate(made, prompt, 3, choose=sampler(generator=generator, **options))

    assert torch.equal(draw(1, temperature=2.0), draw(1, temperature=2.0))
    assert not torch.equal(draw(1, temperature=2.0), draw(2, temperature=2.0))
    one = generate(made, prompt, 3)
    for options in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}, {"temperature": 1e-4}):
        assert torch.equal(draw(1, **options), one), options
    logits = made(prompt[:1])[:, -1]
    assert set(draw(3, temperature=5.0, top_k=2)[:, 0].tolist()) == set(
        logits.topk(2).indices[0].tolist()
    )


def step_flops(made: LanguageModel, n_steps: int, cached: bool) -> list[int]:
    """What each step cost, by torch's counter; the reference attention shows it every product."""
    costs: list[int] = []
    with AttentionRecorder(made), FlopCounterMode(display=False) as counter:
        for _ in stream(made, torch.tensor([ROWS[1]]), n_steps, cached=cached):
            costs.append(counter.get_total_flops() - sum(costs))
    return costs[1:]


def test_a_step_costs_the_same_plus_one_key_with_the_cache_and_the_whole_text_without() -> None:
    made = model("gpt2")
    cached, whole = step_flops(made, 12, True), step_flops(made, 12, False)
    growth = {b - a for a, b in pairwise(cached)}
    assert growth == {2 * 4 * 1 * 16}  # two layers; scores and sums with one key more
    # The output layer reads the last token alone, so a step's cost is linear in the text but
    # for the attention: its second difference is constant.
    first = [b - a for a, b in pairwise(whole)]
    assert {b - a for a, b in pairwise(first)} == {2 * 4 * 2 * 16}
    assert min(first) > 100 * max(growth)


@pytest.mark.parametrize("family", ["gpt2", "window, sinks, experts", "gemma2", "deepseek"])
def test_the_cache_grows_by_one_row_a_token_or_not_at_all(family: str) -> None:
    made = model(family)
    caches = made.new_cache(32)
    sizes = []
    with torch.no_grad():
        for token in range(1, 13):
            made.hidden(torch.tensor([[token]]), cache=caches)
            kept = [c for c in caches if isinstance(c, SlidingCache)]
            sizes.append(sum(c.n_bytes for c in kept))
        if kept:  # a window of 3 keeps two neighbours, in every layer or in every other one
            n_sliding = 1 if family == "gemma2" else 2
            row = {"gemma2": 2 * 4 * 4, "window, sinks, experts": 2 * 16}[family] * 8
            assert sizes == [n_sliding * min(t, 2) * row for t in range(1, 13)]
        for width, whole in ((32, caches), (16, made.new_cache(16))):
            made.hidden(torch.tensor([[1]]), cache=whole) if width == 16 else None
            full = [c for c in whole if not isinstance(c, SlidingCache)]
            row = {"deepseek": 8 + 4}.get(family, 2 * 16)
            assert all(c.n_bytes == width * row * 8 for c in full)


def test_a_recorder_joins_the_steps_of_a_cache() -> None:
    made = model("deepseek")
    prompt, padding = left_pad(ROWS[:2])
    with AttentionRecorder(made) as maps:
        written = generate(made, prompt, 4, padding=padding)
    whole = torch.cat([prompt, written], dim=1)[:, :-1]
    covers = torch.cat([padding, torch.ones(2, 3, dtype=torch.bool)], dim=1)
    with AttentionRecorder(made) as at_once:
        made(whole, padding=covers)
    for name in maps:
        assert torch.allclose(maps[name], at_once[name], atol=1e-12)


@pytest.mark.parametrize(
    ("choose", "error", "message"),
    [
        (lambda x: x.argmax(), ValueError, r"choose\(logits\): expected \(B\); got \(\)"),
        (lambda x: x[:1].argmax(-1), ValueError, r"choose\(logits\): expected \(B\) with B = 2"),
        (lambda x: x[:, 0], TypeError, r"choose\(logits\): expected an integer tensor"),
        (lambda x: 3, TypeError, r"choose\(logits\): expected a torch.Tensor; got int"),
    ],
)
def test_choices_that_do_not_fit(choose: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        generate(model("gpt2"), torch.tensor([[1, 2], [3, 4]]), 2, choose=choose)


def test_prompts_that_do_not_fit() -> None:
    made = model("gpt2")
    prompt, padding = left_pad(ROWS)
    with pytest.raises(ValueError, match="on the left"):
        generate(made, prompt, 1, padding=padding.flip(1))
    with pytest.raises(ValueError, match=r"padding: expected \(3, 6\)"):
        generate(made, prompt, 1, padding=padding[:, 1:])
    with pytest.raises(TypeError, match=r"torch\.bool"):
        generate(made, prompt, 1, padding=padding.long())
    with pytest.raises(ValueError, match="T at least 1"):
        generate(made, prompt[:, :0], 1)
    with pytest.raises(TypeError, match="prompt"):
        generate(made, prompt.double(), 1)
    with pytest.raises(ValueError, match="max_len = 32"):
        generate(made, prompt, 28)
    with pytest.raises(ValueError, match="at most max_len = 32"):
        made(torch.zeros(1, 33, dtype=torch.long))
    with pytest.raises(ValueError, match="source"):
        generate(made, prompt, 1, source=prompt)
    with pytest.raises(ValueError, match=r"padding: expected \(B, S\)"):
        made(prompt, padding=padding[:, 1:])
    with pytest.raises(TypeError, match="padding"):
        made(prompt, padding=padding.long())
    with pytest.raises(ValueError, match="none of them empty"):
        left_pad([[1], []])
    assert generate(made, prompt, 0).shape == (3, 0)


PAIRS = {
    "2017": lambda: Transformer(TransformerConfig(23, 23, 16, 4, d_ff=24, n_layers=2, max_len=16)),
    "marian": lambda: Marian(MarianConfig(23, 16, 4, 24, 2, max_len=16)),
    "t5": lambda: T5(T5Config(23, 16, 4, 4, 24, 2)),
}


@pytest.mark.parametrize("family", PAIRS)
def test_an_encoder_and_decoder_decodes_by_the_same_function(family: str) -> None:
    torch.manual_seed(0)
    made = PAIRS[family]().double().eval()
    assert isinstance(made, Decodes)
    src = torch.tensor([[5, 6, 7, 8, 3], [9, 3, 0, 0, 0]])
    start = torch.full((2, 1), 1 if family == "2017" else 0)
    got = generate(made, start, 8, source=src)
    assert torch.equal(got, generate(made, start, 8, source=src, cached=False))
    alone = [generate(made, start[:1], 8, source=row[row > 0][None]) for row in src]
    assert torch.equal(torch.cat(alone), got)
    prompt, padding = left_pad([[0, 5, 6], [0]])
    if family == "t5":
        both = generate(made, prompt, 4, source=src, padding=padding)
        for row, real, source, expected in zip(prompt, padding, src, both, strict=True):
            one = generate(made, row[real][None], 4, source=source[None])
            assert torch.equal(one[0], expected)
        return
    own = made.generate(src, max_len=8)
    without_pad = generate(
        made, start, 8, source=src, eos_id=made.config.eos_id, pad_id=0,
        choose=lambda logits: greedy(logits.index_fill(1, torch.tensor([0]), float("-inf"))),
    )  # fmt: skip
    assert torch.equal(own, without_pad)
    with pytest.raises(ValueError, match="count columns"):
        generate(made, prompt, 2, source=src, padding=padding)
    with pytest.raises(ValueError, match="max_len = 16"):
        generate(made, start, 17, source=src)


def test_choices_see_logits_of_one_token_a_row() -> None:
    seen = []

    def choose(logits: Tensor) -> Tensor:
        seen.append(tuple(logits.shape))
        return greedy(logits)

    generate(model("bloom"), torch.tensor([[1, 2]]), 2, choose=choose)
    assert seen == [(1, 23), (1, 23)]


def test_configurations_refuse_what_cannot_be() -> None:
    with pytest.raises(ValueError, match="window: expected at least 1"):
        LlamaConfig(window=0)
    with pytest.raises(ValueError, match="n_groups"):
        DeepSeek(
            DeepSeekConfig(
                23, d_ff=8, n_dense_layers=0, latent=LatentSizes(8, 8, 4, 4, 4),
                experts=ExpertSizes(4, 2, 1, 8, 4, 1), **SMALL,
            )
        )  # fmt: skip


@pytest.mark.parametrize(
    "config",
    [
        GPT2Config,
        LlamaConfig,
        Gemma2Config,
        BloomConfig,
        DeepSeekConfig,
        LatentSizes,
        ExpertSizes,
        BertConfig,
        T5Config,
        MarianConfig,
    ],
)
def test_fifteen_fields_at_most(config: type) -> None:
    assert len(config.__dataclass_fields__) <= 15
