"""What every recipe does on its command line: its options, and one run a seed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch

from attention_guide.recipes.ledger import Run

Trained = TypeVar("Trained")


def read_options(
    recipe: str,
    arguments: Sequence[str] | None,
    *,
    rows: Sequence[str] = (),
    trials: Mapping[str, str] | None = None,
) -> argparse.Namespace:
    """Read a recipe's command line, and let torch use the threads that it names.

    A trial, which trains less than the recipe, must say where it writes, so that it can't take the
    place of a result in the package.

    Args:
        recipe: Name of the recipe's module.
        arguments: The words; `None` for those that the program was started with.
        rows: Rows of the ledger that may be asked for; none where the recipe has one only.
        trials: Further whole numbers that make a run smaller, name to help.

    Returns:
        `rows`, `seeds`, `threads`, `into`, `javascript`, `trained`, `steps` and each of `trials`.

    Raises:
        SystemExit: The words don't fit; standard error says why.

    Examples:
        >>> read_options("demo", ["--seeds", "3", "4"]).seeds
        [3, 4]
    """
    trials = {"steps": "steps in place of the recipe's own", **(trials or {})}
    parser = argparse.ArgumentParser(prog=f"python -m attention_guide.recipes.{recipe}")
    if rows:
        parser.add_argument("rows", nargs="*", help=f"any of: {', '.join(rows)}; default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--threads", type=int, default=1, help="threads that torch may use")
    for name, told in trials.items():
        parser.add_argument(f"--{name}", type=int, help=f"{told}, for a trial")
    parser.add_argument("--into", type=Path, help="write here, not into the package")
    parser.add_argument("--javascript", type=Path, help="write scripts of the playground there")
    parser.add_argument("--trained", action="store_true", help="take the weights that are there")
    options = parser.parse_args(arguments)
    if rows:
        if unknown := set(options.rows) - set(rows):
            parser.error(f"unknown rows: {', '.join(sorted(unknown))}")
        options.rows = options.rows or list(rows)
    for name in trials:
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"--{name}: expected 1 or more, got {value}")
        if value is not None and options.into is None:
            parser.error(f"--{name} is for trials: it needs --into FOLDER")
    if options.trained and options.javascript is None:
        parser.error("--trained leaves nothing to do without --javascript FOLDER")
    torch.set_num_threads(options.threads)
    return options


def run_seeds(
    name: str, seeds: Sequence[int], run_seed: Callable[[int], tuple[Run, Trained]], metric: str
) -> tuple[list[Run], Trained]:
    """Run one seed after the other and say how each went.

    Args:
        name: What is trained, for the message.
        seeds: The seeds.
        run_seed: Trains and measures one seed.
        metric: The metric that the message names.

    Returns:
        The runs, and what the first seed trained.

    Raises:
        ValueError: No seeds.

    Examples:
        >>> def train(seed):
        ...     return Run(seed, {"loss": 0.5}, {}, wall_seconds=1.0, cpu_seconds=2.0), "a model"
        >>> runs, model = run_seeds("demo", [7], train, "loss")
        demo seed 7: loss 0.5000, 1 s (2 s CPU)
        >>> model
        'a model'
    """
    if not seeds:
        raise ValueError("seeds: expected at least one, got none")
    runs: list[Run] = []
    for seed in seeds:
        run, trained = run_seed(seed)
        if not runs:
            first = trained
        runs.append(run)
        print(
            f"{name} seed {seed}: {metric} {run.metrics[metric]:.4f}, "
            f"{run.wall_seconds:.0f} s ({run.cpu_seconds:.0f} s CPU)",
            flush=True,
        )
    return runs, first


def say_written(path: Path) -> None:
    """Say what was written and how large it is.

    Args:
        path: The file.
    """
    print(f"{path}: {path.stat().st_size / 1024:.0f} KB")
