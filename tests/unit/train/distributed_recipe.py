"""A recipe that doesn't know how many processes run it: `test_distributed.py` starts it.

Arguments: a folder and the strategies. By itself or under `torchrun` it trains the same model
with each strategy, from the start and from a checkpoint, and writes what came out.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from attention_guide.models import Transformer, TransformerConfig
from attention_guide.text import PairBatches
from attention_guide.train import (
    Checkpoints,
    EarlyStopping,
    World,
    adamw,
    cosine,
    distributed,
    fit,
    load_training,
    target_tokens,
    teacher_forcing,
)

PAIRS = [([3 + i % 5] * 3, [1, *[3 + j % 5 for j in range(i % 6)], 2]) for i in range(30)]
STEPS = 6


def train(world: World, strategy: str, folder: Path, start: Path | None) -> dict[str, object]:
    """Two batches of uneven rows to a step, weighed by tokens; tied weights, a clipped gradient."""
    torch.manual_seed(world.rank)  # FSDP and DDP start all from the weights of process 0
    sizes = {"d_model": 16, "n_heads": 2, "d_ff": 32, "n_layers": 2, "dropout": 0.0}
    config = TransformerConfig(8, 8, **sizes, tie_weights="all")
    model = world.wrap(Transformer(config), strategy)
    optimizer = adamw(model, 0.01, eps=1e-5)
    batches = PairBatches([s for s, _ in PAIRS], [t for _, t in PAIRS], 5)
    shared = world.share(batches)
    stop = EarlyStopping("loss", patience=9, model=model)
    parts = {"batches": shared, "stop": stop}
    checkpoints = Checkpoints(folder / strategy, every=3, keep=9, parts=parts)
    history = None
    if start is not None:
        history = load_training(start, model, optimizer, parts=parts)
    loss, test = teacher_forcing(), next(iter(PairBatches(batches.sources, batches.targets, 30)))
    test = tuple(part.to(world.device) for part in test)
    history = fit(
        model, shared, loss, steps=STEPS, optimizer=optimizer, stop=stop,
        evaluate=lambda model: {"loss": float(loss(model, test))}, evaluate_every=2,
        schedule=cosine(2, STEPS), clip_norm=0.5, accumulate=2, weigh=target_tokens(),
        checkpoints=checkpoints, history=history,
    )  # fmt: skip
    weights = {name: t.clone() for name, t in distributed.weights_of(model).items()}
    load = stop.state_dict()["weights"]
    stop.restore()
    assert all(torch.equal(t, load[n]) for n, t in distributed.weights_of(model).items())
    sharded = sum(hasattr(p, "full_tensor") for p in model.parameters())
    return {
        "weights": weights,
        "loss": history.loss,
        "evaluations": [row["loss"] for row in history.evaluations],
        "norm": history.grad_norm,
        "sharded": sharded,
        "parameters": len(list(model.parameters())),
        "type": type(model).__name__,
    }


def main(folder: Path, strategies: list[str], start: Path | None = None) -> None:
    """Train with each strategy."""
    with World.start() as world:
        results = {s: train(world, s, folder, None) for s in strategies}
        if start is not None:
            results |= {f"{s} resumed": train(world, s, folder / "r", start) for s in strategies}
        if distributed.is_main():
            torch.save({"size": world.size, **results}, folder / "results.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[3:], Path(sys.argv[2]))
