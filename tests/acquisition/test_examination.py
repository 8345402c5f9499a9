"""`xdream conformance`: our own adapter passes, and one that misbehaves is told what it did."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import zmq

from adapters.conformance import examine
from adapters.conversation import Adapter
from adapters.examiner import Examiner
from protocol.messages import Message, Onsets, Release, Responses, Trial, TrialReport
from stimulus_client.conversation import Client
from stimulus_client.devices import Devices
from stimulus_client.display import HeadlessDisplay


class Careful:
    """A source that measures what has an onset."""

    name, channels, wants_images = "careful", ("a", "b"), False
    careless = False

    def __init__(self) -> None:
        self.answers: list[Responses] = []

    def begin(self, settings: dict[str, Any]) -> None:
        self.answers.clear()

    def see(self, batch: object) -> None: ...

    def forget(self, stimulus_ids: object) -> None: ...

    def request(self, onsets: Onsets) -> None:
        measured = np.full(len(onsets.onsets_s), True) if self.careless else np.isfinite(onsets.onsets_s)
        none = np.zeros((len(measured), 2), np.int32)
        reason = "" if measured.all() else "one has no onset"
        self.answers.append(Responses(onsets.presentation_ids, measured, none, none, "ttl", reason=reason))

    def poll(self) -> list[Responses]:
        answers, self.answers = self.answers, []
        return answers

    def data_age_s(self) -> float:
        return 0.0

    def close(self) -> None: ...


class Careless(Careful):
    """One that measures what was never shown."""

    careless = True


class Locked(Careful):
    """One whose clocks are matched, and that loses one presentation in five."""

    def request(self, onsets: Onsets) -> None:
        super().request(onsets)
        answer = self.answers[-1]
        lost = onsets.presentation_ids // 10**7 % 5 == 4
        reason = "1 overlaps lost messages; 1 has no onset"
        self.answers[-1] = replace(
            answer, measured=answer.measured & ~lost, reason=reason, clock_residual_s=0.0004, clock_age_s=0.5
        )


class Forgetful(Client):
    """A display that shows again what it has reported, and never lets go of an image."""

    def _queue(self, trial: Trial) -> None:
        self._reported.clear()
        super()._queue(trial)

    def _take(self, message: Message) -> None:
        if not isinstance(message, Release):
            super()._take(message)


class Hasty(Client):
    """A display that says of every image that it stayed on for a frame too few, and gives nothing back."""

    def _report(self, report: TrialReport) -> None:
        super()._report(replace(report, frames_shown=report.frames_shown - 1))

    def _give_back(self) -> None: ...


@contextmanager
def examined(make: Callable[[str, "zmq.Context[zmq.Socket[bytes]]"], Adapter | Client]) -> Iterator[Examiner]:
    """Run a peer of one's own in a thread, and yield its examiner."""
    with zmq.Context() as context, zmq.Context() as other, context.socket(zmq.ROUTER) as router:
        port = router.bind_to_random_port("tcp://127.0.0.1")
        peer = make(f"tcp://127.0.0.1:{port}", other)
        thread = threading.Thread(target=peer.run)
        thread.start()
        yield Examiner(router, listen_s=1.2)
        peer.stop()
        thread.join()
        peer.close()


def said_of(make: Callable[[str, "zmq.Context[zmq.Socket[bytes]]"], Adapter | Client]) -> tuple[bool, list[str]]:
    said: list[str] = []
    with examined(make) as examiner:
        return examine(examiner, said.append), said


def an_adapter(source: type[Careful]) -> Callable[[str, "zmq.Context[zmq.Socket[bytes]]"], Adapter]:
    return lambda address, context: Adapter(address, source(), context=context)


def a_client(kind: type[Client]) -> Callable[[str, "zmq.Context[zmq.Socket[bytes]]"], Client]:
    return lambda address, context: kind(address, HeadlessDisplay(fast=True), Devices(), context=context)


@pytest.mark.parametrize(("source", "all_well"), [(Careful, True), (Careless, False)])
def test_a_peer_is_examined(source: type[Careful], all_well: bool) -> None:
    well, said = said_of(an_adapter(source))
    assert well == all_well, said
    assert said[0].startswith("pass  says hello: acquisition careful, 2 channels")
    assert ("conforms]" in said[-1]) == all_well
    assert any("onset is NaN was answered as measured" in line for line in said) != all_well


def test_the_badge_says_how_soon_how_evenly_how_much_is_lost_and_how_well_clocks_match() -> None:
    well, said = said_of(an_adapter(Locked))
    assert well, said
    assert "loss 2 of 10 presentations, clock residual 0.4 ms" in said[-1]
    assert re.search(r"latency [\d.]+ ms, jitter [\d.]+ ms", said[-1])


def test_clocks_that_were_never_matched_are_said_to_be_unknown() -> None:
    _, said = said_of(an_adapter(Careful))
    assert "clock residual unknown" in said[-1]


def test_our_own_client_passes() -> None:
    well, said = said_of(a_client(Client))
    assert well, said
    assert said[0] == "pass  says hello: display headless"
    assert "loss 0 of 15 presentations" in said[-1]
    assert "clock residual" not in said[-1], "a display has no other clock than its own"


def test_a_client_that_shows_a_trial_twice_and_keeps_every_image_is_told_so() -> None:
    well, said = said_of(a_client(Forgetful))
    assert not well
    failed = [line for line in said if line.startswith("FAIL")]
    assert len(failed) == 2
    assert "shows a trial once: a trial that was reported was shown again" in failed[0]
    assert "says what it lacks" in failed[1]
    assert "DOES NOT CONFORM" in said[-1]


def test_a_client_that_drops_frames_and_ignores_a_recall_is_told_so() -> None:
    well, said = said_of(a_client(Hasty))
    assert not well
    assert any(line.startswith("FAIL  gives back: the last of four trials") for line in said)
    assert "loss 15 of 15 presentations" in said[-1]


def test_nobody_there_is_said() -> None:
    said: list[str] = []
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.bind_to_random_port("tcp://127.0.0.1")
        assert not examine(Examiner(router, hello_within_s=0.05), said.append)
    assert "a Hello did not come within 0.05 s" in said[0]
