"""The recurrent encoder–decoder: padding, decoding and what the state knows."""

import pytest
import torch

from attention_guide import AttentionRecorder
from attention_guide.functional import greedy
from attention_guide.models import Decodes, generate, left_pad, stream
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


@pytest.mark.parametrize("kind", KINDS)
def test_it_decodes_as_all_models_do(kind):
    model, src = small(kind), torch.tensor([[4, 5, 0], [6, 7, 8]])
    assert isinstance(model, Decodes)
    start, ends = torch.ones(2, 1, dtype=torch.int64), {"source": src, "eos_id": 2, "pad_id": 0}
    own = model.generate(src, max_len=6)
    assert torch.equal(own, generate(model, start, 6, **ends))
    assert torch.equal(own, generate(model, start, 6, cached=False, **ends))
    assert torch.equal(own, torch.stack(list(stream(model, start, 6, **ends)), dim=1))
    # A choice of one's own: the second likeliest.
    second = model.generate(src, max_len=1, choose=lambda x: x.topk(2).indices[:, 1])
    likeliest = model(src, start)[:, -1]
    assert torch.equal(second[:, 0], likeliest.topk(2).indices[:, 1])
    assert torch.equal(own[:, 0], greedy(likeliest))


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_padding_of_a_prompt_changes_nothing(kind, cached):
    model, src = small(kind), torch.tensor([[4, 5, 0], [6, 7, 8], [9, 0, 0]])
    with torch.no_grad():
        model.head.weight.mul_(9)  # so that the text depends on the prompt
    rows = [[1, 5, 6, 7], [1], [1, 9]]
    prompt, padding = left_pad(rows)
    together = generate(model, prompt, 5, source=src, padding=padding, cached=cached)
    for row, source, got in zip(rows, src, together, strict=True):
        alone = generate(model, torch.tensor([row]), 5, source=source[None])
        assert torch.equal(got, alone[0])


def test_a_recorder_joins_the_steps():
    model, src = small(), torch.tensor([[4, 5, 0], [6, 7, 8]])
    with AttentionRecorder(model) as maps:
        written = generate(model, torch.tensor([[1, 5], [1, 6]]), 3, source=src)
    whole = torch.cat([torch.tensor([[1, 5], [1, 6]]), written[:, :-1]], dim=1)
    with AttentionRecorder(model) as at_once:
        model(src, whole)
    assert {name: m.shape for name, m in maps.items()} == {"decoder": (2, 1, 4, 3)}
    torch.testing.assert_close(maps["decoder"], at_once["decoder"])


def test_wrong_targets_and_lengths_are_named():
    model, src = small(), torch.tensor([[4, 5]])
    with pytest.raises(ValueError, match=r"tgt: expected numbers from 0 to below .* 13; got 13"):
        model(src, torch.tensor([[13]]))
    with pytest.raises(TypeError, match=r"tgt: expected torch\.int64 or torch\.int32; got"):
        model(src, torch.tensor([[1]], dtype=torch.uint8))
    with pytest.raises(TypeError, match="max_len: expected an int; got float"):
        model.generate(src, max_len=2.5)
    with pytest.raises(TypeError, match=r"source: expected a torch\.Tensor; got NoneType"):
        generate(model, torch.tensor([[1]]), 3)


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
        (torch.tensor([[11]]), ValueError, "src: expected numbers from 0 to below .* 11; got 11"),
        (torch.tensor([[4]], dtype=torch.uint8), TypeError, r"src: expected torch\.int64 or"),
        (torch.zeros(0, 3, dtype=torch.int64), ValueError, r"src: .* with B at least 1"),
    ],
)
def test_wrong_sources_are_named(src, error, message):
    with pytest.raises(error, match=message):
        small().encode(src)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d_model": 0}, "d_model: expected an int of at least 1; got 0"),
        ({"pad_id": 12}, "pad_id: expected 0 to 10; got 12"),
        ({"bos_id": 99}, "bos_id: expected 0 to 12; got 99"),
        ({"attention": "scaled"}, "attention: expected one of additive, dot"),
        ({"dropout": 1.0}, "dropout: expected"),
    ],
)
def test_wrong_configurations_are_named(change, message):
    with pytest.raises(ValueError, match=message):
        RecurrentConfig(11, 13, **change)
