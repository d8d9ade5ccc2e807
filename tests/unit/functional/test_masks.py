"""Masks: what each lets through, and the way to and from every other convention."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterator

import pytest
import torch

from attention_guide.functional import (
    MaskPolarityWarning,
    attention,
    causal_mask,
    combine,
    document_mask,
    from_additive,
    from_hf_2d,
    from_hf_4d,
    from_keras,
    from_mha,
    from_sdpa,
    global_local_mask,
    mask_table,
    padding_mask,
    position_mask,
    prefix_mask,
    suspect_polarity,
    to_additive,
    to_hf_2d,
    to_hf_4d,
    to_keras,
    to_mha,
    to_sdpa,
    window_mask,
)


def test_causal() -> None:
    assert torch.equal(causal_mask(4), torch.ones(4, 4).tril().bool())
    # With a cache the last query sees all keys, and each before it one less.
    assert causal_mask(3, 5).sum(1).tolist() == [3, 4, 5]
    assert causal_mask(5, 3).sum(1).tolist() == [0, 0, 1, 2, 3]
    assert causal_mask(0, 3).shape == (0, 3)


def test_window_includes_the_position_itself() -> None:
    assert torch.equal(window_mask(4, 4, 0, 0), torch.eye(4).bool())
    assert window_mask(4, 4, 1, 1).sum(1).tolist() == [2, 3, 3, 2]
    assert window_mask(1, 6, 2, 0).int().tolist() == [[0, 0, 0, 1, 1, 1]]
    assert window_mask(3).all()
    assert torch.equal(window_mask(3, 5, None, 0), causal_mask(3, 5))


def test_padding() -> None:
    mask = padding_mask(torch.tensor([2, 0]), 3)
    assert mask.shape == (2, 1, 1, 3)
    assert mask[:, 0, 0].int().tolist() == [[1, 1, 0], [0, 0, 0]]
    assert padding_mask([]).shape == (0, 1, 1, 0)


def test_prefix_sees_itself_and_the_rest_is_causal() -> None:
    mask = prefix_mask(5, 2)
    assert mask[:2, :2].all()
    assert torch.equal(mask[2:], causal_mask(5)[2:])
    each = prefix_mask(4, torch.tensor([0, 3]))
    assert torch.equal(each[0, 0], causal_mask(4))
    assert torch.equal(each[1, 0], prefix_mask(4, 3))
    assert torch.equal(prefix_mask(2, 3, 4), prefix_mask(4, 3)[2:])


def test_documents_do_not_see_each_other() -> None:
    ids = torch.tensor([[0, 0, 1, 1, 1, -1]])
    mask = combine(document_mask(ids), causal_mask(6))
    assert mask is not None
    q, k, v = torch.randn(3, 1, 2, 6, 4, dtype=torch.float64)
    packed = attention(q, k, v, mask=mask)
    for part in (slice(0, 2), slice(2, 5)):
        alone = attention(q[:, :, part], k[:, :, part], v[:, :, part], causal=True)
        assert torch.allclose(packed[:, :, part], alone)
    assert (packed[:, :, 5] == 0).all()
    assert document_mask(ids[:, :2], ids).shape == (1, 1, 2, 6)


def test_global_tokens_see_and_are_seen() -> None:
    mask = global_local_mask(torch.tensor([[False, True, False, False, False]]), 1, 0)[0, 0]
    assert mask[1].all()
    assert mask[:, 1].all()
    assert mask[4].int().tolist() == [0, 1, 0, 1, 1]


def test_combine() -> None:
    assert combine() is None
    assert combine(None, None) is None
    a, b = causal_mask(3), padding_mask([2, 3])
    both = combine(a, None, b)
    assert both is not None
    assert torch.equal(both, a & b)


def test_position_mask_of_a_tile_is_cut_from_the_whole() -> None:
    whole = position_mask(9, 12, True, (4, None))
    assert whole is not None
    tile = position_mask(3, 5, True, (4, None), offset=4 + 3 - 6)
    assert tile is not None
    assert torch.equal(tile, whole[4:7, 6:11])
    assert position_mask(3, 3, False, (None, None)) is None


def test_additive_round_trip() -> None:
    mask = causal_mask(3)
    assert torch.equal(from_additive(to_additive(mask)), mask)
    low = to_additive(mask, torch.float16, finite=True)
    assert low.dtype == torch.float16
    assert low.isfinite().all()
    assert torch.equal(from_additive(low), mask)
    assert torch.equal(from_sdpa(to_additive(mask)), mask)
    assert torch.equal(from_sdpa(to_sdpa(mask)), mask)
    with pytest.raises(ValueError, match="other values belong to bias="):
        from_additive(torch.tensor([0.5]))


def test_round_trips() -> None:
    pad, causal = padding_mask([2, 4]), causal_mask(4)
    both = combine(pad, causal)
    assert both is not None
    assert torch.equal(from_hf_2d(to_hf_2d(pad)), pad)
    assert torch.equal(from_hf_4d(to_hf_4d(both)), both)
    assert torch.equal(from_hf_4d(to_hf_4d(causal))[0, 0], causal)
    assert torch.equal(from_keras(to_keras(both, 2)), both)
    assert to_keras(causal, 3).shape == (3, 4, 4)
    assert torch.equal(from_mha(to_mha(causal, 2, 3)), causal)  # type: ignore[arg-type]
    back = from_mha(to_mha(both, 2, 3), n_heads=3)
    assert back is not None
    assert torch.equal(back, both.expand(2, 3, 4, 4))
    assert from_mha() is None
    merged = from_mha(~causal, ~pad[:, 0, 0])
    assert merged is not None
    assert torch.equal(merged, both)
    additive = from_mha(to_additive(causal), to_additive(pad[:, 0, 0]))
    assert additive is not None
    assert torch.equal(additive, both)


def test_every_convention_means_the_same_to_its_library() -> None:
    pad, causal = padding_mask([2, 4]), causal_mask(4)
    both = combine(pad, causal)
    assert both is not None
    x = torch.randn(2, 4, 6)
    layer = torch.nn.MultiheadAttention(6, 2, batch_first=True)
    wanted, _ = layer(x, x, x, attn_mask=to_mha(both, 2, 2))
    projected = torch.nn.functional.linear(x, layer.in_proj_weight, layer.in_proj_bias)
    q, k, v = (y.unflatten(-1, (2, 3)).transpose(1, 2) for y in projected.chunk(3, dim=-1))
    for options in ({"mask": both}, {"bias": to_hf_4d(both)}, {"bias": to_additive(both)}):
        out = layer.out_proj(attention(q, k, v, **options).transpose(1, 2).flatten(2))
        assert torch.allclose(out, wanted, atol=1e-6)


def test_table_names_every_convention() -> None:
    lines = mask_table().splitlines()
    assert len(lines) == 8
    for word in ("SDPA", "MHA", "Hugging Face", "Keras", "additive"):
        assert any(word in line for line in lines)


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (~causal_mask(4), "only its future"),
        (~causal_mask(4)[None, None], "only its future"),
        (~torch.eye(4).bool(), "lets no query see itself"),
        (torch.zeros(2, 3).bool(), "hides everything"),
        (~causal_mask(2, 5), "only its future"),
        (~causal_mask(3, 5), "only its future"),
        (~causal_mask(5, 3), "only its future"),
    ],
)
def test_inverted_masks_are_reported(mask: torch.Tensor, reason: str) -> None:
    found = suspect_polarity(mask)
    assert found is not None
    assert reason in found
    for convert in (to_sdpa, to_additive, lambda m: to_mha(m, 1, 1)):
        with pytest.warns(MaskPolarityWarning, match=reason):
            convert(mask)
    with pytest.warns(MaskPolarityWarning, match=reason):
        from_sdpa(mask)


def test_causal_mask_of_torch_handed_over_unconverted_is_reported() -> None:
    theirs = torch.triu(torch.ones(5, 5), diagonal=1).bool()  # True = may not attend
    with pytest.warns(MaskPolarityWarning, match="only its future"):
        from_sdpa(theirs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(from_mha(theirs), causal_mask(5))  # type: ignore[arg-type]


def test_sound_masks_are_not_suspected() -> None:
    pad = padding_mask([1, 3])
    left = pad.flip(-1)
    for mask in (
        causal_mask(1),
        causal_mask(4),
        pad,
        left,
        window_mask(5, 5, 1, 1),
        causal_mask(2, 5),
    ):
        assert suspect_polarity(mask) is None


STACKS = {
    "one of two": torch.stack([causal_mask(3), ~causal_mask(3)])[:, None],
    "with padding": ~(causal_mask(4) & padding_mask([2, 4])),
    "one head of two": torch.stack([causal_mask(2, 4), ~causal_mask(2, 4)])[None],
}


@pytest.mark.parametrize("name", STACKS)
def test_one_inverted_mask_among_several_is_reported(name: str) -> None:
    assert suspect_polarity(STACKS[name]) == "lets every query see only its future"


def every_mask(t: int, s: int) -> Iterator[torch.Tensor | None]:
    """Everything that the makers of masks make for these sizes, alone and together."""
    lengths = torch.tensor([s, max(s - 2, 1), 1])
    real = torch.arange(s) < lengths[:, None]
    packed = torch.arange(s) // 2
    order = [None, causal_mask(t, s), prefix_mask(t, s // 2, s), prefix_mask(t, lengths, s)]
    windows = [None, *(window_mask(t, s, a, b) for a in (0, 2, None) for b in (0, 1, None))]
    paddings = [None, real[:, None, None], real.flip(-1)[:, None, None]]
    documents = [None, document_mask(packed[-t:][None], packed[None]) if t <= s else None]
    # An encoder's tokens and a decoder's, padded on the same side.
    queries = torch.where(torch.arange(t) < lengths.clamp(max=t)[:, None], 0, -1)
    keys = torch.where(real, 0, -1)
    documents += [document_mask(queries, keys), document_mask(queries.flip(-1), keys.flip(-1))]
    globals_ = [None]
    if t == s:
        documents.append(document_mask(keys))
        globals_ += [global_local_mask(real, 1, 1), global_local_mask(~real, 0, 0)]
    for parts in itertools.product(order, windows, paddings, documents, globals_):
        yield combine(*parts)


@pytest.mark.parametrize(
    ("t", "s"), [(5, 5), (2, 2), (3, 6), (2, 5), (6, 3), (3, 2), (4, 1), (1, 4)]
)
def test_no_mask_that_the_package_makes_is_suspected(t: int, s: int) -> None:
    for mask in every_mask(t, s):
        if mask is not None and mask.any():
            assert suspect_polarity(mask) is None, mask


def test_padding_is_judged_by_the_tokens() -> None:
    tokens = torch.tensor([[5, 6, 0], [7, 0, 0]])
    mask = padding_mask([2, 1], 3)
    assert suspect_polarity(mask, tokens=tokens, pad_id=0) is None
    assert suspect_polarity(~mask, tokens=tokens, pad_id=0) == "lets only padding be seen"


def test_masks_convert_where_there_is_nothing_to_look_at() -> None:
    mask = torch.ones(2, 1, 3, 3, dtype=torch.bool, device="meta")
    assert suspect_polarity(mask) is None
    assert to_keras(mask, 2).shape == (2, 3, 3)
    assert from_keras(mask[:, 0]).shape == mask.shape
    assert from_additive(to_additive(mask)).shape == mask.shape
