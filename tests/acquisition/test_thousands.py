"""Thousands of presentations on a rig where everything goes wrong: each is measured rightly or not at all.

The long form, 200,000 presentations, is `python tests/acquisition/test_thousands.py`.
"""

from collections.abc import Iterator
from time import perf_counter

import numpy as np
import pytest
from made_up_rig import BASELINE_S, RESPONSE_S, Faults, Rig, judged, played

from adapters.counter import Counted
from adapters.events import Begin, Event, Gap, Spikes, Watermark
from adapters.rules import Rules
from adapters.segment import Segment, Windows

BLOCK = 6000
WORST = Faults(missing=0.005, double=0.003, spurious_hz=0.05, void=0.1, drift=80e-6)


def stream(rig: Rig, lost: float, stalled: float) -> Iterator[tuple[int, list[Event]]]:
    """Yield blocks of events; some blocks are lost, some come late in a lump."""
    random = np.random.default_rng(rig.seed)
    held: list[Event] = []
    for block in rig.script.blocks(rig.first_tick, rig.end_tick, BLOCK):
        if random.random() < lost:
            held.append(Gap(block.start, block.end, "lost messages", 1))
        else:
            held += [Spikes(block.ticks, block.columns), *block.edges, *block.words]
        held.append(Watermark(block.end))
        if random.random() >= stalled:
            yield block.end, held
            held = []
    yield rig.end_tick + 30 * BLOCK, [*held, Watermark(rig.end_tick)]


def run(rig: Rig, rules: Rules, lost: float = 0.0, stalled: float = 0.0) -> list[Counted]:
    begin = Begin(rig.first_tick, rig.rate)
    segment = Segment(begin, rules, Windows(RESPONSE_S, BASELINE_S), rig.n_channels)
    return list(played(rig, segment, stream(rig, lost, stalled)))


@pytest.mark.parametrize("seed", range(3))
def test_all_are_answered_and_none_wrongly(seed: int) -> None:
    rig = Rig(seed=seed, n_trials=300, faults=WORST)
    counted = run(rig, Rules(), lost=0.01, stalled=0.05)
    asked = np.concatenate([trial.presentation_ids for trial in rig.trials])
    assert sorted(each.presentation_id for each in counted) == sorted(asked.tolist())
    right, wrong, not_measured = judged(rig, counted)
    assert wrong == 0
    assert right > 0.9 * len(asked)
    assert not_measured > 0


@pytest.mark.parametrize(("n_images", "pause_s"), [(1, (4.5, 6.0)), (2, (8.0, 20.0)), (5, (35.0, 60.0))])
def test_few_trials_far_apart_are_measured_and_none_wrongly(n_images: int, pause_s: tuple[float, float]) -> None:
    rigs = [Rig(seed, 60, n_images, n_channels=1, spike_hz=5, pause_s=pause_s, faults=WORST) for seed in range(4)]
    found = [judged(rig, run(rig, Rules(), lost=0.005, stalled=0.02)) for rig in rigs]
    right, wrong, not_measured = np.sum(found, axis=0)
    assert wrong == 0
    assert right > 0.75 * (right + not_measured)


def test_without_faults_all_are_measured() -> None:
    rig = Rig(n_trials=100)
    counted = run(rig, Rules())
    assert judged(rig, counted) == (500, 0, 0)


def test_words_find_their_presentations_though_many_are_void() -> None:
    rig = Rig(n_trials=100, faults=Faults(void=0.5), word_bits=8)
    counted = run(rig, Rules(onset="word"))
    right, wrong, not_measured = judged(rig, counted)
    assert (wrong, not_measured) == (0, 0)
    assert right == sum(len(trial.presentation_ids) for trial in rig.trials)


@pytest.mark.parametrize("jump_s", [-5000.123, 61.7])
def test_a_display_that_starts_again_is_found_again(jump_s: float) -> None:
    rig = Rig(n_trials=60, faults=Faults(display_jump=30, jump_s=jump_s))
    counted = run(rig, Rules())
    right, wrong, not_measured = judged(rig, counted)
    assert wrong == 0
    assert not_measured <= 6 * rig.images_per_trial
    assert right + not_measured == 300


if __name__ == "__main__":
    began_s = perf_counter()
    rig = Rig(seed=11, n_trials=40_000, n_channels=4, faults=WORST)
    asked = sum(len(trial.presentation_ids) for trial in rig.trials)
    right, wrong, not_measured = judged(rig, run(rig, Rules(), lost=0.005, stalled=0.02))
    hours = (rig.end_tick - rig.first_tick) / float(rig.rate) / 3600
    print(  # noqa: T201
        f"{len(rig.ids)} shown, {asked} asked about in {hours:.1f} h of recording: {right} right, {wrong} wrong, "
        f"{not_measured} not measured; {perf_counter() - began_s:.0f} s"
    )
