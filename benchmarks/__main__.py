"""`python -m benchmarks [--quick] [NAME …]`: run the named measurements, or all.

`speed` names those that the book's table of speed is made of. `--quick` takes two rounds of each
and writes nothing: it shows that a measurement works, not what it finds.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path

from benchmarks import _rounds

GROUPS = {"speed": ("attention_layer", "memory", "recorder", "gpt_step", "decoding", "generation")}


def main(arguments: list[str]) -> None:
    """Each module of this folder that has a `main` is a measurement."""
    _rounds.quick = "--quick" in arguments
    asked = [name for name in arguments if name != "--quick"]
    names = [name for word in asked for name in GROUPS.get(word, (word,))]
    for name in names or sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)])):
        if name.startswith("_"):
            continue
        module = importlib.import_module(f"benchmarks.{name}")
        if not names and getattr(module, "ON_REQUEST", False):
            print(f"== {name}: only when it is named")
            continue
        print(f"== {name}", flush=True)
        module.main()


if __name__ == "__main__":
    main(sys.argv[1:])
