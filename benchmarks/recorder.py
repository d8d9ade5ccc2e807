"""What AttentionRecorder costs, off and on one layer of six; and what the import costs."""

from __future__ import annotations

import subprocess
import sys

import torch

from attention_guide import AttentionRecorder
from attention_guide.models import Transformer, TransformerConfig
from benchmarks._rounds import ratio, seconds

IMPORTS = {
    "torch": "import torch",
    "torch and attention_guide": "import torch, attention_guide",
    "torch and all of functional": "import torch, attention_guide.functional",
}


def main() -> None:
    """Print the ratios, and the milliseconds of the import beyond torch's."""
    torch.manual_seed(0)
    config = TransformerConfig(100, 100, d_model=192, n_heads=6, d_ff=768, n_layers=6, dropout=0.0)
    never, model = Transformer(config).eval(), Transformer(config).eval()
    source = torch.randint(3, 100, (4, 128))
    with AttentionRecorder(model, match="encoder.blocks.0.*"), torch.no_grad():
        model.encode(source)

    @torch.no_grad()
    def recorded() -> None:
        with AttentionRecorder(model, match="encoder.blocks.0.*"):
            model.encode(source)

    untouched = torch.no_grad()(lambda: never.encode(source))
    off = torch.no_grad()(lambda: model.encode(source))
    times = seconds({"never": untouched, "off": off, "one of six": recorded}, 31, 1)
    print(f"recorder off           {ratio(times['off'], times['never'])}")
    print(f"recorder, one of six   {ratio(times['one of six'], times['never'])}")

    def imports(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], check=True)

    runs = {name: (lambda c=code: imports(c)) for name, code in IMPORTS.items()}
    times = seconds(runs, 7, 1)
    for name in list(IMPORTS)[1:]:
        more = sorted(a - b for a, b in zip(times[name], times["torch"], strict=True))
        print(f"import of {name}: {1000 * more[len(more) // 2]:+.0f} ms beyond torch")


if __name__ == "__main__":
    main()
