"""`python -m benchmarks [NAME …]`: run the named measurements, or all."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from pathlib import Path


def main(names: list[str]) -> None:
    """Each module of this folder that has a `main` is a measurement."""
    found = sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]))
    for name in names or [n for n in found if not n.startswith("_")]:
        print(f"== {name}")
        importlib.import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main(sys.argv[1:])
