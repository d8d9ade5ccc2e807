"""Tokens a second of `generate`, GPT-2-small shape, against Hugging Face's with its cache.

The weights are random and the same in both, so that the tokens can be compared; no row ends early.
"""

from __future__ import annotations

import copy
import shutil
import statistics
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from attention_guide.checkpoints import from_hugging_face
from attention_guide.cpu import fast_matmul, fast_matmul_off
from attention_guide.models import generate, left_pad
from attention_guide.models.decoding import NextLogits
from benchmarks._gpts import hugging_face
from benchmarks._results import write
from benchmarks._rounds import DEVICE, ratio, seconds

SIZES = (50_257, 768, 12, 12, 1024)
LENGTHS = ((32, 48), (512, 32))
ROUNDS, BUDGET = 11, 60.0
BARS = {"fp32": 1.8, "bf16": 2.2, "bf16 compiled": 3.0, "batch 16, padded": 1.3}


class Compiled:
    """A model whose step from tokens to the next logits is compiled, for texts of any length."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def decoding(self, source: object = None, *, room: int, cached: bool = True) -> NextLogits:
        """As the model's own; the first call, with the prompt, is left to it."""
        plain = self.model.decoding(source, room=room, cached=cached)
        step = torch.compile(plain, dynamic=True)
        return lambda ids, padding: (step if ids.shape[1] == 1 else plain)(ids, padding)


def models() -> tuple[nn.Module, nn.Module]:
    """Hugging Face's GPT-2 and ours with its weights."""
    torch.manual_seed(0)
    theirs = hugging_face(*SIZES).to(DEVICE).eval()
    # A wider spread than the 0.02 of initialisation: logits far enough apart to compare tokens.
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.mul_(2.0)
    config = theirs.config.to_dict()
    return theirs, from_hugging_face(config, theirs.state_dict()).to(DEVICE).eval()


def theirs_writes(model: Any, prompt: Tensor, new: int, mask: Tensor) -> Callable[[], Tensor]:
    """Hugging Face's greedy decoding with its cache."""
    return lambda: model.generate(
        prompt, attention_mask=mask, max_new_tokens=new, min_new_tokens=new, do_sample=False
    )[:, prompt.shape[1] :]


def compare(
    what: str,
    setting: str,
    ours: dict[str, Callable[[], Tensor]],
    theirs: Callable[[], Tensor],
) -> list[dict[str, Any]]:
    """A row for each way of ours: how many times as fast, and the share of equal tokens."""
    expected = theirs()
    times = seconds({**ours, "HF generate": theirs}, ROUNDS, 1, budget=BUDGET)
    rows = []
    for name, run in ours.items():
        tokens = run()
        bar = BARS[name]
        found = ratio(times["HF generate"], times[name])
        speed = tokens.numel() / statistics.median(times[name])
        row = found.row(f"{what}, {name}", setting, "times as fast", None, against="HF generate")
        row |= {"bar": bar, "met": found.high >= bar, "at least": True}
        row |= {"tokens a second": float(f"{speed:.3g}")}
        row |= {"equal tokens": round((tokens == expected).double().mean().item(), 4)}
        print(f"{row['what']:34} {setting:20} {found}  {speed:.1f} tokens/s, "
              f"{100 * row['equal tokens']:.1f} % equal tokens")  # fmt: skip
        rows.append(row)
    return rows


@torch.no_grad()
def main() -> None:
    """Batch 1 at two lengths, in float32, bfloat16 and compiled; batch 16 with padding."""
    theirs, our = models()
    half = copy.deepcopy(our).bfloat16()
    rows = []
    report = fast_matmul()
    for length, new in LENGTHS:
        prompt = torch.randint(SIZES[0], (1, length), device=DEVICE)
        ways: dict[str, Callable[[], Tensor]] = {
            "fp32": lambda p=prompt, n=new: generate(our, p, n),
            "bf16": lambda p=prompt, n=new: generate(half, p, n),
        }
        if shutil.which("g++"):
            ways["bf16 compiled"] = lambda p=prompt, n=new: generate(Compiled(half), p, n)
        reference = theirs_writes(theirs, prompt, new, torch.ones_like(prompt))
        rows += compare("decoding", f"{length} + {new} tokens", ways, reference)
    lengths = range(17, 33)
    prompt, padding = left_pad([torch.randint(SIZES[0], (n,)).tolist() for n in lengths])
    prompt, padding = prompt.to(DEVICE), padding.to(DEVICE)
    ways = {"batch 16, padded": lambda: generate(our, prompt, 24, padding=padding)}
    reference = theirs_writes(theirs, prompt, 24, padding.long())
    rows += compare("decoding", "17–32 + 24 tokens", ways, reference)
    fast_matmul_off()
    write("decoding", rows, "transformers", device=DEVICE.type, fast_matmul=report.reason)


if __name__ == "__main__":
    main()
