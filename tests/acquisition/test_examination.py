"""`xdream conformance`: our own adapter passes, and one that misbehaves is told what it did."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import zmq

from adapters import conformance
from adapters.conformance import examine
from adapters.conversation import Adapter
from adapters.examiner import Examiner
from protocol.messages import Onsets, Responses


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


@contextmanager
def examiner_of(source: Careful) -> Iterator[Examiner]:
    with zmq.Context() as context, zmq.Context() as other, context.socket(zmq.ROUTER) as router:
        port = router.bind_to_random_port("tcp://127.0.0.1")
        adapter = Adapter(f"tcp://127.0.0.1:{port}", source, context=other)
        thread = threading.Thread(target=adapter.run)
        thread.start()
        yield Examiner(router)
        adapter.stop()
        thread.join()
        adapter.close()


@pytest.mark.parametrize(("source", "all_well"), [(Careful, True), (Careless, False)])
def test_a_peer_is_examined(source: type[Careful], all_well: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "LISTEN_S", 1.2)
    said: list[str] = []
    with examiner_of(source()) as examiner:
        assert examine(examiner, said.append) == all_well, said
    assert said[0].startswith("pass  says hello: acquisition careful, 2 channels")
    assert ("conforms]" in said[-1]) == all_well
    assert any("onset is NaN was answered as measured" in line for line in said) != all_well


def test_nobody_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "HELLO_WITHIN_S", 0.05)
    said: list[str] = []
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.bind_to_random_port("tcp://127.0.0.1")
        assert not examine(Examiner(router), said.append)
    assert "a Hello did not come within 0.05 s" in said[0]
