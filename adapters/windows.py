"""Half-open windows after an onset, in whole ticks: a spike counts if start <= t - onset < end, exactly."""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil

MICROSECONDS = 1_000_000
"""Settings are taken to the microsecond, so that 0.07 s means 70 ms and not the nearest double."""


@dataclass(frozen=True, slots=True)
class Window:
    """Ticks relative to an onset, `end` not included."""

    start: int
    end: int

    @classmethod
    def of(cls, window_s: tuple[float, float], ticks_per_s: Fraction) -> "Window":
        """Return the ticks t with start_s <= t / ticks_per_s < end_s."""
        start_s, end_s = window_s
        return cls(to_ticks(start_s, ticks_per_s), to_ticks(end_s, ticks_per_s))


def to_ticks(time_s: float, ticks_per_s: Fraction) -> int:
    """Return the first tick that is not before this time."""
    return ceil(Fraction(round(time_s * MICROSECONDS), MICROSECONDS) * ticks_per_s)
