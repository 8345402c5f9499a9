"""A fire drill: an operator's wish that the server passes on, and that only a rehearsal's peers take up."""

import time
from pathlib import Path
from typing import Any, get_args

import pytest
from builders import a_display, a_session, an_acquisition, recorded, sent
from pydantic import ValidationError

from protocol.messages import Acknowledge, Control, Role
from server import build
from server.actions import State
from server.config import parse_config
from server.status.controls import Asked
from server.status.records import about, open_records
from simulator.behaviour import Animal
from simulator.faults import MEANINGS, offered
from simulator.source import SimulatedUnits
from tests.rig import CONFIG

DRILL = Control("c1", "drill", "me", {"what": "stall", "seconds": 5.0})


def test_a_drill_is_recorded_and_passed_on_once_and_changes_nothing_else() -> None:
    session = a_session()
    session.start()
    session.receive(a_display(), Role.DISPLAY)
    session.receive(an_acquisition(), Role.ACQUISITION)
    before: State = session.state
    actions = session.receive(DRILL, Role.OPERATOR)
    assert recorded(actions, Control) == [DRILL]
    assert sent(actions, Control, Role.DISPLAY) == sent(actions, Control, Role.ACQUISITION) == [DRILL]
    assert session.state is before
    again = session.receive(DRILL, Role.OPERATOR)
    assert not sent(again, Control)
    assert len(sent(again, Acknowledge, Role.OPERATOR)) == 1


def test_the_page_asks_for_a_drill_by_name() -> None:
    asked: dict[str, Any] = {"control_id": "abcdefgh", "action": "drill", "what": "stall", "seconds": 5.0}
    assert Asked(**asked).control().arguments == {"sequence": 0, "what": "stall", "seconds": 5.0}
    with pytest.raises(ValidationError):
        Asked(**asked | {"what": "earthquake"})
    with pytest.raises(Exception, match="needs something to say"):
        Asked(**asked | {"what": ""}).control()


def test_what_can_go_wrong_can_be_asked_for() -> None:
    assert set(get_args(Asked.model_fields["what"].annotation)) == {"", *MEANINGS}


@pytest.mark.parametrize(
    ("begun_as", "drills"),
    [
        ({}, {}),
        ({"rehearsal": '{"fast": true}'}, offered("")),
        ({"rehearsal": '{"as": "plexnet"}'}, offered("plexnet")),
    ],
)
def test_the_page_offers_in_words_what_fits_the_rehearsal_and_nothing_on_a_rig(
    begun_as: dict[str, str], drills: dict[str, str], tmp_path: Path
) -> None:
    config = parse_config(CONFIG.format(address="tcp://127.0.0.1:*", generations=1), "the test")
    path = tmp_path / "s.xdream"
    build.begin(config, build.Changes(), path, time.time, **begun_as).file.close()
    with open_records(path) as records:
        assert about(records).drills == drills


def test_a_rehearsal_s_peers_take_it_up_each_its_own() -> None:
    source = SimulatedUnits(network="known")
    source.drill(DRILL.arguments)
    assert source.data_age_s() >= 0 == len(source.poll())
    source.drill({"what": "look_away"})
    source.drill({"what": "nonsense"})
    source.close()
    animal = Animal()
    animal.begin(1, 0.0, 1.0)
    animal.drill(DRILL.arguments)
    assert animal.position_deg(0.5) == (0.0, 0.0)
    animal.drill({"what": "look_away", "seconds": 2})
    assert animal.position_deg(0.6) == animal.AWAY_DEG
