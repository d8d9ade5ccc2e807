"""The ledger: what each recipe measured, on what, when, and at what cost.

A ledger is a JSON file with one row for each thing that was trained. Rows are written by the
recipes and by nothing else; chapters read them and assert against them.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from attention_guide.checkpoints.files import write_atomically
from attention_guide.train.energy import estimate_energy

RESULTS: Final = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over the seeds, and the values themselves."""

    mean: float
    sd: float
    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Summarise one value a seed.

        Raises:
            ValueError: No values, or one that is infinite or not a number.

        Examples:
            >>> Spread.of([1.0, 2.0, 3.0])
            Spread(mean=2.0, sd=1.0, values=(1.0, 2.0, 3.0))
        """
        if not values:
            raise ValueError("values: expected at least one, got none")
        numbers = tuple(float(value) for value in values)
        if not all(map(math.isfinite, numbers)):
            raise ValueError(f"values: expected finite numbers, got {numbers}")
        sd = statistics.stdev(numbers) if len(numbers) > 1 else 0.0
        return cls(statistics.fmean(numbers), sd, numbers)

    def __str__(self) -> str:
        """`mean ± sd`."""
        return f"{self.mean:.4g} ± {self.sd:.2g}"


@dataclass(frozen=True)
class Row:
    """One result.

    Attributes:
        id: The row's name within its ledger.
        what: One sentence on what was trained and measured.
        command: What to type to get it again.
        seeds: The seeds.
        settings: Whatever else decides the result: sizes, steps, rates.
        metrics: Name to spread over the seeds.
        curves: Name to one list of `[step, value]` for each seed.
        wall_seconds: Clock time of training, one a seed.
        cpu_seconds: Processor time of training, summed over cores, one a seed.
        cores: Cores of the machine.
        threads: Threads that torch was allowed.
        machine: Processor and system.
        torch: torch's version.
        python: Python's version.
        date: Day of the run, UTC, ISO 8601.
        energy: `EnergyEstimate.as_dict()` of all seeds' training together.
        energy_assumption: How that estimate was made, one sentence.
    """

    id: str
    what: str
    command: str
    seeds: tuple[int, ...]
    settings: dict[str, Any]
    metrics: dict[str, Spread]
    curves: dict[str, list[list[list[float]]]]
    wall_seconds: tuple[float, ...]
    cpu_seconds: tuple[float, ...]
    cores: int
    threads: int
    machine: str
    torch: str
    python: str
    date: str
    energy: dict[str, Any]
    energy_assumption: str


Ledger = dict[str, Row]
"""The rows of one recipe, by their `id`."""

_ASSUMPTION: Final = (
    "CPU seconds of training (all cores, all seeds) times the assumed power of a busy core, "
    "times an assumed PUE; not metered."
)


@dataclass(frozen=True)
class Run:
    """What the training of one seed gave.

    Attributes:
        seed: The seed.
        metrics: Name to value.
        curves: Name to a list of `[step, value]`.
        wall_seconds: Clock time of training.
        cpu_seconds: Processor time of training.
    """

    seed: int
    metrics: dict[str, float]
    curves: dict[str, list[list[float]]]
    wall_seconds: float
    cpu_seconds: float


def make_row(
    row_id: str, runs: Sequence[Run], *, what: str, command: str, settings: Mapping[str, Any]
) -> Row:
    """Make a row of what the seeds gave; machine, versions, date and energy are filled in here.

    Args:
        row_id: The row's name within its ledger.
        runs: One for each seed.
        what: One sentence on what was trained and measured.
        command: What to type to get it again.
        settings: Whatever else decides the result.

    Returns:
        The row.

    Raises:
        ValueError: No runs, or runs that didn't measure the same.

    Examples:
        >>> runs = [Run(seed, {"score": 1.0 + 2 * seed}, {}, 10.0, 20.0) for seed in (0, 1)]
        >>> row = make_row("demo", runs, what="Nothing.", command="none", settings={})
        >>> print(row.metrics["score"])
        2 ± 1.4
    """
    if not runs:
        raise ValueError("runs: expected at least one, got none")
    for field in ("metrics", "curves"):
        first = set(getattr(runs[0], field))
        for run in runs[1:]:
            if (names := set(getattr(run, field))) != first:
                raise ValueError(
                    f"runs: expected the same {field} of every seed, got {sorted(first ^ names)} "
                    f"of only one of seeds {runs[0].seed} and {run.seed}"
                )
    cpu_seconds = tuple(run.cpu_seconds for run in runs)
    return Row(
        id=row_id,
        what=what,
        command=command,
        seeds=tuple(run.seed for run in runs),
        settings=dict(settings),
        metrics={name: Spread.of([run.metrics[name] for run in runs]) for name in runs[0].metrics},
        curves={name: [run.curves[name] for run in runs] for name in runs[0].curves},
        wall_seconds=tuple(run.wall_seconds for run in runs),
        cpu_seconds=cpu_seconds,
        cores=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        machine=describe_machine(),
        torch=str(torch.__version__),
        python=platform.python_version(),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        energy=estimate_energy(sum(cpu_seconds)).as_dict(),
        energy_assumption=_ASSUMPTION,
    )


def ledger_names(folder: Path = RESULTS) -> list[str]:
    """The ledgers that there are.

    Args:
        folder: Where the ledgers lie.

    Examples:
        >>> "number-words" in ledger_names()
        True
    """
    return sorted(path.stem for path in folder.glob("*.json"))


def read_ledger(name: str, *, folder: Path = RESULTS) -> Ledger:
    """Read one recipe's rows.

    Args:
        name: One of `ledger_names()`.
        folder: Where the ledgers lie.

    Returns:
        Row id to row.

    Raises:
        FileNotFoundError: There is no ledger of that name.

    Examples:
        >>> read_ledger("number-words")["transformer"].seeds
        (0, 1, 2)
    """
    path = folder / f"{name}.json"
    if not path.is_file():
        raise FileNotFoundError(f"name: expected one of {ledger_names(folder)}, got {name!r}")
    rows = json.loads(path.read_bytes())["rows"]
    return {fields["id"]: _row(fields) for fields in rows}


def write_row(name: str, row: Row, *, folder: Path = RESULTS) -> None:
    """Put a row into a ledger, in place of the row with its id, atomically.

    Args:
        name: The ledger; made where it is missing.
        row: What `make_row` made.
        folder: Where the ledgers lie.

    Examples:
        See `attention_guide.recipes.number_words`.
    """
    rows = read_ledger(name, folder=folder) if name in ledger_names(folder) else {}
    rows[row.id] = row
    content = {"name": name, "rows": [dataclasses.asdict(rows[key]) for key in sorted(rows)]}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(folder / f"{name}.json", f"{text}\n".encode())


def describe_machine() -> str:
    """Processor and system in a few words, as far as the system tells.

    Examples:
        >>> describe_machine() != ""
        True
    """
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
    return f"{processor}, {platform.system()} {platform.machine()}"


def _row(fields: dict[str, Any]) -> Row:
    metrics = {
        key: Spread(value["mean"], value["sd"], tuple(value["values"]))
        for key, value in fields["metrics"].items()
    }
    tuples = {key: tuple(fields[key]) for key in ("seeds", "wall_seconds", "cpu_seconds")}
    return Row(**{**fields, **tuples, "metrics": metrics})
