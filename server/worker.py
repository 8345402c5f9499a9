"""One thread for the heavy work: scoring, optimizers and generators, away from the loop that talks."""

import queue
import threading
from collections.abc import Callable

from protocol.messages import StimulusBatch
from server.actions import Advance, Advanced, Render, Rendered
from server.changes import Change, Changed
from server.evolution import Evolution, Proposal
from server.pictures import to_png
from server.snapshots import pack


class WorkerError(RuntimeError):
    """A generator, optimizer or scorer failed; what had been recorded is safe."""


class Worker:
    """Carries out Advance and Render one after the other, and announces each result as soon as it is there.

    `announce` is called in the worker's thread, with an event or with the WorkerError that ended it.
    """

    def __init__(
        self,
        evolutions: dict[int, Evolution],
        announce: Callable[[Advanced | Rendered | WorkerError], None],
        first_images: int,
        more_images: int = 16,
    ) -> None:
        """Start the thread; the first `first_images` of a generation are announced apart: they are waited for."""
        self._evolutions = evolutions
        self._announce = announce
        self._first_images = first_images
        self._more_images = more_images
        self._jobs: queue.SimpleQueue[Advance | Render | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="worker", daemon=True)
        self._thread.start()

    def submit(self, job: Advance | Render) -> None:
        """Put a job in the queue."""
        self._jobs.put(job)

    @property
    def n_waiting(self) -> int:
        """How many jobs it has not begun."""
        return self._jobs.qsize()

    def close(self, timeout_s: float) -> None:
        """Stop after the job at hand, waiting at most this long for it."""
        self._jobs.put(None)
        self._thread.join(timeout_s)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                self._carry_out(job)
            except Exception as error:  # whatever a lab's own part raises must reach the person at the rig
                failure = WorkerError(f"{type(error).__name__}: {error}")
                failure.__cause__ = error
                self._announce(failure)
                return

    def _carry_out(self, job: Advance | Render) -> None:
        if isinstance(job, Render):
            self._render(job.proposal, job.done)
            return
        evolution = self._evolutions[job.evolution]
        outcome = None
        if job.proposal is not None and job.measurements is not None:
            outcome = evolution.absorb(job.proposal, job.measurements)
        changed = tuple(make_change(evolution, change, job.next_generation or 0) for change in job.changes)
        proposal = None if job.next_generation is None else evolution.propose(job.next_generation)
        snapshot = pack(evolution.optimizer.snapshot())
        self._announce(Advanced(job.evolution, outcome, proposal, snapshot, changed=changed))
        if proposal is not None:
            self._render(proposal, frozenset())

    def _render(self, proposal: Proposal, done: frozenset[int]) -> None:
        evolution = self._evolutions[proposal.evolution]
        for batch in evolution.render(proposal, done, self._first_images, self._more_images):
            self._announce(_with_pngs(proposal, batch))


def make_change(evolution: Evolution, change: Change, generation: int) -> Changed:
    """Make a change, and return what became of it: a slip of the hand must not end the session."""
    try:
        evolution.change(change.parameters, change.channels)
    except (ValueError, TypeError) as error:
        return Changed(change.control_id, change.evolution, 0, refused=str(error))
    return Changed(change.control_id, change.evolution, generation, change.channels)


def _with_pngs(proposal: Proposal, batch: StimulusBatch) -> Rendered:
    pngs = tuple(to_png(image) for image in batch.images)
    return Rendered(proposal.evolution, proposal.generation, batch, pngs)
