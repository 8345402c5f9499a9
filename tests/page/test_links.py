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
