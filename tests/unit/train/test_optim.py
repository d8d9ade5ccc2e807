"""AdamW's groups: what decays, that every parameter is there once, and that a step is torch's."""

import pytest
import torch
from torch import nn

from attention_guide.layers import LearnedPositions, MultiHeadAttention, RMSNorm
from attention_guide.models import Transformer, TransformerConfig
from attention_guide.train import adamw, decay_groups


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.positions = LearnedPositions(4, max_len=8)
        self.class_token = nn.Parameter(torch.zeros(1, 1, 4))
        self.attention = MultiHeadAttention(4, 2)
        self.norm = RMSNorm(4)
        self.conv = nn.Conv1d(4, 4, 3)
        self.rnn = nn.GRU(4, 4)
        self.experts = nn.Parameter(torch.zeros(2, 4, 4))
        self.head = nn.Linear(4, 9, bias=False)
        self.head.weight = self.embedding.weight


def names_of(model, **options):
    groups = decay_groups(model, 0.1, **options)
    return {group["weight_decay"]: set(group["names"]) for group in groups}


def test_matrices_decay_and_nothing_else():
    names = names_of(Tied())
    projections = {f"attention.{p}_proj.weight" for p in ("q", "k", "v", "out")}
    assert names[0.1] == projections | {
        "conv.weight", "experts", "rnn.weight_ih_l0", "rnn.weight_hh_l0",
    }  # fmt: skip
    assert {"embedding.weight", "positions.weight", "class_token", "norm.weight"} <= names[0.0]
    assert {"attention.q_proj.bias", "conv.bias", "rnn.bias_ih_l0"} <= names[0.0]


def test_embeddings_and_what_is_tied_to_them_decay_on_demand():
    names = names_of(Tied(), decay_embeddings=True)
    assert {"embedding.weight", "positions.weight", "class_token"} <= names[0.1]
    assert "norm.weight" in names[0.0]


@pytest.mark.parametrize("decay_embeddings", [False, True])
@pytest.mark.parametrize(
    "make",
    [Tied, lambda: Transformer(TransformerConfig(7, 7, d_model=8, n_heads=2, d_ff=8, n_layers=1))],
)
def test_every_parameter_is_there_once(make, decay_embeddings):
    model = make()
    groups = decay_groups(model, 0.1, decay_embeddings=decay_embeddings)
    listed = [id(p) for group in groups for p in group["params"]]
    assert len(listed) == len(set(listed))
    assert set(listed) == {id(p) for p in model.parameters()}
    assert [len(group["names"]) for group in groups] == [len(g["params"]) for g in groups]


def test_frozen_parameters_are_left_out():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    model[0].requires_grad_(False)
    assert names_of(model) == {0.1: {"1.weight"}, 0.0: {"1.bias"}}
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="model: expected a parameter that wants a gradient"):
        decay_groups(model, 0.1)


def test_a_matrix_shared_by_two_layers_decays_once():
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    assert names_of(model) == {0.1: {"0.weight"}}


def test_decay_alone_shrinks_matrices_and_leaves_biases():
    model = nn.Linear(3, 2)
    before = [p.detach().clone() for p in (model.weight, model.bias)]
    optimizer = adamw(model, lr=0.1, weight_decay=0.5)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    torch.testing.assert_close(model.weight.detach(), before[0] * (1 - 0.1 * 0.5))
    assert torch.equal(model.bias, before[1])


def test_wrong_decay_is_named():
    with pytest.raises(ValueError, match="weight_decay: expected 0 or more, got -1"):
        adamw(nn.Linear(1, 1), 0.1, weight_decay=-1.0)
