"""A run that gets killed: the driver of `test_checkpoints.py`, in a process of its own.

Every attempt is a child. On Linux it is forked, so that torch is imported once and a death costs
little; where there is no fork (Windows) or no safe one (macOS), each child imports torch anew.
Arguments: a folder, and the seed of the kills. Prints one line of JSON.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
import torch._dynamo  # an optimiser's first step imports it: here once, not in every fork
from torch import nn

from attention_guide.data.cards import checksum
from attention_guide.models import Transformer, TransformerConfig
from attention_guide.text import PairBatches
from attention_guide.train import (
    Checkpoints,
    EarlyStopping,
    adamw,
    cosine,
    fit,
    target_tokens,
    teacher_forcing,
)

PROCESSES = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
STEPS = 30
PAIRS = [([3 + i % 5, 3 + i % 3], [1, 3 + i % 3, 3 + i % 5, 2]) for i in range(14)]


def run(folder: Path, beat: Connection, hold: str) -> None:
    """The recipe: dropout, a schedule, accumulation, evaluation, noise from three generators."""
    torch.manual_seed(0)
    random.seed(0)
    np.random.seed(0)
    sizes = {"d_model": 8, "n_heads": 2, "d_ff": 16, "n_layers": 1, "dropout": 0.2}
    model = Transformer(TransformerConfig(8, 8, **sizes))
    optimizer = adamw(model, 0.01)
    batches = PairBatches([s for s, _ in PAIRS], [t for _, t in PAIRS], 3)
    stop = EarlyStopping("loss", patience=99, model=model)
    checkpoints = Checkpoints(folder, every=4, parts={"batches": batches, "stop": stop})
    plain = teacher_forcing(label_smoothing=0.1)

    def loss(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        beat.send_bytes(b".")
        return plain(model, batch) * (1 + 0.01 * random.random() + 0.01 * np.random.rand())

    def evaluate(model: nn.Module) -> dict[str, float]:
        return {"loss": float(plain(model, next(iter(PairBatches(*zip(*PAIRS, strict=True), 14)))))}

    history = checkpoints.load(model, optimizer)
    if hold:
        _hold(hold, beat)
    history = fit(
        model, batches, loss, steps=STEPS, optimizer=optimizer, schedule=cosine(5, STEPS),
        accumulate=2, weigh=target_tokens(), evaluate=evaluate, evaluate_every=7, stop=stop,
        checkpoints=checkpoints, history=history,
    )  # fmt: skip
    state = {
        "weights": list(model.state_dict().values()),
        "moments": [v for s in optimizer.state_dict()["state"].values() for v in s.values()],
        "history": [history.loss, history.rate, history.grad_norm],
        "evaluations": [[row["step"], row["loss"]] for row in history.evaluations],
        "random": [torch.get_rng_state(), random.getstate(), np.random.rand(3)],
        "stop": [stop.best, stop.best_step, stop.waited, batches.state_dict()],
    }
    (folder / "end.json").write_text(json.dumps({k: checksum({k: v}) for k, v in state.items()}))


def _hold(name: str, beat: Connection) -> None:
    """Stop for good inside the third save: before `os.fsync` or `os.replace`."""
    original, calls = getattr(os, name), []

    def waiting(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 3:
            beat.send_bytes(b"!")
            time.sleep(60)
        return original(*arguments)

    setattr(os, name, waiting)


def attempt(folder: Path, beats: int = 0, pause: float = 0.0, hold: str = "") -> bool:
    """Run in a child; after so many beats and a pause, kill it. True if it came to its end."""
    read, write = PROCESSES.Pipe(duplex=False)
    child = PROCESSES.Process(target=run, args=(folder, write, hold))
    child.start()
    write.close()  # now only the child holds this end: when it is gone, reading ends
    with contextlib.suppress(EOFError):
        seen = 1
        while read.recv_bytes() != b"!" and seen != beats:
            seen += 1
        time.sleep(pause)
        child.kill()  # SIGKILL; on Windows TerminateProcess, which asks the child as little
    read.close()
    child.join()
    assert child.exitcode is not None
    assert child.exitcode <= 0, child.exitcode  # killed, or at its end
    return child.exitcode == 0


def main() -> None:
    """One run in peace, one killed again and again; compare how they end."""
    root, generator = Path(sys.argv[1]), random.Random(int(sys.argv[2]))
    for name in ("whole", "killed"):
        (root / name).mkdir()
    assert attempt(root / "whole")
    kills, litter = 0, 0
    for hold in ("fsync", "replace"):
        kills += not attempt(root / "killed", hold=hold)
        litter += len(list((root / "killed").glob(".step-*")))
    while not attempt(root / "killed", generator.randint(2, 22), generator.random() * 0.01):
        kills += 1
    ends = [json.loads((root / name / "end.json").read_text()) for name in ("whole", "killed")]
    differ = [key for key in ends[0] if ends[0][key] != ends[1][key]]
    left = len(list((root / "killed").glob(".step-*")))
    print(json.dumps({"kills": kills, "litter": litter, "left": left, "differ": differ}))


if __name__ == "__main__":
    main()
