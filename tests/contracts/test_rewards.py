"""What every valve must do; a new one is a name in `REWARDS` and, here, something that sees it open."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from protocol.plugins import PluginError
from stimulus_client.devices import DeviceError, Devices
from stimulus_client.display import HeadlessDisplay
from stimulus_client.markers import Markers
from stimulus_client.reward import LONGEST_PULSE_S, REWARDS, Dispenser, NoReward, Valve, create_valve
from stimulus_client.serial_port import PortError, SerialMarkers, SerialReward, TtlReward

DEADLINE_S = 10
SETTINGS = {"reward": {"pulse_s": 0.15, "gap_s": 1.0, "limit_pulses": 3}}
Seen = Callable[[], list[Any]]


class Port:
    """A serial port with two control lines, that keeps all that is done to it."""

    def __init__(self) -> None:
        object.__setattr__(self, "done", [])

    def __setattr__(self, line: str, level: bool) -> None:
        self.done.append((line, level))

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def close(self) -> None:
        self.done.append("closed")


@contextmanager
def none() -> Iterator[tuple[Valve, Seen, list[Any], list[Any]]]:
    yield NoReward(), list, [], []


@contextmanager
def serial() -> Iterator[tuple[Valve, Seen, list[Any], list[Any]]]:
    port = Port()
    yield SerialReward("COM1", open=lambda *_: port), lambda: port.done, [b"R 150\n"], [b"R 0\n", "closed"]


@contextmanager
def ttl() -> Iterator[tuple[Valve, Seen, list[Any], list[Any]]]:
    port = Port()
    valve = TtlReward("COM1", "dtr", open=lambda *_: port, sleep=port.done.append)
    yield valve, lambda: port.done, [("dtr", True), 0.15, ("dtr", False)], [("dtr", False), "closed"]


VALVES: dict[str, Callable[[], Any]] = {"none": none, "serial": serial, "ttl": ttl}


def test_every_valve_is_tested_here() -> None:
    assert set(VALVES) == set(REWARDS)


@pytest.mark.parametrize("name", VALVES)
def test_a_pulse_is_as_long_as_asked_and_the_valve_is_let_go_closed(name: str) -> None:
    with VALVES[name]() as (valve, seen, pulse, end):
        dispenser = Dispenser(valve)
        dispenser.configure(SETTINGS)
        assert bool(valve.output) == (name != "none")
        n_before = len(seen())
        assert dispenser.give() == ""
        assert dispenser.courier.finish(DEADLINE_S)
        assert seen()[n_before:] == pulse
        dispenser.close()
        assert seen()[n_before:] == [*pulse, *end]
        assert dispenser.courier.n_failed == 0


def test_the_line_falls_whatever_happens() -> None:
    port = Port()

    def interrupted(seconds: float) -> None:
        raise KeyboardInterrupt

    valve = TtlReward("COM1", open=lambda *_: port, sleep=interrupted)
    with pytest.raises(KeyboardInterrupt):
        valve.pulse(0.15)
    assert port.done[-1] == ("rts", False)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def dispenser() -> Iterator[Dispenser]:
    dispenser = Dispenser(NoReward(), Clock())
    dispenser.configure(SETTINGS)
    yield dispenser
    dispenser.close()


def give(dispenser: Dispenser, after_s: float) -> str:
    dispenser._clock.now_s += after_s  # type: ignore[attr-defined]
    return dispenser.give()


def test_every_pulse_is_reported_once(dispenser: Dispenser) -> None:
    give(dispenser, 1)
    give(dispenser, 2)
    onsets_s, durations_s = dispenser.taken()
    assert onsets_s.tolist() == [101.0, 103.0]
    assert durations_s.tolist() == [0.15, 0.15]
    assert [len(each) for each in dispenser.taken()] == [0, 0]


def test_pulses_keep_their_distance_and_their_limit(dispenser: Dispenser) -> None:
    assert give(dispenser, 1) == ""
    assert "less than 1 s ago" in give(dispenser, 0.5)
    assert give(dispenser, 1) == give(dispenser, 1) == ""
    assert "limit of 3 pulses" in give(dispenser, 1)
    assert len(dispenser.taken()[0]) == 3
    dispenser.forget()
    assert give(dispenser, 1) == ""


def test_a_client_that_was_started_again_counts_on_from_what_the_server_knows(dispenser: Dispenser) -> None:
    dispenser.n_given = 3
    assert "limit" in give(dispenser, 1)


def test_no_pulse_without_a_length_and_none_longer_than_a_second(dispenser: Dispenser) -> None:
    dispenser.configure({})
    assert "length" in give(dispenser, 1)
    dispenser.configure({"reward": {"pulse_s": 60.0}})
    assert dispenser.pulse_s == LONGEST_PULSE_S


def test_a_valve_that_is_stuck_keeps_nobody_waiting() -> None:
    stuck = threading.Event()
    valve = NoReward()
    valve.pulse = lambda duration_s: stuck.wait(DEADLINE_S) and None  # type: ignore[method-assign]
    dispenser = Dispenser(valve)
    dispenser.configure({"reward": {"pulse_s": 0.1}})
    answers = [dispenser.give() for _ in range(20)]
    assert "behind" in answers[-1]
    assert len(dispenser.taken()[0]) == answers.count("") <= 5
    stuck.set()
    dispenser.close()


def test_markers_and_reward_never_share_an_output() -> None:
    markers = Markers(SerialMarkers("COM1", open=lambda *_: Port()))
    reward = Dispenser(SerialReward("COM1", open=lambda *_: Port()))
    devices = Devices(markers=markers, reward=reward)
    with pytest.raises(DeviceError, match="markers and reward share COM1"):
        devices.configure({}, HeadlessDisplay())
    devices.close()


def test_what_cannot_be_had_is_said_in_a_sentence() -> None:
    with pytest.raises(PluginError, match=r"no reward named 'tll'. Did you mean 'ttl'\?"):
        create_valve("tll", {})
    with pytest.raises(PortError, match=r'line must be "rts" or "dtr"'):
        TtlReward("COM1", line="cts", open=lambda *_: Port())
    pytest.importorskip("serial", reason="needs pyserial: pip install pyserial")
    with pytest.raises(PortError, match=r"the serial port '/dev/no_such' cannot be opened"):
        SerialReward("/dev/no_such")
