"""Run the pages that are stale, side by side in processes of their own, and remember the results.

A page's key is the hash of its text, of every repository file that it imported or read, of the
modules that run pages, and of the installed environment. A record with the same key is reused.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from ctypes.util import find_library
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from tqdm import tqdm

from book.chapters import ROOT, pages, parse, slug

CACHE = ROOT / ".cache" / "press"
RUNTIME = ("book/chapters.py", "book/press.py", "book/worker.py", "book/figures.mplstyle")
NOT_RUN = "not run: "  # how a worker marks the blocks after one that raised
KEPT_RECORDS = 6
PAGE_TIMEOUT_SECONDS = 600
PAGE_VARIABLES = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}


@dataclass(frozen=True)
class BlockResult:
    """What one block printed, drew or raised."""

    line: int
    stdout: str
    figure: Path | None
    error: str | None
    seconds: float
    finished: bool
    skipped: str | None = None
    rewritten: str | None = None  # a block of prompts with the run's outputs, where they differ


@dataclass(frozen=True)
class PageResult:
    """The record of one page's run."""

    path: Path
    key: str
    blocks: tuple[BlockResult, ...]
    date: float

    @property
    def errors(self) -> list[BlockResult]:
        return [b for b in self.blocks if b.error]

    @property
    def figures(self) -> list[Path]:
        return [b.figure for b in self.blocks if b.figure]


class PageFailed(Exception):
    """One or more pages have failing blocks; the message lists page, line and reason."""


_session: dict[Path, PageResult] = {}


def run(paths: Iterable[Path], *, quiet: bool = False) -> dict[Path, PageResult]:
    """Results of `paths`, running those that are stale in parallel processes."""
    wanted = [p.resolve() for p in paths]
    results = {p: r for p in wanted if (r := _fresh(p)) is not None}
    stale = [p for p in wanted if p not in results]
    if stale:
        workers = min(len(stale), os.cpu_count() or 1)
        if not quiet:
            print(f"book: running {len(stale)} of {len(wanted)} pages in {workers} processes")
        bar = tqdm(total=len(stale), unit="page", disable=quiet, file=sys.stderr)
        with ThreadPoolExecutor(workers) as pool, bar:
            jobs = {pool.submit(_execute, p): p for p in stale}
            for job in as_completed(jobs):
                path = jobs[job]
                results[path] = _session[path] = job.result()
                bar.set_description(slug(path), refresh=False)
                bar.update()
    return {p: results[p] for p in wanted}


def run_or_raise(paths: Iterable[Path], *, quiet: bool = False) -> dict[Path, PageResult]:
    """As `run`, but failing blocks raise `PageFailed` with page, line and reason."""
    results = run(paths, quiet=quiet)
    failures = [
        f"{result.path.relative_to(ROOT)}:{line}: {reason}"
        for result in results.values()
        for line, reason in [
            *((b.line, b.error) for b in result.errors if not (b.error or "").startswith(NOT_RUN)),
            *orphan_figures(result.path),
        ]
    ]
    if failures:
        raise PageFailed("\n\n".join(failures))
    return results


def executable_pages() -> list[Path]:
    """Pages that hold at least one block."""
    return [p for p in pages() if parse(p).blocks]


def orphan_figures(path: Path) -> list[tuple[int, str]]:
    """Links to figures that no block of the page draws, by line."""
    chapter = parse(path)
    drawn = {b.figure for b in chapter.blocks}
    return [
        (chapter.text.count("\n", 0, m.start()) + 1, f"no block draws {m[1]}")
        for m in re.finditer(r"!\[[^\]]*\]\((figures/[^)\s]+)\)", chapter.text)
        if m[1] not in drawn
    ]


def replay(path: Path, line: int) -> str | None:
    """The recorded error of the block at `line`, or None; the test run's view of a page."""
    result = _session.get(path) or run([path], quiet=True)[path]
    for block in result.blocks:
        if block.line == line:
            return block.error
    return f"no block was run at line {line} of {path}"


