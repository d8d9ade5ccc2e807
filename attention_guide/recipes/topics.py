"""Train the small language model of the playground, and write down what it learned.

    python -m attention_guide.recipes.topics
    python -m attention_guide.recipes.topics --trained --javascript FOLDER

A GPT-2 of 0.88 million parameters reads Python's help topics, which lie on every machine, through
byte-level BPE learned from the same texts. The ledger `topics` gets its loss on topics that it
never saw; the first seed leaves a checkpoint and its card. The second command writes the
checkpoint that is there as a script of the playground; without `--trained` it does so after
training.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import torch
from torch import nn

from attention_guide.checkpoints.javascript import write_own_javascript
from attention_guide.checkpoints.own import WEIGHTS, load_own, rounded, save_own
from attention_guide.data.cards import Card
from attention_guide.data.corpora import CARD, Corpus, pydoc_topics
from attention_guide.models.gpt2 import GPT2, GPT2Config
from attention_guide.recipes.cards import language_model_card
from attention_guide.recipes.command import read_options, run_seeds, say_written
from attention_guide.recipes.ledger import RESULTS, Run, make_row, write_row
from attention_guide.recipes.windows import Windows, next_token_loss, validation_loss
from attention_guide.text import ByteBPE
from attention_guide.text.vocabulary import EOS
from attention_guide.train import cosine, fit
from attention_guide.train.meter import EnergyMeter

LEDGER: Final = "topics"
"""The name of the recipe's ledger."""

CHECKPOINT: Final = "topics-gpt"
"""The name under which the first seed's weights are kept."""

__all__ = [
    "CHECKPOINT",
    "LEDGER",
    "Setting",
    "make_model",
    "run",
    "run_seed",
    "tokenizer",
    "write_page",
]


@dataclass(frozen=True)
class Setting:
    """What decides the result, besides the seed.

    Attributes:
        vocab_size: Ids of the tokenizer: one special, 256 bytes, the rest merges.
        d_model: Width of the residual stream.
        n_heads: Heads a layer.
        n_layers: Blocks.
        max_len: Tokens that the model reads at once.
        steps: Optimiser steps.
        batch_size: Windows a step.
        rate: Peak learning rate of AdamW; linear warm-up over a tenth, then cosine to 0.
        weight_decay: AdamW's.
    """

    vocab_size: int = 512
    d_model: int = 128
    n_heads: int = 4
    n_layers: int = 4
    max_len: int = 128
    steps: int = 1600
    batch_size: int = 8
    rate: float = 2e-3
    weight_decay: float = 0.1


def tokenizer(corpus: Corpus, vocab_size: int) -> ByteBPE:
    """Byte-level BPE learned from the training texts; its one special stands between texts.

    Args:
        corpus: The texts.
        vocab_size: Ids.

    Returns:
        The tokenizer.
    """
    return ByteBPE.train(corpus.train, vocab_size, specials=(EOS,))


def make_model(setting: Setting) -> GPT2:
    """A new model.

    Args:
        setting: Its sizes.

    Returns:
        The model.

    Examples:
        >>> sum(p.numel() for p in make_model(Setting()).parameters())
        875264
    """
    s = setting
    return GPT2(
        GPT2Config(s.vocab_size, s.d_model, s.n_heads, s.n_layers, max_len=s.max_len, dropout=0.0)
    )


