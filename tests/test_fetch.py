"""Downloads: whole, broken off and gone on with, and never of something else than the first time."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from server.generators import create, store
from server.generators.commands import weights as commands
from server.generators.deepsim_networks import VARIANTS
from server.generators.fetch import ADDRESSES, fetch
from server.generators.weights import WeightsError
from tests.small_networks import a_file, some_weights, thin_all

FC6 = "deepsim-fc6"


class Shelf(ThreadingHTTPServer):
    """A server of one file that knows ranges, and hangs up early when it is told to."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content = content
        self.hang_up_after: int | None = None
        self.strong = True
        self.ranges: list[str | None] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/upconvGAN_fc6.safetensors"

    @property
    def tag(self) -> str:
        return ("" if self.strong else "W/") + f'"{hashlib.sha256(self.content).hexdigest()}"'


class Answer(BaseHTTPRequestHandler):
    server: Shelf

    def do_GET(self) -> None:
        shelf, wanted = self.server, self.headers["Range"]
        shelf.ranges.append(wanted)
        goes_on = wanted is not None and self.headers["If-Range"] == shelf.tag
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and goes_on else 0
        if goes_on and start >= len(shelf.content):
            self.send_error(416)
            return
        self.send_response(206 if goes_on else 200)
        self.send_header("ETag", shelf.tag)
        self.send_header("Content-Length", str(len(shelf.content) - start))
        self.end_headers()
        self.wfile.write(shelf.content[start : shelf.hang_up_after])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    thin_all(monkeypatch)
    monkeypatch.setenv("XDREAM_WEIGHTS", str(tmp_path / "kept"))
    with Shelf(a_file(tmp_path, FC6).read_bytes()) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def other_content(tmp_path: Path) -> bytes:
    weights = some_weights(VARIANTS[FC6])
    weights["fc6.bias"] += 1
    return a_file(tmp_path, FC6, weights).read_bytes()


def test_fetched_weights_are_kept_recorded_and_used(shelf: Shelf, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    record = fetch(FC6, tmp_path / "kept", lambda done, total: seen.append((done, total)), shelf.address)
    assert seen[-1] == (len(shelf.content), len(shelf.content))
    assert record.source == shelf.address
    assert record.source_sha256 == hashlib.sha256(shelf.content).hexdigest()
    assert getattr(create(FC6, device="cpu"), "weights_sha256", "") == record.sha256
    assert sorted(each.name for each in (tmp_path / "kept").iterdir()) == [f"{FC6}.json", f"{FC6}.safetensors"]


def test_what_is_there_is_not_fetched_again(shelf: Shelf, tmp_path: Path) -> None:
    first = fetch(FC6, tmp_path / "kept", address=shelf.address)
    assert fetch(FC6, tmp_path / "kept", address=shelf.address) == first
    assert len(shelf.ranges) == 1


def test_a_download_that_broke_off_is_gone_on_with(shelf: Shelf, tmp_path: Path) -> None:
    shelf.hang_up_after = 1000
    with pytest.raises(WeightsError, match=r"could not be downloaded: .* the same command goes on from there"):
        fetch(FC6, tmp_path / "kept", address=shelf.address)
    shelf.hang_up_after = None
    record = fetch(FC6, tmp_path / "kept", address=shelf.address)
    assert shelf.ranges == [None, "bytes=1000-"]
    assert record.source_sha256 == hashlib.sha256(shelf.content).hexdigest()


def test_a_part_of_another_version_is_thrown_away(shelf: Shelf, tmp_path: Path) -> None:
    shelf.hang_up_after = 1000
    with pytest.raises(WeightsError, match="could not be downloaded"):
        fetch(FC6, tmp_path / "kept", address=shelf.address)
    shelf.hang_up_after, shelf.content = None, other_content(tmp_path)
    record = fetch(FC6, tmp_path / "kept", address=shelf.address)
    assert record.source_sha256 == hashlib.sha256(shelf.content).hexdigest()


def test_a_part_of_unknown_version_is_thrown_away(shelf: Shelf, tmp_path: Path) -> None:
    shelf.hang_up_after, shelf.strong = 1000, False
    with pytest.raises(WeightsError, match="could not be downloaded"):
        fetch(FC6, tmp_path / "kept", address=shelf.address)
    shelf.hang_up_after = None
    fetch(FC6, tmp_path / "kept", address=shelf.address)
    assert shelf.ranges == [None, None]


def test_a_part_that_is_whole_already_begins_anew(shelf: Shelf, tmp_path: Path) -> None:
    part = tmp_path / "kept" / f"{FC6}.part.safetensors"
    part.parent.mkdir()
    part.write_bytes(shelf.content)
    part.with_suffix(".version").write_text(shelf.tag)
    fetch(FC6, tmp_path / "kept", address=shelf.address)
    assert shelf.ranges == [f"bytes={len(shelf.content)}-", None]


def test_a_published_file_that_changed_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    fetch(FC6, kept, address=shelf.address)
    store.file_of(FC6, kept).unlink()
    shelf.content = other_content(tmp_path)
    with pytest.raises(WeightsError, match=r"is not what it was: its SHA-256 is .* If the change is meant, delete"):
        fetch(FC6, kept, address=shelf.address)
    assert not store.file_of(FC6, kept).exists()
    store.record_of(FC6, kept).unlink()
    assert fetch(FC6, kept, address=shelf.address).source_sha256 == hashlib.sha256(shelf.content).hexdigest()


def test_what_is_no_file_of_weights_leaves_nothing_behind(shelf: Shelf, tmp_path: Path) -> None:
    shelf.content = b"<html>Too many requests</html>"
    with pytest.raises(WeightsError, match="cannot be read as safetensors"):
        fetch(FC6, tmp_path / "kept", address=shelf.address)
    assert not any((tmp_path / "kept").iterdir())


def test_an_address_that_is_none_is_answered_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="must be an http or https address of a file that ends in"):
        fetch(FC6, tmp_path, address="file:///etc/passwd.pt")
    with pytest.raises(WeightsError, match=r"deepsim-fc6-places.*: xdream weights import FILE --name"):
        fetch("deepsim-fc6-places", tmp_path)
    with pytest.raises(WeightsError, match="could not be downloaded: "):
        fetch(FC6, tmp_path, address="http://127.0.0.1:1/fc6.pt")


def test_every_published_address_is_of_a_generator() -> None:
    assert set(VARIANTS) - set(ADDRESSES) == {"deepsim-fc6-places"}


@pytest.mark.parametrize("wish", [["deepsim-fc66"], [FC6, "--from", "ftp://somewhere/a.pt"]])
def test_a_wish_that_cannot_be_had_is_refused_before_a_bar_is_drawn(wish: list[str]) -> None:
    done = CliRunner().invoke(commands, ["fetch", *wish])
    assert isinstance(done.exception, WeightsError)
    assert done.output == ""


def test_the_command_fetches_and_says_what_came(shelf: Shelf, tmp_path: Path) -> None:
    done = CliRunner().invoke(commands, ["fetch", FC6, "--from", shelf.address], catch_exceptions=False)
    assert done.exit_code == 0
    assert f"{FC6}  SHA-256 {store.kept(tmp_path / 'kept')[0].sha256}  from {shelf.address}" in done.output
