"""Logit lens, patching, induction score: what holds on any model, and on one built by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from attention_guide import AttentionRecorder
from attention_guide.explain import (
    induction_score,
    logit_lens,
    outputs_of,
    patched,
    patching_by_head,
    patching_by_position,
    repeated_ids,
)
from attention_guide.layers import MultiHeadAttention
from attention_guide.models import Transformer, TransformerConfig

D = torch.float64


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = TransformerConfig(
        23, 23, d_model=16, n_heads=4, d_ff=32, n_layers=3, norm_first=True, max_len=32
    )
    return Transformer(config).eval().double()


SRC = torch.tensor([[5, 6, 7, 2]])
TGT = torch.tensor([[1, 9, 4]])


def test_the_lens_begins_at_the_embedding_and_ends_at_the_model_s_own_logits(model):
    def readout(h):
        return model.output_proj(model.decoder.norm(h))

    seen = logit_lens(lambda: model(SRC, TGT), model.decoder.blocks, readout)
    assert seen.shape == (4, 1, 3, 23)
    assert torch.equal(seen[-1], model(SRC, TGT))
    start = readout(model.positions(model.tgt_embedding(TGT), 0))
    torch.testing.assert_close(seen[0], start)
    assert not any(block._forward_hooks for block in model.decoder.blocks)


def test_the_lens_refuses_blocks_that_run_twice_or_never(model):
    with pytest.raises(ValueError, match="it ran 0x"):
        logit_lens(lambda: None, model.decoder.blocks, lambda h: h)
    with pytest.raises(ValueError, match="it ran 2x"):
        logit_lens(lambda: (model(SRC, TGT), model(SRC, TGT)), model.decoder.blocks, lambda h: h)
    with pytest.raises(ValueError, match="at least one"):
        logit_lens(lambda: None, [], lambda h: h)
    flat = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"\(B, T, D\)"):
        logit_lens(lambda: flat(torch.ones(3, 2)), [flat], lambda h: h)
    assert not flat._forward_hooks
    assert not flat._forward_pre_hooks


def logit_difference(model):
    def score(src):
        logits = model(src, TGT.expand(len(src), -1))[:, -1]
        return logits[:, 6] - logits[:, 7]

    return score


def test_patching_the_changed_place_of_the_embedding_restores_everything(model):
    clean, corrupt = SRC, torch.tensor([[5, 8, 7, 2]])
    found = patching_by_position(
        logit_difference(model), clean, corrupt, {"embedding": model.src_embedding}
    )
    torch.testing.assert_close(found[0], torch.tensor([0.0, 1, 0, 0], dtype=D))


def test_patching_the_whole_last_block_restores_everything_and_nothing_remains(model):
    score, clean, corrupt = logit_difference(model), SRC, torch.tensor([[8, 9, 7, 2]])
    last = {"last": model.encoder.blocks[-1]}
    kept = outputs_of(lambda: score(clean), last)
    with torch.no_grad():
        before = score(corrupt)
        with patched(last["last"], kept["last"]):
            torch.testing.assert_close(score(corrupt), score(clean))
        assert torch.equal(score(corrupt), before)


def test_patching_by_position_is_the_definition_written_out(model):
    score, clean, corrupt = logit_difference(model), SRC, torch.tensor([[8, 9, 7, 2]])
    blocks = {str(i): block for i, block in enumerate(model.encoder.blocks)}
    found = patching_by_position(score, clean, corrupt, blocks)
    assert found.shape == (3, 4)
    with torch.no_grad():
        memory = model.encode(clean)  # norm_first: block 2, then the final norm
        mixed = model.encode(corrupt)
        mixed[:, 1] = memory[:, 1]
        logits = model.decode(TGT, mixed, corrupt)[0, -1]
        low, high = score(corrupt), score(clean)
        by_hand = (logits[6] - logits[7] - low) / (high - low)
    torch.testing.assert_close(found[2, 1:2], by_hand)


def test_one_head_of_one_is_the_whole_layer_and_heads_are_told_apart():
    torch.manual_seed(0)
    layer = MultiHeadAttention(8, 4).double()
    clean, corrupt = torch.randn(2, 1, 3, 8, dtype=D)

    def score(x):
        return layer(x)[:, -1].sum(-1)

    found = patching_by_head(score, clean, corrupt, {"layer": layer})
    # The output is a sum over heads, so what they restore adds up to everything.
    torch.testing.assert_close(found.sum(), torch.tensor(1.0, dtype=D))
    assert len(set(found[0].tolist())) == 4
    with torch.no_grad():
        layer.out_proj.weight[:, 2:4] = 0  # head 1 no longer reaches the output
    assert patching_by_head(score, clean, corrupt, {"layer": layer})[0, 1] == 0


def test_patching_names_what_does_not_fit(model):
    score = logit_difference(model)
    modules = {"embedding": model.src_embedding}
    with pytest.raises(ValueError, match="scores as clean does"):
        patching_by_position(score, SRC, SRC, modules)
    with pytest.raises(ValueError, match="corrupt: expected the shape of clean"):
        patching_by_position(score, SRC, SRC[:, :3], modules)
    other = torch.tensor([[8, 9, 7, 2]])
    with pytest.raises(ValueError, match="at least one"):
        patching_by_position(score, SRC, other, {})
    with pytest.raises(ValueError, match="it ran 0x"):
        patching_by_position(score, SRC, other, {"idle": nn.Linear(2, 2)})
    with pytest.raises(ValueError, match="with T = 4"):
        patching_by_position(score, SRC, other, {"target": model.tgt_embedding})
    with pytest.raises(TypeError, match="n_heads and out_proj"):
        patching_by_head(score, SRC, other, modules)
    with (
        pytest.raises(ValueError, match="expected what the module computes"),
        patched(model.src_embedding, torch.zeros(1, 9, 16, dtype=D)),
    ):
        model.encode(SRC)
    assert not model.src_embedding._forward_hooks


@pytest.mark.parametrize(
    ("value", "where", "error", "message"),
    [
        (torch.zeros(1, 3, 2), torch.ones(4, 1, 1) > 0, ValueError, "where: expected a shape"),
        (torch.zeros(1, 3, 2), torch.ones(1, 5, 1) > 0, ValueError, "where: expected a shape"),
        (torch.zeros(1, 3, 2), torch.ones(1, 3, 1), TypeError, "where: expected torch.bool"),
        (torch.zeros(1, 3, 2), True, TypeError, "where: expected a torch.Tensor"),
        (torch.zeros(1, 3, 2, dtype=D), None, TypeError, "value: expected torch.float32"),
        ([[0.0]], None, TypeError, "value: expected a torch.Tensor"),
    ],
)
def test_a_patch_keeps_the_output_s_shape_and_dtype(value, where, error, message):
    layer = nn.Linear(2, 2)
    with pytest.raises(error, match=message), patched(layer, value, where):
        layer(torch.ones(1, 3, 2))
    assert not layer._forward_hooks


def test_a_module_that_returns_no_tensor_is_not_patched():
    layer = nn.GRU(2, 2)
    with (
        pytest.raises(TypeError, match="module's output: expected"),
        patched(layer, torch.zeros(1, 3, 2)),
    ):
        layer(torch.ones(1, 3, 2))


def test_a_perfect_induction_head_scores_1_and_a_previous_token_head_0():
    ids = repeated_ids(50, 6, repeats=3, batch=2, generator=torch.Generator().manual_seed(0))
    weights = torch.zeros(2, 3, 18, 18, dtype=D)
    for t in range(18):
        weights[:, 0, t, max(t - 5, 0)] = 1  # the token after the last time
        weights[:, 1, t, max(t - 1, 0)] = 1
        weights[:, 2, t, : t + 1] = 1 / (t + 1)
    perfect, previous, even = induction_score(weights, ids).tolist()
    assert (perfect, previous) == (1.0, 0.0)
    expected = sum((t // 6) / (t + 1) for t in range(6, 18)) / 12
    assert even == pytest.approx(expected)


@pytest.mark.parametrize("period", [10, 50, 200])
def test_an_even_head_scores_what_the_docstring_says(period):
    ids, size = repeated_ids(1000, period), 2 * period
    full = torch.full((1, 1, size, size), 1 / size, dtype=D)
    causal = full.tril() / full.tril().sum(-1, keepdim=True)
    assert induction_score(full, ids).item() * size == pytest.approx(1)
    assert induction_score(causal, ids).item() * size == pytest.approx(2 * math.log(2), rel=0.04)


def test_the_score_reads_a_recorded_model(model):
    ids = repeated_ids(23, 5, first_id=3, generator=torch.Generator().manual_seed(1))
    assert ids.min() >= 3
    with AttentionRecorder(model, match="decoder.*self") as maps:
        model(SRC, ids)
    for weights in maps.values():
        scores = induction_score(weights, ids)
        assert scores.shape == (4,)
        assert ((scores >= 0) & (scores <= 1)).all()


def test_induction_names_what_does_not_fit():
    weights, ids = torch.ones(1, 1, 2, 2) / 2, torch.tensor([[4, 4]])
    for w, i, error, message in [
        (weights[0], ids, ValueError, "weights"),
        (weights, ids[0], ValueError, "ids"),
        (weights, torch.tensor([[4, 5]]), ValueError, "occurs twice"),
        (weights, torch.tensor([[4, 4, 4]]), ValueError, "weights"),
        (weights * float("nan"), ids, ValueError, "NaN"),
        (weights, ids.float(), TypeError, "ids"),
    ]:
        with pytest.raises(error, match=message):
            induction_score(w, i)
    for options in ({"period": 0}, {"period": 11}, {"period": 2, "repeats": 1}):
        with pytest.raises(ValueError, match="expected"):
            repeated_ids(10, **options)
    with pytest.raises(TypeError, match="generator: expected"):
        repeated_ids(10, 2, generator=3)
