"""Onsets and edges: matched when there is one way to do it, and given up in words otherwise."""

from collections.abc import Iterator
from dataclasses import replace
from math import nan

import numpy as np
import pytest
from made_up_rig import BASELINE_S, RESPONSE_S, Faults, Rig, judged, played
from test_thousands import run

from adapters.aligner import Aligner
from adapters.aligning import ANONYMOUS, Aligned, AlignerRules
from adapters.events import Begin, Edge, Spikes, Watermark, Word
from adapters.peers.block import Block
from adapters.rules import Rules
from adapters.segment import Segment, Windows
from protocol.messages import Onsets
from stimulus_client.markers import code

RATE = 1000
DISPLAY_S = 500.0
"""What the display's clock shows when the recording begins."""


class Story:
    """One aligner at 1000 ticks a second, told what happens in milliseconds."""

    def __init__(self, **rules: object) -> None:
        self.aligner = Aligner(RATE, 0, AlignerRules(**rules))  # type: ignore[arg-type]
        self.trial = 0

    def edges(self, *ticks: int, at_s: float | None = None) -> None:
        for tick in ticks:
            self.aligner.see(tick, ANONYMOUS, tick / RATE if at_s is None else at_s)

    def asked(self, *ticks: float, at_s: float | None = None) -> dict[int, Aligned]:
        """Report a trial with onsets at these times, and return what becomes certain of all trials."""
        self.trial += 1
        onsets_s = DISPLAY_S + np.array(ticks, float) / RATE
        ids = 1000 * self.trial + np.arange(len(ticks))
        at_s = np.nanmax(ticks) / RATE + 0.2 if at_s is None else at_s
        self.aligner.request(Onsets(self.trial, ids, ids, onsets_s), np.full(len(ids), ANONYMOUS), at_s)
        return self.until(round(at_s * RATE))

    def until(self, tick: int) -> dict[int, Aligned]:
        return {each.presentation_id: each for each in self.aligner.advance(tick)}

    def locked(self) -> "Story":
        """Let two trials go by, and return this story."""
        for start in (1000, 3100):
            self.edges(*range(start, start + 1000, 200))
            self.asked(*range(start, start + 1000, 200))
        assert self.aligner.clock.fit is not None
        return self


def test_quick_regular_trials_are_not_taken_for_the_next_ones_by_who_joins_among_them() -> None:
    # The stream begins with the second trial, and the next one's edges are there a quarter of a second after a report.
    story = Story()
    story.edges(*(start + at for start in range(1250, 6000, 250) for at in (0, 100)))
    for start in range(1000, 5750, 250):
        for each in story.asked(start, start + 100, at_s=start / RATE + 0.2).values():
            trial, image = divmod(each.presentation_id, 1000)
            assert each.tick in (None, 750 + 250 * trial + 100 * image), "one trial off"
    assert story.aligner.clock.fit is None and "shifted as well" in story.aligner.tally.why_no_clock


def test_two_trials_find_the_clock_and_each_onset_its_edge() -> None:
    story = Story()
    story.edges(1000, 1200, 1400, 1600, 1800)
    assert story.asked(1000, 1200, 1400, 1600, 1800) == {}
    story.edges(3100, 3300, 3500, 3700, 3900)
    found = story.asked(3100, 3300, 3500, 3700, 3900)
    assert [each.tick for each in found.values()] == [1000, 1200, 1400, 1600, 1800, 3100, 3300, 3500, 3700, 3900]


@pytest.mark.parametrize("apart_ms", [40_000, 85_000])
@pytest.mark.parametrize("drift", [0.0, 50e-6, -80e-6])
def test_trials_that_are_far_apart_find_the_clock_too(apart_ms: int, drift: float) -> None:
    story = Story()
    first = [1000, 1200, 1400, 1600, 1800]
    second = [at + apart_ms for at in first]
    story.edges(*(round(at * (1 + drift)) for at in first))
    assert story.asked(*first) == {}
    story.edges(*(round(at * (1 + drift)) for at in second))
    found = story.asked(*second)
    assert [each.tick for each in found.values()][-5:] == [round(at * (1 + drift)) for at in second]


def test_single_images_seconds_apart_find_the_clock() -> None:
    # What is left at the end of a generation is shown again one by one, each when the last was given up.
    story = Story()
    found: dict[int, Aligned] = {}
    for at in (0, 5710, 11_050, 16_900, 22_180, 28_000, 33_260, 39_120):
        story.edges(at)
        found = story.asked(at)
    assert len(found) == 8 and all(each.tick is not None for each in found.values())


def test_a_void_showing_leaves_two_ways_until_another_trial_decides() -> None:
    story = Story()
    story.edges(1000, 1200, 1400, 1600, 1800)
    story.asked(1200, 1400, 1600, 1800)
    story.edges(3100, 3300, 3500, 3700, 3900)
    assert story.asked(3100, 3300, 3500, 3700, 3900) == {}
    story.edges(5100, 5300, 5500, 5700, 5900)
    found = story.asked(5100, 5300, 5500, 5700, 5900)
    assert [each.tick for each in found.values()][:4] == [1200, 1400, 1600, 1800]


