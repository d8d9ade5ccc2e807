"""What a run costs: energy and carbon from time, power, overhead and grid.

    energy [kWh] = seconds / 3600 * power [W] / 1000 * PUE
    carbon [g]   = energy [kWh] * grid intensity [gCO2e/kWh]

Of the four factors only the time is known well, so each is a `Range` of three values, and so is
the result. Chapter 41, *What a model costs*, derives the defaults and cites their sources.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

__all__ = [
    "CORE_WATTS",
    "DEFAULT_PUE",
    "GRID_G_PER_KWH",
    "WORLD_GRID",
    "EnergyEstimate",
    "Range",
    "estimate_energy",
]


def _finite(value: float, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be finite, got {value!r}")
    return float(value)


@dataclass(frozen=True)
class Range:
    """low <= mid <= high: a positive quantity and how far off it may be.

    Args:
        low: The least value that you hold possible; at least 0.
        mid: The best single guess.
        high: The greatest value that you hold possible.

    Raises:
        ValueError: If a value is negative, not finite, or out of order.
        TypeError: If a value is not a number.

    Examples:
        >>> Range(1, 2, 4) + Range(1, 1, 1)
        Range(low=2.0, mid=3.0, high=5.0)
        >>> Range(1, 2, 4) * 10
        Range(low=10.0, mid=20.0, high=40.0)
    """

    low: float
    mid: float
    high: float

    def __post_init__(self) -> None:
        """Check the order."""
        for name in ("low", "mid", "high"):
            object.__setattr__(self, name, _finite(getattr(self, name), name))
        if not 0 <= self.low <= self.mid <= self.high:
            raise ValueError(f"expected 0 <= low <= mid <= high, got {self.as_tuple()}")

    @classmethod
    def of(cls, value: Quantity, name: str = "value") -> Range:
        """Range(value): a number counts as known exactly, three numbers as low, mid, high.

        Args:
            value: A number, a (low, mid, high) sequence, or a `Range`.
            name: What to call it in an error.

        Returns:
            The range.

        Raises:
            ValueError: If the numbers are negative, not finite or out of order.
            TypeError: If it is neither a number nor three of them.

        Examples:
            >>> Range.of(5)
            Range(low=5.0, mid=5.0, high=5.0)
        """
        if isinstance(value, Range):
            return value
        triple = (value,) * 3 if isinstance(value, int | float) else value
        if not isinstance(triple, tuple | list) or len(triple) != 3:
            raise TypeError(f"{name}: expected a number or (low, mid, high), got {value!r}")
        try:
            return cls(*triple)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from None

    @classmethod
    def product(cls, *ranges: Range, combine: Combine = "bounds") -> Range:
        """prod(r): multiply uncertain factors.

        With "bounds" all factors are at their low (high) end together: the result holds whatever
        the factors do. With "independent" the logarithmic distances from the middle add in
        quadrature on each side: if each range is a central interval of the same coverage of
        independent log-normal factors, then so is the result.

        Args:
            ranges: The factors. "independent" needs every low end above 0.
            combine: "bounds" or "independent".

        Returns:
            The product.

        Raises:
            ValueError: If `combine` is unknown, or a zero stands where a logarithm is needed.

        Examples:
            >>> factor_two = Range(1, 2, 4)
            >>> Range.product(factor_two, factor_two)
            Range(low=1.0, mid=4.0, high=16.0)
            >>> wide = Range.product(factor_two, factor_two, combine="independent")
            >>> print(f"{wide.low:.2f} {wide.mid:.2f} {wide.high:.2f}")
            1.50 4.00 10.66
        """
        mid = math.prod(r.mid for r in ranges)
        if combine == "bounds":
            return cls(math.prod(r.low for r in ranges), mid, math.prod(r.high for r in ranges))
        if combine != "independent":
            raise ValueError(f"combine: expected 'bounds' or 'independent', got {combine!r}")
        if any(r.low == 0 for r in ranges):
            raise ValueError("combine='independent' needs every range above 0; use 'bounds'")
        down = math.sqrt(sum(math.log(r.mid / r.low) ** 2 for r in ranges))
        up = math.sqrt(sum(math.log(r.high / r.mid) ** 2 for r in ranges))
        return cls(mid * math.exp(-down), mid, mid * math.exp(up))

    def __add__(self, other: Range) -> Range:
        """Add end to end, as for two runs that share their assumptions."""
        if not isinstance(other, Range):
            return NotImplemented
        return Range(self.low + other.low, self.mid + other.mid, self.high + other.high)

    def __mul__(self, factor: float) -> Range:
        """Multiply by a number that is known exactly."""
        if isinstance(factor, bool) or not isinstance(factor, int | float):
            return NotImplemented
        return Range(self.low * factor, self.mid * factor, self.high * factor)

    __rmul__ = __mul__

    def __truediv__(self, other: Range) -> Range:
        """Divide: the least over the greatest, mid over mid, the greatest over the least."""
        if not isinstance(other, Range):
            return NotImplemented
        if other.low == 0:
            raise ValueError("cannot divide by a range that reaches 0")
        return Range(self.low / other.high, self.mid / other.mid, self.high / other.low)

    def __str__(self) -> str:
        """`mid (low to high)`: three significant digits, whole numbers from 1,000 on."""
        low, mid, high = (f"{v:,.0f}" if v >= 999.5 else f"{v:.3g}" for v in self.as_tuple())
        return f"{mid} ({low} to {high})"

    def as_tuple(self) -> tuple[float, float, float]:
        """(low, mid, high)."""
        return self.low, self.mid, self.high


Quantity: TypeAlias = float | tuple[float, float, float] | list[float] | Range
Combine: TypeAlias = Literal["bounds", "independent"]

CORE_WATTS = Range(4, 8, 16)
"""Watts of one busy processor core with its share of memory, board and power supply."""

DEFAULT_PUE = Range(1.0, 1.2, 1.6)
"""Facility energy over computer energy: a desk has 1, an average data centre about 1.6."""

GRID_G_PER_KWH: Mapping[str, float] = MappingProxyType(
    {"wind": 11, "nuclear": 12, "hydro": 24, "solar": 48, "gas": 490, "coal": 820}
)
"""Median life-cycle gCO2e/kWh of each source (IPCC 2014, Annex III, table A.III.2).

