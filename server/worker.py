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

    `announce` is called in the worker's thread. A job that fails is announced as Failed, and can be submitted again:
    optimizer and scorer are put back first to where they stood before.
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
        self._before = {n: (pack(each.optimizer.snapshot()), each.scorer) for n, each in evolutions.items()}
        """Each optimizer and scorer as its last job left it."""
        self._astray: set[int] = set()
        """Evolutions that a job which failed may have left anywhere."""
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
        except BaseException as error:  # whatever a lab's own part raises, sys.exit too, must reach whoever is there
            log.exception("the work of the server failed")
            if isinstance(job, Advance):
                self._astray.add(job.evolution)
            self._announce(Failed(job, f"{type(error).__name__}: {error}"))
        return None

    def _advance(self, job: Advance) -> Render | None:
        evolution = self._evolutions[job.evolution]
        if job.evolution in self._astray:
            snapshot, evolution.scorer = self._before[job.evolution]
            evolution.optimizer.restore(unpack(snapshot))
            self._astray.discard(job.evolution)
        outcome = None
        if job.proposal is not None and job.measurements is not None:
            outcome = evolution.absorb(job.proposal, job.measurements)
        proposal, changed = self._propose(evolution, job)
        snapshot = pack(evolution.optimizer.snapshot())
        self._before[job.evolution] = snapshot, evolution.scorer
        self._announce(Advanced(job.evolution, outcome, proposal, snapshot, changed=changed))
        return None if proposal is None else Render(proposal, frozenset())

    def _propose(self, evolution: Evolution, job: Advance) -> tuple[Proposal | None, tuple[Changed, ...]]:
        """Make the changes, and propose; where nothing can be proposed with them, refuse them and propose without."""
        if job.next_generation is None:
            return None, ()
        if not job.changes:
            return evolution.propose(job.next_generation), ()
        snapshot, scorer = pack(evolution.optimizer.snapshot()), evolution.scorer
        changed = tuple(make_change(evolution, change, job.next_generation) for change in job.changes)
        try:
            return evolution.propose(job.next_generation), changed
        except Exception as error:  # a slip of the hand must not hold the session
            evolution.optimizer.restore(unpack(snapshot))
            evolution.scorer = scorer
            why = f"no generation can be asked for with it: {error}"
            refused = tuple(Changed(each.control_id, each.evolution, 0, refused=why) for each in job.changes)
            return evolution.propose(job.next_generation), refused

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
