"""How many small mistakes in `functional/` and `layers/` the fast tests notice.

Needs cosmic-ray: `pip install 'attention-guide[mutation]'`. On request only, and on Linux or
macOS: `python -m benchmarks mutation`, or `python -m benchmarks.mutation COUNT SECONDS` for another
sample or part of one. It can be interrupted; the next run goes on.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import resource
import signal
import sys
import time
import types
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks._mutants import Mutant, draw, mutated

ON_REQUEST = True
ROOT = Path(__file__).resolve().parent.parent
PROGRESS = ROOT / ".cache" / "mutation.jsonl"
EXPLAINED = Path(__file__).with_name("mutation_explained.json")
COUNT, SEED = 400, 0
SECONDS = {1: 60, 2: 180}  # of processor time, for the file's own tests and for the rest
FOLDERS = ("tests/unit/functional", "tests/unit/layers", "tests/properties")
# Minutes of compilation, and new processes, which would not see the mutant.
LEFT_OUT = "not compile and not torch_and_jaxtyping_alone and not import_is_light"
DOCTEST = "doctest_optionflags=ELLIPSIS NUMBER"
# Where a mistake in a file is most likely to show; the rest of the fast tests come after.
FIRST = {
    "functional/_checks": "functional/test_errors functional/test_attention",
    "functional/attention": "functional/test_attention functional/test_errors",
    "functional/blocked": "functional/test_online functional/test_attention",
    "functional/conventions": "functional/test_masks functional/test_errors",
    "functional/decoding": "functional/test_decoding functional/test_decoding_errors",
    "functional/groups": "functional/test_scores functional/test_attention",
    "functional/linear": "functional/test_linear functional/test_errors",
    "functional/masks": "functional/test_masks functional/test_errors",
    "functional/online": "functional/test_online functional/test_attention",
    "functional/polarity": "functional/test_masks",
    "functional/positions": "functional/test_positions functional/test_errors",
    "functional/relative": "functional/test_positions functional/test_errors",
    "functional/rope": "functional/test_positions functional/test_errors",
    "functional/rope_scaling": "functional/test_positions functional/test_errors",
    "functional/scores": "functional/test_scores functional/test_attention",
    "functional/search": "functional/test_decoding functional/test_decoding_errors",
    "functional/softmax": "functional/test_scores functional/test_attention",
    "functional/speculative": "functional/test_decoding functional/test_decoding_errors",
    "functional/tiled": "functional/test_online functional/test_attention",
    "functional/traffic": "functional/test_online functional/test_errors",
    "layers/_buffer": "layers/test_cache layers/test_errors",
    "layers/_check": "layers/test_norm_feedforward layers/test_attention_layer",
    "layers/alignment": "layers/test_recurrent layers/test_errors",
    "layers/attention": "layers/test_attention_layer layers/test_cache",
    "layers/block": "layers/test_block layers/test_norm_feedforward",
    "layers/cache": "layers/test_cache layers/test_attention_layer",
    "layers/latent": "layers/test_latent_linear_moe",
    "layers/linear": "layers/test_latent_linear_moe",
    "layers/moe": "layers/test_latent_linear_moe",
    "layers/norm": "layers/test_norm_feedforward",
    "layers/recurrent": "layers/test_recurrent layers/test_errors",
    "layers/residual": "layers/test_block layers/test_norm_feedforward",
}


class _Mutated(importlib.machinery.SourceFileLoader, importlib.abc.MetaPathFinder):
    """Answers for one module, and gives another source than the file's."""

    def __init__(self, path: Path, code: str) -> None:
        self.module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        super().__init__(self.module, str(path))
        self.changed = compile(code, str(path), "exec", dont_inherit=True)

    def find_spec(self, fullname: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if fullname != self.module:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def get_code(self, fullname: str) -> types.CodeType:
        return self.changed


def _tests(path: Path) -> dict[int, list[str]]:
    key = path.relative_to(ROOT / "attention_guide").with_suffix("").as_posix()
    first = [f"tests/unit/{name}.py" for name in FIRST.get(key, "").split()]
    if key.startswith("functional/"):
        first.append("tests/unit/functional/test_edges.py")
    if path.exists():
        first.append(path.relative_to(ROOT).as_posix())  # the examples of its docstrings
    files = [p for folder in FOLDERS for p in sorted((ROOT / folder).glob("test_*.py"))]
    everything = [p.relative_to(ROOT).as_posix() for p in files]
    return {1: first, 2: [name for name in everything if name not in first]}


def _child(path: Path, code: str, tests: Sequence[str], seconds: int) -> None:
    """In the forked process: import the mutant in the file's place, and run the tests."""
    import pytest

    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))  # a mutant may ask for any shape
    signal.alarm(4 * seconds)
    os.chdir(ROOT)
    try:
        sys.meta_path.insert(0, _Mutated(path, code))
        options = ["-x", "-q", "--assert=plain", "-p", "no:cacheprovider", "--noconftest"]
        options += ["--hypothesis-seed=0", "--doctest-modules", "-o", DOCTEST, "-k", LEFT_OUT]
        done = pytest.main([*options, *tests])
    except BaseException:
        os._exit(1)
    os._exit(int(done))


