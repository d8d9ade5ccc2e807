"""The calculator: units, ranges, and what it refuses."""

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attention_guide.train.energy import (
    CORE_WATTS,
    DEFAULT_PUE,
    GRID_G_PER_KWH,
    WORLD_GRID,
    Range,
    estimate_energy,
)


def test_a_kilowatt_for_an_hour_is_one_kwh_and_the_grids_grams() -> None:
    estimate = estimate_energy(3600, power_watts=1000, pue=1, grid_g_per_kwh=445)
    assert estimate.energy_kwh.as_tuple() == pytest.approx((1, 1, 1))
    assert estimate.carbon_g.as_tuple() == pytest.approx((445, 445, 445))


def test_bounds_multiply_the_ends() -> None:
    estimate = estimate_energy(
        (3600, 7200, 10800), power_watts=(100, 200, 400), pue=(1, 1.5, 2), grid_g_per_kwh=(1, 2, 3)
    )
    assert estimate.energy_kwh.as_tuple() == pytest.approx((0.1, 0.6, 2.4))
    assert estimate.carbon_g.as_tuple() == pytest.approx((0.1, 1.2, 7.2))


def test_cores_stand_in_for_power() -> None:
    by_cores = estimate_energy(60, cores=2)
    by_watts = estimate_energy(60, power_watts=CORE_WATTS * 2)
    assert by_cores == by_watts
    assert by_cores.pue == DEFAULT_PUE
    assert by_cores.grid_g_per_kwh == WORLD_GRID
    # CPU time summed over cores gives the same energy as cores times the clock.
    assert estimate_energy(120).energy_kwh.as_tuple() == pytest.approx(
        by_cores.energy_kwh.as_tuple()
    )


def test_independent_is_narrower_and_agrees_with_simulation() -> None:
    factors = [Range(1, 2, 4), Range(2, 3, 4.5), Range(1, 1.2, 1.44)]
    wide = Range.product(*factors)
    narrow = Range.product(*factors, combine="independent")
    assert wide.low < narrow.low < narrow.mid < narrow.high < wide.high
    assert narrow.mid == pytest.approx(wide.mid)

    # Symmetric in the logarithm: read each range as the central 90 % of a log-normal.
    draw = random.Random(0)
    draws = sorted(
        math.prod(
            r.mid * math.exp(draw.gauss(0, math.log(r.high / r.mid) / 1.6449)) for r in factors
        )
        for _ in range(40_000)
    )
    assert narrow.low == pytest.approx(draws[2_000], rel=0.03)
    assert narrow.high == pytest.approx(draws[38_000], rel=0.03)


positive = st.floats(1e-6, 1e6)
ranges = st.tuples(positive, positive, positive).map(lambda values: Range(*sorted(values)))


@given(st.lists(ranges, min_size=1, max_size=5))
def test_any_product_keeps_the_middle_and_independent_lies_within_the_bounds(
    factors: list[Range],
) -> None:
    bounds = Range.product(*factors)
    independent = Range.product(*factors, combine="independent")
    assert independent.mid == bounds.mid == pytest.approx(math.prod(r.mid for r in factors))
    slack = 1 + 1e-9
    assert bounds.low <= independent.low * slack
    assert independent.high <= bounds.high * slack
    if len(factors) == 1:
        assert independent.as_tuple() == pytest.approx(bounds.as_tuple())


@given(st.lists(ranges, min_size=2, max_size=5), st.randoms())
def test_the_order_of_factors_does_not_matter(factors: list[Range], chance: random.Random) -> None:
    shuffled = chance.sample(factors, len(factors))
    for combine in ("bounds", "independent"):
        one = Range.product(*factors, combine=combine)  # type: ignore[arg-type]
        other = Range.product(*shuffled, combine=combine)  # type: ignore[arg-type]
        assert one.as_tuple() == pytest.approx(other.as_tuple())


def test_exact_factors_add_no_uncertainty() -> None:
    estimate = estimate_energy(
        10, power_watts=(5, 10, 20), pue=1, grid_g_per_kwh=100, combine="independent"
    )
    assert estimate.energy_kwh.high / estimate.energy_kwh.mid == pytest.approx(2)
    assert estimate.carbon_g.high / estimate.carbon_g.mid == pytest.approx(2)


def test_arithmetic_of_ranges() -> None:
    assert Range(1, 2, 3) + Range(10, 20, 30) == Range(11, 22, 33)
    assert 2 * Range(1, 2, 3) == Range(1, 2, 3) * 2 == Range(2, 4, 6)
    assert Range(2, 4, 8) / Range(1, 2, 4) == Range(0.5, 2, 8)
    assert str(Range(0.5, 2, 8)) == "2 (0.5 to 8)"
    assert str(Range(999.4, 999.6, 12_345.6)) == "1,000 (999 to 12,346)"
    with pytest.raises(ValueError, match="reaches 0"):
        Range(1, 1, 1) / Range(0, 1, 1)
    with pytest.raises(ValueError, match="low <= mid <= high"):
        Range(1, 2, 3) * -1
    for wrong in ("x", None, True):
        with pytest.raises(TypeError):
            Range(1, 2, 3) * wrong  # type: ignore[operator]
        with pytest.raises(TypeError):
            Range(1, 2, 3) + wrong  # type: ignore[operator]
        with pytest.raises(TypeError):
            Range(1, 2, 3) / wrong  # type: ignore[operator]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"seconds": -1}, ValueError, "seconds: expected 0 <= low"),
        ({"seconds": math.nan}, ValueError, "seconds: low must be finite"),
        ({"seconds": "60"}, TypeError, r"seconds: expected a number or \(low, mid, high\)"),
        ({"seconds": True}, TypeError, "seconds"),
        ({"seconds": 1, "power_watts": (2, 1, 3)}, ValueError, "power_watts: expected 0 <= low"),
        ({"seconds": 1, "power_watts": (1, 2)}, TypeError, "power_watts"),
        ({"seconds": 1, "power_watts": (1, 2, "3")}, TypeError, "power_watts: high must be"),
        ({"seconds": 1, "cores": -2}, ValueError, "cores"),
        ({"seconds": 1, "pue": 0.9}, ValueError, "pue: .* at least 1, got 0.9"),
        ({"seconds": 1, "grid_g_per_kwh": math.inf}, ValueError, "grid_g_per_kwh: low must be"),
        ({"seconds": 1, "combine": "rms"}, ValueError, "combine: expected 'bounds'"),
        ({"seconds": 0, "combine": "independent"}, ValueError, "needs every range above 0"),
    ],
)
def test_errors_name_the_argument(
    arguments: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        estimate_energy(**arguments)  # type: ignore[arg-type]


def test_zero_seconds_cost_nothing() -> None:
    assert estimate_energy(0).energy_kwh == Range(0, 0, 0)


def test_as_dict_survives_json_and_rebuilds_the_estimate() -> None:
    estimate = estimate_energy(12.5, cores=2)
    stored = json.loads(json.dumps(estimate.as_dict()))
    assert stored.pop("combine") == "bounds"
    assert {k: Range.of(v, k) for k, v in stored.items()} == {
        k: v for k, v in vars(estimate).items() if k != "combine"
    }
    again = estimate_energy(stored["seconds"], power_watts=stored["power_watts"])
    assert again == estimate


def test_constants_are_read_only_and_in_order() -> None:
    grids = list(GRID_G_PER_KWH.values())
    assert grids == sorted(grids)
    assert grids[-1] == WORLD_GRID.high
    with pytest.raises(TypeError):
        GRID_G_PER_KWH["coal"] = 0  # type: ignore[index]
