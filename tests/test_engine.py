"""The loop commits before it acts: while the disk refuses, nothing is sent, and nothing is lost."""

import queue
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq

from protocol.codec import decode, encode
from protocol.messages import Acknowledge, Control, Farewell, Heartbeat, Message, Onsets, Trial, Welcome
from server.actions import Advance, Failed, State
from server.changes import Change
from server.engine import Engine, WorkFailed
from server.evolution import Evolution
from server.ledger import Measurements
from server.router import Router
from server.session_file import SessionFile
from server.worker import Worker
from tests.builders import a_display, a_plan, a_report, a_session, an_acquisition, an_answer, an_evolution

DEADLINE_MS = 10_000


class RefusingFile(SessionFile):
    """A session file on a disk that refuses to write so many times: it is full, or read-only as SQLite knows it."""

    refusals = 0
    read_only = False

    def add(self, row: Any) -> None:
        if not self.refusals:
            super().add(row)
            return
        self.refusals -= 1
        if not self.read_only:
            raise sqlite3.OperationalError("database or disk is full")
        self.connection.execute("PRAGMA query_only = ON")
        try:
            super().add(row)
        finally:
            self.connection.execute("PRAGMA query_only = OFF")


class Stage:
    """An engine that a test turns by hand, and two bare peers."""

    def __init__(self, folder: Path) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.file = RefusingFile.create(folder / "s.xdream", lambda: 1.0, {"session_id": "s1"})
        self.router = Router("tcp://127.0.0.1:*", context=self.context)
        self.session = a_session([a_plan(n_generations=0)], images_per_trial=6)
        with self.file.transaction():
            references = self.session.references
            self.file.add_references(references, (b"",) * len(references.names))
        self.evolution = an_evolution()
        self.engine = Engine(self.session, [self.evolution], self.router, self.file)
        self.display, self.acquisition = (self.context.socket(zmq.DEALER) for _ in range(2))
        for socket in (self.display, self.acquisition):
            socket.connect(self.router.address)
        self.engine.begin()

    def say(self, socket: "zmq.Socket[bytes]", message: Message) -> None:
        socket.send_multipart(encode(message))

    def hear(self, socket: "zmq.Socket[bytes]", kind: type[Any]) -> Any:
        """Turn the engine until this peer hears a message of that kind."""
        for _ in range(200):
            while socket.poll(0):
                message = decode(socket.recv_multipart())
                if isinstance(message, kind):
                    return message
            self.engine.turn()
        raise AssertionError(f"no {kind.__name__} came")

    def until(self, it_holds: Callable[[], bool]) -> None:
        """Turn the engine until something holds."""
        for _ in range(200):
            if it_holds():
                return
            self.engine.turn()
        raise AssertionError("it never held")

    def close(self) -> None:
        self.engine.close()
        for socket in (self.display, self.acquisition):
            socket.close(linger=0)
        self.router.close()
        self.file.close()
        self.context.term()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


def a_trial_out(stage: Stage) -> Trial:
    stage.say(stage.acquisition, an_acquisition())
    stage.hear(stage.acquisition, Welcome)
    stage.say(stage.display, a_display())
    trial: Trial = stage.hear(stage.display, Trial)
    return trial


@pytest.mark.parametrize("disk", ["full", "readonly"])
def test_nothing_is_acknowledged_while_the_disk_refuses(
    stage: Stage, disk: str, caplog: pytest.LogCaptureFixture
) -> None:
    trial = a_trial_out(stage)
    stage.file.refusals, stage.file.read_only = 2, disk == "readonly"
    stage.say(stage.display, a_report(trial))
    acknowledge = stage.hear(stage.display, Acknowledge)
    assert acknowledge.trials.tolist() == [trial.trial]
    assert stage.file.refusals == 0, "it was written in the end, and not before"
    assert len([line for line in caplog.messages if "cannot be written" in line and disk in line]) == 2
    [(reported,)] = stage.file.connection.execute(
        "SELECT COUNT(*) FROM trials WHERE reported_at IS NOT NULL"
    ).fetchall()
    assert reported == 1


def test_nonsense_from_a_peer_is_dropped_and_the_loop_goes_on(stage: Stage) -> None:
    trial = a_trial_out(stage)
    stage.say(stage.acquisition, a_report(trial))
    stage.say(stage.display, Control("c1", "end"))
    stage.say(stage.display, a_report(trial))
    assert stage.hear(stage.display, Acknowledge)
    assert stage.router.n_dropped >= 1


def test_old_data_are_no_trouble_of_an_adapter_that_comes_after_and_cannot_tell_their_age(stage: Stage) -> None:
    a_trial_out(stage)
    stage.say(stage.acquisition, Heartbeat(0.0, data_age_s=9.0))
    stage.until(lambda: stage.session.state is State.SUSPENDED)
    stage.say(stage.acquisition, Farewell("stopped"))
    stage.say(stage.acquisition, an_acquisition("a2"))
    stage.hear(stage.acquisition, Welcome)
    stage.say(stage.acquisition, Heartbeat(0.0))
    stage.until(lambda: stage.session.state is State.RUNNING)