def test_a_train_without_an_end_is_never_guessed_at() -> None:
    story = Story()
    for start in range(0, 20_000, 1000):
        story.edges(*range(start, start + 1000, 200), at_s=0.0)
        assert story.asked(*range(start + 4000, start + 5000, 200), at_s=30 + start / RATE) == {}
    assert "fit them shifted as well" in story.aligner.tally.why_no_clock


def test_an_edge_that_was_not_yet_there_cannot_be_meant() -> None:
    story = Story()
    story.edges(3000, 3200, 3400, 3600, 3800, 5000, 5200, 5400, 5600, 5800, at_s=8.0)
    assert story.asked(1000, 1200, 1400, 1600, 1800, at_s=2.0) == {}
    assert story.asked(3000, 3200, 3400, 3600, 3800, at_s=4.0) == {}
    assert story.aligner.clock.fit is None


def test_a_missing_edge_is_not_measured_and_its_neighbours_are() -> None:
    story = Story().locked()
    story.edges(6000, 6200, 6600, 6800)
    found = story.asked(6000, 6200, 6400, 6600, 6800)
    assert [each.tick for each in found.values()] == [6000, 6200, None, 6600, 6800]
    assert "no onset edge" in found[3002].reason


def test_a_double_edge_is_not_measured() -> None:
    story = Story().locked()
    story.edges(6000, 6200, 6203, 6400)
    assert [each.tick for each in story.asked(6000, 6200, 6400).values()] == [6000, None, 6400]


def test_an_edge_is_used_once() -> None:
    story = Story().locked()
    story.edges(6000)
    assert story.asked(6000)[3000].tick == 6000
    assert story.asked(6001)[4000].tick is None


def test_what_has_no_onset_is_said_at_once() -> None:
    story = Story().locked()
    story.edges(6000)
    found = story.asked(6000, nan)
    assert (found[3000].tick, found[3001].reason) == (6000, "has no onset")


def test_nothing_is_certain_before_its_edges_can_have_come() -> None:
    story = Story().locked()
    story.edges(6000)
    assert story.asked(6000, at_s=6.0) == {}
    assert story.until(6500)[3000].tick == 6000


def test_a_missing_edge_may_be_inferred_where_that_was_asked_for() -> None:
    story = Story(infer=True)
    for start in range(1000, 30_000, 2100):
        story.edges(*range(start, start + 1000, 200))
        story.asked(*range(start, start + 1000, 200))
    story.edges(40_000, 40_400)
    found = list(story.asked(40_000, 40_200, 40_400).values())
    assert [(each.tick, each.inferred) for each in found] == [(40_000, False), (40_200, True), (40_400, False)]


def test_nothing_is_inferred_by_a_clock_that_was_not_seen_for_minutes() -> None:
    """By then it may be off by half a frame or more; and the photodiode may have come off meanwhile."""
    story = Story(infer=True)
    for start in range(1000, 30_000, 2100):
        story.edges(*range(start, start + 1000, 200))
        story.asked(*range(start, start + 1000, 200))
    found = list(story.asked(400_000, 400_200).values())
    assert [each.inferred for each in found] == [False, False]
    assert {each.reason for each in found} == {"has no onset edge where the clock puts it"}


def test_three_trials_without_an_edge_and_the_clock_is_looked_for_afresh() -> None:
    story = Story().locked()
    for start in (6000, 8000, 10_000):
        assert all(each.tick is None for each in story.asked(start, start + 200).values())
    assert story.aligner.clock.fit is None
    assert "no longer fit" in story.aligner.tally.why_no_clock


def test_a_clock_that_is_one_interval_off_does_not_last() -> None:
    # The first edge of both trials was lost and the last showing of both was void: a wrong match that looks right.
    story = Story()
    for start in (1000, 3100):
        story.edges(*range(start + 200, start + 1200, 200))
        story.asked(*range(start, start + 1000, 200), at_s=start / RATE + 1.5)
    fit = story.aligner.clock.fit
    assert fit is not None
    assert abs(fit.offset_s + DISPLAY_S) > 0.1
    for start in (6000, 8300, 10_100):
        story.edges(*range(start, start + 1000, 200))
        story.asked(*range(start, start + 1000, 200), at_s=start / RATE + 1.5)
    assert story.aligner.clock.fit is None


def test_a_long_pause_makes_the_clock_uncertain() -> None:
    story = Story().locked()
    story.edges(200_000)
    assert story.asked(200_000) == {}
    assert story.aligner.clock.fit is None


def test_words_that_say_the_wrong_presentation_are_no_onsets() -> None:
    rig = Rig(n_trials=30, word_bits=8, faults=Faults(void=0.2))
    rig.script.words[40, 1] += 1
    counted = run(rig, Rules(onset="word"))
    assert {each.presentation_id for each in counted if each.reason} <= {int(rig.ids[40])}


