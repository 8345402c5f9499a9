"""The folder of a server's keys: its own, the list of those it lets in, and the files that are carried to the peers.

server.key     the server's pair; only its owner may read it
allowed.toml   [NAME] public = "...", roles = [...]: everybody may read it, only the owner may write it
NAME.key       a peer's pair with the server's public key: to be carried to its machine, and deleted here
"""

import os
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from pathlib import Path

import zmq

from protocol.keys import NAME, Holder, KeyProblem, is_local, read_holders, z85
from protocol.lock import ALLOWED, SERVER_KEY, Lock
from protocol.messages import Role

FOLDER_VARIABLE = "XDREAM_KEYS"
PAGE = "page"
"""The holder that the status page beside the server is."""
_SECRET, _PUBLIC = 0o600, 0o644


def default_folder(environment: Mapping[str, str]) -> Path:
    """Return where a server's keys are if nobody says otherwise."""
    own = environment.get("XDG_CONFIG_HOME") or str(Path(environment.get("HOME") or Path.home()) / ".config")
    return Path(environment.get(FOLDER_VARIABLE) or Path(own) / "xdream" / "keys")


def lock_for(address: str, keys: Path | None, insecure: bool, environment: Mapping[str, str]) -> Lock | None:
    """Return the lock that a server is to have at an address; None = it needs none, or is to have none.

    Raise KeyProblem if it would be open to others than this machine, and nobody has said that it may.
    """
    if insecure:
        return None
    if keys is not None:
        return Lock(keys)
    if is_local(address):
        return None
    folder = default_folder(environment)
    if not (folder / SERVER_KEY).exists():
        raise KeyProblem(
            f"at {address} everybody on the network could take the place of the display or of the recording. Make "
            "a key for each peer: xdream keys make NAME --role ROLE (docs/security.md). --insecure does without."
        )
    return Lock(folder)


def rehearsal_address(address: str) -> str:
    """Return where a dry run listens: at the same port, on this machine alone."""
    return address if is_local(address) else f"tcp://127.0.0.1:{address.rpartition(':')[2]}"


def page_key(lock: Lock | None) -> Path | None:
    """Return the key of the status page beside a server, if it needs one and has one."""
    file = lock.folder / f"{PAGE}.key" if lock else None
    return file if file and file.exists() else None


class Keyring:
    """The keys in a folder. `today` dates the entries."""

    def __init__(self, folder: Path, today: Callable[[], date] = date.today) -> None:
        self.folder = folder
        self._today = today

    def server(self) -> str:
        """Return the server's public key; make it, and the page's, if there is none yet."""
        if not (self.folder / SERVER_KEY).exists():
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            public, secret = _pair()
            _write_new(self.folder / SERVER_KEY, {"name": "server", "public": public, "secret": secret})
            if not (self.folder / ALLOWED).exists():
                self._write_list([])
            self.make(PAGE, [Role.OPERATOR])
        return Lock(self.folder).public

    def make(self, name: str, roles: Iterable[Role], public: str = "") -> Path | None:
        """Put a peer on the list. Return the file to carry to it; None if it has made its own pair, `public` of it."""
        roles = sorted(set(roles))
        if not NAME.fullmatch(name) or name == Path(SERVER_KEY).stem:
            raise KeyProblem(f"{name!r} is no name for a key: up to 64 letters, digits, dots, dashes, underscores.")
        if public:
            z85(Path("the option --public"), {"key": public}, "key")
        server, holders = self.server(), self.holders()
        if any(holder.name == name for holder in holders):
            raise KeyProblem(f"there is a key {name!r} already. Take it off the list first: xdream keys remove {name}")
        if any(holder.public == public for holder in holders):
            raise KeyProblem("that public key is on the list already: xdream keys list")
        file, mine = self.folder / f"{name}.key", ("", "")
        if not public:
            mine = public, _ = _pair()
            _write_new(file, {"name": name, "roles": roles, "public": public, "secret": mine[1], "server": server})
        self._write_list([*holders, Holder(name, public, frozenset(roles))])
        return file if mine[1] else None

    def remove(self, name: str) -> None:
        """Take a peer off the list, and its file away if it is still here."""
        holders = self.holders()
        if not any(holder.name == name for holder in holders):
            raise KeyProblem(f"there is no key {name!r} in {self.folder}. xdream keys list says which there are.")
        self._write_list([holder for holder in holders if holder.name != name])
        (self.folder / f"{name}.key").unlink(missing_ok=True)

    def holders(self) -> list[Holder]:
        """Return the list."""
        return list(read_holders(self.folder / ALLOWED).values())

    def still_here(self, holder: Holder) -> bool:
        """Return whether the secret of a peer lies in this folder, where it is of no use."""
        return holder.name != PAGE and (self.folder / f"{holder.name}.key").exists()

    def _write_list(self, holders: list[Holder]) -> None:
        since = self._since()
        lines = ["# Who is let in. Written by xdream keys; one [NAME] a key."]
        for each in holders:
            made = since.get(each.name, self._today().isoformat())
            lines += [
                "",
                f'["{each.name}"]',
                *_toml({"public": each.public, "roles": sorted(each.roles), "made": made}),
            ]
        # A server may read it at any moment: it is there whole, before or after.
        descriptor, beside = tempfile.mkstemp(dir=self.folder)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        Path(beside).chmod(_PUBLIC)
        Path(beside).replace(self.folder / ALLOWED)

    def _since(self) -> dict[str, str]:
        file = self.folder / ALLOWED
        tables = tomllib.loads(file.read_text("utf-8")) if file.exists() else {}
        return {name: str(table["made"]) for name, table in tables.items() if "made" in table}


def _pair() -> tuple[str, str]:
    public, secret = zmq.curve_keypair()
    return public.decode(), secret.decode()


def _write_new(file: Path, table: Mapping[str, object]) -> None:
    """Write a secret that nobody else can read at any moment, and never over another."""
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _SECRET)
    except FileExistsError:
        raise KeyProblem(f"{file} exists, and is not written over. Move it away first.") from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write("\n".join(["# A secret: let nobody else read it.", *_toml(table)]) + "\n")


def _toml(table: Mapping[str, object]) -> list[str]:
    # Names, dates, roles and Z85 hold neither quotes nor backslashes: a plain TOML string is itself.
    def written(value: object) -> str:
        return f"[{', '.join(map(written, value))}]" if isinstance(value, list) else f'"{value}"'

    return [f"{name} = {written(value)}" for name, value in table.items()]
