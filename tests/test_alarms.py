"""What is wrong without stopping the session: on record with a beginning and an end, and told to whoever can act."""

from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from adapters.alarms import Alarm as Said
from adapters.alarms import condition
from protocol.codec import decode, encode
from protocol.messages import Condition, Notice, Onsets, Responses, Role
from server.actions import Alarm, AlarmOver, State
from server.exchange import ProtocolError
from server.session_file import SessionFile
from tests.builders import Desk, a_desk, a_display, an_acquisition, an_answer, recorded, sent

SILENT = Said("no spike for 60 s on channel 7", "it adds nothing", "look at its threshold")
LOST = Said("the recording loses data", "not measured, shown again", "use a cable")


def joined() -> Desk:
    desk = a_desk()
    desk.join()
    return desk


def told(desk: Desk, **alarms: Said) -> list[Any]:
    return desk.tell(condition(alarms), Role.ACQUISITION)


def test_an_alarm_goes_on_record_and_to_the_people_and_the_session_goes_on() -> None:
    desk = joined()
    actions = told(desk, silent=SILENT)
    assert recorded(actions, Alarm) == [Alarm("acquisition", "silent", *SILENT)]
    [notice] = sent(actions, Notice, Role.DISPLAY)
    assert notice.level == "alarm"
    assert all(part in notice.text for part in SILENT)
    assert desk.session.state is State.RUNNING


def test_what_is_said_again_is_no_news_and_what_is_left_out_is_over() -> None:
    desk = joined()
    told(desk, silent=SILENT, lost=LOST)
    assert told(desk, silent=SILENT, lost=LOST) == []
    actions = told(desk, lost=LOST)
    assert recorded(actions, AlarmOver) == [AlarmOver("acquisition", "silent")]
    assert [notice.level for notice in sent(actions, Notice, Role.OPERATOR)] == ["info"]


def test_other_words_for_the_same_alarm_are_recorded_and_nobody_is_rung_for_twice() -> None:
    desk = joined()
    told(desk, silent=SILENT)
    actions = told(desk, silent=SILENT._replace(what="no spike for 60 s on channels 7, 9"))
    assert len(recorded(actions, Alarm)) == 1
    assert sent(actions, Notice) == []


def test_the_alarms_of_an_adapter_end_with_it_and_not_with_its_connection() -> None:
    desk = joined()
    told(desk, silent=SILENT)
    assert recorded(desk.tell(an_acquisition("a1"), Role.ACQUISITION), AlarmOver) == []
    assert recorded(desk.tell(an_acquisition("a2"), Role.ACQUISITION), AlarmOver) == [
        AlarmOver("acquisition", "silent")
    ]


def test_a_display_may_say_what_is_wrong_too() -> None:
    desk = joined()
    [alarm] = recorded(desk.tell(condition({"lamp": SILENT}), Role.DISPLAY), Alarm)
    assert alarm.source == "display"
    assert recorded(desk.tell(a_display("d2"), Role.DISPLAY), Alarm) == []


@pytest.mark.parametrize(
    "alarms",
    [
        {"a": "a sentence"},
        {"a": {"what": "no consequence"}},
        {"a": {"what": 1, "consequence": "", "do": ""}},
        {"": SILENT._asdict()},
        {"a": SILENT._replace(what="x" * 5000)._asdict()},
        {str(n): SILENT._asdict() for n in range(100)},
    ],
)
def test_nonsense_is_refused_and_changes_nothing(alarms: dict[str, Any]) -> None:
    desk = joined()
    with pytest.raises(ProtocolError):
        desk.tell(Condition(alarms), Role.ACQUISITION)
    assert recorded(told(desk, silent=SILENT), Alarm) != []


def test_a_stranger_to_the_rig_says_nothing_of_it() -> None:
    with pytest.raises(ProtocolError):
        joined().tell(Condition({}), Role.OPERATOR)


def rows(file: SessionFile) -> list[tuple[Any, ...]]:
    query = "SELECT key, what, began_at, cleared_at FROM alarms ORDER BY rowid"
    return [tuple(row) for row in file.connection.execute(query).fetchall()]


@pytest.fixture
def file(tmp_path: Path) -> SessionFile:
    seconds = iter(range(1, 1000))
    return SessionFile.create(tmp_path / "s.xdream", lambda: float(next(seconds)), {})


def add(file: SessionFile, *alarms: Alarm | AlarmOver) -> None:
    with file.transaction():
        for each in alarms:
            file.add(each)


def test_the_file_holds_when_it_began_and_when_it_was_over(file: SessionFile) -> None:
    silent = Alarm("acquisition", "silent", *SILENT)
    add(file, silent, Alarm("acquisition", "lost", *LOST))
    add(file, Alarm("acquisition", "silent", "channels 7, 9", "", ""))
    [first, second] = rows(file)
    assert first[:2] == ("silent", "channels 7, 9"), "the same alarm in other words began when it began"
    assert first[3] is second[3] is None
    add(file, AlarmOver("acquisition", "silent"))
    assert rows(file)[0][3] > rows(file)[0][2]
    add(file, silent)
    assert len(rows(file)) == 3, "and when it comes again it is another"
    add(file, Alarm("evolution 1", "alike", *LOST), AlarmOver("acquisition", ""))
    assert [key for key, _, _, cleared in rows(file) if cleared is None] == ["alike"]
    file.close()


def test_an_alarm_that_a_server_left_open_is_over_for_the_next_one(file: SessionFile) -> None:
    add(file, Alarm("acquisition", "silent", *SILENT))
    resumed = a_desk()
    for action in resumed.join():
        if hasattr(action, "row") and isinstance(action.row, AlarmOver):
            add(file, action.row)
    assert rows(file)[0][3] is not None
    file.close()


def test_an_adapter_of_before_that_says_nothing_of_clocks_is_understood() -> None:
    asked = Onsets(1, np.array([7], np.int64), np.array([8], np.int64), np.array([1.0]))
    header, *arrays = encode(an_answer(asked))
    older = msgpack.unpackb(bytes(header))
    for name in ("clock_residual_s", "clock_age_s"):
        del older["fields"][name]
    answer = decode([msgpack.packb(older), *arrays])
    assert isinstance(answer, Responses)
    assert np.isnan([answer.clock_residual_s, answer.clock_age_s]).all()
