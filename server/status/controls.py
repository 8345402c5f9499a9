"""What an operator may ask for, and the way in: the only calls that change anything."""

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from protocol.messages import Control
from server.status.access import COOKIE, COOKIE_S, Access, Visitor
from server.status.guard import Refused
from server.status.library import Library
from server.status.shapes import Wish

CONFIRM_S = 3.0
"""A wish that is not on disk by then is answered as passed on; the server confirms it in the log when it is."""
Text = Annotated[str, Field(max_length=2000)]
controls = APIRouter()


class Asked(BaseModel):
    """What an operator asks for."""

    model_config = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)

    control_id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{7,63}$")
    """Random; asked again with the same one, nothing is done twice."""
    sequence: int = Field(0, ge=0, lt=2**53)
    """Counts what one page has asked for; kept with it."""
    action: Literal["pause", "pause_now", "resume", "stop", "end", "note", "mark", "change", "drill"]
    author: str = Field("", max_length=60)
    text: Text = ""
    """Of a note or a mark."""
    stimulus_id: int | None = Field(None, ge=0, lt=2**53)
    """The image that a mark is about."""
    evolution: int | None = Field(None, ge=1, le=99)
    """What a change is about."""
    channels: list[Annotated[str, Field(max_length=200)]] = Field([], max_length=4096)
    """A change: the channels that are scored from the next generation on."""
    parameters: dict[Annotated[str, Field(max_length=60)], float | int | bool | str] = Field({}, max_length=40)
    """A change: the optimizer's parameters from the next generation on."""

    what: Literal[
        "", "stall", "lose", "clock", "photodiode", "channel", "storm", "not_recording", "crash_simulator",
        "crash_adapter", "crash_server", "crash_page", "look_away", "slow", "crash_display",
    ] = ""  # fmt: skip
    """A drill, in dry runs: what is to go wrong now (docs/simulator.md)."""
    seconds: float = Field(5.0, ge=0, le=3600)
    """A drill: for how long."""

    def control(self) -> Control:
        """Return it as the server takes it; raise Refused if it is not all there."""
        needed = {"note": self.text.strip(), "mark": self.stimulus_id is not None}
        needed["change"] = self.evolution is not None and bool(self.channels or self.parameters)
        needed["drill"] = bool(self.what)
        if not needed.get(self.action, True):
            raise Refused(422, f"A {self.action} needs something to say: see /api/openapi.json.")
        return Control(self.control_id, self.action, self.author, {"sequence": self.sequence, **self._arguments()})

    def _arguments(self) -> dict[str, Any]:
        names = {"note": ("text",), "mark": ("text", "stimulus_id"), "change": ("evolution", "channels", "parameters")}
        names["drill"] = ("what", "seconds")
        said = {name: getattr(self, name) for name in names.get(self.action, ())}
        return {name: value for name, value in said.items() if value not in ("", [], {})}


class Login(BaseModel):
    """A token, as it was given out."""

    model_config = ConfigDict(extra="forbid", strict=True)

    token: str = Field(min_length=1, max_length=256)


class Me(BaseModel):
    """Who the page takes somebody for."""

    role: Visitor | None
    """None: a token is asked for."""
    asks: bool
    name: str = ""


@controls.post("/api/sessions/{name}/controls")
async def ask(request: Request, name: str, asked: Asked) -> Wish:
    """Ask for something; answered when the server has it on disk, or after three seconds as passed on."""
    library: Library = request.app.state.library
    operator = library.operator
    with_it = await asyncio.to_thread(library.session_id, name)
    if operator is None or not operator.session_id or operator.session_id != with_it:
        raise Refused(503, "No server runs this session, so there is nobody to ask. Nothing was done.")
    try:
        on_disk = asyncio.wrap_future(operator.ask(asked.control()))
    except OverflowError as error:
        raise Refused(503, f"{error}. Nothing was done.") from None
    done, _ = await asyncio.wait([on_disk], timeout=CONFIRM_S)
    if on_disk.cancelled():
        raise Refused(503, "The session was over before this was on disk. Nothing was done.")
    return Wish(control_id=asked.control_id, state="on record" if done else "passed on")


@controls.get("/api/me")
async def who_am_i(request: Request) -> Me:
    """Return what the visitor may do."""
    return Me(role=request.state.visitor, asks=_access(request).asks)


@controls.post("/api/login")
async def log_in(request: Request, login: Login) -> JSONResponse:
    """Take a token and answer with a cookie that stands for it."""
    access = _access(request)
    token = await asyncio.to_thread(access.token, login.token)
    if token is None:
        raise Refused(401, "This is no token of this page.")
    answer = JSONResponse(Me(role=Visitor(token.role), asks=access.asks, name=token.name).model_dump())
    answer.set_cookie(
        COOKIE, access.cookie(token), max_age=int(COOKIE_S), httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return answer


@controls.post("/api/logout")
async def log_out() -> JSONResponse:
    """Forget who this is."""
    answer = JSONResponse({})
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


def _access(request: Request) -> Access:
    access: Access = request.app.state.access
    return access
