"""The accounting of one generation: what is owed, on its way and measured; nothing twice, nothing lost.

A slot is one showing that the schedule asks for. It is *owed* until a presentation of it is sent, and settled
once one is measured or the attempts are spent. A void puts it back into debt, with a fresh attempt and so a fresh
presentation id; whatever still arrives under the old id changes nothing.

    OWED --take--> SENT --shown--> SHOWN --measured--> MEASURED
      ^              |               |
      +----void------+----void-------+     (GIVEN_UP instead of OWED when the attempts are spent)
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import Ids
from protocol.ids import MAX_ATTEMPTS, presentation_id, presentation_key
from protocol.messages import Void

LAST_PART = 1 / 3
"""Of a generation: more is never kept back to be shown while another evolution is computed, so that shares hold."""
BLAMELESS = frozenset({Void.NOT_SHOWN, Void.IMAGE_MISSING, Void.DISPLAY_LOST})
"""Voids that do not spend one of the slot's attempts: the animal never had its chance."""


class SlotState(Enum):
    """Where a slot stands."""

    OWED = auto()
    SENT = auto()
    SHOWN = auto()
    MEASURED = auto()
    GIVEN_UP = auto()


SETTLED = frozenset({SlotState.MEASURED, SlotState.GIVEN_UP})


@dataclass(slots=True)
class Slot:
    """One showing that the schedule asks for."""

    stimulus_id: int
    state: SlotState = SlotState.OWED
    attempt: int = 0
    """Number of the next attempt while owed, else of the current one."""
    spent: int = 0
    """Attempts that count against the budget."""
    spike_counts: NDArray[np.int32] | None = None
    baseline_counts: NDArray[np.int32] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Measurements:
    """All that was measured in a generation, a row a showing."""

    channels: tuple[str, ...]
    """[n_channels] names of the columns below."""
    stimulus_ids: Ids
    """[n_measured]"""
    spike_counts: NDArray[np.int32]
    """[n_measured, n_channels] spikes in the response window."""
    baseline_counts: NDArray[np.int32]
    """[n_measured, n_channels] spikes in the baseline window."""


class Ledger:
    """One generation of one evolution."""

    def __init__(self, evolution: int, generation: int, stimulus_ids: Ids, max_attempts: int) -> None:
        """Open the books for these slots: [n_slots] stimulus ids in the order of showing."""
        self.evolution = evolution
        self.generation = generation
        self.slots = [Slot(int(stimulus)) for stimulus in stimulus_ids]
        self._max_attempts = max_attempts
        self._owed = deque(range(len(self.slots)))
        self._ready: set[int] = set()

    @property
    def debt(self) -> int:
        """How many slots are neither measured nor given up."""
        return sum(slot.state not in SETTLED for slot in self.slots)

    @property
    def owed(self) -> int:
        """How many slots are neither sent nor settled."""
        return len(self._owed)

    def is_ending(self, reserve: int) -> bool:
        """Whether no more than so many slots are owed, and no more than LAST_PART of the generation."""
        return self.owed <= min(reserve, LAST_PART * len(self.slots))

    @property
    def settled(self) -> bool:
        """Whether nothing more is to come."""
        return self.debt == 0

    @property
    def available(self) -> int:
        """How many owed slots can be shown now: in their order, up to the first whose image does not exist yet.

        Nothing overtakes: reference images are always there, and would else be shown first in every generation.
        """
        ready = takewhile(lambda number: self.slots[number].stimulus_id in self._ready, self._owed)
        return sum(1 for _ in ready)

    @property
    def waits_for_images(self) -> bool:
        """Whether some slot is owed whose image does not exist yet."""
        return self.available < len(self._owed)

    def make_ready(self, stimulus_ids: Iterable[int]) -> None:
        """Take note that these images exist and can be shown."""
        self._ready.update(stimulus_ids)

    def take(self) -> tuple[int, int]:
        """Return (presentation id, stimulus id) of the next showing; IndexError when none is available."""
        if not self.available:
            raise IndexError("nothing is owed whose image is ready")
        number = self._owed.popleft()
        slot = self.slots[number]
        slot.state = SlotState.SENT
        return presentation_id(self.evolution, self.generation, number, slot.attempt), slot.stimulus_id

    def retake(self, presentation: int) -> None:
        """Mark a presentation as sent, as `take` did when it was recorded: how a resumed session catches up."""
        key = presentation_key(presentation)
        self._owed.remove(key.slot)
        self.slots[key.slot].state = SlotState.SENT
        self.slots[key.slot].attempt = key.attempt

    def shown(self, presentation: int) -> bool:
        """Take note that a sent presentation was shown well; return False if that is no news."""
        slot = self._current(presentation, SlotState.SENT)
        if slot is None:
            return False
        slot.state = SlotState.SHOWN
        return True

    def measured(self, presentation: int, spikes: NDArray[np.int32], baseline: NDArray[np.int32]) -> bool:
        """Keep [n_channels] counts for a shown presentation; return False if that is no news."""
        slot = self._current(presentation, SlotState.SHOWN)
        if slot is None:
            return False
        slot.state, slot.spike_counts, slot.baseline_counts = SlotState.MEASURED, spikes, baseline
        return True

    def void(self, presentation: int, cause: str) -> bool:
        """Put a presentation that does not count back into debt; return False if that is no news."""
        slot = self._current(presentation, SlotState.SENT) or self._current(presentation, SlotState.SHOWN)
        if slot is None:
            return False
        slot.attempt += 1
        slot.spent += cause not in BLAMELESS
        if slot.spent >= self._max_attempts or slot.attempt >= MAX_ATTEMPTS:
            slot.state = SlotState.GIVEN_UP
        else:
            slot.state = SlotState.OWED
            self._owed.append(presentation_key(presentation).slot)
        return True

    def measurements(self, channels: tuple[str, ...]) -> Measurements:
        """Return what was measured so far on these channels, in the order of the schedule."""
        done = [slot for slot in self.slots if slot.spike_counts is not None]
        nothing = np.zeros((0, len(channels)), np.int32)
        return Measurements(
            channels,
            np.array([slot.stimulus_id for slot in done], np.int64),
            np.array([slot.spike_counts for slot in done], np.int32) if done else nothing,
            np.array([slot.baseline_counts for slot in done], np.int32) if done else nothing,
        )

    def _current(self, presentation: int, state: SlotState) -> Slot | None:
        """Return the slot of a presentation if that is its current attempt and it stands there."""
        key = presentation_key(presentation)
        if (key.evolution, key.generation) != (self.evolution, self.generation) or key.slot >= len(self.slots):
            return None
        slot = self.slots[key.slot]
        return slot if slot.attempt == key.attempt and slot.state is state else None
