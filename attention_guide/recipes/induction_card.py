"""The card of the induction snapshots, written from the ledger's row alone."""

from __future__ import annotations

from attention_guide.recipes.ledger import Row


def snapshot_card(name: str, row: Row) -> str:
    """The card of a training that was kept step by step, Markdown.

    Args:
        name: The file's name.
        row: The row of the ledger that the training wrote.

    Returns:
        The text.
    """
    s = row.settings
    energy = row.energy["energy_kwh"]
    kept = ", ".join(map(str, s["snapshots"]))
    lines = [
        f"# {name}",
        "",
        f"{row.what} {row.metrics['parameters'].mean:,.0f} parameters. The weights are those of",
        f"seed {row.seeds[0]} after steps {kept}, rounded to fp16.",
        "",
        "## What it is for",
        "",
        "The live figure “Watch it learn” of The Attention Guide: how an induction head appears.",
        "It continues letters that repeat. It knows no word of any language.",
        "",
        "## Data",
        "",
        f"Random letters, a to z, all different, {s['shortest']} to {s['longest']} of them, then",
        "the same letters again, behind a start token; drawn anew for every step. No text by or",
        "about people.",
        "",
        "## Training",
        "",
        f"`{row.command}`: {s['steps']} steps of {s['batch_size']} texts, AdamW, peak rate",
        f"{s['rate']:g}, loss on every letter. {row.cpu_seconds[0]:.0f} s of CPU time,",
        f"{row.wall_seconds[0]:.0f} s on the clock, on {row.machine} ({row.threads} thread),",
        f"torch {row.torch}, {row.date}. All {len(row.seeds)} seeds together:",
        f"{energy[1]:.2g} kWh ({energy[0]:.2g} to {energy[2]:.2g}). {row.energy_assumption}",
        "",
        "## Measured",
        "",
        "On 128 held-out texts of 16 letters twice, before rounding; losses in nats a letter,",
        "scores of the best head of the layer. The first letter of the second half counts for the",
        f"first. This seed, mean ± sd over seeds {', '.join(map(str, row.seeds))}.",
        "",
        "| measure | this seed | mean ± sd |",
        "|---|---:|---:|",
    ]
    for key, spread in row.metrics.items():
        if key != "parameters":
            lines.append(
                f"| {key} | {spread.values[0]:.4f} | {spread.mean:.4f} ± {spread.sd:.4f} |"
            )
    lines += [
        "",
        "## Limits",
        "",
        "Letters that occur twice within the part that repeats have two successors: training never",
        "showed such a text, and the model can't tell them apart by one letter. Texts of more than",
        f"{2 * s['longest']} letters are longer than any it has read.",
        "",
        "Licence: MIT, as the code.",
        "",
    ]
    return "\n".join(lines)
