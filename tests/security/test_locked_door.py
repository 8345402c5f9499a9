"""A server behind a lock: who is let in as what, and what everybody else reads."""

from dataclasses import replace
from pathlib import Path

import pytest
import zmq

from protocol.handshakes import why_peer_failed
from protocol.lock import ZAP, Lock
from protocol.messages import Role
from server.keyring import Keyring
from tests.security.doors import a_doorway, a_key


def test_a_peer_whose_key_is_on_the_list_is_let_in_and_spoken_to(tmp_path: Path) -> None:
    key = a_key(tmp_path, "rig3", Role.DISPLAY)
    with a_doorway(tmp_path) as door:
        door.peer("rig3", Role.DISPLAY, key)
        door.until(lambda: door.lets_in("rig3"))
        assert door.reaches(Role.DISPLAY, "rig3")
        [link] = door.router.links()
        assert link.key == key.public


def test_a_key_for_one_role_is_none_for_another(tmp_path: Path) -> None:
    key = a_key(tmp_path, "amplifier", Role.ACQUISITION)
    with a_doorway(tmp_path) as door:
        peer = door.peer("amplifier", Role.DISPLAY, key)
        door.until(lambda: peer.farewell is not None)
        assert peer.farewell is not None
        assert "'amplifier' is for acquisition, not for display" in peer.farewell.reason
        assert "xdream keys make" in peer.farewell.reason
        assert not door.heard and not door.router.links()


def test_a_key_that_is_not_on_the_list_is_turned_away_and_both_sides_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = a_key(tmp_path, "old", Role.DISPLAY)
    Keyring(tmp_path).remove("old")
    with a_doorway(tmp_path) as door:
        peer = door.peer("old", Role.DISPLAY, key)
        door.until(lambda: bool(peer.trouble))
        assert "does not let the key 'old' in" in peer.trouble and "xdream keys" in peer.trouble
        door.until(lambda: "refused" in door.router.report())
        assert key.public in door.router.report()["refused"]["name"] and "127.0.0.1" in caplog.text
        assert not door.heard


def test_a_peer_without_a_key_is_turned_away_and_both_sides_are_told(tmp_path: Path) -> None:
    Keyring(tmp_path).server()
    with a_doorway(tmp_path) as door:
        peer = door.peer("plain", Role.DISPLAY)
        door.until(lambda: bool(peer.trouble))
        assert "asks for a key" in peer.trouble and "--key FILE" in peer.trouble
        door.until(lambda: "refused" in door.router.report())
        assert "no key" in door.router.report()["refused"]["name"]
        assert not door.heard


def test_a_key_made_for_another_server_is_none_here(tmp_path: Path) -> None:
    Keyring(tmp_path / "here").server()
    elsewhere = a_key(tmp_path / "there", "rig3", Role.DISPLAY)
    with a_doorway(tmp_path / "here") as door:
        peer = door.peer("rig3", Role.DISPLAY, elsewhere)
        door.until(lambda: bool(peer.trouble))
        assert "not the one that the key 'rig3' was made for" in peer.trouble
        door.until(lambda: "another server" in door.router.report().get("refused", {}).get("name", ""))
        assert not door.heard


def test_a_peer_with_a_key_says_nothing_to_a_server_without(tmp_path: Path) -> None:
    key = a_key(tmp_path, "rig3", Role.DISPLAY)
    with a_doorway(None) as door:
        peer = door.peer("rig3", Role.DISPLAY, key)
        door.until(lambda: "knows no keys" in peer.trouble)
        assert not door.heard


def test_a_key_made_while_the_server_runs_holds_at_once(tmp_path: Path) -> None:
    key = a_key(tmp_path, "first", Role.DISPLAY)
    Keyring(tmp_path).remove("first")
    with a_doorway(tmp_path) as door:
        peer = door.peer("first", Role.DISPLAY, key)
        door.until(lambda: bool(peer.trouble))
        Keyring(tmp_path).make("first", [Role.DISPLAY], public=key.public)
        door.until(lambda: door.lets_in("first"))


def test_a_key_that_was_taken_back_opens_no_new_connection(tmp_path: Path) -> None:
    key = a_key(tmp_path, "rig3", Role.OPERATOR)
    with a_doorway(tmp_path) as door:
        door.peer("rig3", Role.OPERATOR, key)
        door.until(lambda: door.lets_in("rig3"))
        Keyring(tmp_path).remove("rig3")
        again = door.peer("again", Role.OPERATOR, key)
        door.until(lambda: bool(again.trouble))
        assert not door.lets_in("again")


def test_a_list_that_cannot_be_read_any_more_lets_in_whom_it_did(tmp_path: Path) -> None:
    key = a_key(tmp_path, "rig3", Role.DISPLAY)
    lock = Lock(tmp_path)
    (tmp_path / "allowed.toml").write_text("[[[ torn")
    assert lock.holders().keys() >= {key.public}


def test_nobody_takes_the_place_of_a_live_display_with_a_key_of_his_own(tmp_path: Path) -> None:
    mine, other = a_key(tmp_path, "rig3", Role.DISPLAY), a_key(tmp_path, "rig4", Role.DISPLAY)
    with a_doorway(tmp_path) as door:
        door.peer("rig3", Role.DISPLAY, mine)
        door.until(lambda: door.lets_in("rig3"))
        thief = door.peer("rig3 ", Role.DISPLAY, other)
        thief._hello = lambda: replace(door.heard[0][1], role="display")  # type: ignore[type-var, return-value]
        door.until(lambda: bool(door.told["rig3 "]))
        assert [link.key for link in door.router.links()] == [mine.public]


def test_if_nobody_answered_for_the_lock_nobody_would_be_let_in(tmp_path: Path) -> None:
    key = a_key(tmp_path, "rig3", Role.DISPLAY)
    with zmq.Context() as context, context.socket(zmq.ROUTER) as door, zmq.Context() as other:
        lock = Lock(tmp_path)
        lock.put_on(door)
        lock.socket.unbind(ZAP)
        lock.close()
        port = door.bind_to_random_port("tcp://127.0.0.1")
        with other.socket(zmq.DEALER) as dealer:
            dealer.linger = 0
            key.open(dealer)
            dealer.connect(f"tcp://127.0.0.1:{port}")
            dealer.send(b"let me in")
            assert not door.poll(500)


def test_every_failure_has_a_sentence_that_says_what_to_do(tmp_path: Path) -> None:
    key = a_key(tmp_path, "rig3", Role.DISPLAY)
    for how in ("auth", "mechanism", "key", "not ours", "cut"):
        for mine in (None, key):
            sentence = why_peer_failed(how, "tcp://10.0.0.1:5670", mine)
            assert "tcp://10.0.0.1:5670" in sentence and sentence.endswith((".", "?"))
            assert key.secret not in sentence
