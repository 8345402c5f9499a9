"""The evolutions of a session under way, and how presentations are drawn from them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from protocol.arrays import Ids
from protocol.ids import presentation_key
from protocol.messages import StimulusBatch
from server.changes import Change, Changed, no_such_channel
from server.evolution import Proposal
from server.ledger import Ledger

MOST_AT_ONCE_BYTES = 1 << 26
"""64 MiB of pixels in one message: a peer hangs up on four times that, and its heart must beat in between."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the session must know of an evolution to run it."""

    number: int
    name: str
    channels: tuple[str, ...] = ()
    """Channels it scores; none = all that there are."""
    n_generations: int = 0
    """0 = until stopped."""
    max_attempts: int = 10
    share: float = 1.0
    """Its part of the presentations, relative to the other evolutions'."""


@dataclass(slots=True)
class Run:
    """One evolution under way."""

    plan: Plan
    proposal: Proposal | None = None
    ledger: Ledger | None = None
    """None while the worker computes."""
    batches: list[StimulusBatch] = field(default_factory=list)
    """The images of this generation, kept for peers that join later."""
    taken: int = 0
    """Presentations drawn so far."""
    last_generation: int = 0
    """The last one proposed; generations count from 1."""
    finished: bool = False
    changes: list[Change] = field(default_factory=list)
    """To be made before the next generation is proposed."""

    def take_changes(self) -> tuple[Change, ...]:
        """Return them, and forget them."""
        taken, self.changes = tuple(self.changes), []
        return taken

    def refuse_changes(self, offered: Collection[str]) -> list[Changed]:
        """Forget those that name channels which there are not, as is known now; return what became of them."""
        whys = [(change, no_such_channel(change.channels, offered)) for change in self.changes]
        self.changes = [change for change, why in whys if not why]
        return [Changed(change.control_id, 0, 0, refused=why) for change, why in whys if why]

    def open(self, proposal: Proposal, reference_ids: Ids) -> None:
        """Begin a generation: its showings are owed as soon as their images exist."""
        self.proposal, self.batches, self.last_generation = proposal, [], proposal.generation
        self.ledger = Ledger(self.plan.number, proposal.generation, proposal.slots, self.plan.max_attempts)
        self.ledger.make_ready(reference_ids.tolist())

    def add(self, batch: StimulusBatch) -> None:
        """Take note that these images exist."""
        self.batches.append(batch)
        if self.ledger is not None:
            self.ledger.make_ready(batch.stimulus_ids.tolist())

    @property
    def rendered(self) -> frozenset[int]:
        """The stimulus ids whose images exist."""
        return frozenset(int(s) for batch in self.batches for s in batch.stimulus_ids)

    @property
    def next_generation(self) -> int | None:
        """The generation after the last one, or None if that was the last to be."""
        following = self.last_generation + 1
        return None if self.plan.n_generations and following > self.plan.n_generations else following


class Runs:
    """All evolutions of a session."""

    def __init__(self, plans: Sequence[Plan]) -> None:
        self._runs = {plan.number: Run(plan) for plan in plans}

    def __iter__(self) -> Iterator[Run]:
        """Iterate over the runs in the order of their numbers."""
        return iter(self._runs.values())

    def __getitem__(self, number: int) -> Run:
        """Return the run of an evolution by its number."""
        return self._runs[number]

    def ledger(self, presentation: int) -> Ledger:
        """Return the books that a presentation on its way belongs to; KeyError if they are closed."""
        key = presentation_key(presentation)
        ledger = self._runs[key.evolution].ledger
        if ledger is None or ledger.generation != key.generation:
            raise KeyError(f"presentation {presentation} belongs to a generation that is closed")
        return ledger

    def draw(self, n: int, hurry: bool, n_ahead: int = 2) -> tuple[Ids, Ids] | None:
        """Return (presentation ids, stimulus ids) of up to n showings, shared out among the evolutions.

        None when nothing can be shown, and, unless there is a hurry, when more images are about to come and
        waiting for them makes a whole trial. `n_ahead` trials are at the display, the one that is on included.
        """
        ledgers = [run.ledger for run in self if run.ledger is not None]
        available = sum(ledger.available for ledger in ledgers)
        more_to_come = any(ledger.waits_for_images for ledger in ledgers)
        if not available or (available < n and more_to_come and not hurry):
            return None
        drawn = np.array([self._take(n_ahead * n) for _ in range(min(available, n))], np.int64)
        return drawn[:, 0].copy(), drawn[:, 1].copy()

    def _take(self, reserve: int) -> tuple[int, int]:
        """Take one showing from the evolution that is furthest behind its share.

        Of those that have no more than a reserve left, only the one nearest its end is drawn from: the others' is what
        is shown while that one is computed. Else they would end in the same trial, and there would be nothing to show.
        """
        open_runs = [(run, run.ledger) for run in self if run.ledger is not None and run.ledger.available]
        ending = sorted((ledger.owed, run.plan.number) for run, ledger in open_runs if ledger.is_ending(reserve))
        kept = {number for _, number in ending[1:]}
        drawn_from = [pair for pair in open_runs if pair[0].plan.number not in kept]
        run, ledger = min(drawn_from, key=lambda pair: (pair[0].taken / pair[0].plan.share, pair[0].plan.number))
        run.taken += 1
        return ledger.take()


def in_parts(batch: StimulusBatch) -> Iterator[StimulusBatch]:
    """Yield images in messages that a peer takes, one at least in each."""
    n = max(1, MOST_AT_ONCE_BYTES // max(1, batch.images[:1].nbytes))
    for start in range(0, len(batch.stimulus_ids), n):
        yield StimulusBatch(batch.stimulus_ids[start : start + n], batch.images[start : start + n])
