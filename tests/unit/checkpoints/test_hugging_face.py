"""Folders of weights: whole, sharded, pickled, missing; and what a family refuses."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from attention_guide.checkpoints import (
    from_hugging_face,
    load_hugging_face,
    save_hugging_face,
    to_hugging_face,
)
from attention_guide.checkpoints.folders import read_weights
from attention_guide.models import GPT2, GPT2Config, Llama, LlamaConfig
from attention_guide.models.bert import Bert, BertClassifier, BertConfig, BertForMaskedWords

IDS = torch.tensor([[1, 2, 3]])


def model() -> GPT2:
    return GPT2(GPT2Config(7, d_model=8, n_heads=2, n_layers=2)).eval()


def test_a_folder_there_and_back(tmp_path: Path) -> None:
    ours = model()
    again = load_hugging_face(save_hugging_face(ours, tmp_path / "gpt"))
    assert torch.equal(again(IDS), ours(IDS))
    assert again.config == ours.config
    assert not again.training


def test_the_folder_of_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_hugging_face(model(), tmp_path / "someone" / "gpt")
    monkeypatch.setenv("ATTENTION_GUIDE_WEIGHTS", str(tmp_path))
    assert isinstance(load_hugging_face("someone/gpt"), GPT2)


def sharded(folder: Path) -> dict[str, str]:
    config, state = to_hugging_face(model())
    names = list(state)
    places = {}
    for part in (0, 1):
        shard = {name: state[name] for name in names[part::2]}
        safetensors.torch.save_file(shard, folder / f"model-{part}.safetensors")
        places |= dict.fromkeys(shard, f"model-{part}.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return places


def test_a_sharded_folder(tmp_path: Path) -> None:
    places = sharded(tmp_path)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    assert load_hugging_face(tmp_path)(IDS).shape == (1, 3, 7)
    (tmp_path / "model-1.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"model-1\.safetensors"):
        load_hugging_face(tmp_path)
    index.write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))
    with pytest.raises(ValueError, match="files beside it"):
        load_hugging_face(tmp_path)


def test_the_index_says_which_shard_a_name_is_from(tmp_path: Path) -> None:
    places = sharded(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    name = next(name for name, shard in places.items() if shard == "model-0.safetensors")
    other = tmp_path / "model-1.safetensors"
    state = safetensors.torch.load_file(other)
    first = safetensors.torch.load_file(tmp_path / "model-0.safetensors")[name]
    safetensors.torch.save_file(state | {name: first + 1}, other)
    assert torch.equal(read_weights(tmp_path)[name], first)


def test_a_whole_file_comes_before_shards_and_is_not_saved_beside_them(tmp_path: Path) -> None:
    places = sharded(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    ours = model()
    with pytest.raises(FileExistsError, match="folder: expected one without a sharded model"):
        save_hugging_face(ours, tmp_path)
    safetensors.torch.save_file(to_hugging_face(ours)[1], tmp_path / "model.safetensors")
    assert torch.equal(load_hugging_face(tmp_path)(IDS), ours(IDS))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", b"{", r"config\.json: expected JSON"),
        ("config.json", b"[]", r"config\.json: expected a JSON object; got list"),
        ("config.json", b'{"model_type": "gpt2"}', "config: vocab_size: expected it"),
        ("model.safetensors", b"torn", r"model\.safetensors: expected safetensors"),
        ("model.safetensors", b"\x80\x04}.", r"model\.safetensors: expected safetensors"),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, file: str, content: bytes, message: str) -> None:
    save_hugging_face(model(), tmp_path)
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load_hugging_face(tmp_path)


@pytest.mark.parametrize("index", [{}, {"weight_map": 3}], ids=str)
def test_an_index_without_places_is_refused(tmp_path: Path, index: dict[str, int]) -> None:
    sharded(tmp_path)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ValueError, match=r"index\.json: expected a weight_map"):
        load_hugging_face(tmp_path)


def test_a_pickle_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04")
    with pytest.raises(ValueError, match=r"pytorch_model\.bin: a pickle runs code"):
        load_hugging_face(tmp_path)
    with pytest.raises(ValueError, match="a pickle runs code"):
        load_hugging_face(tmp_path / "weights.pt")


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        load_hugging_face(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors"):
        load_hugging_face(tmp_path)


def test_the_hub_is_asked_last_and_for_safetensors_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_hugging_face(model(), tmp_path / "snapshot")
    asked = []

    def snapshot_download(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        if name == "someone/private":
            raise ConnectionError("no")
        return str(folder)

    hub = SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    monkeypatch.delenv("ATTENTION_GUIDE_WEIGHTS", raising=False)
    assert isinstance(load_hugging_face("someone/gpt"), GPT2)
    assert asked == [("someone/gpt", ["*.json", "*.txt", "*.safetensors"])]
    with pytest.raises(FileNotFoundError, match=r"ConnectionError.*ATTENTION_GUIDE_WEIGHTS"):
        load_hugging_face("someone/private")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(FileNotFoundError, match=r"huggingface_hub.*isn't installed"):
        load_hugging_face("someone/gpt")


def test_families_and_settings_that_we_do_not_have() -> None:
    config, state = to_hugging_face(model())
    with pytest.raises(ValueError, match=r"model_type: expected one of .*gpt2.* got 'mamba'"):
        from_hugging_face(config | {"model_type": "mamba"}, state)
    with pytest.raises(ValueError, match=r"activation_function: expected one of .* got 'relu'"):
        from_hugging_face(config | {"activation_function": "relu"}, state)
    with pytest.raises(ValueError, match=r"expected one of .*gpt2.* got Linear"):
        to_hugging_face(torch.nn.Linear(1, 1))


def test_dtypes_are_kept_or_said() -> None:
    config, state = to_hugging_face(model())
    half = {name: x.bfloat16() for name, x in state.items()}
    assert from_hugging_face(config, half).norm.weight.dtype == torch.bfloat16
    assert from_hugging_face(config, half, dtype=torch.float32).norm.weight.dtype == torch.float32
    half["transformer.ln_f.weight"] = half["transformer.ln_f.weight"].float()
    with pytest.raises(ValueError, match=r"1 of torch\.float32.*dtype="):
        from_hugging_face(config, half)
    assert from_hugging_face(config, half, dtype=torch.float64).norm.weight.dtype == torch.float64


@pytest.mark.parametrize("dtype", ["float16", torch.int8])
def test_only_floating_point_dtypes(dtype: Any) -> None:
    with pytest.raises(TypeError, match="dtype: expected a floating-point dtype"):
        from_hugging_face(*to_hugging_face(model()), dtype=dtype)


def test_a_weight_too_large_for_the_dtype_is_refused() -> None:
    config, state = to_hugging_face(model())
    state["transformer.ln_f.weight"][2] = 1e5
    with pytest.raises(ValueError, match=r"expected one that holds 100000, as norm\.weight has"):
        from_hugging_face(config, state, dtype=torch.float16)
    assert from_hugging_face(config, state, dtype=torch.bfloat16).norm.weight[2] > 9e4


@pytest.mark.parametrize("make", [Bert, BertForMaskedWords, lambda c: BertClassifier(c, 2)])
def test_a_bert_is_told_by_its_names(make: Callable[[BertConfig], nn.Module]) -> None:
    ours = make(BertConfig(11, d_model=8, n_heads=2, n_layers=1, d_ff=16, max_len=8))
    config, state = to_hugging_face(ours)
    assert type(from_hugging_face(config | {"architectures": None}, state)) is type(ours)


def test_special_ids_that_ours_does_not_hold_are_none() -> None:
    llama = LlamaConfig(7, d_model=8, n_heads=2, d_ff=8, n_layers=1)
    for ours in (model(), Llama(llama)):
        config, _ = to_hugging_face(ours)
        assert config["bos_token_id"] is config["eos_token_id"] is config["pad_token_id"] is None
    with pytest.raises(ValueError, match=r"model: Hugging Face's Llama.* have no sinks"):
        to_hugging_face(Llama(replace(llama, sinks=True)))


def test_names_without_the_prefix_and_masks_of_old_files() -> None:
    ours = model()
    config, state = to_hugging_face(ours)
    old = {name.removeprefix("transformer."): x for name, x in state.items()}
    old["h.0.attn.bias"] = torch.ones(1, 1, 4, 4)
    assert torch.equal(from_hugging_face(config, old)(IDS), ours(IDS))
