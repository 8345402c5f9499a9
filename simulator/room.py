"""Room for spikes in a recording that tells two of a channel apart only at some distance, in ticks."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True, order=True)
class Wish:
    """Where a spike would be, and the first and the last tick at which it still counts in the same windows."""

    tick: int
    first: float = -inf
    last: float = inf


def find_room(wishes: Sequence[Wish], taken: Sequence[int], apart: int) -> list[int]:
    """Return ticks for the spikes of a channel, all so far apart and from those that are taken, in order.

    `wishes` are in order of time, `taken` is sorted. A spike stays where it is wished, or comes later, or earlier only
    where it would else come too late to count in the same windows. One that has no room among its neighbours is left
    out; where nothing is taken, as many find room as there is room for.
    """
    forward: list[int] = []
    before = -inf
    for wish in wishes:
        forward.append(_next_free(taken, max(wish.tick, before + apart), apart))
        before = min(forward[-1], wish.last)
    ticks: list[int] = []
    later = inf
    for wish, tick in zip(reversed(wishes), reversed(forward), strict=True):
        free = _last_free(taken, min(tick, wish.last, later - apart), apart)
        if free >= wish.first:
            ticks.append(free)
            later = free
    return ticks[::-1]


def _next_free(taken: Sequence[int], tick: float, apart: int) -> int:
    """Return the first tick from this one on that no taken one is near."""
    for each in taken[bisect_right(taken, tick - apart) :]:
        if each >= tick + apart:
            break
        tick = each + apart
    return int(tick)


def _last_free(taken: Sequence[int], tick: float, apart: int) -> int:
    """Return the last tick up to this one that no taken one is near."""
    for each in reversed(taken[: bisect_left(taken, tick + apart)]):
        if each <= tick - apart:
            break
        tick = each - apart
    return int(tick)