def survives(path: Path, code: str, stages: Sequence[int] = (1, 2)) -> bool:
    """Whether all the fast tests pass with `code` in the place of `path`."""
    for stage, tests in _tests(path).items():
        if not tests or stage not in stages:
            continue
        process = os.fork()
        if process == 0:
            _child(path, code, tests, SECONDS[stage])
        _, status = os.waitpid(process, 0)
        if status:
            return False
    return True


class Progress:
    """Verdicts on disk, a line each: what was found out is not found out again.

    A kill stays one while the source is the same; a survivor is tried again when a test changed,
    but for those that are explained: no test can kill them.
    """

    def __init__(self) -> None:
        tests = [ROOT / name for name in _tests(ROOT / "attention_guide" / "none.py")[2]]
        self.tests = _digest("".join(p.read_text(encoding="utf-8") for p in tests))
        self.lines: dict[str, dict[str, Any]] = {}
        if PROGRESS.exists():
            for line in PROGRESS.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):  # cut short by an interruption
                    entry = json.loads(line)
                    self.lines[entry["key"]] = entry

    def verdict(self, key: str, explained: bool = False) -> bool | None:
        entry = self.lines.get(key)
        if entry is None:
            return None
        if entry["survived"] and entry["tests"] != self.tests and not explained:
            return None
        return bool(entry["survived"])

    def keep(self, key: str, survived: bool) -> None:
        entry = {"key": key, "survived": survived, "tests": self.tests}
        self.lines[key] = entry
        PROGRESS.parent.mkdir(parents=True, exist_ok=True)
        with PROGRESS.open("a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _key(path: Path, source: str, mutant: Mutant) -> str:
    name = path.relative_to(ROOT).as_posix()
    return f"{name} {_digest(source)} {mutant.operator} {mutant.occurrence}"


def _row(path: Path, source: str, code: str, mutant: Mutant) -> dict[str, Any]:
    """A survivor, as a reader wants to see it."""
    old, new = source.splitlines(), code.splitlines()
    pairs = zip(old, new, strict=False)
    line = next((i for i, (a, b) in enumerate(pairs) if a != b), mutant.place[0] - 1)
    row = {
        "file": path.relative_to(ROOT).as_posix(),
        "line": line + 1,
        "operator": mutant.operator,
        "was": old[line].strip(),
        "became": new[line].strip(),
    }
    explained = json.loads(EXPLAINED.read_text(encoding="utf-8")) if EXPLAINED.exists() else {}
    row["why"] = explained.get(f"{row['was']} → {row['became']}")
    return row


def _sources() -> dict[Path, str]:
    files = [p for floor in ("functional", "layers")
             for p in sorted((ROOT / "attention_guide" / floor).glob("*.py"))
             if p.name != "__init__.py"]  # fmt: skip
    return {path: path.read_text(encoding="utf-8") for path in files}


def _preload() -> None:
    """What every child needs and no mutant changes, imported once."""
    for name in ("torch", "numpy", "pytest", "hypothesis.extra.numpy", "jaxtyping", "_pytest"):
        importlib.import_module(name)
    assert not any(name.startswith("attention_guide.functional") for name in sys.modules)


def _demand_that_the_file_itself_passes(path: Path, source: str, progress: Progress) -> None:
    """Without this, tests that fail for any other reason would look like kills."""
    key = f"{path.relative_to(ROOT).as_posix()} {_digest(source)} unchanged"
    if not progress.verdict(key):
        if not survives(path, source, stages=(1,)):
            sys.exit(f"{path}: its tests fail without any mutant")
        progress.keep(key, True)


def main(count: int = COUNT, budget: float = float("inf")) -> None:
    """Try a seeded sample; write what survived and how many were killed.

    Args:
        count: How many mutants at least.
        budget: Seconds after which no further mutant is tried in this run.
    """
    _preload()
    sources, progress, started = _sources(), Progress(), time.monotonic()
    drawn = draw(sources, count, SEED)
    tried: Counter[str] = Counter()
    rows, left = [], 0
    for path, sample in drawn.items():
        name = path.relative_to(ROOT).as_posix()
        for mutant in sample:
            key = _key(path, sources[path], mutant)
            code = mutated(sources[path], mutant)
            row = _row(path, sources[path], code, mutant)
            survived = progress.verdict(key, explained=row["why"] is not None)
            if survived is None and time.monotonic() - started > budget:
                left += 1
                continue
            if survived is None:
                _demand_that_the_file_itself_passes(path, sources[path], progress)
                survived = survives(path, code)
                progress.keep(key, survived)
            tried[name] += 1
            if survived:
                rows.append(row)
        alive = sum(row["file"] == name for row in rows)
        print(f"{name:44} {tried[name] - alive:4} of {tried[name]:4} killed", flush=True)
    total = sum(tried.values())
    explained = sum(bool(row["why"]) for row in rows)
    share = 1 - len(rows) / max(total, 1)
    print(f"{total - len(rows)} of {total} killed, {share:.1%}; {explained} survivors explained")
    if left:
        print(f"{left} are left for the next run")
    from benchmarks._results import write

    facts = {"seed": SEED, "tried": dict(tried), "killed": total - len(rows), "left": left}
    write("mutation", rows, "cosmic-ray", **facts)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
