"""Who may see the page and who may act on it: each rule, and what it says to whoever breaks it."""

import stat
from pathlib import Path

import pytest
import typer
from conftest import a_client
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from server.status.access import Access, AccessError, Token, Visitor, add_token, for_host, read_tokens
from server.status.app import create_app
from server.status.command import status
from server.status.guard import Pace

CONTROLS = "/api/sessions/made/controls"
WISH = {"control_id": "a-wish-of-mine", "action": "pause"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def tokens(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    file = tmp_path / "access.json"
    return file, {role: add_token(file, f"{role}:somebody who is {role}") for role in Visitor}


@pytest.fixture
def guarded(finished: Path, tokens: tuple[Path, dict[str, str]]) -> TestClient:
    return a_client(finished, for_host("0.0.0.0", ["rig.local"], tokens[0]))


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_on_this_machine_nobody_is_asked_for_anything(client: TestClient) -> None:
    assert client.get("/api/me").json() == {"role": "operator", "asks": False, "name": ""}


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "rig.local"])
def test_beyond_this_machine_it_is_not_served_without_tokens(host: str) -> None:
    with pytest.raises(AccessError, match="Make a token first"):
        for_host(host, [], None)


@pytest.mark.parametrize("name", ["evil.example", "evil.example:8770", "127.0.0.1.evil.example", "", "localhost.evil"])
def test_under_another_name_it_is_not_served(client: TestClient, name: str) -> None:
    # an attacker's name that was made to point to this machine (DNS rebinding)
    for path in ("/", "/api/sessions", "/metrics"):
        assert client.get(path, headers={"Host": name}).status_code == 421


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--certificate", "none.pem"], "there is no file none.pem"),
        (["--key", "rig3.key"], "say which, --certificate FILE"),
        (["--certificate", "torn.pem"], "the certificate torn.pem cannot be used"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_said_before_a_page_is_promised(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "torn.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    app = typer.Typer()
    app.command()(status)
    result = CliRunner().invoke(app, [str(finished), "--port", "0", *options])
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr


@pytest.mark.parametrize("name", ["DESKTOP-RIG3", "Rig3.Lab"])
def test_a_name_in_capitals_is_answered_to_as_browsers_say_it(finished: Path, tmp_path: Path, name: str) -> None:
    add_token(tmp_path / "access.json", "viewer:corridor")
    with a_client(finished, for_host("0.0.0.0", [name], tmp_path / "access.json")) as client:
        assert client.get("/", headers={"Host": f"{name.lower()}:8770"}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "https://127.0.0.1.evil.example", "null", "http://127.0.0.1:1"]
)
def test_another_page_can_neither_act_nor_listen(client: TestClient, origin: str) -> None:
    assert client.post(CONTROLS, json=WISH, headers={"Origin": origin}).status_code == 403
    assert client.get("/api/sessions/made/live", headers={"Origin": origin}).status_code == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_browser_that_says_another_page_asks_is_believed(client: TestClient, site: str) -> None:
    assert client.post(CONTROLS, json=WISH, headers={"Sec-Fetch-Site": site}).status_code == 403


def test_the_page_itself_can_act(client: TestClient) -> None:
    headers = {"Origin": "http://127.0.0.1", "Sec-Fetch-Site": "same-origin"}
    assert client.post(CONTROLS, json=WISH, headers=headers).status_code == 503, "let through; there is no server"


def test_what_a_form_of_another_page_could_send_is_refused(client: TestClient) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        assert client.post(CONTROLS, content="{}", headers={"Content-Type": kind}).status_code == 415


def test_a_websocket_is_refused(client: TestClient) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/api/sessions/made/live"):
        pass


def test_requests_are_bounded(client: TestClient) -> None:
    assert client.post(CONTROLS, content=b" " * 20_000, headers=JSON).status_code == 413
    long_note = WISH | {"action": "note", "text": "x" * 3000}
    assert client.post(CONTROLS, json=long_note).status_code == 422


def test_a_stranger_sees_the_way_in_and_nothing_else(guarded: TestClient) -> None:
    assert guarded.get("/").status_code == 200
    assert guarded.get("/api/me").json()["role"] is None
    for path in ("/api/sessions", "/api/sessions/made", "/api/sessions/made/live", "/metrics", "/api/openapi.json"):
        assert guarded.get(path).status_code == 401
    assert guarded.post(CONTROLS, json=WISH).status_code == 401


def test_a_viewer_sees_and_never_acts(guarded: TestClient, tokens: tuple[Path, dict[str, str]]) -> None:
    assert guarded.post("/api/login", json={"token": tokens[1]["viewer"]}).json()["role"] == "viewer"
    assert guarded.get("/api/sessions").status_code == 200
    answer = guarded.post(CONTROLS, json=WISH)
    assert answer.status_code == 403
    assert "Viewers see" in answer.json()["error"]


def test_an_operator_acts_by_cookie_or_by_bearer(guarded: TestClient, tokens: tuple[Path, dict[str, str]]) -> None:
    assert guarded.post(CONTROLS, json=WISH, headers=bearer(tokens[1]["operator"])).status_code == 503
    login = guarded.post("/api/login", json={"token": tokens[1]["operator"]})
    assert "HttpOnly" in login.headers["set-cookie"]
    assert "samesite=strict" in login.headers["set-cookie"].lower()
    assert guarded.post(CONTROLS, json=WISH).status_code == 503, "let through; there is no server"


def test_a_wrong_token_is_none(guarded: TestClient, tokens: tuple[Path, dict[str, str]]) -> None:
    assert guarded.post("/api/login", json={"token": tokens[1]["operator"][:-1]}).status_code == 401
    assert guarded.get("/api/sessions", headers=bearer("guess")).status_code == 401


def test_guessing_is_slow(guarded: TestClient) -> None:
    answers = [guarded.post("/api/login", json={"token": f"guess {n}"}).status_code for n in range(8)]
    assert answers[:5] == [401] * 5
    assert answers[5:] == [429] * 3


def test_a_cookie_outlives_the_page_server(finished: Path, tokens: tuple[Path, dict[str, str]]) -> None:
    rules = for_host("0.0.0.0", [], tokens[0])
    before, after = a_client(finished, rules), a_client(finished, for_host("0.0.0.0", [], tokens[0]))
    before.post("/api/login", json={"token": tokens[1]["viewer"]})
    after.cookies = before.cookies
    assert after.get("/api/sessions").status_code == 200


def test_a_cookie_is_none_when_forged_old_or_its_token_taken_back(tokens: tuple[Path, dict[str, str]]) -> None:
    now_s = [1000.0]
    known, key = read_tokens(tokens[0])
    rules = Access(known, key, asks=True, clock=lambda: now_s[0])
    viewer, operator = known
    cookie = rules.cookie(viewer)
    assert rules.bearer(cookie) == viewer
    assert rules.bearer(cookie.replace(viewer.hash[:16], operator.hash[:16])) is None
    assert rules.bearer(cookie[:-1]) is None
    assert rules.bearer("nonsense") is None
    assert Access((operator,), key, asks=True, clock=lambda: now_s[0]).bearer(cookie) is None
    now_s[0] += 8 * 24 * 3600
    assert rules.bearer(cookie) is None


def test_tokens_rest_as_hashes_in_a_file_of_their_owner(tokens: tuple[Path, dict[str, str]]) -> None:
    file, secrets = tokens
    text = file.read_text()
    assert not any(secret in text for secret in secrets.values())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    known, _ = read_tokens(file)
    assert [token.role for token in known] == ["viewer", "operator"]
    assert len({token.salt for token in known}) == 2


def test_tokens_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import hmac

    compared: list[bool] = []
    true = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda a, b: compared.append(True) or true(a, b))
    assert not Token("n", "viewer", "00", "11").fits("guess")
    assert compared


