"""The recorder: what it shows are the weights of the forward pass; off, it does nothing."""

import pytest
import torch
from torch import Tensor, nn

from attention_guide import AttentionRecorder
from attention_guide.functional import causal_mask
from attention_guide.layers import KVCache, MultiHeadAttention, SlidingCache
from attention_guide.models import Transformer, TransformerConfig

SRC = torch.tensor([[5, 6, 7, 2], [8, 9, 2, 0]])
TGT = torch.tensor([[1, 9, 8], [1, 4, 0]])


@pytest.fixture
def model() -> Transformer:
    torch.manual_seed(0)
    config = TransformerConfig(11, 11, d_model=16, n_heads=2, d_ff=32, n_layers=2)
    return Transformer(config).double().eval()


def test_records_every_layer_by_name_and_nothing_after_the_block(model: Transformer) -> None:
    with AttentionRecorder(model) as maps:
        model(SRC, TGT)
    assert list(maps) == [
        "encoder.blocks.0.self_attention",
        "encoder.blocks.1.self_attention",
        "decoder.blocks.0.self_attention",
        "decoder.blocks.0.cross_attention",
        "decoder.blocks.1.self_attention",
        "decoder.blocks.1.cross_attention",
    ]
    before = maps["encoder.blocks.0.self_attention"]
    model(SRC.flip(0), TGT)
    assert maps["encoder.blocks.0.self_attention"] is before
    assert all("recorder" not in vars(module) for module in model.modules())


def test_rows_sum_to_one_and_masked_cells_are_zero(model: Transformer) -> None:
    with AttentionRecorder(model) as maps:
        model(SRC, TGT)
    cross = maps["decoder.blocks.1.cross_attention"]
    assert torch.allclose(cross.sum(-1), torch.ones((), dtype=torch.float64))
    assert not cross[1, ..., 3].any()
    own = maps["decoder.blocks.1.self_attention"]
    assert not own[:, :, ~causal_mask(3)].any()


def test_outputs_are_the_same_with_and_without(model: Transformer) -> None:
    plain = model(SRC, TGT)
    with AttentionRecorder(model):
        recorded = model(SRC, TGT)
    assert torch.allclose(plain, recorded, rtol=0, atol=1e-12)


def test_weights_explain_the_output() -> None:
    layer = MultiHeadAttention(8, 4, 2).double()
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    with AttentionRecorder(layer) as maps:
        out = layer(x, causal=True)
    v = layer.v_proj(x).view(2, 5, 2, 2).transpose(1, 2).repeat_interleave(2, dim=1)
    mixed = (maps[""] @ v).transpose(1, 2).flatten(2)
    assert torch.allclose(layer.out_proj(mixed), out)


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("decoder.*cross", 2),
        ("encoder.blocks.1.self_attention", 1),
        (["encoder", r"decoder\.blocks\.0\.self"], 3),
        (lambda name, module: "blocks.1" in name and module.n_heads == 2, 3),
        (None, 6),
    ],
)
def test_chooses_by_name_pattern_list_or_predicate(
    model: Transformer, match: object, expected: int
) -> None:
    assert len(AttentionRecorder(model, match=match).names) == expected  # type: ignore[arg-type]


def test_a_full_name_means_that_layer_alone() -> None:
    stack = nn.ModuleDict({str(i): MultiHeadAttention(4, 1) for i in (1, 10)})
    assert AttentionRecorder(stack, match="1").names == ("1",)


def test_nothing_matches_lists_the_names(model: Transformer) -> None:
    with pytest.raises(ValueError, match=r"match: nothing matches 'cros_'.*decoder\.blocks\.0"):
        AttentionRecorder(model, match="cros_")


def test_a_second_recorder_on_a_layer_is_refused_and_the_first_goes_on(model: Transformer) -> None:
    with AttentionRecorder(model, "encoder") as maps:
        with pytest.raises(RuntimeError, match="another AttentionRecorder watches encoder"):
            AttentionRecorder(model, "blocks.0").__enter__()
        with AttentionRecorder(model, "decoder") as others:
            model(SRC, TGT)
    assert len(maps) == 2
    assert len(others) == 4


def test_an_error_inside_the_block_takes_the_recorder_off(model: Transformer) -> None:
    with pytest.raises(ZeroDivisionError), AttentionRecorder(model):
        raise ZeroDivisionError
    assert all("recorder" not in vars(module) for module in model.modules())


def test_reading_before_running_says_so(model: Transformer) -> None:
    maps = AttentionRecorder(model, "encoder")
    assert len(maps) == 0
    with pytest.raises(KeyError, match="hasn't run"):
        maps["encoder.blocks.0.self_attention"]