Wind is on land, solar are photovoltaic plants of a utility.
"""

WORLD_GRID = Range(24, 445, 820)
"""gCO2e/kWh of a grid that we don't know: hydro, the world's average of 2024, coal.

The average is the IEA's (Electricity 2025): CO2 of generation, not of the life cycle.
"""


@dataclass(frozen=True)
class EnergyEstimate:
    """What a run cost, with everything that was assumed to say so.

    Attributes:
        seconds: Duration in seconds.
        power_watts: Power of the computer in watts while it ran.
        pue: Power usage effectiveness, facility energy over computer energy (no unit).
        grid_g_per_kwh: Emissions of the electricity in gCO2e/kWh.
        energy_kwh: Electricity drawn in kWh, the facility's overhead included.
        carbon_g: Emissions in gCO2e of that electricity. Hardware is not included.
        combine: How the ranges were multiplied, see `Range.product`.
    """

    seconds: Range
    power_watts: Range
    pue: Range
    grid_g_per_kwh: Range
    energy_kwh: Range
    carbon_g: Range
    combine: Combine = "bounds"

    def __str__(self) -> str:
        """Energy and carbon, each as `mid (low to high)`."""
        return f"{self.energy_kwh} kWh, {self.carbon_g} gCO2e"

    def as_dict(self) -> dict[str, list[float] | str]:
        """All fields as JSON-ready values: each range becomes [low, mid, high].

        Examples:
            >>> estimate_energy(3600, power_watts=1000, pue=1).as_dict()["energy_kwh"]
            [1.0, 1.0, 1.0]
        """
        ranges = {k: list(v.as_tuple()) for k, v in vars(self).items() if isinstance(v, Range)}
        return {**ranges, "combine": self.combine}


def estimate_energy(
    seconds: Quantity,
    *,
    power_watts: Quantity | None = None,
    cores: float = 1.0,
    pue: Quantity = DEFAULT_PUE,
    grid_g_per_kwh: Quantity = WORLD_GRID,
    combine: Combine = "bounds",
) -> EnergyEstimate:
    """Energy = s/3600 * W/1000 * PUE; carbon = energy * g/kWh, each with low, mid, high.

    Args:
        seconds: How long the run took (wall clock). With `cores=1` and no `power_watts`, the
            CPU time summed over cores does as well.
        power_watts: Power of the whole computer in watts. Default: `cores * CORE_WATTS`.
        cores: Busy cores, counted when `power_watts` isn't given.
        pue: Facility energy over computer energy, at least 1.
        grid_g_per_kwh: gCO2e per kWh of the electricity used; see `GRID_G_PER_KWH`.
        combine: "bounds" (all factors low, or all high, together) or "independent".

    Returns:
        The estimate. Each `Quantity` is a number (known exactly), (low, mid, high), or a `Range`.

    Raises:
        ValueError: If a value is negative, not finite, out of order, or a PUE below 1.
        TypeError: If a value is neither a number nor three of them.

    Source:
        The formula is that of Strubell et al. 2019 (section 2) and Lannelongue et al. 2021.

    Examples:
        One hour on 400 W in an ordinary data centre, on a low-carbon grid of 50 g/kWh:

        >>> print(estimate_energy(3600, power_watts=(300, 400, 500), pue=1.5, grid_g_per_kwh=50))
        0.6 (0.45 to 0.75) kWh, 30 (22.5 to 37.5) gCO2e
    """
    duration = Range.of(seconds, "seconds")
    if power_watts is None:
        power = CORE_WATTS * Range.of(cores, "cores").mid
    else:
        power = Range.of(power_watts, "power_watts")
    overhead = Range.of(pue, "pue")
    if overhead.low < 1:
        raise ValueError(f"pue: facility over computer energy is at least 1, got {pue!r}")
    grid = Range.of(grid_g_per_kwh, "grid_g_per_kwh")
    # 3.6e6 J are a kWh; scaling before the product keeps the exact factor out of the uncertainty.
    energy = Range.product(duration * (1 / 3.6e6), power, overhead, combine=combine)
    factors = (duration * (1 / 3.6e6), power, overhead, grid)
    carbon = Range.product(*factors, combine=combine)
    return EnergyEstimate(duration, power, overhead, grid, energy, carbon, combine)
