"""Signs in an evolution's scores that something is wrong: pure functions of what was measured, each with a way back.

In vivo (165 runs) the images of a generation scatter by some 25 % of their mean, and reference images lose 10 % of
their response over a whole run, 20 % in every fourth: what is flagged here is far outside. Each sign comes on at one
value and goes off at a milder one, by medians over three generations, so that it does not flicker.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import Scores
from protocol.ids import stimulus_key
from server.actions import Alarm
from server.evolution import Outcome
from server.ledger import Measurements

RECENT = 3
"""Generations whose median counts, at the beginning and now."""
FEWEST = 2 * RECENT
"""Generations before the two can be compared."""
FEWEST_CHANNELS = 3
"""Of two channels one often carries more than the other."""
DOMINANT, SHARED = 0.8, 0.6
"""Part of what differs between images that one channel carries; with even shares it is one over their number."""
COLLAPSED, RECOVERED = 0.5, 0.65
"""Part of their first response that reference images still draw: five times the usual loss."""
SURE = 3.0
"""Standard errors that a collapse must be beyond: scores less a baseline may be near 0 from the start."""
VANISHED, SPREAD = 0.2, 0.35
"""Part of their first scatter that images' scores still have; Poisson noise alone leaves more."""


def shares(measurements: Measurements, channels: Sequence[str]) -> NDArray[np.float64]:
    """Return [n_channels] the part of what differs between the evolved images' summed responses that each carries.

    It is the covariance of a channel with the sum over the variance of the sum: the parts add up to 1. NaN where
    nothing differs. `channels` are those scored; none = all.
    """
    chosen = [measurements.channels.index(name) for name in channels or measurements.channels]
    evolved = np.array([stimulus_key(s).evolution != 0 for s in measurements.stimulus_ids.tolist()], np.bool_)
    ids, counts = measurements.stimulus_ids[evolved], measurements.spike_counts[evolved][:, chosen]
    images, place = np.unique(ids, return_inverse=True)
    means = np.zeros((len(images), len(chosen)))
    np.add.at(means, place, counts)
    means /= np.bincount(place, minlength=len(images))[:, None] if len(images) else 1.0
    means -= means.mean(axis=0) if len(images) else 0.0
    total = means.sum(axis=1)
    variance = float(total @ total)
    return np.asarray(means.T @ total / variance) if variance > 0 else np.full(len(chosen), np.nan)


def dominates(recent: Sequence[NDArray[np.float64]], is_on: bool) -> int | None:
    """Return the channel that carries most of what differs between images, by the shares of recent generations."""
    if len(recent) < RECENT or len(recent[-1]) < FEWEST_CHANNELS:
        return None
    median = np.median(np.stack(recent), axis=0)
    if np.isnan(median).any():
        return None
    most = int(median.argmax())
    return most if median[most] > (SHARED if is_on else DOMINANT) else None


def collapsed(references: Sequence[Scores], is_on: bool) -> bool:
    """Return whether the reference images draw far less than they did; [n_generations] of [n_references] scores."""
    if len(references) < FEWEST or not len(references[-1]):
        return False
    table = np.stack(references)
    course = _means(table)
    known = course[~np.isnan(course)]
    if len(known) < FEWEST:
        return False
    first, now = float(np.median(known[:RECENT])), float(np.median(known[-RECENT:]))
    images = _means(table.T)
    misses = table - course[:, None] - images + np.nanmean(images)
    error = float(np.nanstd(misses)) / np.sqrt(table.shape[1])
    return first > 0 and first - now > SURE * error and now < (RECOVERED if is_on else COLLAPSED) * first


def vanished(evolved: Sequence[Scores], is_on: bool) -> bool:
    """Return whether the scores of a generation hardly differ any more; [n_generations] of [n_images] scores."""
    scatter = [float(each[~np.isnan(each)].std()) for each in evolved if np.count_nonzero(~np.isnan(each)) > 1]
    if len(scatter) < RECENT:
        return False
    first, now = float(np.median(scatter[:RECENT])), float(np.median(scatter[-RECENT:]))
    if now == 0 or len(scatter) < FEWEST:
        return now == 0
    return now < (SPREAD if is_on else VANISHED) * first


def _means(table: NDArray[np.float64]) -> Scores:
    """Return the mean of each row; NaN where nothing was measured."""
    n = (~np.isnan(table)).sum(axis=1)
    return np.where(n > 0, np.nansum(table, axis=1) / np.maximum(n, 1), np.nan)


@dataclass(slots=True)
class _Course:
    """One evolution so far."""

    evolved: list[Scores] = field(default_factory=list)
    references: list[Scores] = field(default_factory=list)
    channels: tuple[str, ...] = ()
    shares: deque[NDArray[np.float64]] = field(default_factory=lambda: deque(maxlen=RECENT))
    on: frozenset[str] = frozenset()


class ScoreSigns:
    """Looks at every generation of every evolution; fed the outcomes on record again, it stands where it stood."""

    def __init__(self, names: Mapping[int, str]) -> None:
        self._names = dict(names)
        self._courses = {number: _Course() for number in names}

    def measured(self, evolution: int, measurements: Measurements, channels: Sequence[str]) -> None:
        """Take what a generation drew, before it is scored; other channels than before begin afresh."""
        course, scored = self._courses[evolution], tuple(channels or measurements.channels)
        if course.channels and scored != course.channels:
            course = self._courses[evolution] = _Course()
        course.channels = scored
        course.shares.append(shares(measurements, scored))

    def remember(self, outcome: Outcome) -> None:
        """Take a generation's scores."""
        course = self._courses[outcome.evolution]
        course.evolved.append(outcome.scores)
        course.references.append(outcome.reference_scores)

    def absorb(self, outcome: Outcome) -> list[Alarm]:
        """Take a generation's scores, and return all that is amiss with this evolution now."""
        self.remember(outcome)
        course, number = self._courses[outcome.evolution], outcome.evolution
        found = {
            key: Alarm(f"evolution {number}", key, f"{self._names[number]}: {what}", consequence, do)
            for key, what, consequence, do in _signs(course)
        }
        course.on = frozenset(found)
        return list(found.values())


def _signs(course: _Course) -> list[tuple[str, str, str, str]]:
    """Return key, what, consequence and remedy of each sign that is on."""
    found = []
    channel = dominates(course.shares, "channel_dominates" in course.on)
    if channel is not None:
        found.append((
            "channel_dominates",
            f"channel {course.channels[channel]} carries most of what differs between the images",
            "the search follows this channel and hardly hears the others",
            "look at its rate: noise, or another unit? else score it alone, or without it (Change)",
        ))  # fmt: skip
    if collapsed(course.references, "references_collapsed" in course.on):
        found.append((
            "references_collapsed",
            "the reference images draw less than half of what they drew at first",
            "the recording or the subject has changed; scores of before and after cannot be compared",
            "look at the spikes of the channels, at the eye and at the subject; note what you find",
        ))  # fmt: skip
    if vanished(course.evolved, "scores_alike" in course.on):
        found.append((
            "scores_alike",
            "the images of a generation hardly differ in their scores any more",
            "the search has nothing to choose by",
            "look whether the channels are silent or saturated; if all is well, the search has converged: stop",
        ))  # fmt: skip
    return found
