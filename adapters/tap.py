"""The raw tap: everything that was read and asked, as it came, so that a session can be answered again to the bit.

A file is one line of JSON, which says what adapter with what options made it. Then come records of `<dhI` (seconds,
port, number of frames) and each frame as `<I` and its bytes. Ports below zero are ours: a cut, the session's settings,
a request, a poll.
"""

import json
import logging
import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from adapters.alarms import Alarm
from adapters.events import Chunk
from adapters.source import SourceError
from protocol.codec import encode
from protocol.messages import Onsets

MAGIC = "xdream-tap-1"
MAX_HEAD_BYTES = 1 << 20
SETTINGS, REQUEST, POLL = -2, -3, -4
LEAST_FREE_BYTES = 2 << 30
LOOK_EVERY_BYTES = 64 << 20
_BEGINNING = b'{"format": "xdream-tap-'
_RECORD, _LENGTH = struct.Struct("<dhI"), struct.Struct("<I")
log = logging.getLogger(__name__)


class Tap:
    """Appends to a file, until the disk is nearly full."""

    def __init__(
        self,
        path: Path,
        name: str,
        least_free_bytes: int = LEAST_FREE_BYTES,
        options: Mapping[str, str] | None = None,
    ) -> None:
        self._path, self._name, self._least_free = path, name, least_free_bytes
        self.options = options
        """What makes the adapter's wire and its rules again; to be known by the first record."""
        try:
            self._file: BinaryIO | None = path.open("xb")
        except OSError as error:
            raise SourceError(
                f"the tap cannot be written: {error}. A tap never overwrites: name a new file."
            ) from error
        self._to_look = 0
        self._why = ""
        """Why it has had to end."""
        self._begun = False

    def write(self, at_s: float, port: int, frames: tuple[bytes, ...] = ()) -> None:
        """Append one record."""
        self._begin()
        n_bytes = _RECORD.size + sum(_LENGTH.size + len(frame) for frame in frames)
        self._to_look -= n_bytes
        if self._to_look < 0:
            self._look()
        self._append(_RECORD.pack(at_s, port, len(frames)))
        for frame in frames:
            self._append(_LENGTH.pack(len(frame)))
            self._append(frame)

    def chunk(self, chunk: Chunk) -> None:
        """Append what was read."""
        self.write(chunk.at_s, chunk.port, chunk.frames)

    def settings(self, at_s: float, settings: dict[str, Any]) -> None:
        """Append the beginning of a session."""
        self.write(at_s, SETTINGS, (json.dumps(settings).encode(),))

    def request(self, at_s: float, onsets: Onsets) -> None:
        """Append what was asked."""
        self.write(at_s, REQUEST, tuple(bytes(frame) for frame in encode(onsets)))

    def alarms(self) -> dict[str, Alarm]:
        """Return whether it has had to end."""
        if not self._why:
            return {}
        return {
            "tap_ended": Alarm(
                f"{self._why}: the tap has ended",
                "the session goes on, but cannot be answered again from the tap after this",
                "look at the disk, free some space; a new tap begins with the next adapter",
            )
        }

    def close(self) -> None:
        """Finish the file."""
        self._begin()
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as error:
                self._end(f"{self._path} cannot be written to its end ({error})")

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            options = {} if self.options is None else {"options": dict(self.options)}
            self._append(json.dumps({"format": MAGIC, "name": self._name, **options}).encode() + b"\n")

    def _append(self, data: bytes) -> None:
        if self._file is not None:
            try:
                self._file.write(data)
            except OSError as error:
                self._end(f"{self._path} cannot be written ({error})")

    def _look(self) -> None:
        self._to_look = LOOK_EVERY_BYTES
        try:
            free = shutil.disk_usage(self._path.parent).free
        except OSError:
            return  # writing will tell
        if self._file is not None and free < self._least_free:
            self._end(f"the disk of {self._path} is nearly full")

    def _end(self, why: str) -> None:
        """Write no more; the session is worth more than its tap."""
        if not self._why:
            self._why = why
            log.warning("%s: the tap ends here, the session goes on", why)
        self.close()


def open_tap(path: str, name: str, options: Mapping[str, str] | None = None) -> Tap | None:
    """Return the tap of that path; none if the path is empty."""
    return Tap(Path(path), name, options=options) if path else None


def is_tap(path: Path) -> bool:
    """Return whether a file is a tap, of this version or another."""
    with path.open("rb") as file:
        return file.read(len(_BEGINNING)) == _BEGINNING


def tap_head(path: Path) -> dict[str, Any] | None:
    """Return the first line of a tap: `name` and, but for old ones, `options`; None for a file that is no tap."""
    with path.open("rb") as file:
        first = file.readline(MAX_HEAD_BYTES)
    try:
        head = json.loads(first)
    except ValueError:
        return None
    return head if isinstance(head, dict) and head.get("format") == MAGIC else None


def read_tap(path: Path) -> Iterator[Chunk]:
    """Yield the records of a tap; one that was cut off by a crash is left out."""
    if tap_head(path) is None:
        raise SourceError(f"{path} is no tap of XDream's.")
    with path.open("rb") as file:
        file.readline(MAX_HEAD_BYTES)
        while len(head := file.read(_RECORD.size)) == _RECORD.size:
            at_s, port, n_frames = _RECORD.unpack(head)
            frames = []
            for _ in range(n_frames):
                frame = _frame(file)
                if frame is None:
                    return
                frames.append(frame)
            yield Chunk(at_s, tuple(frames), port)


def _frame(file: BinaryIO) -> bytes | None:
    head = file.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    [length] = _LENGTH.unpack(head)
    frame = file.read(length)
    return frame if len(frame) == length else None
