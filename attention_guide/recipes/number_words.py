"""Train the models of chapter 28, *Translating number words*, and write down what they do.

    python -m attention_guide.recipes.number_words            # everything
    python -m attention_guide.recipes.number_words gru        # one row of the ledger
    python -m attention_guide.recipes.number_words transformer --trained --javascript FOLDER

Every row trains one model a seed. Row by row, the ledger `number-words` gets exact match and
BLEU in each direction, agreement with the gold alignment, times and energy; the first seed of
some rows leaves a checkpoint and its card. The last command writes the checkpoint that is there
as a script of the playground; without `--trained` it does so after training.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from torch import nn

from attention_guide.checkpoints.own import WEIGHTS, rounded, save_own
from attention_guide.data.numbers import (
    Pair,
    number_pairs,
    number_vocabulary,
    split_number,
)
from attention_guide.models import Transformer, TransformerConfig
from attention_guide.models.rnn import RecurrentConfig, RecurrentSeq2Seq
from attention_guide.recipes.cards import model_card
from attention_guide.recipes.command import read_options, run_seeds, say_written
from attention_guide.recipes.ledger import RESULTS, Run, make_row, write_row
from attention_guide.recipes.number_page import write_number_page
from attention_guide.recipes.number_settings import (
    POOLS,
    SETTINGS,
    Setting,
    draw_from,
    german_merges,
    training_numbers,
)
from attention_guide.recipes.translation import (
    alignment_scores,
    attention_maps,
    by_direction,
    encode_pairs,
    score,
)
from attention_guide.text import PairBatches, Vocabulary
from attention_guide.train import History, cosine, fit, teacher_forcing
from attention_guide.train.meter import EnergyMeter

LEDGER: Final = "number-words"

__all__ = [
    "POOLS",
    "SETTINGS",
    "Setting",
    "draw_from",
    "german_merges",
    "main",
    "make_model",
    "run_row",
    "run_seed",
    "train_model",
    "training_numbers",
]


def make_model(family: str, vocabulary: Vocabulary) -> nn.Module:
    """The chapter's two models, of 0.24 million parameters each.

    Args:
        family: `"transformer"` or `"recurrent"`.
        vocabulary: The vocabulary of source and target.

    Returns:
        A new model.

    Raises:
        ValueError: Another family.

    Examples:
        >>> model = make_model("transformer", number_vocabulary())
        >>> sum(p.numel() for p in model.parameters())
        239936
    """
    size = len(vocabulary)
    if family == "transformer":
        return Transformer(
            TransformerConfig(
                size,
                size,
                d_model=64,
                n_heads=4,
                d_ff=256,
                n_layers=2,
                dropout=0.0,
                norm_first=True,
                tie_weights="all",
                max_len=64,
            )
        )
    if family == "recurrent":
        return RecurrentSeq2Seq(RecurrentConfig(size, size, d_model=80, d_embed=64))
    raise ValueError(f"family: expected 'transformer' or 'recurrent', got {family!r}")


def train_model(
    model: nn.Module,
    vocabulary: Vocabulary,
    pairs: Sequence[Pair],
    setting: Setting,
    *,
    seed: int,
    evaluate: Callable[[nn.Module], dict[str, float]] | None = None,
    progress: bool = False,
) -> History:
    """Train as the chapter does: teacher forcing, AdamW, warm-up and cosine, clipping at 1.

    Args:
        model: From `make_model`; trained in place.
        vocabulary: Its vocabulary.
        pairs: What to train on.
        setting: Steps, batch size and rate.
        seed: Seed of the order of the data.
        evaluate: Measured ten times on the way.
        progress: Whether to show a bar on standard error.

    Returns:
        The history.
    """
    batches = PairBatches(*encode_pairs(pairs, vocabulary), setting.batch_size, seed=seed)
    return fit(
        model,
        batches,
        teacher_forcing(pad_id=vocabulary.pad_id),
        steps=setting.steps,
        optimizer=torch.optim.AdamW(model.parameters(), lr=setting.rate, weight_decay=0.01),
        schedule=cosine(setting.steps // 10, setting.steps + 1),
        evaluate=evaluate,
        evaluate_every=max(1, setting.steps // 10) if evaluate else None,
        progress=progress,
    )


def run_seed(setting: Setting, seed: int) -> tuple[Run, tuple[nn.Module, Vocabulary]]:
    """Train and test one seed.

    Args:
        setting: The row's setting.
        seed: Of the numbers drawn, the weights and the order.

    Returns:
        What was measured; the model and its vocabulary.
    """
    torch.manual_seed(seed)
    train = training_numbers(setting, seed)
    split = split_number if setting.merges is None else german_merges(train, setting.merges)
    tests = {}
    for name, n in (("", setting.n_test), *setting.tests):
        drawn = draw_from(name or setting.train, n, seed=1000 + seed, exclude=train)
        tests[name] = number_pairs(drawn, split=split)
    pairs = number_pairs(train, split=split)
    vocabulary = _vocabulary(setting, pairs)
    model = make_model(setting.family, vocabulary)
    probe = tests[""][:120]
    with EnergyMeter() as meter:
        history = train_model(
            model,
            vocabulary,
            pairs,
            setting,
            seed=seed,
            evaluate=lambda m: score(m, vocabulary, probe, with_bleu=False),  # type: ignore[arg-type]
            progress=sys.stderr.isatty(),
        )
    # What is shipped is what is measured: the weights as fp16 can hold them.
    model.load_state_dict({key: value.float() for key, value in rounded(model).items()})
    metrics = {"parameters": float(sum(p.numel() for p in model.parameters()))}
    for name, test in tests.items():
        prefix = f"{name}: " if name else ""
        scores = score(model, vocabulary, test, with_bleu=not name)  # type: ignore[arg-type]
        metrics |= {f"{prefix}{key}": value for key, value in scores.items()}
    if setting.merges is None:
        metrics |= _alignment_metrics(model, vocabulary, tests[""])
    curves = {
        "loss": [[i + 1, value] for i, value in enumerate(history.loss) if i % 10 == 9],
        "exact match": [[e["step"], e["exact match"]] for e in history.evaluations],
    }
    run = Run(seed, metrics, curves, meter.wall_seconds, meter.cpu_seconds)
    return run, (model, vocabulary)


def run_row(
    row_id: str,
    setting: Setting,
    seeds: Sequence[int],
    *,
    results: Path = RESULTS,
    weights: Path = WEIGHTS,
) -> None:
    """Run every seed of a row, keep the first one's weights, write the row.

    Args:
        row_id: The row's name.
        setting: Its setting.
        seeds: The seeds.
        results: Folder of the ledger.
        weights: Folder of the checkpoints.
    """
    runs, (model, vocabulary) = run_seeds(
        row_id, seeds, lambda seed: run_seed(setting, seed), "exact match"
    )
    row = make_row(
        row_id,
        runs,
        what=setting.what,
        command=f"python -m attention_guide.recipes.number_words {row_id}",
        settings={key: value for key, value in vars(setting).items() if key != "what"},
    )
    if setting.checkpoint:
        notes = {"command": row.command, "seed": seeds[0], "steps": setting.steps, "date": row.date}
        save_own(
            setting.checkpoint,
            model,
            vocabulary,
            training=notes,
            card=model_card(setting.checkpoint, row),
            folder=weights,
        )
    write_row(LEDGER, row, folder=results)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and run the rows asked for.

    Args:
        arguments: By default those that the program was started with.
    """
    trials = {"numbers": "training and test numbers"}
    options = read_options("number_words", arguments, rows=list(SETTINGS), trials=trials)
    results, weights = options.into or RESULTS, options.into or WEIGHTS
    for row_id in options.rows:
        setting = SETTINGS[row_id]
        if options.steps:
            setting = replace(setting, steps=options.steps)
        if options.numbers:
            n = options.numbers
            tests = tuple((name, n) for name, _ in setting.tests)
            gaps = min(setting.gaps, n)
            setting = replace(setting, n_train=n, n_test=n, gaps=gaps, tests=tests)
        if not options.trained:
            run_row(row_id, setting, options.seeds, results=results, weights=weights)
        if options.javascript and setting.checkpoint and setting.family == "transformer":
            say_written(write_number_page(setting, options.javascript, weights=weights))


def _vocabulary(setting: Setting, pairs: Sequence[Pair]) -> Vocabulary:
    if setting.merges is None:
        return number_vocabulary()
    pieces = {piece for pair in pairs for piece in (*pair.source, *pair.target)}
    return Vocabulary(sorted(pieces), unknown=True)


def _alignment_metrics(
    model: nn.Module, vocabulary: Vocabulary, pairs: Sequence[Pair]
) -> dict[str, float]:
    metrics = {}
    for direction, chosen in by_direction(pairs):
        these = [pairs[i] for i in chosen]
        for layer, maps in enumerate(attention_maps(model, vocabulary, these).values(), start=1):
            for reading, shift in (("predicted", 0), ("input", 1)):
                for key, value in alignment_scores(maps, these, shift=shift).items():
                    metrics[f"{key}/layer {layer}/{direction}/{reading}"] = value
    return metrics


if __name__ == "__main__":
    main()
