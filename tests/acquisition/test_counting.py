"""Windows, history, counter and clock: exact to the tick, and never a zero where data are missing."""

from collections.abc import Iterable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.clock import Clock
from adapters.counter import Counted, Counter, coincident
from adapters.events import Gap, Spikes
from adapters.history import SpikeHistory
from adapters.windows import Window

RATE = Fraction(30_000)
RESPONSE, BASELINE = Window(2100, 6000), Window(-1500, 0)


def a_counter(first_tick: int = 0, keep: int = 3_600_000, coincidence: int = 0, n_channels: int = 1) -> Counter:
    return Counter(first_tick, n_channels, RESPONSE, BASELINE, keep, coincidence)


def spikes(ticks: Iterable[int], columns: Iterable[int] | None = None) -> Spikes:
    at = np.array(list(ticks), np.int64)
    return Spikes(at, np.zeros(len(at), np.int32) if columns is None else np.array(list(columns), np.int32))


def counts(counted: Counted) -> tuple[list[int], list[int]]:
    assert counted.reason == ""
    assert counted.spike_counts is not None
    assert counted.baseline_counts is not None
    return counted.spike_counts.tolist(), counted.baseline_counts.tolist()


@pytest.mark.parametrize(
    ("rate", "start", "end"),
    [
        (RATE, 2100, 6000),
        (Fraction(40_000), 2800, 8000),
        (Fraction(20_000), 1400, 4000),
        (Fraction(390_625, 16), 1709, 4883),
        (Fraction(29_999.755859375), 2100, 6000),
        (Fraction(10**9), 70_000_000, 200_000_000),
    ],
)
def test_seventy_to_two_hundred_milliseconds_in_ticks(rate: Fraction, start: int, end: int) -> None:
    assert Window.of((0.07, 0.2), rate) == Window(start, end)


def test_window_edges_are_exact() -> None:
    counter = a_counter()
    counter.add(spikes([98_500, 99_999, 100_000, 102_099, 102_100, 105_999, 106_000]))
    counter.advance(106_000)
    counter.ask(1, 100_000, "ttl")
    [counted] = counter.release()
    assert counts(counted) == ([2], [2])
    assert counted.ticks.tolist() == [-1500, -1, 0, 2099, 2100, 5999]


def test_nothing_is_final_before_the_watermark_has_passed_the_window() -> None:
    counter = a_counter()
    counter.ask(1, 100_000, "ttl")
    counter.advance(105_999)
    assert list(counter.release()) == []
    counter.add(spikes([105_999]))
    counter.advance(106_000)
    [counted] = counter.release()
    assert counts(counted) == ([1], [0])
    assert list(counter.release()) == []


@pytest.mark.parametrize(
    ("gap", "measured"),
    [
        ((98_000, 98_500), True),
        ((98_000, 98_501), False),
        ((101_000, 101_001), False),
        ((105_999, 107_000), False),
        ((106_000, 107_000), True),
    ],
)
def test_a_gap_counts_only_where_it_overlaps(gap: tuple[int, int], measured: bool) -> None:
    counter = a_counter()
    counter.mark(Gap(*gap, "3 lost messages", 3))
    counter.advance(200_000)
    counter.ask(1, 100_000, "ttl")
    [counted] = counter.release()
    assert counted.reason == ("" if measured else "overlaps 3 lost messages")
    assert counter.lost == 3


def test_what_was_before_the_beginning_or_was_dropped_is_not_zero() -> None:
    counter = a_counter(first_tick=98_501, keep=30_000)
    counter.advance(106_000)
    counter.ask(1, 100_000, "ttl")
    [counted] = counter.release()
    assert counted.reason == "begins before the data that are kept"
    counter.advance(200_000)
    assert list(counter.release()) == []
    counter.ask(2, 110_000, "ttl")
    assert [each.reason for each in counter.release()] == ["begins before the data that are kept"]


def test_a_spike_behind_the_watermark_spoils_its_window_but_a_repeated_one_does_not() -> None:
    counter = a_counter()
    counter.add(spikes([103_000]))
    counter.advance(104_000)
    counter.add(spikes([103_000]))
    counter.ask(1, 100_000, "ttl")
    counter.add(spikes([113_000]))
    counter.advance(116_000)
    counter.add(spikes([113_001]))
    counter.ask(2, 110_000, "ttl")
    first, second = counter.release()
    assert counts(first) == ([1], [0])
    assert second.reason == "overlaps a spike that came too late"
    assert counter.late == 1


