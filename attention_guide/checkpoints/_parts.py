"""What several families' files say alike: rotary settings, packed experts."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from torch import Tensor

from attention_guide.models.rotary import Yarn

_YARN = ("factor", "original_max_position_embeddings", "beta_fast", "beta_slow", "attention_factor")
_LLAMA_3 = (*_YARN[:2], "low_freq_factor", "high_freq_factor")
# Our language models hold no special ids; without these lines Hugging Face's readers put their
# own in, which mean something else here or lie outside the vocabulary.
NO_SPECIALS: Final = dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))


def read_rope(config: Mapping[str, Any]) -> tuple[float, Yarn | None, dict[str, Any]]:
    """Base, YaRN and all settings, from `rope_parameters` or what stood for it before."""
    settings = config.get("rope_parameters") or {
        "rope_theta": config.get("rope_theta"),
        **(config.get("rope_scaling") or {}),
    }
    base = float(settings.get("rope_theta") or config.get("rope_theta") or 10_000.0)
    kind = settings.get("rope_type", settings.get("type", "default"))
    if kind not in ("default", "yarn", "llama3"):
        raise ValueError(f"config: rope_type: expected default, yarn or llama3; got {kind!r}")
    if settings.get("partial_rotary_factor", 1.0) != 1.0:
        raise ValueError("config: partial_rotary_factor: expected 1.0")
    if kind == "default":
        return base, None, settings
    if kind == "llama3":
        factor, length, slow, fast = (settings[name] for name in _LLAMA_3)
        return base, Yarn(factor, length, fast, slow, 1.0, "rotations"), settings
    if not settings.get("truncate", True):
        raise ValueError("config: truncate: expected True")
    factor, length = (settings[name] for name in _YARN[:2])
    if factor is None:
        factor = config["max_position_embeddings"] / length
    fast, slow, attention = (settings.get(name) for name in _YARN[2:])
    if attention is None:
        attention = _attention_factor(float(factor), settings)
    yarn = Yarn(float(factor), int(length), float(fast or 32.0), float(slow or 1.0), attention)
    return base, yarn, settings


def _attention_factor(factor: float, settings: Mapping[str, Any]) -> float | None:
    """Their two stretches make one factor on queries and keys; `None` where they aren't both."""
    scale, all_dim = settings.get("mscale"), settings.get("mscale_all_dim")
    if not (scale and all_dim):
        return None
    grow = 0.1 * math.log(max(factor, 1.0))
    return float((grow * scale + 1) / (grow * all_dim + 1))


def write_rope(base: float, yarn: Yarn | None, **more: Any) -> dict[str, Any]:
    """The settings that `read_rope` reads, under the names that old and new releases know."""
    if yarn is None:
        return {"rope_theta": base, "rope_scaling": None}
    if yarn.ramp == "rotations":
        if yarn.attention_factor != 1.0:
            raise ValueError(
                "config: yarn: expected attention_factor 1.0 with ramp 'rotations', which is all "
                f"that theirs can say (llama3); got {yarn.attention_factor}"
            )
        ends = (yarn.factor, yarn.original_len, yarn.slow, yarn.fast)
        settings = dict(zip(_LLAMA_3, ends, strict=True))
        return {"rope_theta": base, "rope_scaling": {"rope_type": "llama3", **settings}}
    values = (yarn.factor, yarn.original_len, yarn.fast, yarn.slow, yarn.attention_factor)
    settings = {name: x for name, x in zip(_YARN, values, strict=True) if x is not None}
    return {"rope_theta": base, "rope_scaling": {"rope_type": "yarn", **settings, **more}}


def unpack_experts(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """One name an expert, as in files, where a module of theirs has all experts in one tensor."""
    found: dict[str, Tensor] = {}
    for name, x in state.items():
        match = re.fullmatch(r"(.*\.experts)\.(gate_up_proj|down_proj)", name)
        if match is None:
            found[name] = x
            continue
        for index, expert in enumerate(x):
            parts = expert.chunk(2) if match[2] == "gate_up_proj" else (expert,)
            names = ("gate_proj", "up_proj") if len(parts) == 2 else ("down_proj",)
            for part, weight in zip(names, parts, strict=True):
                found[f"{match[1]}.{index}.{part}.weight"] = weight
    return found