def test_pace_lets_a_burst_through_and_then_so_many_a_second() -> None:
    now_s = [0.0]
    pace = Pace(3, 2, lambda: now_s[0])
    assert [pace.allows("a") for _ in range(5)] == [True, True, True, False, False]
    assert pace.allows("b"), "another address has its own"
    now_s[0] = 1.0
    assert [pace.allows("a") for _ in range(3)] == [True, True, False]


def test_buttons_cannot_be_pressed_by_a_machine(client: TestClient) -> None:
    answers = {client.post(CONTROLS, json=WISH).status_code for _ in range(60)}
    assert answers == {503, 429}


def test_every_answer_forbids_what_the_page_does_not_need(client: TestClient) -> None:
    for path in ("/", "/api/sessions", "/page/js/main.js", "/nothing"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    assert client.get("/api/sessions").headers["cache-control"] == "no-store"


def test_a_failure_tells_nothing_of_this_machine(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(f"secret of {finished}")

    monkeypatch.setattr("server.status.answers.channels", fail)
    with a_client(finished, raise_server_exceptions=False) as client:
        answer = client.get("/api/sessions/made/channels")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert str(finished) not in answer.text
    assert "number" in answer.json()["error"]


@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "%2e%2e", "made%00", "../made", ".made.xdream.lock"])
def test_no_name_leads_out_of_the_folder(client: TestClient, name: str) -> None:
    answer = client.get(f"/api/sessions/{name}")
    assert answer.status_code == 404
    assert client.get(f"/page/{name}").status_code == 404


def test_nothing_on_the_page_comes_from_elsewhere() -> None:
    app = create_app(Path())
    assert app.docs_url is None, "FastAPI's own documentation page loads scripts from elsewhere"
    page = Path(__file__).parents[2] / "server" / "status" / "page"
    for file in [*page.rglob("*.js"), *page.rglob("*.html"), *page.rglob("*.css")]:
        if "vendor" not in file.parts:
            text = file.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
            assert "http://" not in text and "https://" not in text and "innerHTML" not in text, file