def test_what_all_channels_see_at_once_is_no_spike() -> None:
    counter = a_counter(coincidence=15, n_channels=10)
    touch = spikes(103_000 + np.arange(10), np.arange(10))
    counter.add(touch)
    counter.add(spikes([104_000, 105_000], [3, 4]))
    counter.advance(107_000)
    counter.ask(1, 100_000, "ttl")
    [counted] = counter.release()
    assert counts(counted)[0] == [0, 0, 0, 1, 1, 0, 0, 0, 0, 0]
    assert counter.vetoed == 10


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 10), st.integers(2, 5))
def test_coincidence_is_what_the_definition_says(ticks: list[int], width: int, n_needed: int) -> None:
    ordered = np.sort(np.array(ticks, np.int64))
    groups = [(t, [u for u in ordered.tolist() if t <= u <= t + width]) for t in ordered.tolist()]
    guilty = {u for _, group in groups if len(group) >= n_needed for u in group}
    assert [t in guilty for t in ordered.tolist()] == coincident(ordered, width, n_needed).tolist()


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 3)), max_size=30), max_size=8),
    st.integers(0, 300),
    st.integers(0, 300),
)
def test_a_history_is_a_sorted_set(batches: list[list[tuple[int, int]]], start: int, end: int) -> None:
    history = SpikeHistory()
    known: set[tuple[int, int]] = set()
    for batch in batches:
        ticks, columns = np.array(batch, np.int64).reshape(-1, 2).T
        history.add(ticks, columns.astype(np.int32))
        known |= set(batch)
    ticks, columns = history.between(start, end)
    assert list(zip(ticks.tolist(), columns.tolist(), strict=True)) == sorted(s for s in known if start <= s[0] < end)
    history.drop_before(start)
    assert len(history) == len([s for s in known if s[0] >= start])


def test_a_history_outgrows_its_first_room() -> None:
    history = SpikeHistory()
    for first in range(0, 100_000, 500):
        history.add(np.arange(first, first + 500), np.zeros(500, np.int32))
        history.drop_before(first - 3000)
    assert history.between(0, 10**6)[0].tolist() == list(range(96_500, 100_000))


@given(
    st.lists(st.tuples(st.integers(0, 12_000), st.integers(0, 2)), max_size=60, unique=True),
    st.lists(st.integers(1500, 6000), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
)
def test_order_and_pieces_do_not_matter(
    drawn: list[tuple[int, int]], onsets: list[int], random: "np.random.Generator"
) -> None:
    whole, pieces = a_counter(n_channels=3), a_counter(n_channels=3)
    whole.add(spikes(*zip(*drawn, strict=True)) if drawn else spikes([]))
    whole.advance(20_000)
    shuffled = drawn + drawn[:5]
    random.shuffle(shuffled)  # type: ignore[arg-type]
    for tick, column in shuffled:
        pieces.add(spikes([tick], [column]))
    pieces.advance(20_000)
    for number, onset in enumerate(onsets):
        whole.ask(number, onset, "ttl")
        pieces.ask(number, onset, "ttl")
    assert [counts(each) for each in whole.release()] == [counts(each) for each in pieces.release()]


@pytest.mark.parametrize("ppm", [-100, 30, 100])
def test_two_hours_of_drift_stay_within_a_millisecond(ppm: int) -> None:
    clock, random = Clock(0.008), np.random.default_rng(3)
    worst_s = 0.0
    for start_s in np.arange(0, 7200, 1.7):
        display_s = start_s + np.arange(5) * 0.2
        recording_s = 1000 + display_s * (1 + ppm * 1e-6) + random.normal(0, 2e-4, 5)
        if clock.fit is not None:
            worst_s = max(worst_s, float(np.abs(clock.fit.recording_s(display_s) - recording_s).max()))
        clock.learn(display_s, recording_s)
    assert worst_s < 0.0015
    assert clock.fit is not None
    assert clock.fit.drift == pytest.approx(ppm * 1e-6, abs=2e-6)
    assert clock.tolerance_s < 0.002


def test_spikes_without_number_are_dropped_however_long_they_are_to_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.counter.MAX_SPIKES", 1000)
    counter = Counter(0, 1, Window(0, 10), Window(-10, 0), keep=10**9)
    for start in range(0, 10_000, 100):
        counter.add(Spikes(np.arange(start, start + 100), np.zeros(100, np.int32)))
        counter.advance(start + 100)
        assert list(counter.release()) == []
    assert len(counter._history) <= 1000
    counter.ask(1, 500, "ttl")
    counter.ask(2, 9900, "ttl")
    assert [each.reason for each in counter.release()] == ["begins before the data that are kept", ""]
