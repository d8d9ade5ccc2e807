"""The induction snapshots as one script of the playground, with the curves of their training."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from attention_guide.checkpoints.javascript import engine_config, pack, write_javascript
from attention_guide.checkpoints.snapshots import SNAPSHOTS, load_snapshots
from attention_guide.recipes.induction_measures import held_out_letters, measure
from attention_guide.recipes.ledger import Row

LOSSES = {"second half": "second half: loss", "first half": "first half: loss"}
SCORES = {
    "induction, layer 2": "layer 2: induction score",
    "letter before, layer 1": "layer 1: previous-token score",
}


def write_induction_page(row: Row, folder: Path, *, snapshots: Path = SNAPSHOTS) -> Path:
    """Write a row's snapshots for the playground: one layout, and the bytes of every step.

    Args:
        row: The row of the ledger; it names the snapshots.
        folder: Where the script goes.
        snapshots: Folder of the snapshots.

    Returns:
        The path of the script.
    """
    kept = load_snapshots(row.settings["checkpoint"], folder=snapshots)
    last = kept.at(kept.steps[-1])
    packed = {str(step): pack(state, "fp16")[1] for step, state in kept.states.items()}
    after = measure(last, held_out_letters(row.seeds[0]))
    curve = row.curves[LOSSES["second half"]][0]
    before = next(loss for step, loss in curve if step == kept.steps[-1])
    return write_javascript(
        folder / f"{kept.name}.js",
        kept.states[kept.steps[-1]],
        engine_config(last),
        precision="fp16",
        vocabulary=kept.vocabulary,
        card=kept.card,
        rounding={
            "before": {"loss": before},
            "fp16": {"loss": round(after[LOSSES["second half"]], 4)},
        },
        extra={
            "training": {
                "steps": list(kept.steps),
                "losses": _curves(row, LOSSES),
                "scores": _curves(row, SCORES),
            },
            "snapshots": {step: base64.b64encode(data).decode() for step, data in packed.items()},
        },
    )


def _curves(row: Row, names: dict[str, str]) -> list[list[Any]]:
    return [[label, row.curves[name][0]] for label, name in names.items()]
