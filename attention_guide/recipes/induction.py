"""Train a Transformer until it repeats what it has read, and keep it as it was on the way.

    python -m attention_guide.recipes.induction               # everything
    python -m attention_guide.recipes.induction one-layer     # one row of the ledger
    python -m attention_guide.recipes.induction two-layers --trained --javascript FOLDER

Random letters, then the same letters once more: nothing but a look back tells the next one. A model
of two layers finds how, at once and late; a model of one layer doesn't. Row by row, the ledger
`induction` gets loss, accuracy and what the heads attend to, by step; the first seed of two layers
leaves its snapshots and their card. The last command writes the snapshots that are there as a
script of the playground; without `--trained` it does so after training.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

import torch
from jaxtyping import Int
from torch import Tensor, nn

from attention_guide.checkpoints.own import rounded
from attention_guide.checkpoints.snapshots import SNAPSHOTS, save_snapshots
from attention_guide.models import Llama, LlamaConfig
from attention_guide.recipes.cards import snapshot_card
from attention_guide.recipes.command import read_options, run_seeds, say_written
from attention_guide.recipes.induction_measures import (
    LETTERS,
    held_out_letters,
    measure,
    repeated_letters,
)
from attention_guide.recipes.induction_page import write_induction_page
from attention_guide.recipes.ledger import RESULTS, Run, make_row, read_ledger, write_row
from attention_guide.train import History, cosine, cross_entropy, fit
from attention_guide.train.meter import EnergyMeter

LEDGER: Final = "induction"

States: TypeAlias = dict[int, dict[str, Tensor]]

__all__ = [
    "SETTINGS",
    "Setting",
    "induction_model",
    "letter_batches",
    "main",
    "run_seed",
    "train_induction",
]


@dataclass(frozen=True)
class Setting:
    """What decides a row.

    Attributes:
        what: One sentence for the ledger.
        n_layers: Blocks.
        steps: Optimiser steps.
        batch_size: Texts in a step, all of one period.
        rate: Peak learning rate.
        shortest: The shortest period drawn; a fixed one could be counted off, without a look at
            the letters.
        longest: The longest.
        every: Steps between measurements.
        snapshots: Steps after which the first seed is kept.
        checkpoint: Name of the snapshots; `None` to keep none.
    """

    what: str
    n_layers: int
    steps: int = 1200
    batch_size: int = 64
    rate: float = 1e-3
    shortest: int = 4
    longest: int = 20
    every: int = 25
    snapshots: tuple[int, ...] = ()
    checkpoint: str | None = None


SETTINGS: Final = {
    "two-layers": Setting(
        "Two layers, random letters repeated once.",
        2,
        snapshots=(
            *(0, 100, 200, 300, 350, 375, 400, 425),
            *(450, 475, 500, 550, 600, 700, 900, 1200),
        ),
        checkpoint="induction",
    ),
    "one-layer": Setting("One layer, same letters, same steps.", 1),
}
"""The rows of the ledger by name: two layers, and one as the control."""


def induction_model(n_layers: int) -> Llama:
    """A decoder of width 32 with two heads a layer and rotary positions, over 26 letters.

    Args:
        n_layers: Blocks; two for an induction head.

    Returns:
        A new model.

    Examples:
        >>> sum(p.numel() for p in induction_model(2).parameters())
        22496
    """
    return Llama(
        LlamaConfig(len(LETTERS), d_model=32, n_heads=2, d_ff=64, n_layers=n_layers, max_len=41)
    )


def letter_batches(setting: Setting, seed: int) -> Iterator[Int[Tensor, "B T"]]:
    """Endless texts: a start token, P different random letters, the same letters again.

    Args:
        setting: Batch size and range of P, which is drawn anew for each batch.
        seed: Seed of all draws.

    Yields:
        Ids, `(B, 1 + 2 P)`.

    Examples:
        >>> ids = next(letter_batches(SETTINGS["two-layers"], seed=0))
        >>> period = ids.shape[1] // 2
        >>> bool((ids[:, 1 : 1 + period] == ids[:, 1 + period :]).all())
        True
    """
    generator = torch.Generator().manual_seed(seed)
    while True:
        high = setting.longest + 1
        period = int(torch.randint(setting.shortest, high, (), generator=generator))
        yield repeated_letters(period, setting.batch_size, generator)


class _Keep:
    """What `fit` asks to save: here, a copy of the weights at chosen steps."""

    def __init__(self, model: nn.Module, steps: Sequence[int]) -> None:
        self.steps = steps
        self.states = {0: rounded(model)} if 0 in steps else {}

    def due(self, step: int) -> bool:
        return step in self.steps

    def save(self, model: nn.Module, _optimizer: object, history: History) -> None:
        if history.steps in self.steps:
            self.states[history.steps] = rounded(model)


def train_induction(
    setting: Setting, seed: int, *, progress: bool = False
) -> tuple[nn.Module, History, States]:
    """Train one seed: AdamW, warm-up and cosine, next-letter loss on every place.

    Args:
        setting: The row's setting.
        seed: Of the weights and the letters.
        progress: Whether to show a bar on standard error.

    Returns:
        The model, its history, and the weights (fp16) by step.
    """
    torch.manual_seed(seed)
    model = induction_model(setting.n_layers)
    held_out = held_out_letters(seed)
    keep = _Keep(model, setting.snapshots)
    first = measure(model.eval(), held_out)
    history = fit(
        model,
        letter_batches(setting, seed),
        lambda m, ids: cross_entropy(m(ids[:, :-1]), ids[:, 1:]),
        steps=setting.steps,
        optimizer=torch.optim.AdamW(model.parameters(), lr=setting.rate, weight_decay=0.01),
        schedule=cosine(min(100, setting.steps // 10), setting.steps + 1),
        evaluate=lambda m: measure(m, held_out),
        evaluate_every=setting.every,
        checkpoints=keep,
        progress=progress,
    )
    history.evaluations.insert(0, {"step": 0, "seconds": 0.0, **first})
    return model, history, keep.states


def run_seed(setting: Setting, seed: int) -> tuple[Run, States]:
    """Train and measure one seed.

    Args:
        setting: The row's setting.
        seed: Of the weights and the letters.

    Returns:
        What was measured, and the weights by step.
    """
    with EnergyMeter() as meter:
        model, history, states = train_induction(setting, seed, progress=sys.stderr.isatty())
    records = history.evaluations
    names = [name for name in records[-1] if name not in ("step", "seconds")]
    metrics = {"parameters": float(sum(p.numel() for p in model.parameters()))}
    metrics |= {name: records[-1][name] for name in names}
    curves = {
        name: [[record["step"], round(record[name], 4)] for record in records] for name in names
    }
    return Run(seed, metrics, curves, meter.wall_seconds, meter.cpu_seconds), states


def run_row(
    row_id: str,
    setting: Setting,
    seeds: Sequence[int],
    *,
    results: Path = RESULTS,
    snapshots: Path = SNAPSHOTS,
) -> None:
    """Run every seed of a row, keep the first one's snapshots, write the row.

    Args:
        row_id: The row's name.
        setting: Its setting.
        seeds: The seeds.
        results: Folder of the ledger.
        snapshots: Folder of the snapshots.
    """
    metric = "second half: loss"
    runs, states = run_seeds(row_id, seeds, lambda seed: run_seed(setting, seed), metric)
    row = make_row(
        row_id,
        runs,
        what=setting.what,
        command=f"python -m attention_guide.recipes.induction {row_id}",
        settings={key: value for key, value in vars(setting).items() if key != "what"},
    )
    if setting.checkpoint:
        notes = {"command": row.command, "seed": seeds[0], "steps": setting.steps, "date": row.date}
        save_snapshots(
            setting.checkpoint,
            induction_model(setting.n_layers).config,
            states,
            LETTERS,
            training=notes,
            card=snapshot_card(setting.checkpoint, row),
            folder=snapshots,
        )
    write_row(LEDGER, row, folder=results)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and run the rows asked for.

    Args:
        arguments: By default those that the program was started with.
    """
    options = read_options("induction", arguments, rows=list(SETTINGS))
    results, snapshots = options.into or RESULTS, options.into or SNAPSHOTS
    for row_id in options.rows:
        setting = SETTINGS[row_id]
        if options.steps:
            setting = replace(setting, steps=options.steps)
        if not options.trained:
            run_row(row_id, setting, options.seeds, results=results, snapshots=snapshots)
        if options.javascript and setting.checkpoint:
            row = read_ledger(LEDGER, folder=results)[row_id]
            say_written(write_induction_page(row, options.javascript, snapshots=snapshots))


if __name__ == "__main__":
    main()
