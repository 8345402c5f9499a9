"""A page server for tests, and Debian's Chromium to look at it with."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.testclient import TestClient

from server.status.access import Access
from server.status.app import create_app
from tests.page.made import MadeSession

BROWSERS = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --mute-audio"
    " --disable-dev-shm-usage"
)
PATIENCE_MS = 30_000


@contextmanager
def served(app: FastAPI, port: int = 0) -> Iterator[str]:
    """Serve an app in a thread at a free port, and yield its URL."""
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    started = threading.Event()
    before = server.startup

    async def startup(sockets: Any = None) -> None:
        await before(sockets)
        started.set()

    server.startup = startup  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        assert started.wait(30), "the page server does not start"
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one finished session of two evolutions."""
    folder = tmp_path_factory.mktemp("sessions")
    made = MadeSession(folder / "made.xdream", generations=4).begin()
    made.ask("note", text="<script>alert(1)</script> drowsy")
    made.suspend()
    made.clear()
    made.to_the_end(void_every=7)
    made.close()
    return folder


@pytest.fixture
def running(tmp_path: Path) -> Iterator[MadeSession]:
    made = MadeSession(tmp_path / "running.xdream").begin()
    yield made
    made.close()


def a_client(place: Path, access: Access | None = None, **options: Any) -> TestClient:
    """Return a client of the page that asks as a browser on this machine would."""
    app = create_app(place, None, access)
    return TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1), **options)


@pytest.fixture
def client(finished: Path) -> Iterator[TestClient]:
    with a_client(finished) as client:
        yield client


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install 'xdream[dev]'")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=OPTIONS.split())
        yield browser
        browser.close()


class Window:
    """A browser window that fails its test for anything the page complains of."""

    def __init__(self, browser: Any, **options: Any) -> None:
        self.context = browser.new_context(**{"viewport": {"width": 1440, "height": 1000}} | options)
        self.context.set_default_timeout(PATIENCE_MS)
        self.page = self.context.new_page()
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._hear)
        self.page.on("request", lambda request: self.asked.append(request.url))

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)


@pytest.fixture
def window(browser: Any) -> Iterator[Window]:
    window = Window(browser)
    yield window
    window.context.close()
    assert window.complaints == []
