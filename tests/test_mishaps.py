"""What goes wrong with a recording on its own wire: what goes out, and what does not."""

from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from adapters.events import Edge
from adapters.guard import Guard
from adapters.live import LiveSource
from adapters.peers.behind import BEHIND
from adapters.peers.block import Block
from adapters.source import create_source
from protocol.ids import presentation_id
from simulator.cable import Drill, Goodbye, RecordingEnd, ScreenEnd
from simulator.faults import CAN_BE_ASKED, UNNOTICED_S, AcquisitionFaults, parse_faults
from simulator.mishaps import JUMP_S, Mishaps
from simulator.record import Recorder

RATE_HZ = 1000
WINDOWS_S = ((0.05, 0.25), (0.0, 0.05))
PULSE_TICKS = 5


class Voice:
    """Speaks for a recording on a wire where losses can be seen."""

    def __init__(self) -> None:
        self.lost: list[Block] = []

    def lose(self, block: Block) -> None:
        self.lost.append(block)


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def mishaps(faults: str = "", voice: object = None, clock: Clock | None = None, n_channels: int = 2) -> Mishaps:
    wrong = AcquisitionFaults(parse_faults(faults), seed=1, clock=clock or Clock())
    return Mishaps(wrong, Fraction(RATE_HZ), WINDOWS_S, n_channels, voice)


def showing(generation: int, slot: int = 0, attempt: int = 0) -> int:
    return presentation_id(1, generation, slot, attempt)


def recorded(*onsets: int, end: int = 2000) -> list[Block]:
    """Return blocks of a tenth of a second, with the pulses of onsets."""
    edges = [Edge(tick, 0, rising) for on in onsets for tick, rising in ((on, True), (on + PULSE_TICKS, False))]
    empty = [Block(start, start + 100) for start in range(0, end, 100)]
    return [replace(b, edges=tuple(e for e in edges if b.start <= e.tick < b.end)) for b in empty]


def sent(wrong: Mishaps, blocks: list[Block]) -> list[Block]:
    return [passed for block in blocks if (passed := wrong.pass_on(block)) is not None]


def shown(wrong: Mishaps, presentation: int, onset: int) -> None:
    wrong.reach(presentation)
    wrong.shown(presentation, onset)


def pulses(blocks: list[Block]) -> list[int]:
    return [edge.tick for block in blocks for edge in block.edges if edge.rising]


def test_where_nothing_goes_wrong_all_goes_out_as_it_was_recorded() -> None:
    wrong, blocks = mishaps(), recorded(310, 710)
    shown(wrong, showing(1), 310)
    assert sent(wrong, blocks) == blocks


def test_a_loss_takes_the_block_in_the_middle_of_the_response_and_lets_the_voice_know() -> None:
    voice = Voice()
    wrong = mishaps("lose generation=2 share=1", voice)
    shown(wrong, showing(2), 310)
    shown(wrong, showing(2, attempt=1), 710)
    assert pulses(sent(wrong, recorded(310, 710))) == [310, 710]
    assert [(block.start, block.end) for block in voice.lost] == [(400, 500)]


def test_where_no_adapter_could_see_the_loss_the_onset_leaves_no_pulse() -> None:
    wrong = mishaps("lose generation=2 share=1")
    shown(wrong, showing(2), 310)
    shown(wrong, showing(3), 710)
    out = sent(wrong, recorded(310, 710))
    assert len(out) == 20 and pulses(out) == [710]


def test_a_dead_photodiode_shows_no_pulse_of_its_generation_s_first_attempts() -> None:
    wrong = mishaps("photodiode generation=2")
    for onset, presentation in ((310, showing(2)), (510, showing(2, 1)), (710, showing(2, 0, 1)), (910, showing(3))):
        shown(wrong, presentation, onset)
    out = sent(wrong, recorded(310, 510, 710, 910))
    assert pulses(out) == [710, 910]
    assert sum(len(block.edges) for block in out) == 4


def test_the_clock_jumps_once_and_never_in_the_middle_of_a_response() -> None:
    wrong = mishaps("clock generation=2")
    shown(wrong, showing(2), 310)
    shown(wrong, showing(2, 1), 510)
    out, jump = sent(wrong, recorded(310, 510, 1210)), int(JUMP_S * RATE_HZ)
    assert [block.start for block in out] == [*range(0, 800, 100), *range(800 + jump, 2000 + jump, 100)]
    assert pulses(out) == [310, 510, 1210 + jump]
    wrong.drill({"what": "clock"})
    assert wrong.pass_on(Block(2000, 2100, np.array([2050]), np.array([0], np.int32))).ticks.tolist() == [
        2050 + 2 * jump
    ]


