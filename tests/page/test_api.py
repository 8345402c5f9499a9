"""What the page's API says of a session, and what it says when there is nothing to say."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import a_client
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, Phase, given, settings

from server.status.shapes import Event
from tests.page.made import MadeSession

HERE = "/api/sessions/made"


def test_the_list_of_sessions_says_how_each_went(client: TestClient) -> None:
    [summary] = client.get("/api/sessions").json()
    assert summary["name"] == "made"
    assert summary["state"] == "ended"
    assert summary["generations"] == 8
    assert len(summary["best"]) == 2


def test_a_file_that_is_no_session_is_listed_with_its_problem(tmp_path: Path) -> None:
    (tmp_path / "torn.xdream").write_bytes(b"not a database" * 100)
    with a_client(tmp_path) as client:
        [summary] = client.get("/api/sessions").json()
        assert "no session file, or is damaged" in summary["problem"]
        assert client.get("/api/sessions/torn").status_code == 409


def test_a_session_that_makes_no_sense_is_said_to(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "made.xdream").write_bytes((finished / "made.xdream").read_bytes())
    with closing(sqlite3.connect(tmp_path / "made.xdream")) as file, file:
        file.execute("UPDATE peers SET channels = '['")
        file.execute("DELETE FROM meta WHERE key = 'session_id'")
    with a_client(tmp_path) as client:
        [summary] = client.get("/api/sessions").json()
        answer = client.get(HERE)
    assert answer.status_code == 409
    for words in (summary["problem"], answer.json()["error"]):
        assert "cannot be understood" in words and "xdream verify" in words


def test_a_late_visitor_is_told_everything_and_then_only_what_is_new(running: MadeSession) -> None:
    running.go_on(5)
    with a_client(running.file.path) as client:
        first = Event.model_validate(client.get("/api/sessions/running/now").json())
        assert first.reset
        assert {(row.evolution, row.generation) for row in first.generations} == {(1, 1), (2, 1)}
        running.go_on(5)
        then = Event.model_validate(client.get("/api/sessions/running/now", params={"after": first.cursor}).json())
    assert not then.reset
    assert {(row.evolution, row.generation) for row in then.generations} >= {(1, 2), (2, 2)}
    assert all(row.generation > 1 for row in then.generations)
    assert then.standing.measured > first.standing.measured


def test_what_was_shown_scored_and_void_adds_up(running: MadeSession) -> None:
    running.go_on(12, void_every=3)
    with a_client(running.file.path) as client:
        event = Event.model_validate(client.get("/api/sessions/running/now").json())
    count = running.file.connection.execute
    standing = event.standing
    assert standing.measured == count("SELECT COUNT(*) FROM responses WHERE measured").fetchone()[0]
    assert standing.voids == {"fixation_broken": 4}
    assert standing.debt == sum(run.ledger.debt for run in running.session.runs if run.ledger)
    assert [each.stimulus_ids for each in standing.trials] == [
        trial.stimulus_ids.tolist() for trial in running.session.traffic.out.values()
    ]


def test_how_the_screen_kept_time_is_told(running: MadeSession) -> None:
    running.go_on(3)
    running.file.connection.execute("UPDATE frames SET n_frames = 10, n_long_frames = 1, longest_frame_s = 0.034")
    running.file.connection.execute("INSERT INTO rewards VALUES (1, 2.0, 0.1)")
    with a_client(running.file.path) as client:
        frames = Event.model_validate(client.get("/api/sessions/running/now").json()).standing.frames
    n_trials = running.file.connection.execute("SELECT COUNT(*) FROM frames").fetchone()[0]
    assert (frames.n, frames.n_long, frames.longest_s, frames.n_rewards) == (10 * n_trials, n_trials, 0.034, 1)


def test_an_image_never_changes_and_is_kept_by_the_browser(client: TestClient) -> None:
    [first, *_] = client.get(f"{HERE}/generations/1/2").json()
    picture = client.get(f"{HERE}/stimuli/{first['stimulus_id']}.png")
    assert picture.content.startswith(b"\x89PNG")
    assert "immutable" in picture.headers["Cache-Control"]


def test_an_image_leads_to_its_score_its_showings_and_their_spikes(client: TestClient) -> None:
    [first, *_] = client.get(f"{HERE}/generations/1/2").json()
    about = client.get(f"{HERE}/stimuli/{first['stimulus_id']}").json()
    assert about["scores"] == [[1, 2, first["score"]]]
    shown = [each for each in about["presentations"] if each["measured"]]
    assert len(shown) == 1
    assert len(shown[0]["rates_hz"]) == 6
    query = {"channel": 0, "stimulus_id": first["stimulus_id"]}
    spikes = client.get(f"{HERE}/spikes/1/2", params=query).json()
    assert spikes["n"] == 1
    assert spikes["with_times"]


def test_an_image_says_what_it_was_marked_with(running: MadeSession) -> None:
    running.go_on(5)
    running.ask("mark", "a-mark-with-words", stimulus_id=1_00001_0002, text="striking")
    running.ask("mark", "a-mark-without-any", stimulus_id=1_00001_0002)
    with a_client(running.file.path) as client:
        about, other = (client.get(f"/api/sessions/running/stimuli/{n}").json() for n in (1_00001_0002, 1_00001_0003))
    assert about["marks"] == ["JD: striking", "JD: worth a look"]
    assert other["marks"] == []


def test_the_spikes_of_a_reference_image_are_its_own_also_of_the_first(client: TestClient) -> None:
    shown = [client.get(f"{HERE}/spikes/1/2", params={"stimulus_id": n}).json()["n"] for n in range(3)]
    assert shown == [1, 1, 1]


def test_showings_are_counted_beyond_those_that_are_listed_and_told_newest_first(
    running: MadeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.status.images.LAST", 4)
    running.go_on(20, void_every=5)
    with a_client(running.file.path) as client:
        about = client.get("/api/sessions/running/stimuli/0").json()
    count = running.file.connection.execute
    on_screen = "SELECT COUNT(*) FROM presentations WHERE stimulus_id = 0 AND onset_s IS NOT NULL"
    measured = (
        "SELECT COUNT(*) FROM presentations JOIN responses USING (presentation_id) WHERE stimulus_id = 0 AND measured"
    )
    assert about["shown"] == count(on_screen).fetchone()[0] > 4
    assert about["scored"] == count(measured).fetchone()[0]
    newest = "SELECT presentation_id FROM presentations WHERE stimulus_id = 0 ORDER BY trial DESC, place DESC LIMIT 4"
    assert [each["presentation_id"] for each in about["presentations"]] == [row[0] for row in count(newest).fetchall()]


def test_a_reference_image_is_scored_once_a_generation_of_each_evolution(client: TestClient) -> None:
    about = client.get(f"{HERE}/stimuli/0").json()
    assert {(evolution, generation) for evolution, generation, _ in about["scores"]} == {
        (evolution, generation) for evolution in (1, 2) for generation in (1, 2, 3, 4)
    }


def test_every_channel_has_a_rate_a_change_and_a_reliability(client: TestClient) -> None:
    channels = client.get(f"{HERE}/channels", params={"evolution": 1}).json()
    assert [each["name"] for each in channels] == [f"pixel/{n}" for n in range(6)]
    assert channels[0]["scored"] == [1]
    assert all(len(each["history_hz"]) == 4 and -1 <= each["reliability"] <= 1 for each in channels)


def test_an_alarm_says_what_since_when_its_consequence_and_what_to_do(running: MadeSession) -> None:
    running.suspend()
    with a_client(running.file.path) as client:
        event = Event.model_validate(client.get("/api/sessions/running/now").json())
    [alarm] = event.standing.alarms
    assert event.standing.state == "suspended"
    assert alarm.what == "no fresh data from the recording system"
    assert alarm.at > 0
    assert "goes on by itself" in alarm.consequence
    assert alarm.do == "look at probe A"


def test_prometheus_finds_the_figures(client: TestClient) -> None:
    text = client.get("/metrics").text
    assert 'xdream_state{session="made",state="ended"} 1.0' in text
    assert "xdream_presentations_measured_total" in text
    assert 'xdream_presentations_void_total{cause="fixation_broken"}' in text


@pytest.mark.parametrize(
    "path", ["/api/sessions/none", f"{HERE}/stimuli/77", f"{HERE}/stimuli/77.png", "/nothing", "/page/none.js"]
)
def test_what_is_not_there_is_said_in_a_sentence(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"].endswith(".")


def test_without_a_server_nothing_can_be_asked_for_and_it_is_said(client: TestClient) -> None:
    wish = {"control_id": "a-wish-of-mine", "action": "pause"}
    answer = client.post(f"{HERE}/controls", json=wish)
    assert answer.status_code == 503
    assert "Nothing was done" in answer.json()["error"]


def test_every_answer_keeps_to_the_openapi_description(finished: Path) -> None:
    schemathesis = pytest.importorskip("schemathesis")
    with a_client(finished) as client:
        schema = schemathesis.openapi.from_dict(client.get("/api/openapi.json").json())
        operations = [result.ok() for result in schema.get_all_operations()]
        assert len(operations) > 8
        for operation in operations:
            if not operation.path.endswith("/live"):
                keeps_to_it(operation, client, schemathesis.Response)


def keeps_to_it(operation: Any, client: TestClient, response: Any) -> None:
    """Ask for something with whatever arguments the description allows, and hold the answers against it."""

    @given(case=operation.as_strategy())
    @settings(
        max_examples=12, deadline=None, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def ask(case: Any) -> None:
        request = case.as_transport_kwargs(base_url="http://127.0.0.1")
        request.pop("cookies", None)
        answer = client.request(**request)
        assert answer.status_code in (200, 401, 403, 404, 409, 413, 415, 422, 429, 503), answer.text
        if answer.status_code == 200 and answer.headers["content-type"] == "application/json":
            operation.validate_response(response.from_any(answer))

    ask()
