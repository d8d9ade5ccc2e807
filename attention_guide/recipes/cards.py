"""Model cards, written from the ledger's row so that they can't say anything else."""

from __future__ import annotations

from collections.abc import Callable

from attention_guide.data.cards import Card
from attention_guide.recipes.ledger import Row


def model_card(name: str, row: Row) -> str:
    """The card of a number-word model, Markdown.

    Args:
        name: The checkpoint's name.
        row: The row of the ledger that its training wrote.

    Returns:
        The text.
    """
    settings = row.settings
    lines = [
        *_title(name, row),
        "## What it is for",
        "",
        "Chapter 28 of The Attention Guide. It translates numbers in words, 0 to 999,999, between",
        "English, German and French. It knows nothing else, and nobody should rely on it: where a",
        "program needs number words, a grammar of thirty lines never errs.",
        "",
        "## Data",
        "",
        f"{settings['n_train']:,} numbers drawn at random (pool: {settings['train']}), in all six",
        "directions, spelled by the `num2words` package. No text by or about people.",
        "",
        *_training(row, "pairs"),
        "## Measured",
        "",
        f"On {settings['n_test']} held-out numbers, greedy decoding: this seed, mean ± sd over",
        f"seeds {', '.join(map(str, row.seeds))}.",
        "",
        *_measured(row, lambda key: key.rpartition(": ")[2].startswith(("exact match", "bleu"))),
    ]
    lines += [
        "",
        "## Limits",
        "",
        "Where the `num2words` package errs (it writes 101,000 as *einhunderteinstausend*), the",
        "model has learned the error. Other languages, ordinals, digits, larger numbers and",
        "anything that isn't a number come out as some number all the same.",
        "",
        "Licence: MIT, as the code.",
        "",
    ]
    return "\n".join(lines)


def language_model_card(name: str, row: Row, data: Card) -> str:
    """The card of a small language model, Markdown.

    Args:
        name: The checkpoint's name.
        row: The row of the ledger that its training wrote.
        data: The card of the texts.

    Returns:
        The text.
    """
    settings = row.settings
    lines = [
        *_title(name, row),
        "## What it is for",
        "",
        "The playground of The Attention Guide: to look inside a language model that fits into a",
        "page. It continues a text in the manner of Python's documentation. What it writes is",
        "often wrong, and nobody should take it for advice.",
        "",
        "## Data",
        "",
        f"{data.description} {data.source} Licence {data.licence}; Python",
        f"{data.versions['python']}, {data.splits['train']} topics to train on,",
        f"{data.splits['validation']} held out, SHA-256",
        f"`{data.checksum}`. {data.notes}",
        f"Cut by byte-level BPE of {settings['vocab_size']} ids, learned from the training topics.",
        "No text by or about people, but for the documentation's own examples.",
        "",
        *_training(row, f"windows of {settings['max_len']} tokens"),
        "## Measured",
        "",
        "On the held-out topics, in stretches that don't overlap: this seed, mean ± sd over",
        f"seeds {', '.join(map(str, row.seeds))}. Losses are in nats a token.",
        "",
        *_measured(row, lambda key: key != "parameters"),
        "",
        "## Limits",
        "",
        f"It sees {settings['max_len']} tokens and nothing before them. It knows English only as",
        "reference documentation writes it, other languages not at all.",
        "",
        "Licence: MIT, as the code; the texts are the Python Software Foundation's.",
        "",
    ]
    return "\n".join(lines)


def snapshot_card(name: str, row: Row) -> str:
    """The card of a training that was kept step by step, Markdown.

    Args:
        name: The file's name.
        row: The row of the ledger that the training wrote.

    Returns:
        The text.
    """
    settings = row.settings
    steps = " after steps " + ", ".join(map(str, settings["snapshots"]))
    lines = [
        *_title(name, row, steps),
        "## What it is for",
        "",
        "The live figure “Watch it learn” of The Attention Guide: how an induction head appears.",
        "It continues letters that repeat. It knows no word of any language.",
        "",
        "## Data",
        "",
        f"Random letters, a to z, all different, {settings['shortest']} to {settings['longest']}",
        "of them, then the same letters again, behind a start token; drawn anew for every step.",
        "Every letter counts in the loss. No text by or about people.",
        "",
        *_training(row, "texts"),
        "## Measured",
        "",
        "On 128 held-out texts of 16 letters twice, before rounding; losses in nats a letter,",
        "scores of the best head of the layer. The first letter of the second half counts for the",
        f"first. This seed, mean ± sd over seeds {', '.join(map(str, row.seeds))}.",
        "",
        *_measured(row, lambda key: key != "parameters"),
        "",
        "## Limits",
        "",
        "Letters that occur twice within the part that repeats have two successors: training never",
        "showed such a text, and the model can't tell them apart by one letter. Texts of more than",
        f"{2 * settings['longest']} letters are longer than any it has read.",
        "",
        "Licence: MIT, as the code.",
        "",
    ]
    return "\n".join(lines)


def _title(name: str, row: Row, steps: str = "") -> list[str]:
    weights = f"The weights are those of seed {row.seeds[0]}{steps}, rounded to fp16."
    return [f"# {name}", "", f"{row.what} {weights}", ""]


def _training(row: Row, batch: str) -> list[str]:
    settings = row.settings
    energy = row.energy["energy_kwh"]
    return [
        "## Training",
        "",
        f"`{row.command}`: {settings['steps']} steps of {settings['batch_size']} {batch}, AdamW,",
        f"peak rate {settings['rate']:g}. {row.cpu_seconds[0]:.0f} s of CPU time,",
        f"{row.wall_seconds[0]:.0f} s on the clock, on {row.machine} ({row.threads} thread),",
        f"torch {row.torch}, {row.date}. All {len(row.seeds)} seeds together:",
        f"{energy[1]:.2g} kWh ({energy[0]:.2g} to {energy[2]:.2g}). {row.energy_assumption}",
        "",
    ]


def _measured(row: Row, wanted: Callable[[str], bool]) -> list[str]:
    lines = ["| measure | this seed | mean ± sd |", "|---|---:|---:|"]
    for key, spread in row.metrics.items():
        if wanted(key):
            lines.append(
                f"| {key} | {spread.values[0]:.4f} | {spread.mean:.4f} ± {spread.sd:.4f} |"
            )
    return lines
