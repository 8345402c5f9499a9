"""The live stream: who watches, who stalls, who comes back."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from adapters.alarms import Alarm, condition
from protocol.messages import Role
from server.status import library
from server.status.feed import Cursor, Feed
from server.status.library import Library
from server.status.shapes import Summary
from server.status.watched import Watched
from tests.page.made import MadeSession


def a_watched(made: MadeSession) -> Watched:
    return Watched(Feed(made.file.path), lambda: None)


async def next_event(events: Any) -> tuple[dict[str, Any], str]:
    while True:
        event, cursor = await asyncio.wait_for(anext(events), 20)
        if event:
            return json.loads(event), cursor


def test_what_goes_on_record_is_told_at_once(running: MadeSession) -> None:
    async def watch() -> None:
        events = a_watched(running).events("")
        first, _ = await next_event(events)
        assert first["standing"]["measured"] == 0
        running.go_on(2)
        then, _ = await next_event(events)
        assert then["standing"]["measured"] == 10
        await events.aclose()

    asyncio.run(watch())


def test_a_visitor_who_stalls_holds_nothing_up_and_misses_nothing(running: MadeSession) -> None:
    async def watch() -> None:
        watched = a_watched(running)
        stalled, awake = watched.events(""), watched.events("")
        await next_event(stalled)
        await next_event(awake)
        for _ in range(6):
            running.go_on(3)
            await next_event(awake)
        event, _ = await next_event(stalled)  # asks again only now: all of it in one piece
        told = {(row["evolution"], row["generation"]) for row in event["generations"]}
        everything = running.file.connection.execute("SELECT DISTINCT evolution, generation FROM scores").fetchall()
        assert told == set(everything)
        await stalled.aclose()
        await awake.aclose()
        assert watched.visitors == 0

    asyncio.run(watch())


def test_a_cursor_means_the_same_after_the_page_server_was_restarted(running: MadeSession) -> None:
    running.go_on(6)
    feed = Feed(running.file.path)
    feed.refresh(None)
    _, cursor = feed.since("")
    running.go_on(6)
    another = Feed(running.file.path)
    another.refresh(None)
    event = json.loads(another.since(cursor)[0])
    feed.refresh(None)
    assert not event["reset"]
    assert event["generations"] == json.loads(feed.since(cursor)[0])["generations"]


def test_an_alarm_that_is_over_is_told_again(running: MadeSession) -> None:
    running.suspend()
    feed = Feed(running.file.path)
    feed.refresh(None)
    event, cursor = feed.since("")
    [alarm] = [line for line in json.loads(event)["log"] if line["kind"] == "alarm"]
    assert alarm["cleared_at"] is None
    running.clear()
    feed.refresh(None)
    [again, *_] = [line for line in json.loads(feed.since(cursor)[0])["log"] if line["key"] == alarm["key"]]
    assert again["cleared_at"] > alarm["at"]


def test_a_warning_that_is_over_is_told_again_and_one_that_is_open_stands(running: MadeSession) -> None:
    lost = Alarm("the recording loses data", "not measured, shown again", "use a cable")
    running.tell(condition({"lost": lost}), Role.ACQUISITION)
    feed = Feed(running.file.path)
    feed.refresh(None)
    event, cursor = feed.since("")
    [stands] = json.loads(event)["standing"]["alarms"]
    assert (stands["what"], stands["consequence"], stands["do"], stands["stops"]) == (*lost, False)
    running.tell(condition({}), Role.ACQUISITION)
    feed.refresh(None)
    again = json.loads(feed.since(cursor)[0])
    assert again["standing"]["alarms"] == []
    [over] = again["log"]
    assert (over["key"], over["cleared_at"] > over["at"]) == (stands["key"], True)


def test_an_alarm_that_outlasts_many_others_is_told_to_be_over(running: MadeSession) -> None:
    tape = Alarm("raw data are not recorded", "spikes alone are kept", "press record")
    running.tell(condition({"tape": tape}), Role.ACQUISITION)
    feed = Feed(running.file.path)
    for _ in range(80):
        running.tell(condition({"tape": tape, "late": Alarm("data come late", "answers do", "look")}), Role.ACQUISITION)
        running.tell(condition({"tape": tape}), Role.ACQUISITION)
    feed.refresh(None)
    _, cursor = feed.since("")
    running.tell(condition({}), Role.ACQUISITION)
    feed.refresh(None)
    for told in (json.loads(feed.since(cursor)[0])["log"], json.loads(feed.since("")[0])["log"]):
        [line] = [each for each in told if each["what"] == tape.what]
        assert line["cleared_at"] is not None
    assert len(json.loads(feed.since(cursor)[0])["log"]) == 1, "and nothing but that is told again"


def test_a_cursor_of_nobodys_begins_at_the_beginning(running: MadeSession) -> None:
    feed = Feed(running.file.path)
    feed.refresh(None)
    for cursor in ("", "nonsense", "9" * 400, "-1:0:0:0:0:0:0:0:made", "999999:9:9:9:9:9:9:9:another"):
        assert json.loads(feed.since(cursor)[0])["reset"], cursor


def test_a_cursor_reads_as_it_is_written(running: MadeSession) -> None:
    feed = Feed(running.file.path)
    feed.refresh(None)
    _, cursor = feed.since("")
    assert str(Cursor.read(cursor)) == cursor


def test_what_is_told_twice_costs_no_more_than_how_things_stand(running: MadeSession) -> None:
    # a page that is open for twelve hours is told of a generation once
    running.go_on(60)
    feed = Feed(running.file.path)
    feed.refresh(None)
    whole, cursor = feed.since("")
    rest = json.loads(feed.since(cursor)[0])
    assert rest["generations"] == rest["log"] == []
    assert len(whole) > 2 * len(feed.since(cursor)[0])


def test_a_library_forgets_sessions_that_nobody_looks_at(running: MadeSession) -> None:
    sessions = Library(running.file.path, None)
    assert sessions.watched("running") is sessions.watched("running")
    assert sessions.n_visitors() == 0


def test_a_session_that_another_server_writes_is_attended_till_it_falls_silent(running: MadeSession) -> None:
    running.go_on(3)
    sessions = Library(running.file.path, None)
    [now] = sessions.summaries()
    assert (now.attended, now.live) == (True, False)
    for file in running.file.path.parent.glob(f"{running.file.path.name}*"):
        os.utime(file, (0, time.time() - 6))
    [later] = sessions.summaries()
    assert not later.attended


def test_a_long_session_is_not_summed_up_for_everybody_who_looks_at_the_list(
    running: MadeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s, read = [0.0], library._read_summary

    def slowly(name: str, path: Path) -> Summary:
        now_s[0] += 1.0
        return read(name, path)

    monkeypatch.setattr(library, "_read_summary", slowly)
    sessions = Library(running.file.path, None, lambda: now_s[0])
    [first] = sessions.summaries()
    running.go_on(4)
    for _ in range(50):
        assert sessions.summaries()[0].measured == first.measured
    assert now_s[0] == 1.0, "read once"
    now_s[0] += 60
    assert sessions.summaries()[0].measured > first.measured
