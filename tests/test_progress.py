"""What the terminal says of a session: anybody's words, as they are."""

import io
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from server.actions import Advanced, Alarm, AlarmOver, Cleared, Row, State, StateChanged, Trouble
from server.evolution import Outcome
from server.progress import Terminal

NO_IDS = np.zeros(0, np.int64)


def said(*rows: Row, name: str = "e1", on_a_terminal: bool = False) -> str:
    """Return what is printed of some rows."""
    paper = io.StringIO()
    console = Console(file=paper, width=200, force_terminal=on_a_terminal, color_system=None, soft_wrap=True)
    with Terminal(console, {1: name}, {1: 3}) as watch:
        for row in rows:
            watch(row)
    return paper.getvalue()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (Trouble("display", "the display left: no port [/dev/ttyUSB0]", "start [it]"), "no port [/dev/ttyUSB0]"),
        (StateChanged(State.PAUSED, "paused by [/]"), "paused: paused by [/]"),
        (StateChanged(State.ENDED, "ended by [bold]"), "ended by [bold]"),
    ],
)
def test_brackets_in_words_of_a_peer_or_an_operator_are_said_and_end_nothing(row: Row, words: str) -> None:
    assert words in said(row)


@pytest.mark.parametrize("on_a_terminal", [False, True])
def test_an_evolution_may_have_any_name(on_a_terminal: bool) -> None:
    outcome = Outcome(1, 1, np.arange(2), np.ones(2), NO_IDS, np.zeros(0))
    assert "IT [/left]" in said(Advanced(1, outcome, None, b""), name="IT [/left]", on_a_terminal=on_a_terminal)


def test_what_keeps_a_session_from_going_on_is_said_with_when_what_it_means_and_what_to_do_until_it_is_over() -> None:
    trouble = Trouble("spikes", "no fresh data", "look at the amplifier")
    began, over = said(trouble, Cleared("spikes"), Cleared("display")).splitlines()
    when, what = began.split("  ", 1)
    datetime.strptime(when, "%H:%M:%S")
    means = "no new trial is shown; the session goes on by itself as soon as data flow again"
    assert what == f"no fresh data | {means} | look at the amplifier"
    assert over.endswith("  over: no fresh data")


def test_an_alarm_is_said_once_for_as_long_as_it_lasts() -> None:
    quiet = Alarm("evolution 1", "spread", "scores hardly differ", "nothing to choose by", "look at the channels")
    words = said(AlarmOver("evolution 1", ""), quiet, replace(quiet, what="scores differ less"), quiet)
    assert [line[10:] for line in words.splitlines()] == [
        "scores hardly differ | nothing to choose by | look at the channels"
    ]
    assert said(quiet, AlarmOver("evolution 1", "spread")).endswith("over: scores hardly differ\n")
    assert said(quiet, AlarmOver("evolution 1", "")).endswith("over: scores hardly differ\n")
    assert "over" not in said(quiet, AlarmOver("acquisition", ""), AlarmOver("evolution 1", "other"))


@pytest.mark.parametrize(
    ("unit", "words"),
    [("Hz", "best 0.9  mean 0.5  references 0.3 Hz"), ("", "best 0.875  mean 0.5  references 0.3  ")],
)
def test_scores_are_said_in_their_unit_if_they_have_one(unit: str, words: str) -> None:
    paper = io.StringIO()
    outcome = Outcome(1, 1, np.arange(2), np.array([0.125, 0.875]), NO_IDS, np.array([0.3]))
    with Terminal(Console(file=paper, width=200), {1: "e1"}, {1: 3}, {1: unit}) as watch:
        watch(Advanced(1, outcome, None, b""))
    assert words in paper.getvalue()


def test_what_is_left_of_a_resumed_session_follows_from_its_pace_since_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = iter((100.0, 110.0))
    monkeypatch.setattr("server.progress.time", SimpleNamespace(monotonic=lambda: next(now_s)))
    paper = io.StringIO()
    with Terminal(Console(file=paper, width=200), {1: "e1"}, {1: 60}) as watch:
        watch(StateChanged(State.RUNNING, ""))
        watch(Advanced(1, Outcome(1, 51, np.arange(2), np.ones(2), NO_IDS, np.zeros(0)), None, b""))
    assert "generation 51/60" in paper.getvalue() and "90 s left" in paper.getvalue()
