"""What the families that read patches share: names, old and new, and the number of classes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from torch import Tensor

from attention_guide.checkpoints.rename import AnyRule, Rule, same

BLOCK: Final = {
    **{f"attention.{x}_proj": f"self_attention.{x}_proj" for x in "qkv"},
    "attention.o_proj": "self_attention.out_proj",
    "layernorm_before": "attention_residual.norm",
    "layernorm_after": "feed_forward_residual.norm",
    "mlp.fc1": "feed_forward.up_proj",
    "mlp.fc2": "feed_forward.down_proj",
}
# Files from before release 5 of transformers, to today's names; in this order.
_OLDER: Final = (
    (r"\bencoder\.layer\.", "layers."),
    (r"\battention\.attention\.query\.", "attention.q_proj."),
    (r"\battention\.attention\.key\.", "attention.k_proj."),
    (r"\battention\.attention\.value\.", "attention.v_proj."),
    (r"\battention\.output\.dense\.", "attention.o_proj."),
    (r"\bintermediate\.dense\.", "mlp.fc1."),
    (r"\boutput\.dense\.", "mlp.fc2."),
)


def in_front(theirs: str, ours: str) -> Rule:
    """Theirs has an axis of length one in front."""
    return Rule((theirs,), (ours,), lambda x: [x[0].squeeze(0)], lambda x: [x[0].unsqueeze(0)])


def encoder_rules(theirs: str, ours: str) -> list[AnyRule]:
    """Patches, positions, blocks and last norm of ViT and AST; class tokens differ."""
    return [
        in_front(theirs + "embeddings.position_embeddings", ours + "tokens.positions.weight"),
        same(
            theirs + "embeddings.patch_embeddings.projection.{p}",
            ours + "tokens.patches.proj.{p}",
        ),
        *(
            same(f"{theirs}layers.{{i}}.{x}.{{p}}", f"{ours}encoder.blocks.{{i}}.{y}.{{p}}")
            for x, y in BLOCK.items()
        ),
        same(theirs + "layernorm.{p}", ours + "encoder.norm.{p}"),
    ]


def newer_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names as today's releases have them."""
    found: dict[str, Tensor] = {}
    for name, x in state.items():
        for old, new in _OLDER:
            name = re.sub(old, new, name)
        found[name] = x
    return found


def n_classes(config: Mapping[str, Any], headless: str) -> int:
    """Outputs of the classifier; 0 where the architecture is the one without."""
    if headless in (config.get("architectures") or ()):
        return 0
    return len(config.get("id2label") or range(config.get("num_labels", 2)))


def with_head(headed: str, headless: str) -> Callable[[Iterable[str]], str]:
    """Which of two architectures a state's names tell: the one with a classifier or without."""
    return lambda names: headed if any(x.startswith("classifier.") for x in names) else headless


def labels(n: int) -> dict[str, Any]:
    """Names for the outputs, from which readers of a configuration tell their number."""
    names = {str(i): f"LABEL_{i}" for i in range(n)}
    return {"id2label": names, "label2id": {name: int(i) for i, name in names.items()}}
