"""A recording that falls behind without standing still: it is said in words, and counts stay right."""

import pytest
from bench import Bench, judge
from systems import SYSTEMS

from adapters.events import Chunk
from adapters.rules import Rules
from protocol.messages import Responses

N_TRIALS = 12
IN_TIME_S = 8.0
"""So long all is well, and the clocks are matched;"""
SLOWER = 0.15
"""then data fall behind by so many seconds in each second."""


@pytest.mark.parametrize(
    "name", ["bridge", "open_ephys", "intan_rhx", "blackrock", "plexnet", "spikeglx", "trodes", "tdt"]
)
def test_data_that_come_later_and_later_are_said_to_and_counted_rightly(name: str) -> None:
    system = SYSTEMS[name]
    rig = system.make_rig(n_trials=N_TRIALS)
    bench = Bench(system.wire(rig, Rules()))
    answers: list[Responses] = []
    said: list[tuple[float, bool]] = []
    reported = 0
    for tick, chunks in system.speak(rig):
        recorded_s = (tick - rig.first_tick) / float(rig.rate)
        lag_s = SLOWER * max(0.0, recorded_s - IN_TIME_S)
        bench.now_s = recorded_s + lag_s
        bench.feed.chunks += [Chunk(bench.now_s, chunk.frames, chunk.port) for chunk in chunks]
        shown_to = rig.first_tick + bench.now_s * float(rig.rate)
        while reported < rig.n_trials and rig.report_ticks[reported] <= shown_to:
            bench.source.request(rig.trials[reported])
            reported += 1
        answers += bench.source.poll()
        said.append((lag_s, "data_late" in bench.source.alarms()))
    verdict = judge(rig, answers)
    assert (verdict.wrong, verdict.not_measured, verdict.reasons) == (0, 0, set())
    assert verdict.right > 4 * N_TRIALS
    assert not any(late for lag_s, late in said if lag_s < 0.4)
    assert all(late for lag_s, late in said if lag_s > 1.1)
    assert bench.source.alarms()["data_late"].what == "the recording's data come more than 0.5 s late"
