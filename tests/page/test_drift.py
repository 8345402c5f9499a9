"""Drift on the page: the curve with it taken off is that of the report."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import a_client

from server.drift import drift
from server.reading import Reader
from server.status.drifting import MOST, Drifts
from server.status.shapes import Event, Generation
from tests.page.made import MadeSession, fade


def told(client: Any, name: str, after: str = "") -> tuple[Event, str]:
    answer = client.get(f"/api/sessions/{name}/now", params={"after": after}).json()
    return Event.model_validate(answer), answer["cursor"]


def gains_of(path: Path, evolution: int) -> list[float]:
    """Return what the report divides by."""
    reader = Reader(path)
    curve = reader.curve(evolution)
    reader.close()
    pairs = zip(curve.evolved, curve.corrected().evolved, strict=True)
    return [float(np.abs(raw).sum() / np.abs(corrected).sum()) for raw, corrected in pairs]


def a_generation(number: int, references: list[float | None]) -> Generation:
    return Generation(
        evolution=1, generation=number, proposed_at=0, first_sent_at=0, last_reported_at=0, last_received_at=0,
        scored_at=0, shown=0, measured=0, voids={}, debt=0, references=references,
    )  # fmt: skip


def test_it_is_the_drift_that_the_report_takes_off(running: MadeSession) -> None:
    running.go_on(20)
    fade(running)
    with a_client(running.file.path) as client:
        event, _ = told(client, "running")
    assert set(event.gains) == {1, 2}
    for evolution, gains in event.gains.items():
        assert gains == pytest.approx(gains_of(running.file.path, evolution), abs=1e-3)
        assert gains[0] == 1 and sorted(gains, reverse=True) == gains and gains[-1] < 0.95


def test_it_is_told_whole_with_a_new_generation_and_else_not_at_all(running: MadeSession) -> None:
    with a_client(running.file.path) as client:
        running.go_on(14)
        fade(running)
        event, cursor = told(client, "running")
        n = len(event.gains[1])
        assert n == sum(each.evolution == 1 for each in event.generations)
        again, cursor = told(client, "running", cursor)
        assert again.gains == {} and again.generations == []
        running.go_on(14)
        fade(running)
        event, _ = told(client, "running", cursor)
        assert len(event.gains[1]) == n + sum(each.evolution == 1 for each in event.generations) > n


def test_where_other_channels_are_scored_drift_begins_anew_on_the_page_and_in_the_report(running: MadeSession) -> None:
    running.go_on(16)
    running.ask("change", evolution=1, channels=["pixel/5"])
    running.go_on(24)
    fade(running)
    [(first,)] = running.file.connection.execute("SELECT generation FROM changes").fetchall()
    with a_client(running.file.path) as client:
        event, _ = told(client, "running")
    generations = [each.generation for each in event.generations if each.evolution == 1]
    place = generations.index(first)
    for gains in (event.gains[1], gains_of(running.file.path, 1)):
        assert place > 1 and gains[place] == pytest.approx(1) and gains[place - 1] < 0.98


def test_after_a_day_it_is_still_quick_and_nearly_the_same() -> None:
    random, n = np.random.default_rng(0), 2 * MOST + 7
    rates_hz = 80 * (1 - 0.2 * np.arange(n) / n)[:, None] * (1 + 0.25 * random.normal(size=(n, 6)))
    rates_hz[5:9, 2] = np.nan
    drifts = Drifts()
    for number, row in enumerate(rates_hz, 1):
        drifts.add(a_generation(number, [None if np.isnan(rate) else rate for rate in row]), afresh=False)
    exact = drift(np.arange(1, n + 1), list(rates_hz)).gain
    assert np.abs(np.array(drifts.gains()[1]) - exact).max() < 0.01


def test_where_there_are_no_reference_images_nothing_is_known_of_it() -> None:
    drifts = Drifts()
    for number in (1, 2, 3):
        drifts.add(a_generation(number, []), afresh=False)
    assert drifts.gains() == {1: []}
