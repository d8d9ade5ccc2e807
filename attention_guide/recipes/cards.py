"""Model cards, written from the ledger's row so that they can't say anything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    purpose = [
        "Chapter 28 of The Attention Guide. It translates numbers in words, 0 to 999,999, between",
        "English, German and French. It knows nothing else, and nobody should rely on it: where a",
        "program needs number words, a grammar of thirty lines never errs.",
    ]
    data = [
        f"{settings['n_train']:,} numbers drawn at random (pool: {settings['train']}), in all six",
        "directions, spelled by the `num2words` package. No text by or about people.",
    ]
    measured = [
        f"On {settings['n_test']} held-out numbers, greedy decoding: this seed, mean ± sd over",
        f"seeds {', '.join(map(str, row.seeds))}.",
    ]
    limits = [
        "Where the `num2words` package errs (it writes 101,000 as *einhunderteinstausend*), the",
        "model has learned the error. Other languages, ordinals, digits, larger numbers and",
        "anything that isn't a number come out as some number all the same.",
    ]
    return _card(
        name,
        row,
        purpose=purpose,
        data=data,
        batch="pairs",
        measured=measured,
        shown=lambda key: key.rpartition(": ")[2].startswith(("exact match", "bleu")),
        limits=limits,
    )


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
    purpose = [
        "The playground of The Attention Guide: to look inside a language model that fits into a",
        "page. It continues a text in the manner of Python's documentation. What it writes is",
        "often wrong, and nobody should take it for advice.",
    ]
    texts = [
        f"{data.description} {data.source} Licence {data.licence}; Python",
        f"{data.versions['python']}, {data.splits['train']} topics to train on,",
        f"{data.splits['validation']} held out, SHA-256",
        f"`{data.checksum}`. {data.notes}",
        f"Cut by byte-level BPE of {settings['vocab_size']} ids, learned from the training topics.",
        "No text by or about people, but for the documentation's own examples.",
    ]
    measured = [
        "On the held-out topics, in stretches that don't overlap: this seed, mean ± sd over",
        f"seeds {', '.join(map(str, row.seeds))}. Losses are in nats a token.",
    ]
    limits = [
        f"It sees {settings['max_len']} tokens and nothing before them. It knows English only as",
        "reference documentation writes it, other languages not at all.",
    ]
    return _card(
        name,
        row,
        purpose=purpose,
        data=texts,
        batch=f"windows of {settings['max_len']} tokens",
        measured=measured,
        limits=limits,
        licence="MIT, as the code; the texts are the Python Software Foundation's.",
    )


def snapshot_card(name: str, row: Row) -> str:
    """The card of a training that was kept step by step, Markdown.

    Args:
        name: The file's name.
        row: The row of the ledger that the training wrote.

    Returns:
        The text.
    """
    settings = row.settings
    purpose = [
        "The live figure “Watch it learn” of The Attention Guide: how an induction head appears.",
        "It continues letters that repeat. It knows no word of any language.",
    ]
    data = [
        f"Random letters, a to z, all different, {settings['shortest']} to {settings['longest']}",
        "of them, then the same letters again, behind a start token; drawn anew for every step.",
        "Every letter counts in the loss. No text by or about people.",
    ]
    measured = [
        "On 128 held-out texts of 16 letters twice, before rounding; losses in nats a letter,",
        "scores of the best head of the layer. The first letter of the second half counts for the",
        f"first. This seed, mean ± sd over seeds {', '.join(map(str, row.seeds))}.",
    ]
    limits = [
        "Letters that occur twice within the part that repeats have two successors: training never",
        "showed such a text, and the model can't tell them apart by one letter. Texts of more than",
        f"{2 * settings['longest']} letters are longer than any it has read.",
    ]
    return _card(
        name,
        row,
        steps=" after steps " + ", ".join(map(str, settings["snapshots"])),
        purpose=purpose,
        data=data,
        batch="texts",
        measured=measured,
        limits=limits,
    )


def _card(
    name: str,
    row: Row,
    *,
    purpose: Sequence[str],
    data: Sequence[str],
    batch: str,
    measured: Sequence[str],
    limits: Sequence[str],
    steps: str = "",
    shown: Callable[[str], bool] = lambda key: key != "parameters",
    licence: str = "MIT, as the code.",
) -> str:
    sections = {
        "What it is for": purpose,
        "Data": data,
        "Training": _training(row, batch),
        "Measured": [*measured, "", *_measured(row, shown)],
        "Limits": [*limits, "", f"Licence: {licence}"],
    }
    weights = f"The weights are those of seed {row.seeds[0]}{steps}, rounded to fp16."
    lines = [f"# {name}", "", f"{row.what} {weights}"]
    for title, content in sections.items():
        lines += ["", f"## {title}", "", *content]
    return "\n".join(lines) + "\n"


def _training(row: Row, batch: str) -> list[str]:
    settings = row.settings
    energy = row.energy["energy_kwh"]
    return [
        f"`{row.command}`: {settings['steps']} steps of {settings['batch_size']} {batch}, AdamW,",
        f"peak rate {settings['rate']:g}. {row.cpu_seconds[0]:.0f} s of CPU time,",
        f"{row.wall_seconds[0]:.0f} s on the clock, on {row.machine} ({row.threads} thread),",
        f"torch {row.torch}, {row.date}. All {len(row.seeds)} seeds together:",
        f"{energy[1]:.2g} kWh ({energy[0]:.2g} to {energy[2]:.2g}). {row.energy_assumption}",
    ]


def _measured(row: Row, shown: Callable[[str], bool]) -> list[str]:
    lines = ["| measure | this seed | mean ± sd |", "|---|---:|---:|"]
    for key, spread in row.metrics.items():
        if shown(key):
            lines.append(
                f"| {key} | {spread.values[0]:.4f} | {spread.mean:.4f} ± {spread.sd:.4f} |"
            )
    return lines