@pytest.mark.parametrize("times", ["reward_onsets_s", "reward_durations_s", "onsets_s", "offsets_s"])
def test_a_report_with_times_that_are_none_is_dropped_with_a_word_and_the_loop_goes_on(
    stage: Stage, times: str, caplog: pytest.LogCaptureFixture
) -> None:
    """On disk a reward has a time; and whoever is asked for spikes after an onset at infinity looks for ever."""
    report = replace(a_report(a_trial_out(stage)), reward_onsets_s=np.ones(1), reward_durations_s=np.ones(1))
    header, *arrays = encode(report)
    frames = [np.array(frame).view(np.uint8).tobytes() for frame in arrays]
    place = [each["name"] for each in msgpack.unpackb(header)["arrays"]].index(times)
    frames[place] = np.full_like(getattr(report, times), inf if times[0] == "o" else nan).tobytes()
    stage.display.send_multipart([header, *frames])
    stage.until(lambda: stage.router.n_dropped == 1)
    assert f"TrialReport.{times[:6]}" in caplog.text
    stage.say(stage.display, report)
    assert stage.hear(stage.display, Acknowledge)


def broken(*_: object) -> None:
    raise RuntimeError("a lamp is out")


def test_a_generator_that_fails_where_nobody_is_there_ends_the_loop_with_its_own_words(stage: Stage) -> None:
    stage.evolution.generator = type("Broken", (), {"render": staticmethod(broken), "code_shape": (2, 2, 3)})()
    stage.engine._hold = False
    with pytest.raises(WorkFailed, match="a lamp is out"):
        answer_everything(stage)


@pytest.mark.parametrize("part", ["generator", "optimizer", "scorer"])
def test_a_part_that_fails_holds_its_generation_until_it_is_mended(stage: Stage, part: str) -> None:
    trial = a_trial_out(stage)
    breakable = {"generator": "render", "optimizer": "tell", "scorer": "score"}[part]
    whole = getattr(stage.evolution, part)
    parts = {name: getattr(whole, name) for name in ("restore", "snapshot", "render") if hasattr(whole, name)}
    setattr(stage.evolution, part, SimpleNamespace(**(parts | {breakable: broken})))
    stage.say(stage.display, a_report(trial))
    stage.say(stage.acquisition, an_answer(stage.hear(stage.acquisition, Onsets)))
    stage.until(lambda: stage.session.state is State.SUSPENDED)
    assert "a lamp is out" in stage.session.standing.why

    setattr(stage.evolution, part, whole)
    stage.engine.ask(Control("c1", "resume", "JD"))
    stage.until(lambda: stage.session.state is State.RUNNING)
    stage.say(stage.display, a_report(stage.hear(stage.display, Trial)))


def a_worker(evolution: Evolution) -> tuple[Worker, "queue.SimpleQueue[Any]"]:
    told: queue.SimpleQueue[Any] = queue.SimpleQueue()
    return Worker({evolution.number: evolution}, told.put, 3), told


def test_a_job_that_failed_is_done_again_with_the_channels_of_before() -> None:
    evolution = an_evolution()
    worker, told = a_worker(evolution)
    worker.submit(Advance(1, None, None, 1))
    proposal = told.get(timeout=10).proposal
    counts = np.arange(2 * len(proposal.slots), dtype=np.int32).reshape(-1, 2) ** 2
    measured = Measurements(("u1", "u2"), proposal.slots, counts, np.zeros_like(counts))
    expected = evolution.scorer.score(measured, proposal.stimulus_ids)
    job = Advance(1, proposal, measured, 2, (Change("c1", 1, {}, ("u2",)),))
    ask, evolution.optimizer.ask = evolution.optimizer.ask, broken
    worker.submit(job)
    while not isinstance(told.get(timeout=10), Failed):
        pass
    evolution.optimizer.ask = ask
    worker.submit(job)
    np.testing.assert_array_equal(told.get(timeout=10).outcome.scores, expected)
    worker.close(10)


def test_a_change_with_which_nothing_can_be_asked_for_is_refused_and_holds_nobody_up() -> None:
    evolution = an_evolution()
    worker, told = a_worker(evolution)
    slips = Change("c1", 1, {"population": 20_000}, ()), Change("c2", 1, {}, ("u2",))
    worker.submit(Advance(1, None, None, 1, slips))
    advanced = told.get(timeout=10)
    assert len(advanced.proposal.codes) == 4
    assert [each.generation for each in advanced.changed] == [0, 0]
    assert "at most 10000 codes" in advanced.changed[0].refused
    assert not evolution.scorer.channels
    worker.close(10)


@pytest.mark.parametrize("wrong", [SystemExit("the lab's own part gives up"), RuntimeError("a lamp is out")])
def test_a_part_that_cannot_even_be_put_back_is_said_and_the_worker_works_on(wrong: BaseException) -> None:
    def fails(*_: object) -> None:
        raise wrong

    evolution = an_evolution()
    worker, told = a_worker(evolution)
    whole = evolution.optimizer.ask, evolution.optimizer.restore
    evolution.optimizer.ask = evolution.optimizer.restore = fails
    for _ in range(2):
        worker.submit(Advance(1, None, None, 1))
        assert str(wrong) in told.get(timeout=10).error
    evolution.optimizer.ask, evolution.optimizer.restore = whole
    worker.submit(Advance(1, None, None, 1))
    assert told.get(timeout=10).proposal.generation == 1
    worker.close(10)


def answer_everything(stage: Stage) -> None:
    stage.say(stage.display, a_report(a_trial_out(stage)))
    while True:
        stage.say(stage.acquisition, an_answer(stage.hear(stage.acquisition, Onsets)))
        stage.say(stage.display, a_report(stage.hear(stage.display, Trial)))
