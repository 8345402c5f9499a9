"""What every request passes before anything else: its name, its origin, its pace, its visitor."""

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.status.access import COOKIE, Access, Visitor

OPEN_PATHS = ("/", "/favicon.ico", "/api/me", "/api/login")
"""What a stranger may ask for: the empty page and the way in."""
OPEN_FOLDER = "/page/"
CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
MAX_BODY_BYTES = 16_384
SAME_SITE = frozenset({"same-origin", "none", ""})
"""What a browser says of a request from the page itself, or typed in by hand; other programs say nothing."""
MAX_ADDRESSES = 4096
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Refused(Exception):
    """A request goes no further; the text is what the visitor reads."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Pace:
    """Lets each address do something so often: `burst` times at once, and `a_second` times in the long run."""

    def __init__(self, burst: float, a_second: float, clock: Callable[[], float]) -> None:
        self._burst = burst
        self._a_second = a_second
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, address: str) -> bool:
        """Return whether this one may go on, and count it."""
        now = self._clock()
        left, before = self._left.pop(address, (self._burst, now))
        left = min(self._burst, left + (now - before) * self._a_second)
        self._left[address] = (left - 1 if left >= 1 else left, now)
        if len(self._left) > MAX_ADDRESSES:
            self._left.popitem(last=False)
        return left >= 1


class Guard:
    """ASGI middleware around the whole page."""

    def __init__(self, app: ASGIApp, access: Access, clock: Callable[[], float] = time.monotonic) -> None:
        self.app = app
        self.access = access
        self._any = Pace(2000, 500, clock)
        """A page with a few hundred pictures loads at once; a scanner does not."""
        self._acts = Pace(20, 4, clock)
        """Nobody presses buttons faster."""
        self._logins = Pace(5, 0.1, clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or say in a sentence why not."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # the page has no WebSocket; whoever opens one is refused by saying nothing
            await send({"type": "websocket.close", "code": 1008})
            return
        try:
            await self._check(scope)
        except Refused as refused:
            await _answer(refused, _with_headers(send, scope["path"]))
            return
        await self.app(scope, receive, _with_headers(send, scope["path"]))

    async def _check(self, scope: Scope) -> None:
        headers, path, changing = Headers(scope=scope), scope["path"], scope["method"] in CHANGING
        address = (scope.get("client") or ("?",))[0]
        self._check_name(headers)
        self._check_pace(address, path, changing)
        if changing or path.endswith("/live"):
            check_origin(headers)
        if changing:
            check_body(headers)
        visitor = await self._visitor(headers, address)
        scope.setdefault("state", {})["visitor"] = visitor
        if visitor is None and path not in OPEN_PATHS and not path.startswith(OPEN_FOLDER):
            raise Refused(401, "This page asks for a token.")
        if changing and not path.startswith("/api/log") and visitor is not Visitor.OPERATOR:
            raise Refused(403, "Viewers see and do not act. Ask for an operator's token.")

    def _check_name(self, headers: Headers) -> None:
        name = urlsplit(f"//{headers.get('host', '')}").hostname or ""
        if name not in self.access.hosts:
            raise Refused(421, "The page is not served under this name. Add it where the page is started: --name NAME.")

    def _check_pace(self, address: str, path: str, changing: bool) -> None:
        if not self._any.allows(address) or (changing and not self._acts.allows(address)):
            raise Refused(429, "Too many requests. Wait a few seconds.")
        if path == "/api/login" and not self._logins.allows(address):
            raise Refused(429, "Too many tries. Wait a minute.")

    async def _visitor(self, headers: Headers, address: str) -> Visitor | None:
        if not self.access.asks:
            return Visitor.OPERATOR
        token = self.access.bearer(_cookie(headers))
        kind, _, secret = headers.get("authorization", "").partition(" ")
        if token is None and kind.lower() == "bearer" and secret:
            if not self._logins.allows(address):
                raise Refused(429, "Too many tries. Wait a minute.")
            token = await asyncio.to_thread(self.access.token, secret)
        return Visitor(token.role) if token is not None else None


def check_origin(headers: Headers) -> None:
    """Raise Refused unless a request comes from this page itself, or from a program that is no browser."""
    origin, host = headers.get("origin"), headers.get("host", "")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        raise Refused(403, "This came from another page. Nothing was done.")
    if headers.get("sec-fetch-site", "") not in SAME_SITE:
        raise Refused(403, "This came from another page. Nothing was done.")


def check_body(headers: Headers) -> None:
    """Raise Refused for a body that is too long, of unknown length, or nothing that the page sends."""
    length = headers.get("content-length", "")
    if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
        raise Refused(413, f"Requests have a length, of at most {MAX_BODY_BYTES} bytes.")
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "Requests are written as application/json.")


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _with_headers(send: Send, path: str) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-cache" if path.startswith(OPEN_FOLDER) else "no-store")
        await send(message)

    return wrapped


async def _answer(refused: Refused, send: Send) -> None:
    body = json.dumps({"error": str(refused)}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
