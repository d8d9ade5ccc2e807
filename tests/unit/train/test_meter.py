"""The meter, on a made-up powercap tree and on this machine."""

import time
from pathlib import Path

import pytest

from attention_guide.train.meter import EnergyMeter, read_rapl

WRAP = 262_143_328_850


def zone(root: Path, folder: str, name: str, energy: int) -> Path:
    path = root / folder
    path.mkdir(parents=True)
    (path / "name").write_text(name + "\n")
    (path / "energy_uj").write_text(f"{energy}\n")
    (path / "max_energy_range_uj").write_text(f"{WRAP}\n")
    return path


def test_no_meter_gives_no_joules(tmp_path: Path) -> None:
    assert read_rapl(tmp_path / "missing") == {}
    with EnergyMeter(tmp_path) as meter:
        pass
    assert meter.joules is None


def test_counts_packages_and_memory_once(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 5_000_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 4_000_000)
    memory = zone(tmp_path, "intel-rapl:0:1", "dram", 1_000_000)
    zone(tmp_path, "intel-rapl:1", "psys", 9_000_000)
    assert set(read_rapl(tmp_path)) == {"intel-rapl:0", "intel-rapl:0:1"}
    with EnergyMeter(tmp_path) as meter:
        (package / "energy_uj").write_text("8500000")
        (memory / "energy_uj").write_text("1250000")
    assert meter.joules == pytest.approx(3.75)


def test_one_wrap_is_counted(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", WRAP - 999_999)
    with EnergyMeter(tmp_path) as meter:
        (package / "energy_uj").write_text("1000000")
    assert meter.joules == pytest.approx(2.0)


def test_a_run_that_may_have_wrapped_twice_has_no_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 0)
    clock = iter([0.0, 3600.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    with EnergyMeter(tmp_path) as meter:
        pass
    assert meter.wall_seconds == 3600
    assert meter.joules is None


def test_unreadable_and_broken_zones_are_left_out(tmp_path: Path) -> None:
    broken = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    (broken / "energy_uj").write_text("not a number")
    missing = zone(tmp_path, "intel-rapl:1", "package-1", 0)
    (missing / "energy_uj").unlink()
    assert read_rapl(tmp_path) == {}


def test_a_meter_that_vanishes_gives_no_joules(tmp_path: Path) -> None:
    package = zone(tmp_path, "intel-rapl:0", "package-0", 0)
    with EnergyMeter(tmp_path) as meter:
        (package / "energy_uj").unlink()
    assert meter.joules is None


def test_times_work_but_not_sleep_and_survives_an_exception() -> None:
    with EnergyMeter() as asleep:
        time.sleep(0.05)
    assert asleep.wall_seconds >= 0.05 > asleep.cpu_seconds
    meter = EnergyMeter()
    with pytest.raises(ValueError, match="not an integer"), meter:
        busy_until_it_fails()
    assert meter.wall_seconds > 0
    assert meter.cpu_seconds > 0


def busy_until_it_fails() -> None:
    total = sum(range(200_000))
    raise ValueError(f"not an integer: {total / 7}")
