"""Decoder-only models against Hugging Face's: random tiny configurations, weights copied."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from attention_guide.checkpoints import (
    from_hugging_face,
    load_hugging_face,
    save_hugging_face,
    to_hugging_face,
)
from attention_guide.models import LanguageModel, generate
from tests.parity.hf_reference import (
    BOUNDS,
    block_outputs,
    computing_in,
    gradient_error,
    ours_of,
    recorded,
    tiny,
    worst,
)

transformers = pytest.importorskip("transformers")

VOCABULARY = 37
IDS = torch.tensor([[0, 0, 0, 5, 9, 11], [7, 8, 3, 4, 30, 21], [0, 12, 6, 33, 17, 2]])
REAL = torch.tensor([[0, 0, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1]]).bool()

GROUPED = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 48,
    "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}  # fmt: skip
YARN = {
    "rope_type": "yarn", "rope_theta": 10_000.0, "factor": 4.0,
    "original_max_position_embeddings": 16,
}  # fmt: skip
LATENT = GROUPED | {
    "num_key_value_heads": 4, "q_lora_rank": 12, "kv_lora_rank": 16, "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4, "v_head_dim": 6, "first_k_dense_replace": 1, "n_routed_experts": 8,
    "num_experts_per_tok": 3, "moe_intermediate_size": 10, "n_shared_experts": 2, "n_group": 4,
    "topk_group": 2,
}  # fmt: skip
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "GPT-2": ("GPT2", {"vocab_size": VOCABULARY, "n_embd": 32, "n_head": 4, "n_layer": 3,
                       "n_positions": 64}),
    "Llama": ("Llama", GROUPED),
    "Llama, tied, other head width": ("Llama", GROUPED | {"tie_word_embeddings": True,
                                                          "head_dim": 12}),
    "Llama with YaRN": ("Llama", GROUPED | {"rope_parameters": YARN}),
    "Llama 3.1": ("Llama", GROUPED | {"rope_parameters": {
        "rope_type": "llama3", "rope_theta": 100.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 32}}),
    "Mistral with a window": ("Mistral", GROUPED | {"sliding_window": 3}),
    "Mixtral": ("Mixtral", GROUPED | {"num_local_experts": 4, "num_experts_per_tok": 2}),
    "Gemma 2": ("Gemma2", GROUPED | {"head_dim": 8, "sliding_window": 3,
                                     "query_pre_attn_scalar": 20}),
    "BLOOM": ("Bloom", {"vocab_size": VOCABULARY, "hidden_size": 32, "n_head": 4, "n_layer": 3}),
    "DeepSeek-V3": ("DeepseekV3", LATENT),
    "DeepSeek-V3 with YaRN": ("DeepseekV3", LATENT | {"q_lora_rank": None, "rope_parameters": {
        **YARN, "mscale": 1.0, "mscale_all_dim": 0.7}}),
}  # fmt: skip


def theirs_of(name: str) -> nn.Module:
    family, settings = CASES[name]
    architecture = {"GPT2": "GPT2LMHeadModel"}.get(family, f"{family}ForCausalLM")
    config = getattr(transformers, f"{family}Config")(
        **settings,
        attn_implementation="eager",
        experts_implementation="eager",
        bos_token_id=1,
        eos_token_id=None,
        pad_token_id=0,
    )

    def make() -> nn.Module:
        model = getattr(transformers, architecture)(config)
        for module in model.modules():
            bias = getattr(module, "e_score_correction_bias", None)
            if bias is not None:
                bias.data = torch.randn(bias.shape)
        return model  # type: ignore[no-any-return]

    return tiny(make)


@pytest.fixture(params=CASES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run_theirs(theirs: nn.Module, name: str) -> Any:
    options: dict[str, Any] = {"attention_mask": REAL.long()}
    if CASES[name][0] != "Bloom":
        options["position_ids"] = (REAL.cumsum(1) - 1).clamp(min=0)
    return theirs(IDS, output_hidden_states=True, output_attentions=True, **options)


@pytest.mark.parametrize("dtype", BOUNDS)
def test_padded_batch(name: str, dtype: str, parity_record: Callable[..., None]) -> None:
    def record(what: str, error: float) -> None:
        parity_record(f"transformers {name}", what, dtype, error, BOUNDS[dtype])

    with computing_in(dtype):
        theirs = theirs_of(name)
        ours = ours_of(theirs)
        assert isinstance(ours, LanguageModel)
        expected = run_theirs(theirs, name)

        def run() -> Tensor:
            return ours(IDS, padding=REAL)  # type: ignore[no-any-return]

        logits = run()
        record("logits", worst([(logits[REAL], expected.logits[REAL])]))
        maps = recorded(ours, "self_attention", run)
        assert len(maps) == len(expected.attentions) == 3
        rows = REAL[:, None, :, None]
        record(
            "attention",
            worst([(m * rows, a * rows) for m, a in zip(maps, expected.attentions, strict=True)]),
        )
        hidden = [*block_outputs(ours.blocks, run)[:-1], ours.hidden(IDS, padding=REAL)]
        record(
            "hidden states",
            worst(
                [
                    (h[REAL], e[REAL])
                    for h, e in zip(hidden, expected.hidden_states[1:], strict=True)
                ]
            ),
        )
        direction = torch.randn_like(logits)
        losses = [((x * direction)[REAL]).sum() for x in (expected.logits, logits)]
        record("gradients", gradient_error(theirs, ours, (losses[0], losses[1])))


def test_greedy_tokens(name: str) -> None:
    with computing_in("float64"):
        theirs = theirs_of(name)
        ours = ours_of(theirs)
        for cached in (True, False):
            expected = theirs.generate(
                IDS, attention_mask=REAL.long(), max_new_tokens=7, do_sample=False,
                use_cache=cached, pad_token_id=0,
            )[:, IDS.shape[1]:]  # fmt: skip
            got = generate(ours, IDS, 7, padding=REAL, cached=cached)
            assert torch.equal(got, expected), f"cached={cached}"
        alone = [generate(ours, row[real][None], 7) for row, real in zip(IDS, REAL, strict=True)]
        assert torch.equal(torch.cat(alone), got)


def test_round_trip_is_exact(name: str, tmp_path: Path) -> None:
    theirs = theirs_of(name)
    ours = ours_of(theirs)
    config, state = to_hugging_face(ours)
    again = from_hugging_face(config, state)
    assert again.config == ours.config
    kept = again.state_dict()
    assert all(torch.equal(kept[key], x) for key, x in ours.state_dict().items())
    # Their library reads what we write, from a folder.
    eager = {"attn_implementation": "eager", "experts_implementation": "eager"}
    folder = save_hugging_face(ours, tmp_path)
    reread = type(theirs).from_pretrained(folder, local_files_only=True, **eager).eval()
    original = theirs.state_dict()
    assert reread.state_dict().keys() == original.keys()
    assert all(torch.equal(x, original[key]) for key, x in reread.state_dict().items())
    expected, got = theirs(IDS[1:2]).logits, reread(IDS[1:2]).logits
    assert (got - expected).abs().max() < 1e-5


@pytest.mark.parametrize("family", ["Llama", "Mistral", "Mixtral"])
@pytest.mark.parametrize(
    "rope",
    [{"mscale": 1.0, "mscale_all_dim": 1.0}, {"mscale": 0.7, "mscale_all_dim": 1.2},
     {"mscale": 0.7}, {"factor": None}, {"factor": None, "mscale": 0.7, "mscale_all_dim": 1.2},
     {"mscale": 0.7, "mscale_all_dim": 1.2, "attention_factor": 1.5}],
    ids=str,
)  # fmt: skip
def test_every_setting_of_yarn_counts(family: str, rope: dict[str, Any], tmp_path: Path) -> None:
    config = getattr(transformers, f"{family}Config")(
        **GROUPED, head_dim=8, rope_parameters=YARN | rope,
        attn_implementation="eager", experts_implementation="eager",
    )  # fmt: skip
    with computing_in("float64"):
        theirs = tiny(lambda: getattr(transformers, f"{family}ForCausalLM")(config))
        ours = ours_of(theirs)
        expected = theirs(IDS).logits
        assert (ours(IDS) - expected).abs().max() < BOUNDS["float64"]
        # Written back, where their factor may say what their stretches said.
        folder = save_hugging_face(ours, tmp_path)
        reread = (
            type(theirs)
            .from_pretrained(folder, local_files_only=True, experts_implementation="eager")
            .eval()
        )
        assert (reread(IDS).logits - expected).abs().max() < BOUNDS["float64"]


def test_a_tied_matrix_under_either_name(tmp_path: Path) -> None:
    theirs = theirs_of("GPT-2")
    safetensors.torch.save_model(theirs, str(tmp_path / "model.safetensors"))
    theirs.config.save_pretrained(tmp_path)
    assert "transformer.wte.weight" not in safetensors.torch.load_file(
        tmp_path / "model.safetensors"
    )
    ours = load_hugging_face(tmp_path)
    assert torch.equal(ours.embedding.weight, theirs.lm_head.weight)


@pytest.mark.parametrize("name", ["GPT-2", "Llama", "BLOOM", "Gemma 2", "DeepSeek-V3"])
def test_special_ids_that_ours_does_not_hold_are_none_to_their_reader(
    name: str, tmp_path: Path
) -> None:
    folder = save_hugging_face(ours_of(theirs_of(name)), tmp_path)
    config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (None, None, None)
