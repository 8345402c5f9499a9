"""Who may see the page and who may act on it.

On this machine alone everybody who reaches the page may act: whoever sits there could stop the server anyway. Beyond
it a token is asked for, one a person or a screen, kept in a file as scrypt hashes; a cookie signed with that file's
key stands for the token afterwards, so that a page which was open goes on when its server was started again.
"""

import hashlib
import hmac
import ipaddress
import json
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path

COOKIE = "xdream"
COOKIE_S = 7 * 24 * 3600.0
"""A week: a phone on the wall of the rig is not asked every morning."""
SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class AccessError(ValueError):
    """The page cannot be served so; the text says what to do."""


class Visitor(StrEnum):
    """What somebody at the page may do: see, or see and act."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Token:
    """A token that was given out; nobody can tell it from this."""

    name: str
    """Whom it was given to."""
    role: str
    salt: str
    hash: str

    def fits(self, secret: str) -> bool:
        """Return whether this is the token, in the same time whatever it is."""
        return hmac.compare_digest(_scrypt(secret, self.salt), self.hash)


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one page server. With no tokens everybody who reaches it may act."""

    tokens: tuple[Token, ...] = ()
    key: str = ""
    """Signs the cookies."""
    hosts: frozenset[str] = LOOPBACK_NAMES
    """Names that the page may be called by; anything else is somebody else's page pointing here."""
    asks: bool = False
    """A token is asked for."""
    clock: Callable[[], float] = field(default=time.time)

    def token(self, secret: str) -> Token | None:
        """Return the token that this is; None if it is none. Takes a twentieth of a second for each there is."""
        fitting = [token for token in self.tokens if token.fits(secret)]
        return fitting[0] if fitting else None

    def cookie(self, token: Token) -> str:
        """Return a cookie that stands for a token."""
        said = f"{token.hash[:16]}.{int(self.clock() + COOKIE_S)}"
        return f"{said}.{_sign(self.key, said)}"

    def bearer(self, cookie: str) -> Token | None:
        """Return the token that a cookie stands for; None if it is forged, too old, or its token was taken back."""
        said, _, signature = cookie.rpartition(".")
        if not said or not hmac.compare_digest(_sign(self.key, said).encode(), signature.encode()):
            return None
        which, _, until = said.partition(".")
        if not until.isdecimal() or int(until) < self.clock():
            return None
        return next((token for token in self.tokens if token.hash[:16] == which), None)


def for_host(host: str, names: Iterable[str], file: Path | None) -> Access:
    """Return the rules for a page served at an address; raise AccessError if that would leave the door open."""
    called = {name.lower() for name in names}  # as browsers say them, whatever the machine calls itself
    if is_loopback(host) and file is None:
        return Access(hosts=LOOPBACK_NAMES | called)
    if file is None:
        raise AccessError(
            f"the page would be open to everybody who reaches {host}. Make a token first: "
            "xdream status --new-token operator:NAME --access access.json; then add --access access.json here."
        )
    tokens, key = read_tokens(file)
    if not tokens:
        raise AccessError(f"{file} holds no token. Make one: xdream status --new-token viewer:NAME --access {file}")
    own = set() if host in ("0.0.0.0", "::") else {host.lower()}  # binds nothing  # nosec B104
    return Access(tokens, key, LOOPBACK_NAMES | own | called, asks=True)


def is_loopback(host: str) -> bool:
    """Return whether an address can be reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_tokens(file: Path) -> tuple[tuple[Token, ...], str]:
    """Return the tokens in a file, and its key; raise AccessError if it is no such file."""
    try:
        content = json.loads(file.read_text("utf-8"))
        tokens = tuple(Token(**each) for each in content["tokens"])
        if not all(token.role in set(Visitor) for token in tokens):
            raise ValueError("unknown role")
        return tokens, str(content["key"])
    except FileNotFoundError:
        raise AccessError(f"there is no file {file}. Make one: xdream status --new-token viewer:NAME") from None
    except (ValueError, KeyError, TypeError) as error:
        raise AccessError(
            f"{file} holds no tokens of the status page ({error}). Move it away and make new ones."
        ) from error


def add_token(file: Path, wanted: str) -> str:
    """Make a token for `role:name`, keep its hash in a file that only its owner can read, and return it."""
    role, _, name = wanted.partition(":")
    if role not in set(Visitor) or not name:
        raise AccessError(f"--new-token takes viewer:NAME or operator:NAME, got {wanted!r}")
    tokens, key = read_tokens(file) if file.exists() else ((), secrets.token_hex(32))
    secret, salt = secrets.token_urlsafe(24), secrets.token_hex(16)
    kept = [*(token for token in tokens if token.name != name), Token(name, role, salt, _scrypt(secret, salt))]
    file.touch(mode=0o600)
    file.write_text(json.dumps({"key": key, "tokens": [asdict(token) for token in kept]}, indent=1) + "\n", "utf-8")
    return secret


def _scrypt(secret: str, salt: str) -> str:
    return hashlib.scrypt(secret.encode()[:256], salt=bytes.fromhex(salt), **SCRYPT).hex()


def _sign(key: str, said: str) -> str:
    return hmac.new(key.encode(), said.encode(), hashlib.sha256).hexdigest()
