"""DeepSeek-V3's names: latents and rotary keys in one matrix, keys and values in another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attention_guide.checkpoints._parts import (
    NO_SPECIALS,
    read_rope,
    unpack_experts,
    write_rope,
)
from attention_guide.checkpoints.hugging_face import Family, expect, register
from attention_guide.checkpoints.rename import AnyRule, Ignored, same, split, split_by_head
from attention_guide.models.deepseek import DeepSeek, DeepSeekConfig, ExpertSizes, LatentSizes

_THEIRS, _OURS = "model.layers.{i}.", "blocks.{i}."
_ATTENTION, _FEED = _OURS + "self_attention.", _OURS + "feed_forward."


def rules(model: DeepSeek) -> Sequence[AnyRule]:
    """The table; where packed matrices are cut depends on the widths."""
    sizes, theirs = model.config.latent, _THEIRS + "self_attn."
    query = {"q_a_proj": "q_down_proj", "q_a_layernorm": "q_norm", "q_b_proj": "q_proj"}
    if sizes.d_query_latent is None:
        query = {"q_proj": "q_proj"}
    halves = ("gate_proj", "up_proj", "down_proj")
    return [
        same("model.embed_tokens.weight", "embedding.weight"),
        *(same(f"{theirs}{x}.weight", f"{_ATTENTION}{y}.weight") for x, y in query.items()),
        split(
            theirs + "kv_a_proj_with_mqa.weight",
            _ATTENTION + "kv_down_proj.weight",
            _ATTENTION + "rope_key_proj.weight",
            sizes=(sizes.d_latent, sizes.d_rope),
        ),
        same(theirs + "kv_a_layernorm.weight", _ATTENTION + "kv_norm.weight"),
        split_by_head(
            theirs + "kv_b_proj.weight",
            _ATTENTION + "k_proj.weight",
            _ATTENTION + "v_proj.weight",
            n_heads=model.config.n_heads,
            sizes=(sizes.d_head, sizes.d_value),
        ),
        same(theirs + "o_proj.weight", _ATTENTION + "out_proj.weight"),
        same(_THEIRS + "input_layernorm.weight", _OURS + "attention_residual.norm.weight"),
        same(
            _THEIRS + "post_attention_layernorm.weight",
            _OURS + "feed_forward_residual.norm.weight",
        ),
        same(_THEIRS + "mlp.gate.weight", _FEED + "router.weight"),
        same(_THEIRS + "mlp.gate.e_score_correction_bias", _FEED + "correction"),
        *(same(f"{_THEIRS}mlp.{x}.weight", f"{_FEED}{x}.weight") for x in halves),
        *(
            same(f"{_THEIRS}mlp.experts.{{j}}.{x}.weight", f"{_FEED}experts.{{j}}.{x}.weight")
            for x in halves
        ),
        *(
            same(f"{_THEIRS}mlp.shared_experts.{x}.weight", f"{_FEED}shared.{x}.weight")
            for x in halves
        ),
        same("model.norm.weight", "norm.weight"),
        same("lm_head.weight", "output_proj.weight"),
        # Blocks past the last predict further tokens in training: multi-token prediction.
        Ignored(rf"model\.layers\.{model.config.n_layers}\..*"),
    ]


def _build(config: Mapping[str, Any]) -> DeepSeek:
    expect(config, "hidden_act", "silu")
    for name, value in {
        "attention_bias": False, "attention_dropout": 0.0, "tie_word_embeddings": False,
        "norm_topk_prob": True, "rope_interleave": True, "scoring_func": "sigmoid",
    }.items():  # fmt: skip
        expect(config, name, value)
    expect(config, "num_key_value_heads", config["num_attention_heads"], None)
    base, yarn, rope = read_rope(config)
    return DeepSeek(
        DeepSeekConfig(
            vocab_size=config["vocab_size"],
            d_model=config["hidden_size"],
            n_heads=config["num_attention_heads"],
            d_ff=config["intermediate_size"],
            n_dense_layers=config["first_k_dense_replace"],
            n_layers=config["num_hidden_layers"],
            max_len=config["max_position_embeddings"],
            rope_base=base,
            yarn=yarn,
            score_stretch=float(rope.get("mscale_all_dim") or 0.0) if yarn else 0.0,
            norm_eps=config["rms_norm_eps"],
            latent=LatentSizes(
                d_latent=config["kv_lora_rank"],
                d_query_latent=config["q_lora_rank"],
                d_head=config["qk_nope_head_dim"],
                d_rope=config["qk_rope_head_dim"],
                d_value=config["v_head_dim"],
            ),
            experts=ExpertSizes(
                n_experts=config["n_routed_experts"],
                n_active=config["num_experts_per_tok"],
                n_shared=config["n_shared_experts"],
                d_ff=config["moe_intermediate_size"],
                n_groups=config["n_group"],
                n_active_groups=config["topk_group"],
                scale=config["routed_scaling_factor"],
            ),
        )
    )


def _config(model: DeepSeek) -> dict[str, Any]:
    c, sizes, experts = model.config, model.config.latent, model.config.experts
    return {
        "architectures": ["DeepseekV3ForCausalLM"],
        "hidden_act": "silu",
        "vocab_size": c.vocab_size,
        "hidden_size": c.d_model,
        "num_attention_heads": c.n_heads,
        "num_key_value_heads": c.n_heads,
        "intermediate_size": c.d_ff,
        "first_k_dense_replace": c.n_dense_layers,
        "num_hidden_layers": c.n_layers,
        "num_nextn_predict_layers": 0,
        "max_position_embeddings": c.max_len,
        "rms_norm_eps": c.norm_eps,
        "kv_lora_rank": sizes.d_latent,
        "q_lora_rank": sizes.d_query_latent,
        "qk_nope_head_dim": sizes.d_head,
        "qk_rope_head_dim": sizes.d_rope,
        "v_head_dim": sizes.d_value,
        "n_routed_experts": experts.n_experts,
        "num_experts_per_tok": experts.n_active,
        "n_shared_experts": experts.n_shared,
        "moe_intermediate_size": experts.d_ff,
        "n_group": experts.n_groups,
        "topk_group": experts.n_active_groups,
        "routed_scaling_factor": experts.scale,
        "norm_topk_prob": True,
        "scoring_func": "sigmoid",
        "rope_interleave": True,
        "tie_word_embeddings": False,
        **NO_SPECIALS,
        **write_rope(
            c.rope_base, c.yarn, **({"mscale_all_dim": c.score_stretch} if c.score_stretch else {})
        ),
    }


FAMILY = register(
    Family(
        "deepseek_v3", _build, _config, rules,
        owns=lambda model: isinstance(model, DeepSeek),
        prefix="model.",
        tidy=unpack_experts,
    )
)  # fmt: skip