def _fresh(path: Path) -> PageResult | None:
    if path in _session and _session[path].key == _key(path, _dependencies(_session[path])):
        return _session[path]
    folder = CACHE / slug(path)
    records = sorted(folder.glob("*/record.json"), key=lambda f: -f.stat().st_mtime)
    for file in records:
        record = json.loads(file.read_text(encoding="utf-8"))
        if file.parent.name == _key(path, record["dependencies"]):
            result = _load(path, file)
            if not result.errors:
                _session[path] = result
                return result
    return None


def _dependencies(result: PageResult) -> list[str]:
    file = CACHE / slug(result.path) / result.key / "record.json"
    found: list[str] = json.loads(file.read_text(encoding="utf-8"))["dependencies"]
    return found


def _execute(path: Path) -> PageResult:
    folder = CACHE / slug(path)
    out = folder / f"running-{os.getpid()}"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    # One thread a page: pages run side by side, and sums don't depend on the number of cores.
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    process = subprocess.run(
        [sys.executable, "-m", "book.worker", str(path), str(out)],
        cwd=ROOT,
        env={**os.environ, **threads, **PAGE_VARIABLES},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=PAGE_TIMEOUT_SECONDS,
        check=False,
    )
    if not (out / "record.json").exists():
        raise PageFailed(f"{path.relative_to(ROOT)}: the page's process ended early\n"
                         f"{process.stdout}\n{process.stderr}")  # fmt: skip
    dependencies = json.loads((out / "record.json").read_text(encoding="utf-8"))["dependencies"]
    final = folder / _key(path, dependencies)
    shutil.rmtree(final, ignore_errors=True)
    out.rename(final)
    for old in sorted(folder.iterdir(), key=lambda f: -f.stat().st_mtime)[KEPT_RECORDS:]:
        shutil.rmtree(old, ignore_errors=True)
    return _load(path, final / "record.json")


def _load(path: Path, file: Path) -> PageResult:
    record = json.loads(file.read_text(encoding="utf-8"))
    blocks = tuple(
        BlockResult(
            line=b["line"],
            stdout=b["stdout"],
            figure=file.parent / b["figure"] if b["figure"] else None,
            error=b["error"],
            seconds=b["seconds"],
            finished=b["finished"],
            skipped=b.get("skipped"),
            rewritten=b.get("rewritten"),
        )
        for b in record["blocks"]
    )
    return PageResult(path, file.parent.name, blocks, file.stat().st_mtime)


def _key(path: Path, dependencies: Iterable[str]) -> str:
    digest = hashlib.sha256(environment().encode())
    names = {path.relative_to(ROOT).as_posix(), *RUNTIME, *dependencies}
    for name in sorted(names):
        digest.update(f"\n{name} {_file_hash(ROOT / name)}".encode())
    return digest.hexdigest()[:20]


_hashes: dict[Path, tuple[tuple[int, int], str]] = {}


def _file_hash(path: Path) -> str:
    if not path.is_file():
        return "absent"
    stat = path.stat()
    stamp = (stat.st_mtime_ns, stat.st_size)
    if path not in _hashes or _hashes[path][0] != stamp:
        _hashes[path] = (stamp, hashlib.sha256(path.read_bytes()).hexdigest())
    return _hashes[path][1]


@cache
def environment() -> str:
    """The interpreter, the architecture, every installed distribution, and what is allowed."""
    installed = sorted(
        f"{d.metadata['Name']}=={d.version}"
        for d in metadata.distributions()
        if d.metadata["Name"] != "attention-guide"
    )
    network = "network" if os.environ.get("ATTENTION_GUIDE_NETWORK") else "no network"
    # Whether there is a GPU, as far as can be told without importing torch.
    driver = find_library("nvcuda" if sys.platform == "win32" else "cuda") or "no GPU"
    machine = [platform.python_version(), platform.machine(), network, driver]
    return "\n".join([*machine, *installed])


def main(paths: list[str]) -> None:
    """`python -m book run [PAGE …]`: run what is stale and say what failed."""
    started = time.perf_counter()
    chosen = [Path(p).resolve() for p in paths] or executable_pages()
    results = run_or_raise(chosen)
    blocks = [b for r in results.values() for b in r.blocks]
    skipped = sum(b.skipped is not None for b in blocks)
    print(f"book: {len(blocks) - skipped} blocks of {len(results)} pages hold, {skipped} need a "
          f"GPU or a network ({time.perf_counter() - started:.1f} s)")  # fmt: skip
