"""BERT, T5 and Marian against Hugging Face's: random tiny configurations, weights copied."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attention_guide.checkpoints import from_hugging_face, save_hugging_face, to_hugging_face
from attention_guide.checkpoints.hugging_face import rename_state
from attention_guide.models import generate
from tests.parity.hf_reference import (
    BOUNDS,
    block_outputs,
    computing_in,
    gradient_error,
    recorded,
    tiny,
    worst,
)

transformers = pytest.importorskip("transformers")

SRC = torch.tensor([[5, 6, 7, 8, 30, 1], [9, 3, 1, 0, 0, 0], [4, 12, 21, 1, 0, 0]])
TGT = torch.tensor([[0, 6, 5, 9], [0, 7, 11, 22], [0, 3, 8, 2]])
REAL = SRC != 0

BERT = {
    "vocab_size": 37, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
    "intermediate_size": 48, "max_position_embeddings": 20,
}  # fmt: skip
T5 = {
    "vocab_size": 37, "d_model": 32, "d_kv": 6, "d_ff": 48, "num_layers": 3, "num_heads": 4,
    "num_decoder_layers": 2, "relative_attention_num_buckets": 8,
    "relative_attention_max_distance": 12, "decoder_start_token_id": 0, "eos_token_id": None,
}  # fmt: skip
MARIAN = {
    "vocab_size": 37, "d_model": 32, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "encoder_layers": 2, "decoder_layers": 3,
    "max_position_embeddings": 24, "scale_embedding": True, "activation_function": "swish",
    "pad_token_id": 0, "decoder_start_token_id": 0, "eos_token_id": 1,
    "forced_eos_token_id": None,
}  # fmt: skip
CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "BERT": ("BertModel", "Bert", BERT),
    "BERT, masked words": ("BertForMaskedLM", "Bert", BERT),
    "BERT, classes": ("BertForSequenceClassification", "Bert", BERT | {"num_labels": 5}),
    "T5": ("T5ForConditionalGeneration", "T5", T5),
    "T5 1.1": (
        "T5ForConditionalGeneration", "T5",
        T5 | {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    ),
    "Marian": ("MarianMTModel", "Marian", MARIAN),
}  # fmt: skip
SEQ2SEQ = [name for name in CASES if not name.startswith("BERT")]


def both(name: str) -> tuple[nn.Module, nn.Module]:
    architecture, family, settings = CASES[name]
    config = getattr(transformers, f"{family}Config")(**settings, attn_implementation="eager")
    config.architectures = [architecture]
    theirs = tiny(lambda: getattr(transformers, architecture)(config))
    if name == "Marian":
        with torch.no_grad():
            theirs.final_logits_bias.normal_()
    return theirs, from_hugging_face(config.to_dict(), theirs.state_dict())


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("name", SEQ2SEQ)
def test_encoder_and_decoder(name: str, dtype: str, parity_record: Callable[..., None]) -> None:
    def record(what: str, error: float) -> None:
        parity_record(f"transformers {name}", what, dtype, error, BOUNDS[dtype])

    with computing_in(dtype):
        theirs, ours = both(name)
        expected = theirs(
            SRC, attention_mask=REAL.long(), decoder_input_ids=TGT,
            output_attentions=True, output_hidden_states=True,
        )  # fmt: skip

        def run() -> Tensor:
            return ours(SRC, TGT)  # type: ignore[no-any-return]

        logits = run()
        record("logits", worst([(logits, expected.logits)]))
        rows = REAL[:, None, :, None]
        pairs = [
            *zip(recorded(ours, "encoder", run), expected.encoder_attentions, strict=True),
            *zip(recorded(ours, "decoder.*self", run), expected.decoder_attentions, strict=True),
            *zip(recorded(ours, "cross", run), expected.cross_attentions, strict=True),
        ]
        cut = len(expected.encoder_attentions)
        real = [(a * rows, b * rows) for a, b in pairs[:cut]] + pairs[cut:]
        record("attention", worst(real))
        record("hidden states", worst(hidden_pairs(ours, run, expected)))
        direction = torch.randn_like(logits)
        losses = ((expected.logits * direction).sum(), (logits * direction).sum())
        record("gradients", gradient_error(theirs, ours, losses))


def hidden_pairs(
    ours: nn.Module, run: Callable[[], Tensor], expected: Any
) -> list[tuple[Tensor, Tensor]]:
    pairs = []
    for stack, states, real in (
        (ours.encoder, expected.encoder_hidden_states, REAL),
        (ours.decoder, expected.decoder_hidden_states, torch.ones_like(TGT, dtype=torch.bool)),
    ):
        outputs = block_outputs(stack.blocks, run)
        if not isinstance(stack.norm, nn.Identity):  # theirs has the last norm in the last state
            outputs[-1] = stack.norm(outputs[-1])
        pairs += [(o[real], e[real]) for o, e in zip(outputs, states[1:], strict=True)]
    return pairs


@pytest.mark.parametrize("name", SEQ2SEQ)
def test_greedy_tokens(name: str) -> None:
    with computing_in("float64"):
        theirs, ours = both(name)
        theirs.generation_config.eos_token_id = None
        start = torch.zeros(3, 1, dtype=torch.long)
        for cached in (True, False):
            expected = theirs.generate(
                SRC, attention_mask=REAL.long(), max_new_tokens=8, do_sample=False, num_beams=1,
                use_cache=cached, pad_token_id=0,
            )[:, 1:]  # fmt: skip
            got = generate(ours, start, 8, source=SRC, cached=cached)
            assert torch.equal(got, expected), f"cached={cached}"
        alone = [
            generate(ours, start[:1], 8, source=r[m][None]) for r, m in zip(SRC, REAL, strict=True)
        ]
        assert torch.equal(torch.cat(alone), got)


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("name", ["BERT", "BERT, masked words", "BERT, classes"])
def test_bert(name: str, dtype: str, parity_record: Callable[..., None]) -> None:
    def record(what: str, error: float) -> None:
        parity_record(f"transformers {name}", what, dtype, error, BOUNDS[dtype])

    with computing_in(dtype):
        theirs, ours = both(name)
        segments = torch.tensor([[0, 0, 0, 1, 1, 1]] * 3)
        expected = theirs(
            SRC, attention_mask=REAL.long(), token_type_ids=segments,
            output_attentions=True, output_hidden_states=True,
        )  # fmt: skip

        def run() -> Tensor:
            return ours(SRC, segments=segments)  # type: ignore[no-any-return]

        got = run()
        if name == "BERT":
            pairs = [(got[REAL], expected.last_hidden_state[REAL])]
            pairs.append((ours.pool(got), expected.pooler_output))
        elif name == "BERT, classes":
            pairs = [(got, expected.logits)]
        else:
            pairs = [(got[REAL], expected.logits[REAL])]
        record("logits", worst(pairs))
        rows = REAL[:, None, :, None]
        maps = zip(recorded(ours, "attention", run), expected.attentions, strict=True)
        record("attention", worst([(a * rows, b * rows) for a, b in maps]))
        blocks = (ours if name == "BERT" else ours.bert).encoder.blocks
        states = zip(block_outputs(blocks, run), expected.hidden_states[1:], strict=True)
        record("hidden states", worst([(a[REAL], b[REAL]) for a, b in states]))
        directions = [torch.randn_like(x) for x, _ in pairs]
        losses = [
            sum((pair[side] * d).sum() for pair, d in zip(pairs, directions, strict=True))
            for side in (1, 0)
        ]
        record("gradients", gradient_error(theirs, ours, (losses[0], losses[1])))


@pytest.mark.parametrize("name", CASES)
def test_round_trip_is_exact(name: str, tmp_path: Path) -> None:
    theirs, ours = both(name)
    config, state = to_hugging_face(ours)
    again = from_hugging_face(config, state)
    assert again.config == ours.config
    kept = again.state_dict()
    assert all(torch.equal(kept[key], x) for key, x in ours.state_dict().items())
    # Their library reads what we write, from a folder.
    folder = save_hugging_face(ours, tmp_path)
    reread = type(theirs).from_pretrained(folder, local_files_only=True)
    original = theirs.state_dict()
    assert reread.state_dict().keys() == original.keys()
    assert all(torch.equal(x, original[key]) for key, x in reread.state_dict().items())
    theirs, reread = theirs.eval(), reread.eval()
    extra = {"decoder_input_ids": TGT} if name in SEQ2SEQ else {}
    assert torch.allclose(reread(SRC, **extra)[0], theirs(SRC, **extra)[0], atol=1e-5)


def test_pretraining_files_of_bert_are_read_for_their_words() -> None:
    config = transformers.BertConfig(**BERT)
    config.architectures = ["BertForPreTraining"]
    theirs = tiny(lambda: transformers.BertForPreTraining(config))
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): x
        for name, x in theirs.state_dict().items()
    }
    ours = from_hugging_face(config.to_dict(), old)
    expected = theirs(SRC, attention_mask=REAL.long()).prediction_logits
    assert (ours(SRC) - expected)[REAL].abs().max() <= BOUNDS["float32"]


def test_an_output_layer_of_its_own() -> None:
    theirs, _ = both("T5 1.1")
    state = dict(theirs.state_dict()) | {"lm_head.weight": torch.randn(37, 32)}
    config = theirs.config.to_dict() | {"tie_word_embeddings": False}
    ours = from_hugging_face(config, state)
    assert torch.equal(ours.output_proj.weight, state["lm_head.weight"])
    again = rename_state(ours, to_hugging_face(ours)[1])
    assert torch.equal(again["output_proj.weight"], state["lm_head.weight"])


@pytest.mark.parametrize("name", ["BERT", "BERT, masked words", "BERT, classes"])
def test_a_configuration_that_names_no_architecture(name: str) -> None:
    theirs, ours = both(name)
    config = theirs.config.to_dict() | {"architectures": None}
    assert type(from_hugging_face(config, theirs.state_dict())) is type(ours)
