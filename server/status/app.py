"""The page as a web application."""

import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from server.database import SessionFileError
from server.status.access import Access
from server.status.answers import answers
from server.status.controls import controls
from server.status.guard import Guard, Refused
from server.status.library import Library, NoSuchSession
from server.status.operator import Operator

PAGE = Path(__file__).with_name("page")
log = logging.getLogger(__name__)


def create_app(place: Path, operator: Operator | None = None, access: Access | None = None) -> FastAPI:
    """Return the page for a session file or a folder of them.

    `operator` is the connection to the server that runs one of them, not yet started; None = only look.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if operator is not None:
            operator.start()
        yield
        if operator is not None:
            operator.close()

    app = FastAPI(
        title="XDream status page", version="1", openapi_url="/api/openapi.json", docs_url=None, redoc_url=None,
        lifespan=lifespan,
    )  # fmt: skip
    app.state.library, app.state.access = Library(place, operator), access or Access()
    app.include_router(answers)
    app.include_router(controls)
    app.add_api_route("/", _index, include_in_schema=False)
    app.add_api_route("/favicon.ico", _icon, include_in_schema=False)
    app.mount("/page", StaticFiles(directory=PAGE))
    _say_errors(app)
    app.add_middleware(Guard, access=app.state.access)
    return app


def _index() -> FileResponse:
    return FileResponse(PAGE / "index.html")


def _icon() -> FileResponse:
    return FileResponse(PAGE / "icon.svg", media_type="image/svg+xml")


def _say_errors(app: FastAPI) -> None:
    """Have every error said in a sentence that tells nothing about this machine."""

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return _sentence(error.status, str(error))

    @app.exception_handler(NoSuchSession)
    async def no_such_session(_: Request, error: NoSuchSession) -> Response:
        return _sentence(404, "There is no session of that name.")

    @app.exception_handler(SessionFileError)
    async def unreadable(_: Request, error: SessionFileError) -> Response:
        log.warning("%s", error, exc_info=error.__cause__)
        return _sentence(409, str(error).splitlines()[0])

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> Response:
        words = {404: "There is nothing here.", 405: "That cannot be asked for so."}
        return _sentence(error.status_code, words.get(error.status_code, "That cannot be done."))

    @app.exception_handler(RequestValidationError)
    async def not_valid(_: Request, error: RequestValidationError) -> Response:
        where = {".".join(map(str, each["loc"][1:])) + ": " + each["msg"] for each in error.errors()}
        return _sentence(422, "; ".join(sorted(where))[:500])

    @app.exception_handler(Exception)
    async def unexpected(_: Request, error: Exception) -> Response:
        number = secrets.token_hex(4)
        log.error("request failed, number %s", number, exc_info=error)
        return _sentence(500, f"The page server failed at this. Its log has more under number {number}.")


def _sentence(status: int, text: str) -> JSONResponse:
    return JSONResponse({"error": text}, status)
