"""T5's names: sublayers by number, the bias by distance in the first block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attention_guide.checkpoints.hugging_face import Family, expect, register
from attention_guide.checkpoints.rename import AnyRule, Ignored, Tied, same
from attention_guide.models.t5 import T5, T5Config

_PARTS = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "o": "out_proj"}


def rules(model: T5) -> Sequence[AnyRule]:
    """The table; it differs for gated feed-forwards and for an output layer of its own."""
    feed = {"wi": "up_proj", "wo": "down_proj"}
    if model.config.gated:
        feed = {"wi_0": "gate_proj", "wi_1": "up_proj", "wo": "down_proj"}
    table: list[AnyRule] = [same("shared.weight", "embedding.weight")]
    for stack, attentions in {
        "encoder": [("self_attention", "SelfAttention", "attention_residual")],
        "decoder": [
            ("self_attention", "SelfAttention", "self_attention_residual"),
            ("cross_attention", "EncDecAttention", "cross_attention_residual"),
        ],
    }.items():
        block, ours = stack + ".block.{i}.layer.", stack + ".blocks.{i}."
        for index, (attention, name, residual) in enumerate(attentions):
            layer = f"{block}{index}."
            table += [
                *(
                    same(f"{layer}{name}.{x}.weight", f"{ours}{attention}.{y}.weight")
                    for x, y in _PARTS.items()
                ),
                same(layer + "layer_norm.weight", f"{ours}{residual}.norm.weight"),
            ]
        last = f"{block}{len(attentions)}."
        table += [
            *(
                same(f"{last}DenseReluDense.{x}.weight", f"{ours}feed_forward.{y}.weight")
                for x, y in feed.items()
            ),
            same(last + "layer_norm.weight", ours + "feed_forward_residual.norm.weight"),
            same(
                stack + ".block.0.layer.0.SelfAttention.relative_attention_bias.weight",
                stack + ".blocks.0.self_attention.position_bias.weight",
            ),
            same(stack + ".final_layer_norm.weight", stack + ".norm.weight"),
            Tied(stack + ".embed_tokens.weight", "shared.weight"),
        ]
    if model.config.tie_weights:
        return [*table, Tied("lm_head.weight", "shared.weight"), _UNUSED]
    return [*table, same("lm_head.weight", "output_proj.weight"), _UNUSED]


# Old files of the first version hold a bias of the cross-attention that nothing reads.
_UNUSED = Ignored(r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight")


def _build(config: Mapping[str, Any]) -> T5:
    kind = expect(config, "feed_forward_proj", "relu", "gated-gelu")
    tied = config.get("tie_word_embeddings", True)
    return T5(
        T5Config(
            vocab_size=config["vocab_size"],
            d_model=config["d_model"],
            d_head=config["d_kv"],
            n_heads=config["num_heads"],
            d_ff=config["d_ff"],
            n_layers=config["num_layers"],
            n_decoder_layers=config.get("num_decoder_layers"),
            n_buckets=config.get("relative_attention_num_buckets", 32),
            max_distance=config.get("relative_attention_max_distance", 128),
            dropout=config.get("dropout_rate", 0.1),
            norm_eps=config.get("layer_norm_epsilon", 1e-6),
            gated=kind == "gated-gelu",
            tie_weights=tied,
            scale_logits=config.get("scale_decoder_outputs", tied),
            pad_id=config.get("pad_token_id") or 0,
        )
    )


def _config(model: T5) -> dict[str, Any]:
    c = model.config
    return {
        "architectures": ["T5ForConditionalGeneration"],
        "vocab_size": c.vocab_size,
        "d_model": c.d_model,
        "d_kv": c.d_head,
        "num_heads": c.n_heads,
        "d_ff": c.d_ff,
        "num_layers": c.n_layers,
        "num_decoder_layers": c.n_layers if c.n_decoder_layers is None else c.n_decoder_layers,
        "relative_attention_num_buckets": c.n_buckets,
        "relative_attention_max_distance": c.max_distance,
        "dropout_rate": c.dropout,
        "layer_norm_epsilon": c.norm_eps,
        "feed_forward_proj": "gated-gelu" if c.gated else "relu",
        "tie_word_embeddings": c.tie_weights,
        "scale_decoder_outputs": c.scale_logits,
        "is_encoder_decoder": True,
        "pad_token_id": c.pad_id,
        "decoder_start_token_id": c.pad_id,
        # Not ours to say; without the line their reader takes 1.
        "eos_token_id": None,
    }


FAMILY = register(Family("t5", _build, _config, rules, owns=lambda model: isinstance(model, T5)))
