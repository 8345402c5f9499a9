"""One thread for the heavy work: scoring, optimizers and generators, away from the loop that talks."""

import logging
import queue
import threading
from collections.abc import Callable

from protocol.messages import StimulusBatch
from server.actions import Advance, Advanced, Failed, Render, Rendered
from server.changes import Change, Changed
from server.evolution import Evolution, Proposal
from server.pictures import to_png
from server.snapshots import pack, unpack

log = logging.getLogger(__name__)


class Worker:
    """Carries out Advance and Render one after the other, and announces each result as soon as it is there.

    `announce` is called in the worker's thread. A job that fails is announced as Failed, with the optimizer put back
    to where it stood before, so that the same job can be submitted again.
    """

    def __init__(
        self,
        evolutions: dict[int, Evolution],
        announce: Callable[[Advanced | Rendered | Failed], None],
        first_images: int,
        more_images: int = 16,
    ) -> None:
        """Start the thread; the first `first_images` of a generation are announced apart: they are waited for."""
        self._evolutions = evolutions
        self._announce = announce
        self._first_images = first_images
        self._more_images = more_images
        self._before = {number: pack(evolution.optimizer.snapshot()) for number, evolution in evolutions.items()}
        """Each optimizer as its last job left it."""
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
        while (waiting := self._jobs.get()) is not None:
            job: Advance | Render | None = waiting
            while job is not None:
                job = self._attempt(job)

    def _attempt(self, job: Advance | Render) -> Render | None:
        """Do a job, and return what is to be done next; announce it as failed if it cannot be done."""
        try:
            if isinstance(job, Advance):
                return self._advance(job)
            self._render(job.proposal, job.done)
        except Exception as error:  # whatever a lab's own part raises must reach the person at the rig
            log.exception("the work of the server failed")
            if isinstance(job, Advance):
                self._evolutions[job.evolution].optimizer.restore(unpack(self._before[job.evolution]))
            self._announce(Failed(job, f"{type(error).__name__}: {error}"))
        return None

    def _advance(self, job: Advance) -> Render | None:
        evolution = self._evolutions[job.evolution]
        outcome = None
        if job.proposal is not None and job.measurements is not None:
            outcome = evolution.absorb(job.proposal, job.measurements)
        changed = tuple(make_change(evolution, change, job.next_generation or 0) for change in job.changes)
        proposal = None if job.next_generation is None else evolution.propose(job.next_generation)
        snapshot = self._before[job.evolution] = pack(evolution.optimizer.snapshot())
        self._announce(Advanced(job.evolution, outcome, proposal, snapshot, changed=changed))
        return None if proposal is None else Render(proposal, frozenset())

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
