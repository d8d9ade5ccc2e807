"""BERT's names: bare, with the head for masked words, with a classifier."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from attention_guide.checkpoints.hugging_face import Family, expect, register
from attention_guide.checkpoints.rename import AnyRule, Ignored, Tied, same
from attention_guide.models.bert import Bert, BertClassifier, BertConfig, BertForMaskedWords

Model = Bert | BertForMaskedWords | BertClassifier
_EMBEDDINGS = {
    "word_embeddings.weight": "embedding.weight",
    "position_embeddings.weight": "positions.weight",
    "token_type_embeddings.weight": "segments.weight",
    "LayerNorm.{p}": "norm.{p}",
}
_BLOCK = {
    "attention.self.query": "self_attention.q_proj",
    "attention.self.key": "self_attention.k_proj",
    "attention.self.value": "self_attention.v_proj",
    "attention.output.dense": "self_attention.out_proj",
    "attention.output.LayerNorm": "attention_residual.norm",
    "intermediate.dense": "feed_forward.up_proj",
    "output.dense": "feed_forward.down_proj",
    "output.LayerNorm": "feed_forward_residual.norm",
}
_WORD_HEAD = "cls.predictions."


def rules(model: Model) -> Sequence[AnyRule]:
    """The table; a head adds its own names, and ours then begin with `bert.`, too."""
    own = "" if isinstance(model, Bert) else "bert."
    layer, block = "bert.encoder.layer.{i}.", own + "encoder.blocks.{i}."
    table: list[AnyRule] = [
        *(same("bert.embeddings." + x, own + y) for x, y in _EMBEDDINGS.items()),
        *(same(layer + x + ".{p}", block + y + ".{p}") for x, y in _BLOCK.items()),
        same("bert.pooler.dense.{p}", own + "pooler.{p}"),
        Ignored(r"bert\.embeddings\.position_ids"),
    ]
    if isinstance(model, BertForMaskedWords):
        return [
            *table,
            same(_WORD_HEAD + "transform.dense.{p}", "transform.{p}"),
            same(_WORD_HEAD + "transform.LayerNorm.{p}", "norm.{p}"),
            same(_WORD_HEAD + "bias", "output_proj.bias"),
            Tied(_WORD_HEAD + "decoder.bias", _WORD_HEAD + "bias"),
            Tied(_WORD_HEAD + "decoder.weight", "bert.embeddings.word_embeddings.weight"),
            # Pre-trained files hold the head for the next sentence, too.
            Ignored(r"cls\.seq_relationship\..*|bert\.pooler\..*"),
        ]
    if isinstance(model, BertClassifier):
        return [*table, same("classifier.{p}", "classifier.{p}")]
    return table


def _build(config: Mapping[str, Any]) -> Model:
    expect(config, "hidden_act", "gelu")
    expect(config, "position_embedding_type", "absolute")
    for name in ("is_decoder", "add_cross_attention"):
        expect(config, name, False)
    dropout = config.get("hidden_dropout_prob", 0.1)
    expect(config, "attention_probs_dropout_prob", dropout)
    sizes = BertConfig(
        vocab_size=config["vocab_size"],
        d_model=config["hidden_size"],
        n_heads=config["num_attention_heads"],
        n_layers=config["num_hidden_layers"],
        d_ff=config["intermediate_size"],
        max_len=config["max_position_embeddings"],
        n_segments=config["type_vocab_size"],
        dropout=dropout,
        norm_eps=config["layer_norm_eps"],
        pad_id=config.get("pad_token_id") or 0,
    )
    kinds = config["architectures"]
    if kinds[0] in ("BertForMaskedLM", "BertForPreTraining"):
        return BertForMaskedWords(sizes)
    if kinds[0] == "BertForSequenceClassification":
        expect(config, "problem_type", None, "single_label_classification")
        expect(config, "classifier_dropout", None, dropout)
        return BertClassifier(sizes, len(config.get("id2label") or "01"))
    if kinds[0] != "BertModel":
        raise ValueError(
            "config: architectures: expected BertModel, BertForMaskedLM, BertForPreTraining or "
            f"BertForSequenceClassification; got {kinds[0]!r}"
        )
    return Bert(sizes)


def _config(model: Model) -> dict[str, Any]:
    c = model.config
    if isinstance(model, Bert) and model.pooler is None:
        raise ValueError("pooler: Hugging Face's BertModel has one; make the Bert with it")
    config: dict[str, Any] = {
        "architectures": ["BertModel"],
        "hidden_act": "gelu",
        "position_embedding_type": "absolute",
        "vocab_size": c.vocab_size,
        "hidden_size": c.d_model,
        "num_attention_heads": c.n_heads,
        "num_hidden_layers": c.n_layers,
        "intermediate_size": c.d_ff,
        "max_position_embeddings": c.max_len,
        "type_vocab_size": c.n_segments,
        "hidden_dropout_prob": c.dropout,
        "attention_probs_dropout_prob": c.dropout,
        "layer_norm_eps": c.norm_eps,
        "pad_token_id": c.pad_id,
        "tie_word_embeddings": True,
    }
    if isinstance(model, BertForMaskedWords):
        config["architectures"] = ["BertForMaskedLM"]
    if isinstance(model, BertClassifier):
        labels = {str(i): f"LABEL_{i}" for i in range(model.classifier.out_features)}
        config["architectures"] = ["BertForSequenceClassification"]
        config |= {"id2label": labels, "label2id": {x: int(i) for i, x in labels.items()}}
    return config


def _tidy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Files converted from TensorFlow call a norm's gain gamma and its shift beta."""
    names = {"gamma": "weight", "beta": "bias"}
    return {
        re.sub(r"(?<=LayerNorm\.)(gamma|beta)$", lambda found: names[found[1]], name): x
        for name, x in state.items()
    }


def _architecture(names: Iterable[str]) -> str:
    heads = {name.split(".")[0] for name in names}
    if "cls" in heads:
        return "BertForMaskedLM"
    return "BertForSequenceClassification" if "classifier" in heads else "BertModel"


def _owns(model: nn.Module) -> bool:
    return isinstance(model, Model)


FAMILY = register(
    Family(
        "bert", _build, _config, rules, _owns,
        prefix="bert.",
        bare=lambda model: isinstance(model, Bert),
        tidy=_tidy,
        architecture=_architecture,
    )
)  # fmt: skip