@pytest.mark.parametrize(("reduce", "axis"), [("heads", 1), ("batch", 0)])
def test_averages_over_an_axis(model: Transformer, reduce: str, axis: int) -> None:
    with AttentionRecorder(model) as whole:
        model(SRC, TGT)
    with AttentionRecorder(model, reduce=reduce) as reduced:  # type: ignore[arg-type]
        model(SRC, TGT)
    for name, weights in whole.items():
        assert torch.allclose(reduced[name], weights.mean(axis, keepdim=True))


def test_reduces_with_a_function(model: Transformer) -> None:
    def entropy(weights: Tensor) -> Tensor:
        return torch.special.entr(weights).sum(-1)

    with AttentionRecorder(model, "cross", reduce=entropy) as maps:
        model(SRC, TGT)
    assert all(value.shape == (2, 2, 3) for value in maps.values())


def test_keeps_all_passes_or_their_mean(model: Transformer) -> None:
    name = "encoder.blocks.0.self_attention"
    batches = SRC, SRC.flip(0), SRC.flip(1)
    with AttentionRecorder(model, name, keep="all") as every:
        for batch in batches:
            model.encode(batch)
    with AttentionRecorder(model, name, keep="mean") as mean:
        for batch in batches:
            model.encode(batch)
    assert len(every.passes(name)) == 3
    assert torch.equal(every[name], every.passes(name)[-1])
    assert torch.allclose(mean[name], torch.stack(every.passes(name)).mean(0))
    assert len(mean.passes(name)) == 1


def test_mean_refuses_passes_of_different_shapes(model: Transformer) -> None:
    with AttentionRecorder(model, "encoder", keep="mean") as maps:
        model.encode(SRC)
        model.encode(SRC[:, :3])
        with pytest.raises(ValueError, match="one shape"):
            maps["encoder.blocks.0.self_attention"]
        with pytest.raises(ValueError, match="one shape"):
            model.encode(SRC)
    maps.clear()
    assert len(maps) == 0


@pytest.mark.parametrize("cached", [True, False])
def test_steps_of_decoding_make_the_map_of_the_whole(model: Transformer, cached: bool) -> None:
    with AttentionRecorder(model) as stepwise:
        written = model.generate(SRC, max_len=5, cached=cached)
    tgt = torch.cat([TGT[:, :1], written[:, :-1]], dim=1)
    with AttentionRecorder(model) as whole:
        model(SRC, tgt)
    live = tgt[0] != 0
    for name, weights in whole.items():
        assert stepwise[name].shape == weights.shape
        rows = slice(None) if name.startswith("encoder") else live
        assert torch.allclose(stepwise[name][0][:, rows], weights[0][:, rows])


def test_two_decodings_are_two_passes(model: Transformer) -> None:
    with AttentionRecorder(model, "decoder.*self", keep="all") as maps:
        model.generate(SRC, max_len=3)
        model.generate(SRC, max_len=4)
    for name in maps:
        assert len(maps.passes(name)) == 2


def test_columns_of_a_sliding_cache_stand_where_their_tokens_stood() -> None:
    layer = MultiHeadAttention(8, 2, window=(2, 0)).double()
    x = torch.randn(1, 7, 8, dtype=torch.float64)
    with AttentionRecorder(layer) as whole:
        layer(x, causal=True)
    cache = SlidingCache(left=2)
    with torch.no_grad(), AttentionRecorder(layer) as stepwise:
        for step in x.split(1, dim=1):
            layer(step, causal=True, cache=cache)
    assert stepwise[""].shape == (1, 2, 7, 7)
    assert torch.allclose(stepwise[""], whole[""])


def test_weights_are_detached_unless_gradients_are_asked_for(model: Transformer) -> None:
    with AttentionRecorder(model) as maps:
        model(SRC, TGT)
    assert not any(weights.requires_grad for weights in maps.values())
    with pytest.raises(RuntimeError, match="gradients=True"):
        maps.grad("encoder.blocks.0.self_attention")


def test_gradients_are_those_of_the_weights() -> None:
    layer = MultiHeadAttention(8, 2, bias=False).double()
    x = torch.randn(1, 4, 8, dtype=torch.float64)
    with AttentionRecorder(layer, gradients=True) as maps:
        out = layer(x)
    direction = torch.randn_like(out)
    (out * direction).sum().backward()
    v = layer.v_proj(x).view(1, 4, 2, 4).transpose(1, 2)
    into_heads = (direction @ layer.out_proj.weight).view(1, 4, 2, 4).transpose(1, 2)
    assert torch.allclose(maps.grad(""), into_heads @ v.transpose(-1, -2))