def run_seed(setting: Setting, seed: int, corpus: Corpus, bpe: ByteBPE) -> tuple[Run, nn.Module]:
    """Train and test one seed.

    Args:
        setting: Sizes, steps, rates.
        seed: Of the weights and of the order of the data.
        corpus: The texts.
        bpe: Their tokenizer.

    Returns:
        What was measured, and the model.
    """
    torch.manual_seed(seed)
    eos = bpe.specials[EOS]
    train, held_out = _stream(corpus.train, bpe), _stream(corpus.validation, bpe)
    model = make_model(setting)
    windows = Windows(train, setting.max_len, setting.batch_size, first=eos, seed=seed)

    def measure(model: nn.Module) -> float:
        return validation_loss(model, held_out, setting.max_len, first=eos)

    with EnergyMeter() as meter:
        history = fit(
            model,
            windows,
            next_token_loss,
            steps=setting.steps,
            optimizer=torch.optim.AdamW(
                model.parameters(),
                lr=setting.rate,
                betas=(0.9, 0.95),
                weight_decay=setting.weight_decay,
            ),
            schedule=cosine(setting.steps // 10, setting.steps + 1),
            evaluate=lambda m: {"loss": measure(m)},
            evaluate_every=max(1, setting.steps // 16),
            progress=sys.stderr.isatty(),
        )
    # What is shipped is what is measured: the weights as fp16 can hold them.
    model.load_state_dict({key: value.float() for key, value in rounded(model).items()})
    nats = measure(model)
    n_bytes = sum(len(text.encode()) for text in corpus.validation)
    metrics = {
        "parameters": float(sum(p.numel() for p in model.parameters())),
        "validation loss": nats,
        "bits a byte": nats * len(held_out) / math.log(2) / n_bytes,
        "training loss": sum(history.loss[-50:]) / len(history.loss[-50:]),
    }
    curves = {
        "training loss": [[i + 1, value] for i, value in enumerate(history.loss) if i % 10 == 9],
        "validation loss": [[e["step"], e["loss"]] for e in history.evaluations],
    }
    return Run(seed, metrics, curves, meter.wall_seconds, meter.cpu_seconds), model


def run(
    setting: Setting,
    seeds: Sequence[int],
    *,
    results: Path = RESULTS,
    weights: Path = WEIGHTS,
    corpus: Corpus | None = None,
) -> None:
    """Run every seed, keep the first one's weights, write the row.

    Args:
        setting: Sizes, steps, rates.
        seeds: The seeds.
        results: Folder of the ledger.
        weights: Folder of the checkpoint.
        corpus: Texts in place of this Python's help topics.

    Warns:
        DataChangedWarning: The texts aren't those that the book's own checkpoint saw.
    """
    corpus = pydoc_topics() if corpus is None else corpus
    corpus.card.warn_if_changed(CARD)
    bpe = tokenizer(corpus, setting.vocab_size)
    runs, model = run_seeds(
        "gpt", seeds, lambda seed: run_seed(setting, seed, corpus, bpe), "validation loss"
    )
    card = corpus.card
    data = {"data": card.name, **card.versions, "checksum": card.checksum}
    row = make_row(
        "gpt",
        runs,
        what="GPT-2 of four layers on Python's help topics, tested on topics it never saw.",
        command="python -m attention_guide.recipes.topics",
        settings={**asdict(setting), "checkpoint": CHECKPOINT, **data},
    )
    notes = {"command": row.command, "seed": seeds[0], "steps": setting.steps, "date": row.date}
    save_own(
        CHECKPOINT,
        model,
        bpe,
        training={**notes, "data": card.to_json()},
        card=language_model_card(CHECKPOINT, row, card),
        folder=weights,
    )
    write_row(LEDGER, row, folder=results)


def write_page(folder: Path, *, weights: Path = WEIGHTS, corpus: Corpus | None = None) -> Path:
    """Write the checkpoint for the playground, int8 per row, with what the rounding cost.

    Args:
        folder: Where the script goes.
        weights: Folder of the checkpoint.
        corpus: Texts in place of this Python's help topics.

    Returns:
        The path of the script.

    Warns:
        DataChangedWarning: The texts aren't those that the checkpoint was tested on.
    """
    corpus = pydoc_topics() if corpus is None else corpus
    own = load_own(CHECKPOINT, folder=weights)
    corpus.card.warn_if_changed(Card.from_json(own.training["data"]))
    bpe = own.vocabulary
    assert isinstance(own.model, GPT2)
    assert isinstance(bpe, ByteBPE)
    ids, length = _stream(corpus.validation, bpe), own.model.config.max_len

    def measure(model: nn.Module) -> dict[str, float]:
        loss = validation_loss(model, ids, length, first=bpe.specials[EOS])
        return {"loss": round(loss, 4)}

    about = {"tokens": len(ids)}
    return write_own_javascript(own, folder, precision="int8", measure=measure, about=about)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and run.

    Args:
        arguments: By default those that the program was started with.
    """
    options = read_options("topics", arguments)
    results, weights = options.into or RESULTS, options.into or WEIGHTS
    setting = replace(Setting(), steps=options.steps) if options.steps else Setting()
    if not options.trained:
        run(setting, options.seeds, results=results, weights=weights)
    if options.javascript:
        say_written(write_page(options.javascript, weights=weights))


def _stream(texts: Sequence[str], bpe: ByteBPE) -> list[int]:
    return [index for text in texts for index in bpe.encode(text, eos=True)]


if __name__ == "__main__":
    main()
