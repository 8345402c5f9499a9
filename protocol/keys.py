"""Keys of the wire: what a peer proves itself with, and the list of those that a server lets in.

Beyond one machine every connection is CURVE (ZeroMQ's own: Curve25519, fresh keys each connection). Each side has a
pair of keys; the server has a list of public keys, each with the roles that it may take. Keys are TOML files: a peer's
own holds all that it needs, its pair and the server's public key, and nobody but its owner may read it.
"""

import ipaddress
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zmq

from protocol.messages import Role

KEY_VARIABLE = "XDREAM_KEY"
"""Where a peer that is given no --key looks for the path of its key."""
MAX_FILE_BYTES = 1 << 20
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_Z85 = re.compile(r"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")


class KeyProblem(ValueError):
    """A key that cannot be used; the text names the file and says what to do."""


@dataclass(frozen=True, slots=True)
class PeerKey:
    """What a peer proves itself with, and how it knows the server."""

    name: str
    roles: frozenset[Role]
    public: str
    """Z85, 40 characters, as all keys."""
    secret: str = field(repr=False)
    server: str
    """The server's public key."""

    def open(self, socket: "zmq.Socket[bytes]") -> None:
        """Let a socket prove itself with this key; before it connects."""
        socket.curve_serverkey = self.server.encode()
        socket.curve_publickey = self.public.encode()
        socket.curve_secretkey = self.secret.encode()


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose public key is on a server's list, and what he may be there."""

    name: str
    public: str
    roles: frozenset[Role]


def read_peer_key(file: str | Path) -> PeerKey:
    """Return the key in a file; raise KeyProblem if it cannot be used, or others could have read it."""
    path = Path(file)
    table = read_secret(path)
    if "server" not in table:
        raise KeyProblem(f"{path} is the key of a server. A peer has one of its own: xdream keys make NAME --role ROLE")
    keys = {name: z85(path, table, name) for name in ("public", "secret", "server")}
    return PeerKey(_name(path, table.get("name")), roles_of(path, table), **keys)


def peer_key(option: str | Path | None, environment: Mapping[str, str]) -> PeerKey | None:
    """Return the key that was asked for by --key or else by XDREAM_KEY; None = neither."""
    file = option or environment.get(KEY_VARIABLE)
    return read_peer_key(file) if file else None


def read_holders(file: Path) -> dict[str, Holder]:
    """Return a server's list by public key; raise KeyProblem if it is none, or others could have written it."""
    _refuse_if_open(file, stat.S_IWGRP | stat.S_IWOTH, "written", "go-w")
    tables = _toml(file)
    holders: dict[str, Holder] = {}
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise KeyProblem(f"{file}: {name} is no table. Each holder is written [NAME], with public and roles.")
        public = z85(file, table, "public")
        if public in holders:
            raise KeyProblem(f"{file}: {holders[public].name} and {name} have the same key. Take one of them out.")
        holders[public] = Holder(_name(file, name), public, roles_of(file, table))
    return holders


def read_secret(file: Path) -> dict[str, Any]:
    """Return what a file with a secret holds; raise KeyProblem if anybody else can read it."""
    _refuse_if_open(file, stat.S_IRWXG | stat.S_IRWXO, "read", "600")
    return _toml(file)


def z85(file: Path, table: Mapping[str, Any], name: str) -> str:
    """Return a key of a table; raise KeyProblem if it is none."""
    value = table.get(name)
    if not isinstance(value, str) or not _Z85.fullmatch(value):
        raise KeyProblem(f"{file}: {name} is no key (40 characters, as xdream keys make writes them). Make a new one.")
    return value


def roles_of(file: Path, table: Mapping[str, Any]) -> frozenset[Role]:
    """Return the roles in a table; raise KeyProblem for one that there is not."""
    given = table.get("roles")
    if not isinstance(given, list) or not given or not all(each in set(Role) for each in given):
        raise KeyProblem(f"{file}: roles must be a list of {', '.join(Role)}; got {given!r}")
    return frozenset(map(Role, given))


def is_local(address: str) -> bool:
    """Return whether an address, as zmq writes them, can be reached from this machine alone."""
    scheme, _, rest = address.partition("://")
    if scheme in ("inproc", "ipc"):
        return True
    host = rest.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("localhost", "lo")


def _name(file: Path, value: object) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise KeyProblem(f"{file}: {value!r} is no name: up to 64 letters, digits, dots, dashes, underscores.")
    return value


def _refuse_if_open(file: Path, bits: int, how: str, mode: str) -> None:
    # Windows has no such bits: there the folder's own rights decide, as docs/security.md says.
    try:
        open_to_others = os.name == "posix" and file.stat().st_mode & bits
    except OSError as error:
        raise KeyProblem(
            f"{file}: cannot be read: {error.strerror}. xdream keys make NAME --role ROLE makes one."
        ) from error
    if open_to_others:
        raise KeyProblem(f"{file} can be {how} by others. If nobody did: chmod {mode} {file}; else make a new one.")


def _toml(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > MAX_FILE_BYTES:
            raise KeyProblem(f"{file} is too large to be a file of keys.")
        return tomllib.loads(file.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise KeyProblem(f"{file} is no file of keys: {error}.") from error
    except OSError as error:
        raise KeyProblem(f"{file}: cannot be read: {error.strerror}.") from error
