"""The recurrent encoder–decoder: padding, decoding and what the state knows."""

import pytest
import torch

from attention_guide.models.rnn import RecurrentConfig, RecurrentSeq2Seq

KINDS = ["additive", "dot", "general", "concat"]


def small(kind="additive"):
    torch.manual_seed(0)
    config = RecurrentConfig(11, 13, d_model=8, d_embed=6, attention=kind)
    return RecurrentSeq2Seq(config).double().eval()


@pytest.mark.parametrize("kind", KINDS)
def test_logits_do_not_depend_on_padding_or_neighbours(kind):
    model = small(kind)
    src, tgt = torch.tensor([[4, 5, 0, 0], [6, 7, 8, 9]]), torch.tensor([[1, 3, 4], [1, 5, 6]])
    both = model(src, tgt)
    torch.testing.assert_close(both[:1], model(torch.tensor([[4, 5]]), tgt[:1]))
    assert both.shape == (2, 3, 13)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_see_no_later_target(kind):
    model = small(kind)
    src = torch.tensor([[4, 5, 6]])
    first = model(src, torch.tensor([[1, 3, 4]]))
    second = model(src, torch.tensor([[1, 3, 9]]))
    assert torch.equal(first[:, :2], second[:, :2])
    assert not torch.equal(first[:, 2], second[:, 2])


@pytest.mark.parametrize("kind", KINDS)
def test_generate_takes_the_likeliest_token_given_its_own(kind):
    model = small(kind)
    src = torch.tensor([[4, 5, 0], [6, 7, 8]])
    out = model.generate(src, max_len=5)
    assert out.shape[1] <= 5
    tgt = torch.cat([torch.ones(2, 1, dtype=torch.int64), out[:, :-1]], dim=1)
    likeliest = model(src, tgt).argmax(-1)
    alive = (torch.cumsum(out == 2, 1) - (out == 2).long()) == 0
    assert torch.equal(out[alive], likeliest[alive])
    assert bool((out[~alive] == 0).all())


def test_generate_stops_when_every_row_has_ended():
    model = small()
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.zero_()
        model.head.bias[2] = 9.0
    assert model.generate(torch.tensor([[4, 5], [6, 7]])).tolist() == [[2], [2]]
    with pytest.raises(ValueError, match="max_len"):
        model.generate(torch.tensor([[4, 5]]), max_len=0)


def test_the_decoder_starts_from_the_backward_state_at_the_first_position():
    model = small()
    src = torch.tensor([[4, 5, 6], [7, 8, 0]])
    memory, state = model.encode(src)
    backward_first = memory[:, 0, 8:]
    torch.testing.assert_close(state, torch.tanh(model.initial(backward_first)))


def test_a_few_steps_learn_a_tiny_copy_task():
    torch.manual_seed(0)
    model = RecurrentSeq2Seq(RecurrentConfig(8, 8, d_model=24))
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    words = torch.randint(3, 8, (32, 4), generator=torch.Generator().manual_seed(0))
    tgt = torch.cat([torch.ones(32, 1, dtype=torch.int64), words], dim=1)
    for _ in range(80):
        loss = torch.nn.functional.cross_entropy(
            model(words, tgt[:, :-1]).flatten(0, 1), tgt[:, 1:].flatten()
        )
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert loss.item() < 0.2


@pytest.mark.parametrize(
    ("src", "error", "message"),
    [
        (torch.tensor([4, 5]), ValueError, r"src: expected \(B, S\)"),
        (torch.tensor([[4.0, 5.0]]), TypeError, "src: expected an integer tensor"),
        (torch.tensor([[4, 5], [0, 0]]), ValueError, "row of padding"),
        (torch.tensor([[0, 4, 5]]), ValueError, "padding on the right"),
    ],
)
def test_wrong_sources_are_named(src, error, message):
    with pytest.raises(error, match=message):
        small().encode(src)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d_model": 0}, "d_model: expected at least 1"),
        ({"attention": "scaled"}, "attention: expected one of additive, dot"),
        ({"dropout": 1.0}, "dropout: expected"),
    ],
)
def test_wrong_configurations_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        RecurrentConfig(11, 13, **change)
