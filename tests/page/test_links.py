"""What the page says of the things that a session hangs on."""

from pathlib import Path

from protocol.messages import Vitals
from server.status.links import links
from server.status.operator import Heard
from server.status.records import open_records
from tests.page.made import MadeSession

PEERS = {
    "display": {"name": "headless", "heard_s": 0.1, "data_age_s": float("nan")},
    "acquisition": {"name": "amplifier", "heard_s": 0.1, "data_age_s": 2.7},
}


def states(made: MadeSession) -> dict[str, str]:
    heard = Heard("s1", Vitals(made.session.state.value, "", PEERS, 0.001, 0, 0), made.now_s)
    with open_records(made.file.path) as records:
        return {link.role: link.state for link in links(records, heard, ended=False)}


def test_spikes_that_stand_still_are_not_well_though_their_adapter_is(tmp_path: Path) -> None:
    made = MadeSession(tmp_path / "made.xdream").begin()
    assert states(made)["acquisition"] == "ok"
    made.suspend()
    assert states(made)["acquisition"] == "lost"
    assert states(made)["display"] == "ok"
    made.clear()
    assert states(made)["acquisition"] == "ok"
    made.close()


def test_how_onsets_are_found_is_told_of_the_newest_response_whatever_evolution_it_is_of(tmp_path: Path) -> None:
    made = MadeSession(tmp_path / "made.xdream").begin().go_on(8)
    connection = made.file.connection
    of_first = "SELECT MIN(received_at), MAX(received_at) FROM responses WHERE presentation_id < 2000000000000"
    [(oldest, newest)] = connection.execute(of_first).fetchall()
    # Evolution 2 has had its generations long ago; evolution 1 goes on, and its onsets are only guessed by now.
    connection.execute("UPDATE responses SET received_at = ? WHERE presentation_id >= 2000000000000", (oldest - 900,))
    connection.execute("UPDATE responses SET onset_source = 'inferred' WHERE presentation_id < 2000000000000")
    with open_records(made.file.path) as records:
        [clock] = [link for link in links(records, None, ended=False) if link.role == "clock"]
    made.close()
    assert (clock.state, clock.heard_at) == ("lost", newest)
