"""Run one page in this process and record what each block printed, drew or raised.

`python -m book.worker PAGE OUT_DIR` writes `OUT_DIR/record.json` and the figures beside it.
"""

from __future__ import annotations

import contextlib
import difflib
import doctest
import io
import json
import linecache
import os
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sybil.evaluators.doctest import NUMBER, OutputChecker

from book import chapters

if TYPE_CHECKING:
    from sybil import Example

OPTIONS = doctest.ELLIPSIS | NUMBER
_OUTSIDE = {".venv", ".cache", ".git", "site", "dist", "__pycache__"}


class Dependencies:
    """Files of the repository that this process opened or imported."""

    def __init__(self) -> None:
        self._opened: set[str] = set()
        sys.addaudithook(self._hook)

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(args[0], str):
            self._opened.add(args[0])

    def inside(self, root: Path) -> list[str]:
        imported = {getattr(m, "__file__", None) for m in list(sys.modules.values())}
        found = set()
        for name in self._opened | {f for f in imported if f}:
            path = Path(name)
            if path.is_absolute() and path.is_relative_to(root) and path.is_file():
                relative = path.relative_to(root)
                if not _OUTSIDE & set(relative.parts):
                    found.add(relative.as_posix())
        return sorted(found)


class PageRun:
    """Executes blocks in order, one namespace a page; evaluator and record at once."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.records: list[dict[str, Any]] = []

    def __call__(self, example: Example) -> str | None:
        block: chapters.Block = example.parsed
        record: dict[str, Any] = {
            "line": block.line, "stdout": "", "figure": None, "error": None, "seconds": 0.0,
            "finished": True,
        }  # fmt: skip
        self.records.append(record)
        if block.needs and not _available(block.needs):
            record["skipped"] = block.needs
            return None
        stdout, started, difference = io.StringIO(), time.perf_counter(), None
        try:
            with contextlib.redirect_stdout(stdout):
                if block.kind == "doctest":
                    difference, record["rewritten"] = _run_doctest(block, example)
                else:
                    _run_code(block, example)
        except (Exception, SystemExit):
            record["error"] = _page_traceback(example.path)
        record["seconds"] = round(time.perf_counter() - started, 4)
        record["stdout"] = stdout.getvalue()
        record["finished"] = record["error"] is None
        if record["error"] is None:
            record["error"] = difference or _output_error(block, record["stdout"])
        figure_error, record["figure"] = self._take_figure(block)
        record["error"] = record["error"] or figure_error
        return str(record["error"]) if record["error"] else None

    def _take_figure(self, block: chapters.Block) -> tuple[str | None, str | None]:
        pyplot = sys.modules.get("matplotlib.pyplot")
        numbers = pyplot.get_fignums() if pyplot else []
        try:
            if len(numbers) > 1:
                return f"the block leaves {len(numbers)} figures open; one block owns one", None
            if numbers and not block.figure:
                return "the block leaves a figure open, but no figures/….svg link follows it", None
            if block.figure and not numbers:
                return f"the link to {block.figure} follows a block that draws no figure", None
            if not numbers or pyplot is None or block.figure is None:
                return None, None
            name = Path(block.figure).name
            if any(r["figure"] == name for r in self.records):
                return f"two blocks of this page draw {name}", None
            # No date and a fixed salt: the same numbers give the same bytes.
            pyplot.figure(numbers[0]).savefig(self.out / name, metadata={"Date": None})
            return None, name
        finally:
            if pyplot:
                pyplot.close("all")


def _available(needs: str) -> bool:
    if needs == "network":
        return bool(os.environ.get("ATTENTION_GUIDE_NETWORK"))
    import torch

    return torch.cuda.is_available()


def _run_code(block: chapters.Block, example: Example) -> None:
    # Padding makes line numbers in tracebacks those of the Markdown file.
    source = "\n" * (block.code_line - 1) + block.code
    filename = f"{example.path}:{block.line}"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    exec(compile(source, filename, "exec", dont_inherit=True), example.namespace)


class _Prompts(doctest.DocTestRunner):
    """Runs the prompts of a block, and keeps what they print where the page says otherwise."""

    def __init__(self) -> None:
        super().__init__(checker=OutputChecker(), optionflags=OPTIONS)
        self.different: list[tuple[doctest.Example, str]] = []

    def report_failure(self, out: Any, test: Any, example: doctest.Example, got: str) -> None:
        self.different.append((example, got))

    def report_unexpected_exception(
        self, out: Any, test: Any, example: doctest.Example, exc_info: Any
    ) -> None:
        raise exc_info[1]


def _run_doctest(block: chapters.Block, example: Example) -> tuple[str | None, str | None]:
    """How the run differs from the page, and the block as the run has it; `None` if it doesn't."""
    test = doctest.DocTestParser().get_doctest(block.code, {}, block.kind, example.path, 0)
    test.globs = example.namespace  # not a copy: later blocks see the names
    runner = _Prompts()
    runner.run(test, clear_globs=False)
    if not runner.different:
        return None, None
    lines = block.code.splitlines()
    reasons: list[str] = []
    for prompt, got in reversed(runner.different):
        start = prompt.lineno + prompt.source.count("\n")
        shown = [line or "<BLANKLINE>" for line in got.splitlines()]
        lines[start : start + prompt.want.count("\n")] = shown
        difference = OutputChecker().output_difference(prompt, got, OPTIONS)
        reasons.insert(0, f">>> {prompt.source}{difference}")
    reason = "the output differs (`make update` rewrites it):\n" + "".join(reasons)
    return reason, "".join(f"{line}\n" for line in lines)


