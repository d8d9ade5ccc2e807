"""Model cards, written from the ledger's row so that they can't say anything else."""

from __future__ import annotations

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
    energy = row.energy["energy_kwh"]
    lines = [
        f"# {name}",
        "",
        f"{row.what} The weights are those of seed {row.seeds[0]}, rounded to fp16.",
        "",
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
        "## Training",
        "",
        f"`{row.command}`: {settings['steps']} steps of {settings['batch_size']} pairs, AdamW,",
        f"peak rate {settings['rate']:g}. {row.cpu_seconds[0]:.0f} s of CPU time,",
        f"{row.wall_seconds[0]:.0f} s on the clock, on {row.machine} ({row.threads} thread),",
        f"torch {row.torch}, {row.date}. All {len(row.seeds)} seeds together:",
        f"{energy[1]:.2g} kWh ({energy[0]:.2g} to {energy[2]:.2g}). {row.energy_assumption}",
        "",
        "## Measured",
        "",
        f"On {settings['n_test']} held-out numbers, greedy decoding: this seed, mean ± sd over",
        f"seeds {', '.join(map(str, row.seeds))}.",
        "",
        "| measure | this seed | mean ± sd |",
        "|---|---:|---:|",
    ]
    for key, spread in row.metrics.items():
        if key.rpartition(": ")[2].startswith(("exact match", "bleu")):
            lines.append(
                f"| {key} | {spread.values[0]:.4f} | {spread.mean:.4f} ± {spread.sd:.4f} |"
            )
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
