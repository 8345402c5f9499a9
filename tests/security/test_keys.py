"""Keys as files: made, listed, taken back, and refused when others could have read or written them."""

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from protocol.keys import KeyProblem, is_local, peer_key, read_holders, read_peer_key
from protocol.lock import Lock
from protocol.messages import Role
from server.keyring import Keyring, default_folder, lock_for, page_key, rehearsal_address
from tests.rig import ROOT


@pytest.fixture
def ring(tmp_path: Path) -> Keyring:
    return Keyring(tmp_path / "keys", lambda: date(2026, 1, 31))


def test_a_key_is_a_file_that_only_its_owner_can_read_and_holds_all_that_a_peer_needs(ring: Keyring) -> None:
    file = ring.make("rig3", [Role.DISPLAY, Role.OPERATOR])
    assert file is not None and file.stat().st_mode & 0o777 == 0o600
    key = read_peer_key(file)
    assert (key.name, key.roles, key.server) == ("rig3", {Role.DISPLAY, Role.OPERATOR}, ring.server())
    assert key.secret not in repr(key)
    assert (ring.folder / "server.key").stat().st_mode & 0o777 == 0o600
    assert ring.folder.stat().st_mode & 0o777 == 0o700


def test_the_list_says_who_may_be_what_and_holds_no_secret(ring: Keyring) -> None:
    file = ring.make("rig3", [Role.DISPLAY])
    assert file is not None
    listed = (ring.folder / "allowed.toml").read_text()
    assert "2026-01-31" in listed and read_peer_key(file).secret not in listed
    roles = {holder.name: holder.roles for holder in ring.holders()}
    assert roles == {"page": {Role.OPERATOR}, "rig3": {Role.DISPLAY}}


def test_a_peer_may_make_its_own_pair_and_never_show_the_secret(ring: Keyring) -> None:
    theirs = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
    assert ring.make("matlab", [Role.ACQUISITION], public=theirs) is None
    assert not (ring.folder / "matlab.key").exists()
    assert [holder.public for holder in ring.holders() if holder.name == "matlab"] == [theirs]
    with pytest.raises(KeyProblem, match="on the list already"):
        ring.make("again", [Role.DISPLAY], public=theirs)


def test_a_key_that_was_taken_back_is_gone_and_its_name_free(ring: Keyring) -> None:
    first = ring.make("rig3", [Role.DISPLAY])
    ring.remove("rig3")
    assert first is not None and not first.exists()
    assert ring.make("rig3", [Role.DISPLAY]) == first


@pytest.mark.parametrize("name", ["", "../rig3", "a/b", "server", ".hidden", 'a"b', "x" * 65, "a\nb"])
def test_a_name_that_is_no_file_name_is_refused(ring: Keyring, name: str) -> None:
    with pytest.raises(KeyProblem, match="no name"):
        ring.make(name, [Role.DISPLAY])


def test_nothing_is_written_over(ring: Keyring) -> None:
    ring.make("rig3", [Role.DISPLAY])
    with pytest.raises(KeyProblem, match="a key 'rig3' already"):
        ring.make("rig3", [Role.DISPLAY])
    server = ring.server()
    assert Keyring(ring.folder).server() == server


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_secret_that_others_could_read_is_refused(ring: Keyring, mode: int) -> None:
    file = ring.make("rig3", [Role.DISPLAY])
    assert file is not None
    file.chmod(mode)
    with pytest.raises(KeyProblem, match=r"rig3\.key can be read by others.*chmod 600"):
        read_peer_key(file)


def test_a_list_that_others_could_write_is_refused(ring: Keyring) -> None:
    ring.server()
    (ring.folder / "allowed.toml").chmod(0o664)
    with pytest.raises(KeyProblem, match="can be written by others"):
        Lock(ring.folder)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[[[", "no file of keys"),
        ("\x00\xff", "no file of keys"),
        ("x = 1", "no table"),
        ('[a]\npublic = "short"\nroles = ["display"]', "is no key"),
        (f'[a]\npublic = "{"a" * 40}"\nroles = ["janitor"]', "roles must be a list of display"),
        (f'[a]\npublic = "{"a" * 40}"\nroles = []', "roles must be a list"),
        (f'[a]\npublic = "{"a" * 40}"\nroles = ["display"]\n[b]\npublic = "{"a" * 40}"\nroles = ["display"]', "same"),
        ("x" * (1 << 21), "too large"),
    ],
)
def test_a_list_that_is_none_is_said_to_be_so(tmp_path: Path, text: str, why: str) -> None:
    file = tmp_path / "allowed.toml"
    file.write_text(text, "latin-1")
    file.chmod(0o644)
    with pytest.raises(KeyProblem, match=why):
        read_holders(file)


def test_a_server_beyond_this_machine_has_keys_or_does_not_start(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path)}
    for address in ("tcp://*:5670", "tcp://0.0.0.0:5670", "tcp://192.168.1.5:5670", "tcp://[::]:5670", "tcp://eth0:1"):
        with pytest.raises(KeyProblem, match="xdream keys make"):
            lock_for(address, None, False, environment)
        assert lock_for(address, None, True, environment) is None
    Keyring(default_folder(environment)).server()
    assert lock_for("tcp://*:5670", None, False, environment) is not None


def test_on_this_machine_alone_keys_are_asked_for_only_if_somebody_says_so(ring: Keyring, tmp_path: Path) -> None:
    ring.server()
    for address in ("tcp://127.0.0.1:5670", "tcp://[::1]:5670", "tcp://localhost:5670", "ipc:///tmp/x"):
        assert is_local(address)
        assert lock_for(address, None, False, {"HOME": str(tmp_path)}) is None
        lock = lock_for(address, ring.folder, False, {})
        assert lock is not None and page_key(lock) == ring.folder / "page.key"


def test_a_dry_run_never_listens_beyond_this_machine() -> None:
    assert rehearsal_address("tcp://*:5670") == "tcp://127.0.0.1:5670"
    assert rehearsal_address("tcp://[::]:*") == "tcp://127.0.0.1:*"
    assert rehearsal_address("tcp://[::1]:5670") == "tcp://[::1]:5670"


def test_a_peer_finds_its_key_by_option_or_by_environment(ring: Keyring) -> None:
    file = ring.make("rig3", [Role.DISPLAY])
    found = peer_key(None, {"XDREAM_KEY": str(file)})
    assert found is not None and found.name == "rig3"
    assert peer_key(None, {}) is None
    with pytest.raises(KeyProblem, match=r"none\.key: cannot be read"):
        peer_key("none.key", {"XDREAM_KEY": str(file)})
    with pytest.raises(KeyProblem, match="key of a server"):
        peer_key(ring.folder / "server.key", {})


def xdream(*arguments: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "server", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_makes_lists_and_takes_back(tmp_path: Path) -> None:
    where = ("--keys", tmp_path)
    made = xdream("keys", "make", "rig3", "--role", "display", *where)
    assert made.returncode == 0 and str(tmp_path / "rig3.key") in made.stdout and "--role operator" in made.stdout
    listed = xdream("keys", "list", *where).stdout
    assert "rig3" in listed and "display" in listed and "delete it here" in listed
    assert xdream("keys", "server", *where).stdout.strip() == Lock(tmp_path).public
    assert xdream("keys", "remove", "rig3", *where).returncode == 0
    assert "rig3" not in xdream("keys", "list", *where).stdout
    again = xdream("keys", "remove", "rig3", *where)
    assert again.returncode == 1 and again.stderr.startswith("xdream: there is no key 'rig3'")