def test_a_displays_lag_is_added_and_the_other_line_is_ignored() -> None:
    rules = Rules(lock_trials=1, lock_onsets=2, line=3, onset_delay_ms=10)
    segment = Segment(Begin(0, rig_rate := Rig().rate), rules, Windows(), 1)
    for tick in (30_000, 36_000):
        segment.take(Edge(tick, 3, True), 1.0)
        segment.take(Edge(tick + 1000, 3, False), 1.0)
        segment.take(Edge(tick + 500, 2, True), 1.0)
        segment.take(Word(tick, 7), 1.0)
    segment.request(Onsets(1, np.array([1, 2]), np.array([1, 2]), np.array([9.0, 9.2])), 2.0)
    segment.take(Watermark(60_000), 2.0)
    assert [each.reason for each in segment.counted(2.0)] == ["", ""]
    assert segment.aligner.tally.edges == 2
    assert float(rig_rate) == 30_000


def test_a_word_says_which_and_the_photodiode_says_when() -> None:
    rig = Rig(n_trials=20, word_bits=8, faults=Faults(missing=0.1, double=0.05, void=0.2))
    rig.script.words[:, 0] += np.random.default_rng(1).integers(-600, 300, len(rig.script.words))
    rules = Rules(onset="word", photodiode="0", tolerance_ms=25)
    counted = run(rig, rules)
    right, wrong, not_measured = judged(rig, counted)
    assert wrong == 0
    assert right > 50
    assert not_measured > 5
    assert {each.onset_source for each in counted} == {"photodiode"}
    assert any("0 photodiode edges beside" in each.reason for each in counted)


def test_where_a_word_is_missing_and_inferred_the_flash_is_the_onset_all_the_same() -> None:
    rig = Rig(n_trials=20, word_bits=8)
    lag = 750  # ticks, 25 ms, by which the screen is slower than the words
    words = rig.script.words[np.arange(len(rig.script.words)) != 77].copy()
    words[:, 0] -= lag
    rig.script = replace(rig.script, words=words)
    rules = Rules(onset="word", photodiode="0", infer=True)
    counted = run(rig, rules)
    assert judged(rig, counted) == (100, 0, 0)
    assert {each.onset_source for each in counted} == {"photodiode"}


def test_words_are_those_that_the_display_sends() -> None:
    assert [Rules().code(each) for each in range(0, 103_000, 7)] == [code(each) for each in range(0, 103_000, 7)]


@pytest.mark.parametrize("after_s", [4.9, 5.1])
def test_what_never_comes_is_given_up_in_words(after_s: float) -> None:
    segment = Segment(Begin(0, Rig().rate), Rules(), Windows(), 1)
    segment.request(Onsets(1, np.array([1]), np.array([1]), np.array([9.0])), 0.0)
    given_up = [each.reason for each in segment.counted(after_s)]
    few = (
        "cannot be placed in the recording: fewer than 8 onsets or 2 trials were shown in the last 90 s, "
        "which is what it takes to match the clocks"
    )
    assert given_up == ([few] if after_s > 5 else [])


@pytest.mark.parametrize("value", [1 << 63, 10**25, -5])
def test_a_word_that_no_presentation_has_breaks_nothing(value: int) -> None:
    rules = Rules(onset="word", word_bits=64, lock_trials=1, lock_onsets=2)
    segment = Segment(Begin(0, Rig().rate), rules, Windows(), 1)
    for tick, word in ((30_000, 1), (33_000, value), (36_000, 2)):
        segment.take(Word(tick, word), 1.0)
    segment.request(Onsets(1, np.array([1, 2]), np.array([1, 2]), np.array([9.0, 9.2])), 2.0)
    segment.take(Watermark(60_000), 2.0)
    assert [each.reason for each in segment.counted(2.0)] == ["", ""]


def test_a_line_that_chatters_costs_neither_memory_nor_a_wrong_onset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.aligner.MAX_EDGES", 300)
    rig = Rig(n_trials=20)
    segment = Segment(Begin(rig.first_tick, rig.rate), Rules(), Windows(RESPONSE_S, BASELINE_S), rig.n_channels)
    chatter = range(int(rig.true_ticks[60]), int(rig.true_ticks[62]), 30)
    rig.script = replace(
        rig.script, edges=np.array(sorted([*rig.script.edges.tolist(), *([t, 0, 1] for t in chatter)]))
    )
    blocks = ((b.end, [Spikes(b.ticks, b.columns), *b.edges, Watermark(b.end)]) for b in blocks_of(rig))
    counted = list(played(rig, segment, blocks))
    right, wrong, not_measured = judged(rig, counted)
    assert (wrong, not_measured > 2, right > 60) == (0, True, True)
    assert any("more often than can be kept" in each.reason for each in counted)


def blocks_of(rig: Rig) -> Iterator[Block]:
    return rig.script.blocks(rig.first_tick, rig.end_tick, 600)
