"""Validation loss after equal wall time: our character model against the plain GPT's defaults.

Both have 0.8 million parameters, read 64 characters of the help texts that come with Python, and
train for `MINUTES` on every core, one after the other, in an order that changes with the seed. The
plain GPT is trained as single-file GPTs train their smallest model on a CPU: AdamW at 1e-3, warm-up
of 100 steps, cosine to a tenth, batches of 12. How many steps fit is measured first, for both, so
that each decays its rate to the end.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attention_guide.cpu import fast_matmul, fast_matmul_off
from attention_guide.data.corpora import pydoc_topics
from attention_guide.models import Llama, LlamaConfig
from attention_guide.text import CharacterTokenizer
from attention_guide.train import adamw, cosine, cross_entropy, fit
from benchmarks import _rounds
from benchmarks._gpts import PlainGPT
from benchmarks._results import write

ON_REQUEST = True
MINUTES, SEEDS, LENGTH = 3.0, (0, 1, 2), 64
PLAIN = {"batch": 12, "lr": 1e-3, "betas": (0.9, 0.99), "fast": False}
OURS = {"batch": 16, "lr": 4e-3, "betas": (0.9, 0.95), "fast": True}


def plain_gpt(vocab: int) -> nn.Module:
    """Four blocks of width 128, 0.8 million parameters."""
    return PlainGPT(vocab, width=128, heads=4, depth=4, length=LENGTH)


def our_model(vocab: int) -> nn.Module:
    """As many parameters with RMSNorm, rotary positions and gated feed-forwards."""
    return Llama(LlamaConfig(
        vocab, d_model=128, n_heads=4, d_ff=344, n_layers=4, max_len=LENGTH, tie_weights=True
    ))  # fmt: skip


def windows(stream: Tensor, batch: int, seed: int) -> Callable[[], Tensor]:
    """Draws `(batch, LENGTH + 1)` ids from anywhere in the text."""
    draw = torch.Generator().manual_seed(seed)
    along = torch.arange(LENGTH + 1)

    def batch_of() -> Tensor:
        starts = torch.randint(len(stream) - LENGTH, (batch, 1), generator=draw)
        return stream[starts + along]

    return batch_of


def train(
    make: Callable[[int], nn.Module],
    settings: dict[str, Any],
    ids: Tensor,
    vocab: int,
    seed: int,
    steps: int,
) -> tuple[nn.Module, float]:
    """Train for so many steps; the model and the seconds that it took."""
    torch.manual_seed(seed)
    model = make(vocab)
    next_batch = windows(ids, settings["batch"], seed)
    optimizer = adamw(model, settings["lr"], betas=settings["betas"], decay_embeddings=True)
    started = time.perf_counter()
    fit(
        model, (next_batch() for _ in range(steps)),
        lambda m, rows: cross_entropy(m(rows[:, :-1]), rows[:, 1:]),
        steps=steps, optimizer=optimizer, schedule=cosine(min(100, steps // 10), steps, floor=0.1),
    )  # fmt: skip
    return model, time.perf_counter() - started


@torch.no_grad()
def validation_loss(model: nn.Module, ids: Tensor) -> float:
    """Nats a character over the whole validation text, in windows of `LENGTH`."""
    rows = ids[: (len(ids) - 1) // LENGTH * LENGTH + 1].unfold(0, LENGTH + 1, LENGTH)
    losses = [
        cross_entropy(model(part[:, :-1]), part[:, 1:]).item() * len(part)
        for part in rows.split(64)
    ]
    return sum(losses) / len(rows)


def run(
    name: str,
    make: Callable[[int], nn.Module],
    settings: dict[str, Any],
    text: tuple[Tensor, Tensor, int],
    seed: int,
) -> dict[str, float]:
    """One model, one seed: as many steps as fit, and what they led to."""
    ids, held_out, vocab = text
    if settings["fast"]:
        fast_matmul()
    seconds = 6.0 if _rounds.quick else 60.0 * MINUTES
    tried = 5 if _rounds.quick else 60
    train(make, settings, ids, vocab, seed, 5)
    _, took = train(make, settings, ids, vocab, seed, tried)
    steps = int(seconds * tried / took)
    model, took = train(make, settings, ids, vocab, seed, steps)
    loss = validation_loss(model.eval(), held_out)
    fast_matmul_off()
    size = sum(p.numel() for p in model.parameters())
    print(f"{name:10} seed {seed}: {loss:.4f} after {took:.0f} s, {steps} steps, {size} parameters")
    return {"loss": loss, "seconds": took, "steps": steps, "parameters": size}


def main() -> None:
    """Each seed trains both; a row of the means with their spread."""
    corpus = pydoc_topics()
    tokenizer = CharacterTokenizer.train(corpus.train)
    ids, held_out = (
        torch.tensor(tokenizer.encode("".join(part))) for part in (corpus.train, corpus.validation)
    )
    text = (ids, held_out, len(tokenizer))
    ways = {"ours": (our_model, OURS), "plain GPT": (plain_gpt, PLAIN)}
    found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    for seed in SEEDS:
        for name in random.Random(seed).sample(list(ways), 2):
            found[name].append(run(name, *ways[name], text, seed))
    rows = []
    for name, results in found.items():
        losses = [r["loss"] for r in results]
        spread = statistics.stdev(losses)
        print(f"{name:10} {statistics.mean(losses):.4f} ± {spread:.4f} nats a character")
        rows.append({"what": "character model", "setting": f"{MINUTES:g} minutes", "model": name,
                     "unit": "nats a character", "value": round(statistics.mean(losses), 4),
                     "sd": round(spread, 4), "runs": results})  # fmt: skip
    rows[0]["met"] = max(r["loss"] for r in found["ours"]) < min(
        r["loss"] for r in found["plain GPT"]
    )
    write("character_model", rows, card=corpus.card.checksum)


if __name__ == "__main__":
    main()
