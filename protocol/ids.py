"""Ids that say what they name: digits of a decimal number, the same in every run with the same seed.

A stimulus is `E GGGGG IIII`: evolution (from 1; 0 = reference images), generation (from 1), place in it (from 0).
A presentation is `E GGGGG SSSSS AA`: evolution, generation, slot, attempt. A *slot* is one showing that
the schedule asks for; each time it has to be shown again it gets a fresh attempt, so that every showing has
an id of its own, and two runs that lost different showings still agree on which slot a measurement fills.
All ids are exact in a float64, which is what MATLAB reads them as.
"""

from typing import NamedTuple

MAX_EVOLUTIONS = 99
MAX_GENERATIONS = 100_000
MAX_IMAGES = 10_000
MAX_SLOTS = 100_000
MAX_ATTEMPTS = 100


class PresentationKey(NamedTuple):
    """What a presentation id says."""

    evolution: int
    generation: int
    slot: int
    attempt: int


class StimulusKey(NamedTuple):
    """What a stimulus id says; evolution 0 is the reference images."""

    evolution: int
    generation: int
    place: int


def stimulus_id(evolution: int, generation: int, place: int) -> int:
    """Return the id of an image of a generation; raise ValueError past the limits above."""
    _within(evolution=(evolution, MAX_EVOLUTIONS), generation=(generation, MAX_GENERATIONS), place=(place, MAX_IMAGES))
    return (evolution * MAX_GENERATIONS + generation) * MAX_IMAGES + place


def presentation_id(evolution: int, generation: int, slot: int, attempt: int) -> int:
    """Return the id of one showing; raise ValueError past the limits above."""
    _within(evolution=(evolution, MAX_EVOLUTIONS), generation=(generation, MAX_GENERATIONS))
    _within(slot=(slot, MAX_SLOTS), attempt=(attempt, MAX_ATTEMPTS))
    return ((evolution * MAX_GENERATIONS + generation) * MAX_SLOTS + slot) * MAX_ATTEMPTS + attempt


def stimulus_key(stimulus: int) -> StimulusKey:
    """Return what a stimulus id says."""
    rest, place = divmod(stimulus, MAX_IMAGES)
    evolution, generation = divmod(rest, MAX_GENERATIONS)
    return StimulusKey(evolution, generation, place)


def presentation_key(presentation: int) -> PresentationKey:
    """Return what a presentation id says."""
    rest, attempt = divmod(presentation, MAX_ATTEMPTS)
    rest, slot = divmod(rest, MAX_SLOTS)
    evolution, generation = divmod(rest, MAX_GENERATIONS)
    return PresentationKey(evolution, generation, slot, attempt)


def _within(**values: tuple[int, int]) -> None:
    for name, (value, limit) in values.items():
        if not 0 <= value < limit:
            raise ValueError(f"{name} {value} is outside 0 to {limit - 1}")
