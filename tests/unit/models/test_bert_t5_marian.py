"""BERT, T5 and Marian on their own: padding changes nothing, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from attention_guide.checkpoints import from_hugging_face, to_hugging_face
from attention_guide.models import (
    T5,
    Bert,
    BertClassifier,
    BertConfig,
    BertForMaskedWords,
    Llama,
    LlamaConfig,
    Marian,
    MarianConfig,
    T5Config,
    Yarn,
)

CONFIG = BertConfig(23, d_model=16, n_heads=4, n_layers=2, d_ff=24, max_len=8)
SHORT = torch.tensor([[5, 6, 7]])
PADDED = torch.tensor([[5, 6, 7, 0, 0]])


@pytest.mark.parametrize(
    "make", [Bert, BertForMaskedWords, lambda config: BertClassifier(config, 3)]
)
def test_padding_changes_nothing(make: type) -> None:
    model = make(CONFIG).double().eval()
    short, padded = model(SHORT), model(PADDED)
    assert torch.allclose(padded[:, :3] if padded.ndim == 3 else padded, short, atol=1e-12)
    explicit = model(PADDED, padding=PADDED != 0)
    assert torch.equal(explicit, padded)
    seen = model(PADDED, padding=torch.ones_like(PADDED, dtype=torch.bool))
    assert not torch.allclose(seen, padded)


def test_bert_reads_in_both_directions_and_knows_segments() -> None:
    model = Bert(CONFIG).double().eval()
    other = torch.tensor([[5, 6, 9]])
    assert not torch.allclose(model(SHORT)[:, 0], model(other)[:, 0])
    second = model(SHORT, segments=torch.tensor([[0, 1, 1]]))
    assert not torch.allclose(second, model(SHORT))


def test_what_bert_refuses() -> None:
    model = Bert(CONFIG, pooler=False)
    with pytest.raises(ValueError, match="made without one"):
        model.pool(model(SHORT))
    with pytest.raises(ValueError, match="BertModel has one"):
        to_hugging_face(model)
    with pytest.raises(ValueError, match=r"segments: expected \(1, 3\)"):
        model(SHORT, segments=PADDED)
    with pytest.raises(ValueError, match=r"padding: expected \(B, T\) = \(1, 3\)"):
        model(SHORT, padding=PADDED != 0)
    with pytest.raises(TypeError, match=r"padding: expected torch\.bool"):
        model(SHORT, padding=torch.ones_like(SHORT))
    with pytest.raises(TypeError, match="segments: expected an integer tensor"):
        model(SHORT, segments=torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"segments: expected .* below the rows = 2; got 5"):
        model(SHORT, segments=SHORT)
    with pytest.raises(TypeError, match="ids"):
        model(SHORT.double())
    with pytest.raises(ValueError, match="max_len = 8"):
        model(torch.ones(1, 9, dtype=torch.long))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BertConfig(11, n_layers=-1), "n_layers: expected an int of at least 1; got -1"),
        (lambda: T5Config(11, n_layers=-1), "n_layers: expected an int of at least 1; got -1"),
        (lambda: T5Config(11, n_decoder_layers=0), "n_decoder_layers: expected an int of at least"),
        (lambda: BertConfig(11, pad_id=99), "pad_id: expected 0 to 10; got 99"),
        (lambda: T5Config(11, pad_id=99), "pad_id: expected 0 to 10; got 99"),
        (lambda: BertClassifier(CONFIG, -1), "n_classes: expected an int of at least 1; got -1"),
    ],
)
def test_sizes_and_ids_that_cannot_be(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_words_and_embedding_are_one_matrix() -> None:
    model = BertForMaskedWords(CONFIG)
    assert model.output_proj.weight is model.bert.embedding.weight


@pytest.mark.parametrize(
    "model",
    [T5(T5Config(23, 16, 4, 4, 24, 2)), Marian(MarianConfig(23, 16, 4, 24, 2, max_len=8))],
    ids=["t5", "marian"],
)
def test_padding_of_a_source_changes_nothing(model: nn.Module) -> None:
    model = model.double().eval()
    target = torch.tensor([[0, 3, 4]])
    assert torch.allclose(model(PADDED, target), model(SHORT, target), atol=1e-12)
    later = torch.tensor([[0, 3, 9]])
    assert torch.equal(model(SHORT, target)[:, :2], model(SHORT, later)[:, :2])
    memory = model.encode(SHORT)
    with pytest.raises(ValueError, match="memory: expected"):
        model.decode(target, memory, PADDED)
    if isinstance(model, T5):
        with pytest.raises(TypeError, match=r"padding: expected torch\.bool"):
            model.decode(target, memory, SHORT, padding=torch.ones_like(target))


def test_settings_that_the_models_do_not_have() -> None:
    with pytest.raises(ValueError, match="activation: expected one of"):
        Marian(MarianConfig(23, activation="tanh"))
    config, state = to_hugging_face(Bert(CONFIG))
    with pytest.raises(ValueError, match=r"architectures: expected BertModel.*BertForQuestion"):
        from_hugging_face(config | {"architectures": ["BertForQuestionAnswering"]}, state)
    with pytest.raises(ValueError, match=r"position_embedding_type: expected .*'relative_key'"):
        from_hugging_face(config | {"position_embedding_type": "relative_key"}, state)
    with pytest.raises(ValueError, match=r"missing: cls\.predictions\.transform\.dense\.weight"):
        from_hugging_face(config | {"architectures": ["BertForMaskedLM"]}, state)


def test_llamas_that_hugging_face_has_no_place_for() -> None:
    sizes = LlamaConfig(23, 16, 4, d_ff=24, n_layers=1)
    config, state = to_hugging_face(Llama(sizes))
    with pytest.raises(ValueError, match="have no sinks; got them"):
        to_hugging_face(Llama(LlamaConfig(23, 16, 4, d_ff=24, n_layers=1, sinks=True)))
    scaled = {"rope_scaling": {"rope_type": "longrope", "factor": 8.0}}
    with pytest.raises(ValueError, match="expected default, yarn or llama3; got 'longrope'"):
        from_hugging_face(config | scaled, state)
    paper = Yarn(8.0, 32, ramp="rotations")
    with pytest.raises(ValueError, match=r"expected attention_factor 1\.0 with ramp 'rotations'"):
        to_hugging_face(Llama(LlamaConfig(23, 16, 4, d_ff=24, n_layers=1, yarn=paper)))
