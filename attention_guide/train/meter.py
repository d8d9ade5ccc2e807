"""Metering a run: clock, processor time and, where Linux shows it, the processor's own meter.

Chapter 41, *What a model costs*, says what the meter sees and what it doesn't.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TypeAlias

__all__ = ["EnergyMeter", "read_rapl"]

Reading: TypeAlias = dict[str, tuple[int, int]]


def read_rapl(root: Path | str = "/sys/class/powercap") -> dict[str, tuple[int, int]]:
    """{zone: (energy, wrap)} in microjoules: the processor's own meter, where it may be read.

    Counts the packages and their memory ("dram"). Sub-zones of the cores are inside a package, and
    "psys" contains the packages, so that both are left out.

    Args:
        root: Where Linux shows the counters.

    Returns:
        Counter and the value at which it wraps, by zone; empty where there is no meter
        (macOS, Windows, most virtual machines) or it may be read by root alone.

    Examples:
        >>> isinstance(read_rapl(), dict)
        True
    """
    zones: Reading = {}
    for zone in sorted(Path(root).glob("*rapl:*")):
        try:
            name = (zone / "name").read_text().strip()
            if name.startswith("package") or name == "dram":
                counter = int((zone / "energy_uj").read_text())
                zones[zone.name] = counter, int((zone / "max_energy_range_uj").read_text())
        except (OSError, ValueError):
            continue
    return zones


@dataclass
class EnergyMeter:
    """Times a block, and reads the processor's energy meter around it where there is one.

    Attributes:
        wall_seconds: Time on the clock.
        cpu_seconds: Processor time of this process, summed over its threads.
        joules: What RAPL counted (the whole processor, other programs included), or None.

    Examples:
        >>> with EnergyMeter() as meter:
        ...     total = sum(range(100_000))
        >>> meter.wall_seconds > 0 and meter.cpu_seconds > 0
        True
    """

    rapl_root: Path | str = "/sys/class/powercap"
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    joules: float | None = None
    _start: tuple[float, float, Reading] = field(default=(0.0, 0.0, {}), repr=False)

    def __enter__(self) -> EnergyMeter:
        """Start."""
        self._start = time.perf_counter(), time.process_time(), read_rapl(self.rapl_root)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop; what was measured until an exception is kept."""
        wall, cpu, before = self._start
        self.wall_seconds = time.perf_counter() - wall
        self.cpu_seconds = time.process_time() - cpu
        self.joules = _joules(before, read_rapl(self.rapl_root), self.wall_seconds)


# No processor package on sale draws more for long; it bounds how often a counter may have wrapped.
_MAX_PACKAGE_WATTS = 600


def _joules(before: Reading, after: Reading, seconds: float) -> float | None:
    """Joules between two readings; None without a meter or if it may have wrapped twice."""
    if not before or before.keys() != after.keys():
        return None
    total = 0
    for zone, (start, wrap) in before.items():
        if seconds * _MAX_PACKAGE_WATTS * 1e6 > wrap:
            return None
        total += (after[zone][0] - start) % (wrap + 1)
    return total / 1e6