def test_gradients_survive_a_reduction_and_a_second_pass(model: Transformer) -> None:
    with AttentionRecorder(model, "cross", gradients=True, reduce="heads", keep="all") as maps:
        for _ in range(2):
            model(SRC, TGT).square().sum().backward()
    for name in maps:
        assert maps[name].shape == maps.grad(name).shape == (2, 1, 3, 4)
        assert maps.grad(name).abs().sum() > 0


def test_dropout_is_not_in_the_recorded_weights() -> None:
    layer = MultiHeadAttention(8, 2, dropout=0.9).train()
    with AttentionRecorder(layer) as maps:
        layer(torch.randn(1, 6, 8))
    assert torch.allclose(maps[""].sum(-1), torch.ones(()))


def test_bertviz_gets_a_tuple_of_single_items(model: Transformer) -> None:
    with AttentionRecorder(model) as maps:
        model(SRC, TGT)
    cross = maps.to_bertviz("cross", item=1)
    assert [tuple(layer.shape) for layer in cross] == [(1, 2, 3, 4)] * 2
    # bertviz's own reading: squeeze the batch away, stack the layers.
    assert torch.stack([layer.squeeze(0) for layer in cross]).shape == (2, 2, 3, 4)
    assert torch.equal(cross[0][0], maps["decoder.blocks.0.cross_attention"][1])
    with pytest.raises(ValueError, match="one shape"):
        maps.to_bertviz()


def test_fullgraph_compile_keeps_working_off_on_and_off_again() -> None:
    layer = MultiHeadAttention(8, 2).eval()
    x = torch.randn(1, 5, 8)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    expected = layer(x, causal=True)
    assert torch.allclose(compiled(x, causal=True), expected)
    with AttentionRecorder(layer) as maps:
        assert torch.allclose(compiled(x, causal=True), expected, atol=1e-6)
    assert maps[""].shape == (1, 2, 5, 5)
    seen = maps[""].clone()
    assert torch.allclose(compiled(x.flip(1), causal=True), layer(x.flip(1), causal=True))
    assert torch.equal(maps[""], seen)


def test_off_means_the_class_attribute_is_none() -> None:
    layer = MultiHeadAttention(8, 2)
    assert layer.recorder is None
    with torch.no_grad(), AttentionRecorder(layer):
        layer(torch.ones(1, 1, 8), cache=KVCache(4))
        assert layer.recorder is not None
    assert "recorder" not in vars(layer)


def test_wrong_options_are_named(model: Transformer) -> None:
    with pytest.raises(ValueError, match="keep: expected"):
        AttentionRecorder(model, keep="first")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"keep: .*gradients"):
        AttentionRecorder(model, keep="mean", gradients=True)
    with pytest.raises(ValueError, match="reduce: expected"):
        AttentionRecorder(model, reduce="queries")  # type: ignore[arg-type]


@pytest.mark.parametrize("item", [-1, 2, 99, 1.0, "0"])
def test_bertviz_gets_only_items_that_the_batch_has(model: Transformer, item: object) -> None:
    with AttentionRecorder(model) as maps:
        model(SRC, TGT)
    with pytest.raises(ValueError, match=r"item: expected an int from 0 to B - 1 = 1; got"):
        maps.to_bertviz("cross", item=item)  # type: ignore[arg-type]


def test_bertviz_gets_one_item_of_a_batch_that_was_averaged(model: Transformer) -> None:
    with AttentionRecorder(model, reduce="batch") as maps:
        model(SRC, TGT)
    assert maps.to_bertviz("cross")[0].shape == (1, 2, 3, 4)
    with pytest.raises(ValueError, match="B - 1 = 0; got 1"):
        maps.to_bertviz("cross", item=1)


@pytest.mark.parametrize(
    ("match", "error", "reason"),
    [
        ("[", ValueError, r"match: expected .*; '\[' is no pattern: unterminated"),
        (["cross", "("], ValueError, r"match: expected .*; '\(' is no pattern: missing"),
        (5, TypeError, "match: expected .*; got int"),
        (["cross", 5], TypeError, "match: expected .*; got 5 among them"),
    ],
)
def test_a_wrong_match_is_named(
    model: Transformer, match: object, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        AttentionRecorder(model, match=match)  # type: ignore[arg-type]


def test_a_full_name_need_not_be_a_pattern() -> None:
    model = nn.ModuleDict({"a[": MultiHeadAttention(8, 2)})
    assert AttentionRecorder(model, match="a[").names == ("a[",)