def _output_error(block: chapters.Block, got: str) -> str | None:
    if block.kind == "invisible":
        return f"an invisible assertion printed {got!r}" if got else None
    if block.expected is None:
        return f"the block prints, but no output fence follows it:\n{got}" if got else None
    if OutputChecker().check_output(block.expected, got, OPTIONS):
        return None
    diff = difflib.unified_diff(
        block.expected.splitlines(), got.splitlines(), "on the page", "from the run", lineterm=""
    )
    return "the output differs (`make update` rewrites it):\n" + "\n".join(diff)


def _page_traceback(path: str) -> str:
    kind, error, trace = sys.exc_info()
    frames = [f for f in traceback.extract_tb(trace) if not f.filename.startswith(__file__)]
    text = "".join(traceback.format_list(frames) + traceback.format_exception_only(kind, error))
    return text.replace(f"{path}:", f"{Path(path).name}:")


def run(page: Path, out: Path) -> dict[str, Any]:
    """Evaluate every block of `page`; a block that raises ends the run."""
    dependencies = Dependencies()
    page_run = PageRun(out)
    chapters.executor = page_run
    document = chapters.SYBIL.parse(page)
    document.namespace["__name__"] = "__main__"
    sys.modules["__main__"].__dict__.update(document.namespace)
    document.namespace = sys.modules["__main__"].__dict__
    failed_line = None
    for example in document.examples():
        if failed_line is not None:
            page_run.records.append(
                {
                    "line": example.parsed.line,
                    "stdout": "",
                    "figure": None,
                    "error": f"not run: the block at line {failed_line} raised",
                    "seconds": 0.0,
                    "finished": False,
                }
            )
            continue
        with contextlib.suppress(AssertionError):  # SybilFailure: it is in the record
            example.evaluate()
        if not page_run.records[-1]["finished"]:
            failed_line = example.parsed.line
    return {"blocks": page_run.records, "dependencies": dependencies.inside(chapters.ROOT)}


def main(page: Path, out: Path) -> None:
    """Run one page with the press's settings and write its record."""
    warnings.simplefilter("error")
    os.environ["MPLBACKEND"] = "Agg"
    os.environ["MATPLOTLIBRC"] = str(Path(__file__).with_name("figures.mplstyle"))
    os.environ["PYTHONHASHSEED"] = "0"
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        record = run(page, out)
        os.chdir(chapters.ROOT)
    temporary = out / "record.json.part"
    temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
    temporary.replace(out / "record.json")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
