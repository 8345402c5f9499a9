"""Dead time: from the last spikes of a generation to the first image of the next, ready at the display.

Engine, router and session file are the real ones, and so are the peers, over TCP, each in a thread. In one session
every other generation is sent only when all of its images are rendered: what streaming saves is one ratio.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.conversation import Adapter
from benchmarks.figures import Comparison, durations
from protocol.arrays import Codes, Images
from protocol.ids import presentation_key, stimulus_key
from protocol.messages import Control, Onsets, Responses, StimulusBatch
from server import build
from server.actions import Advanced, Row
from server.config import parse_config
from server.engine import Engine
from server.evolution import Evolution, Proposal
from server.router import Router
from stimulus_client.conversation import Client
from stimulus_client.devices import Devices
from stimulus_client.display import HeadlessDisplay

CONFIG = """
[session]
name = "dead_time"
[server]
address = "tcp://127.0.0.1:*"
[evolution]
channels = ["any"]
optimizer = {{ name = "genetic", population = {population} }}
generator = {{ {generator} }}
scorer = {{ name = "rate", baseline = "none" }}
[references]
count = 0
[display]
on_ms = 10
off_ms = 0
inter_trial_ms = 0
fixation_ms = 10
"""
"""No reference images: they are at the display already, and would stand in for the first new image."""
AT_LEAST = 7
"""Generations of a session, however long they take: two dead times of either kind, after the first."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is evolved."""

    what: str
    generator: str
    """Keys of [evolution.generator]."""
    population: int = 40


@dataclass(slots=True)
class Stopwatch:
    """When each generation's last spikes left the acquisition side, and its first image came to the display."""

    answered_s: dict[int, float] = field(default_factory=dict)
    ready_s: dict[int, float] = field(default_factory=dict)

    def dead_times_s(self, streamed: bool) -> list[float]:
        """Return the dead time before each generation that was streamed, or was not; the first was warming up."""
        return [
            self.ready_s[generation] - answered_s
            for before, answered_s in sorted(self.answered_s.items())
            if (generation := before + 1) in self.ready_s and generation > 2 and is_streamed(generation) == streamed
        ]


def is_streamed(generation: int) -> bool:
    """Return whether a generation is sent as it is rendered; the others wait until it is complete."""
    return generation % 2 == 1


class Alternating(Evolution):
    """An evolution that streams every other generation."""

    __slots__ = ()

    def render(self, proposal: Proposal, done: frozenset[int], first: int, later: int) -> Iterator[StimulusBatch]:
        """Yield the images as they are rendered, or all at once."""
        everything = len(proposal.codes)
        return super().render(proposal, done, first if is_streamed(proposal.generation) else everything, later)


class Tiles:
    """Draws 64 x 64 numbers as grey squares of 4 x 4 pixels: as large as a rig's images, and no work to render."""

    code_shape = (4096,)

    def render(self, codes: Codes) -> Images:
        """Return images [n, 256, 256, 3]."""
        levels = np.clip(127 + 40 * np.asarray(codes), 0, 255).astype(np.uint8).reshape(-1, 64, 64, 1)
        return np.repeat(np.repeat(np.repeat(levels, 4, axis=1), 4, axis=2), 3, axis=3)


class TimedDisplay(HeadlessDisplay):
    """A screen that notes when the first image of each generation was ready on it."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        super().__init__(fast=True)
        self._ready_s = stopwatch.ready_s

    def load(self, stimulus_id: int, image: NDArray[np.uint8]) -> None:
        """Keep an image, and the time."""
        super().load(stimulus_id, image)
        self._ready_s.setdefault(stimulus_key(stimulus_id).generation, time.perf_counter())


class TimedSpikes:
    """A recording that answers at once, and notes when the last answer of each generation was given."""

    name = "timed_spikes"
    channels: tuple[str, ...] = ("any",)
    wants_images = False

    def __init__(self, stopwatch: Stopwatch) -> None:
        self._answered_s = stopwatch.answered_s
        self._random = np.random.default_rng(0)
        self._answers: list[Responses] = []

    def begin(self, settings: dict[str, Any]) -> None:
        """Change nothing: no window matters."""

    def see(self, batch: StimulusBatch) -> None:
        """Look away: a recording sees no images."""

    def forget(self, stimulus_ids: Iterable[int]) -> None:
        """Do nothing: there is nothing to forget."""

    def request(self, onsets: Onsets) -> None:
        """Count spikes at random."""
        counts = self._random.poisson(5, (len(onsets.presentation_ids), 1)).astype(np.int32)
        measured = np.ones(len(counts), np.bool_)
        self._answers.append(Responses(onsets.presentation_ids, measured, counts, np.zeros_like(counts), "simulated"))

    def poll(self) -> list[Responses]:
        """Return the answers, and note the time."""
        answers, self._answers = self._answers, []
        for answer in answers:
            generation = presentation_key(int(answer.presentation_ids[0])).generation
            self._answered_s[generation] = time.perf_counter()
        return answers

    def data_age_s(self) -> float:
        """Return 0: it never falls behind."""
        return 0.0

    def close(self) -> None:
        """Do nothing: there is no recording system."""


def compare_dead_times(case: Case, folder: Path, seconds: float) -> Comparison:
    """Run one session for so long, and return its dead times with streaming beside those without."""
    stopwatch = Stopwatch()
    text = CONFIG.format(population=case.population, generator=case.generator)
    built = build.begin(parse_config(text, "dead time"), build.Changes(), folder / "dead_time.xdream", time.time)
    router = Router("tcp://127.0.0.1:*")
    evolutions = [Alternating(*(getattr(each, f.name) for f in fields(each))) for each in built.evolutions]
    until_s = time.perf_counter() + seconds

    def watch(row: Row) -> None:
        enough = isinstance(row, Advanced) and row.proposal is not None and row.proposal.generation >= AT_LEAST
        if enough and time.perf_counter() > until_s:
            engine.ask(Control("time is up", "stop"))

    try:
        client = Client(router.address, TimedDisplay(stopwatch), Devices())
        adapter = Adapter(router.address, TimedSpikes(stopwatch))
        with at_work(client, adapter) as check:
            engine = Engine(built.session, evolutions, router, built.file, watch=watch, check=check)
            engine.run()
    finally:
        router.close()
        built.file.close()
    here_s, there_s = stopwatch.dead_times_s(streamed=True), stopwatch.dead_times_s(streamed=False)
    return durations(case.what, here_s, "all images before the first", there_s)


@contextmanager
def at_work(*peers: Client | Adapter) -> Iterator[Callable[[], None]]:
    """Run peers beside the server, each in a thread, and end them with it; what it yields raises if one has died."""
    threads = [threading.Thread(target=peer.run, daemon=True) for peer in peers]
    for thread in threads:
        thread.start()

    def check() -> None:
        for peer, thread in zip(peers, threads, strict=True):
            if not thread.is_alive() and peer.peer.farewell is None:
                raise RuntimeError(f"the {type(peer).__name__} has died; it said above why")

    try:
        yield check
    finally:
        for peer in peers:
            peer.stop()
        for thread in threads:
            thread.join()
        for peer in peers:
            peer.close()
