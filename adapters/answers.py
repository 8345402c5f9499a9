"""What was counted, as the messages that the server expects."""

from collections import Counter as Tally
from collections.abc import Iterable
from itertools import groupby
from math import nan
from typing import NamedTuple

import numpy as np

from adapters.counter import Counted
from protocol.messages import Responses


class ClockFacts(NamedTuple):
    """How well the clocks are matched, for the record."""

    residual_s: float
    age_s: float
    """Since an onset was found last."""


NO_CLOCK = ClockFacts(nan, nan)


def to_responses(counted: Iterable[Counted], n_channels: int, ticks_per_s: float, clock: ClockFacts) -> list[Responses]:
    """Return one message for each way in which onsets were found."""
    by_source = sorted(counted, key=lambda each: each.onset_source)
    return [
        _message(source, list(group), n_channels, ticks_per_s, clock)
        for source, group in groupby(by_source, key=lambda each: each.onset_source)
    ]


def _message(source: str, rows: list[Counted], n_channels: int, ticks_per_s: float, clock: ClockFacts) -> Responses:
    none = np.zeros(n_channels, np.int32)
    n_spikes = [len(each.ticks) for each in rows]
    return Responses(
        np.array([each.presentation_id for each in rows], np.int64),
        np.array([not each.reason for each in rows], np.bool_),
        np.stack([none if each.spike_counts is None else each.spike_counts for each in rows]),
        np.stack([none if each.baseline_counts is None else each.baseline_counts for each in rows]),
        source,
        (np.concatenate([each.ticks for each in rows]) / ticks_per_s).astype(np.float32),
        np.repeat(np.arange(len(rows), dtype=np.int32), n_spikes),
        np.concatenate([each.columns for each in rows]),
        _why(rows),
        clock.residual_s,
        clock.age_s,
    )


def _why(rows: list[Counted]) -> str:
    """Return in words how many were not measured, and why."""
    reasons = Tally(each.reason for each in rows if each.reason)
    return "; ".join(f"{n} {reason}" for reason, n in reasons.items())