def test_a_stall_begins_with_its_generation_and_ends() -> None:
    clock = Clock()
    wrong = mishaps("stall generation=2 seconds=3", clock=clock)
    wrong.reach(showing(1))
    assert not wrong.stand_still
    wrong.reach(showing(2))
    assert wrong.stand_still
    clock.now_s += 3.1
    assert not wrong.stand_still


def test_a_dead_channel_fires_no_more_and_a_storm_fires_on_all() -> None:
    times_s, columns = np.array([0.01, 0.1, 0.2]), np.array([0, 1, 1], np.int32)
    dead = mishaps("channel generation=2 channel=1")
    assert [len(dead.spikes(showing(g), times_s, columns)[0]) for g in (1, 2, 5)] == [3, 1, 1]
    storm_s, storm_columns = mishaps("storm generation=2 share=1").spikes(showing(2), times_s, columns)
    assert np.bincount(storm_columns).tolist() == [13, 14]
    assert storm_s.min() >= 0 and storm_s.max() < 0.25


def test_drills_last_their_seconds_and_what_is_others_business_does_nothing() -> None:
    clock = Clock()
    wrong = mishaps(clock=clock)
    wrong.drill({"what": "photodiode", "seconds": 5})
    for elsewhere in ("look_away", "crash_display", "crash_adapter", "crash_server", "nonsense"):
        wrong.drill({"what": elsewhere})
    assert not wrong.stand_still
    shown(wrong, showing(4), 310)
    clock.now_s += 6
    shown(wrong, showing(4, 1), 710)
    assert pulses(sent(wrong, recorded(310, 710))) == [710]


@pytest.mark.parametrize("system", CAN_BE_ASKED)
def test_the_rig_s_own_adapter_is_told_that_no_raw_data_are_kept(system: str) -> None:
    clock, [channel] = Clock(), ["A-000"] if system == "intan_rhx" else ["1"]
    with closing(BEHIND[system]([channel])) as peer, closing(create_source(system, peer.options)) as source:
        assert isinstance(source, LiveSource)
        [guard] = [each for each in source.companions if isinstance(each, Guard)]
        wrong = mishaps("not_recording generation=3 seconds=1", peer, clock)

        def told() -> str | None:
            wrong.pass_on(Block(0, 100))
            return guard.look()

        wrong.reach(showing(2))
        assert told() == ""
        wrong.reach(showing(3))
        assert "raw data are not kept" in (told() or "")
        clock.now_s += UNNOTICED_S
        assert told() == ""
        wrong.drill({"what": "not_recording", "seconds": 1})
        assert "raw data are not kept" in (told() or "")


@pytest.mark.timeout(60)
def test_a_drill_goes_down_the_cable() -> None:
    address = "inproc://cable-of-a-drill"
    recording, screen = RecordingEnd(address), ScreenEnd(address)
    screen.drill({"what": "stall", "seconds": 2.5, "sequence": 3})
    heard = []
    while not heard:
        heard = list(recording.heard(0.1))
    assert heard == [Drill({"what": "stall", "seconds": 2.5, "sequence": 3})]
    screen.close()
    recording.close()


@pytest.mark.parametrize("orphaned", [True, False])
def test_a_recording_that_nobody_is_left_to_stop_stops(monkeypatch: pytest.MonkeyPatch, orphaned: bool) -> None:
    heard = iter([[], [Goodbye()]])
    still: Any = SimpleNamespace(until_s=lambda: 0.0, begin=lambda _: None, can_give=lambda *_: False)
    cable: Any = SimpleNamespace(heard=lambda _: next(heard))
    neurons: Future[Any] = Future()
    neurons.set_result(None)
    recorder = Recorder(neurons, still, cable, still, mishaps(), still)
    recorder.once = True
    monkeypatch.setattr("simulator.record.FORGOTTEN_S", -1)
    if orphaned:
        monkeypatch.setattr("simulator.record.os.getppid", lambda: -1)
    assert list(recorder.blocks(10)) == []
    assert len(list(heard)) == orphaned
