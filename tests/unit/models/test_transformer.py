"""The encoder–decoder Transformer: masks from ids, causality, decoding, tying, learning."""

from dataclasses import FrozenInstanceError, replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attention_guide.functional import rope, sinusoidal
from attention_guide.layers import (
    GatedFeedForward,
    MultiHeadAttention,
    PostNorm,
    PreNorm,
    RMSNorm,
    SinusoidalPositions,
)
from attention_guide.models import Transformer, TransformerConfig

CONFIG = TransformerConfig(13, 11, d_model=16, n_heads=4, d_ff=32, n_layers=2, max_len=12)
SRC = torch.tensor([[5, 6, 7, 8, 2], [9, 3, 2, 0, 0]])
TGT = torch.tensor([[1, 6, 5, 9], [1, 7, 0, 0]])
orders = pytest.mark.parametrize("norm_first", [False, True])


def build(n_kv_heads: int | None = None, **changes: object) -> Transformer:
    torch.manual_seed(0)
    attention = partial(MultiHeadAttention, n_kv_heads=n_kv_heads)
    config = replace(CONFIG, **changes)  # type: ignore[arg-type]
    return Transformer(config, attention=attention).double().eval()


@orders
def test_the_config_says_where_the_norms_stand(norm_first: bool) -> None:
    model = build(norm_first=norm_first)
    kind = PreNorm if norm_first else PostNorm
    for block in (*model.encoder.blocks, *model.decoder.blocks):
        for name, part in block.named_children():
            if name.endswith("residual"):
                assert type(part) is kind
    names = set(model.state_dict())
    assert ("encoder.norm.weight" in names) == ("decoder.norm.weight" in names) == norm_first
    assert "encoder.norm.weight" in build(norm_first=norm_first, final_norm=True).state_dict()


@orders
def test_the_future_of_the_target_changes_nothing_before_it(norm_first: bool) -> None:
    model = build(norm_first=norm_first)
    other = TGT.clone()
    other[:, 2:] = 4
    assert torch.allclose(model(SRC, TGT)[0, :2], model(SRC, other)[0, :2], atol=1e-12)
    assert not torch.allclose(model(SRC, TGT)[0, 2:], model(SRC, other)[0, 2:], atol=1e-3)


@orders
def test_padding_changes_nothing(norm_first: bool) -> None:
    model = build(norm_first=norm_first)
    together, alone = model(SRC, TGT), model(SRC[1:, :3], TGT[1:, :2])
    assert torch.allclose(together[1:, :2], alone, atol=1e-12)


def test_every_source_token_reaches_every_target_position() -> None:
    model, other = build(), SRC.clone()
    other[0, 4] = 3
    assert ((model(SRC, TGT) - model(other, TGT))[0].abs().sum(-1) > 1e-6).all()


def test_embeddings_are_scaled_and_positions_added() -> None:
    model = build()
    expected = model.src_embedding.weight[SRC] * 4 + sinusoidal(5, 16, dtype=torch.float64)
    got = model.positions(model.src_embedding(SRC))
    assert torch.allclose(got, expected, rtol=0, atol=1e-15)


def test_a_cast_makes_the_table_anew_instead_of_casting_its_rounding() -> None:
    positions = SinusoidalPositions(16, max_len=100).half().double()
    assert torch.equal(positions.table, sinusoidal(100, 16, dtype=torch.float64))
    assert not positions.state_dict()


@orders
def test_initial_activations_and_logits_have_unit_scale(norm_first: bool) -> None:
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(1000, 1000, 128, 4, n_layers=2, norm_first=norm_first))
    ids = torch.randint(3, 1000, (4, 50))
    assert 0.8 < model.src_embedding(ids).std().item() < 1.25
    assert 0.3 < model.eval()(ids, ids).std().item() < 3


@pytest.mark.parametrize(
    ("tie", "vocabularies", "matrices"),
    [("none", (13, 11), 3), ("output", (13, 11), 2), ("all", (13, 13), 1)],
)
def test_tied_weights_are_one_parameter(
    tie: str, vocabularies: tuple[int, int], matrices: int
) -> None:
    source, target = vocabularies
    model = build(tie_weights=tie, src_vocab_size=source, tgt_vocab_size=target)
    tables = {
        id(w)
        for w in (model.src_embedding.weight, model.tgt_embedding.weight, model.output_proj.weight)
    }
    assert len(tables) == matrices
    copied = build(tie_weights=tie, src_vocab_size=source, tgt_vocab_size=target)
    copied.load_state_dict(model.state_dict())
    assert torch.equal(copied(SRC, TGT), model(SRC, TGT))


def test_the_base_model_has_the_papers_parameter_count() -> None:
    model = Transformer(TransformerConfig(37_000, 37_000, tie_weights="all"))
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(65e6, rel=0.05)


@orders
@pytest.mark.parametrize("n_kv_heads", [None, 2, 1])
def test_generating_with_and_without_a_cache_is_the_same(
    norm_first: bool, n_kv_heads: int | None
) -> None:
    model = build(norm_first=norm_first, n_kv_heads=n_kv_heads)
    torch.manual_seed(1)
    src = torch.randint(3, 13, (6, 7))
    src[2, 4:] = 0
    cached, plain = model.generate(src), model.generate(src, cached=False)
    assert torch.equal(cached, plain)
    assert torch.equal(model.generate(src[2:3, :4])[0, :3], cached[2, :3])


