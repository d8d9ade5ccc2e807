"""Put the playground's assembled kernel into its script: `python -m book.playground kernel WASM`.

kernel.js is committed, and so are the models, which their recipes write: serving the book needs
neither Node nor an assembler. tests/playground makes both again and compares.
"""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path

from book.chapters import ROOT

FOLDER = ROOT / "docs/assets/playground"
MODELS = FOLDER / "models"


def embed_kernel(wasm: bytes, path: Path = FOLDER / "kernel.js") -> None:
    """Put the assembled kernel into kernel.js."""
    text = base64.b64encode(wasm).decode()
    source = re.sub(r'const WASM =\s*"[^"]*";', f'const WASM = "{text}";', path.read_text("utf-8"))
    path.write_text(source, encoding="utf-8")


def main(arguments: list[str]) -> int:
    """`kernel WASM`."""
    if len(arguments) == 2 and arguments[0] == "kernel":
        embed_kernel(Path(arguments[1]).read_bytes())
        return 0
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