def test_generated_tokens_are_the_argmax_of_the_whole_forward() -> None:
    model = build()
    written = model.generate(SRC[:1], max_len=6)
    logits = model(SRC[:1], torch.cat([TGT[:1, :1], written[:, :-1]], dim=1))
    logits[..., 0] = float("-inf")
    assert torch.equal(logits.argmax(-1), written)


def test_rows_end_at_eos_and_are_filled_up() -> None:
    model, plan = build(), iter([[4, 2], [5, 6], [2, 7], [8, 8]])

    def planned(logits: Tensor) -> Tensor:
        assert logits.shape == (2, 11)
        return torch.tensor(next(plan))

    assert model.generate(SRC, choose=planned).tolist() == [[4, 5, 2], [2, 0, 0]]


def test_generate_leaves_no_graph_and_no_mode_change() -> None:
    model = build().train()
    assert not model.generate(SRC, max_len=2).requires_grad
    assert model.training


def test_padding_is_never_written() -> None:
    model = build()
    with torch.no_grad():
        model.output_proj.weight[0] = 100 * model.output_proj.weight[5]
    written = model.generate(SRC)
    ended = (written == 2).cumsum(1) - (written == 2).int() > 0
    assert torch.equal(written == 0, ended)


def test_cached_steps_are_the_columns_of_the_whole() -> None:
    model = build()
    with torch.no_grad():
        memory, cache = model.encode(SRC), model.decoder.new_cache(4)
        parts = [model.decode(t, memory, SRC, cache=cache) for t in TGT.split([2, 1, 1], dim=1)]
    assert torch.allclose(torch.cat(parts, 1)[0], model(SRC, TGT)[0], atol=1e-12)


def test_other_parts_plug_in() -> None:
    torch.manual_seed(0)
    model = Transformer(
        replace(CONFIG, norm_first=True),
        attention=partial(MultiHeadAttention, rotary=rope, bias=False),
        feed_forward=GatedFeedForward,
        norm=RMSNorm,
    ).eval()
    assert {type(m).__name__ for m in model.modules()} >= {"GatedFeedForward", "RMSNorm"}
    assert torch.equal(model.generate(SRC), model.generate(SRC, cached=False))


@orders
def test_it_learns_a_batch_by_heart(norm_first: bool) -> None:
    torch.manual_seed(0)
    model = Transformer(replace(CONFIG, norm_first=norm_first, dropout=0.0))
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    target = torch.tensor([[6, 5, 9, 2], [7, 2, 0, 0]])
    for _ in range(60):
        loss = F.cross_entropy(model(SRC, TGT).flatten(0, 1), target.flatten(), ignore_index=0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.05
    assert model.eval().generate(SRC, max_len=4).tolist() == target.tolist()


def test_dropout_acts_in_training_alone() -> None:
    model = build().train()
    assert not torch.equal(model(SRC, TGT), model(SRC, TGT))
    model.eval()
    assert torch.equal(model(SRC, TGT), model(SRC, TGT))


def test_configs_are_frozen_and_checked() -> None:
    with pytest.raises(FrozenInstanceError):
        CONFIG.d_model = 3  # type: ignore[misc]
    for change, message in (
        ({"n_heads": 3}, "n_heads: expected a divisor of d_model = 16; got 3"),
        ({"d_ff": 0}, "d_ff: expected an int of at least 1; got 0"),
        ({"n_layers": -1}, "n_layers: expected an int of at least 1; got -1"),
        ({"bos_id": 50}, "bos_id: expected 0 to 10; got 50"),
        ({"pad_id": 12}, "pad_id: expected 0 to 10; got 12"),
        ({"dropout": 1.0}, "dropout: expected"),
        ({"tie_weights": "some"}, "tie_weights: expected"),
        ({"tie_weights": "all"}, "one vocabulary; got sizes 13 and 11"),
    ):
        with pytest.raises(ValueError, match=message):
            replace(CONFIG, **change)  # type: ignore[arg-type]
    uneven = Transformer(replace(CONFIG, n_layers=3, n_decoder_layers=1))
    assert (len(uneven.encoder.blocks), len(uneven.decoder.blocks)) == (3, 1)


def test_wrong_arguments_are_named() -> None:
    model = build()
    with pytest.raises(ValueError, match=r"src: expected \(B, S\); got \(5,\)"):
        model.encode(SRC[0])
    with pytest.raises(TypeError, match="tgt: expected an integer tensor"):
        model(SRC, TGT.float())
    with pytest.raises(ValueError, match="max_len = 12; got"):
        model.encode(SRC.repeat(1, 3))
    with pytest.raises(ValueError, match="memory: expected"):
        model.decode(TGT, model.encode(SRC)[:, :3], SRC)
    with pytest.raises(ValueError, match="max_len: expected 1 to 12; got 13"):
        model.generate(SRC, max_len=13)
