"""The sessions of a folder, or the one of a file; what is read of each is read once for all who look."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from server.database import SessionFileError
from server.status.feed import Feed
from server.status.operator import Heard, Operator
from server.status.records import FIRST_EVOLVED, open_records
from server.status.shapes import Summary
from server.status.watched import Watched, written

MAX_FEEDS = 32
SUFFIX = ".xdream"
REST = 10
"""A session that goes on is summed up anew after so many times what that took: a day's worth takes a second."""

QUIET_S = 5.0
"""A session that nobody has written for so long has no server, unless that is heard. As in page/js/session.js."""


class NoSuchSession(LookupError):
    """There is no session of that name."""


class _Known(NamedTuple):
    """What was read of a session for the list."""

    signature: object
    summary: Summary
    until: float
    """It does for so long, though the file goes on."""


class Library:
    """All sessions that the page can show."""

    def __init__(self, place: Path, operator: Operator | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.place = place
        self.operator = operator
        self._watched: OrderedDict[str, Watched] = OrderedDict()
        self._summaries: dict[str, _Known] = {}
        self._lock, self._summing = threading.Lock(), threading.Lock()
        self._clock = clock

    def files(self) -> dict[str, Path]:
        """Return the path of each session by its name."""
        paths = [self.place] if self.place.is_file() else sorted(self.place.glob(f"*{SUFFIX}"))
        return {path.stem: path for path in paths}

    def path(self, name: str) -> Path:
        """Return the path of a session; raise NoSuchSession."""
        path = self.files().get(name)
        if path is None:
            raise NoSuchSession(name)
        return path

    def watched(self, name: str) -> Watched:
        """Return the feed of a session; raise NoSuchSession."""
        path = self.path(name)
        with self._lock:
            if name not in self._watched:
                self._watched[name] = Watched(Feed(path), self.heard)
            self._watched.move_to_end(name)
            for old in [old for old, each in self._watched.items() if not each.visitors][:-MAX_FEEDS]:
                del self._watched[old]
            return self._watched[name]

    def close(self) -> None:
        """Let every stream end."""
        for each in self._watched.values():
            each.closed = True
            each.wake()

    def summaries(self) -> list[Summary]:
        """Return what the list of sessions says, the one that was written last first."""
        found = [self._summary(name, path) for name, path in self.files().items()]
        return sorted(found, key=lambda each: each.changed_at, reverse=True)

    def session_id(self, name: str) -> str:
        """Return the id of a session; raise NoSuchSession."""
        with open_records(self.path(name)) as records:
            return str(records.value("SELECT value FROM meta WHERE key = 'session_id'"))

    def n_visitors(self) -> int:
        """Return how many streams are open."""
        return sum(each.visitors for each in self._watched.values())

    def heard(self) -> Heard | None:
        """Return what a server said of itself a moment ago."""
        operator = self.operator
        return operator.heard if operator is not None and operator.session_id else None

    def _summary(self, name: str, path: Path) -> Summary:
        live = self.operator.session_id if self.operator else ""
        with self._summing:  # once, however many ask
            known, signature, began_s = self._summaries.get(name), written(path), self._clock()
            if known is None or (known.signature != signature and began_s >= known.until):
                summary = _read_summary(name, path)
                ended_s = self._clock()
                known = self._summaries[name] = _Known(signature, summary, ended_s + REST * (ended_s - began_s))
        changed_at = max((mtime for mtime, _ in signature), default=0) / 1e9
        is_live = bool(live) and known.summary.session_id == live
        attended = is_live or time.time() - changed_at < QUIET_S
        return known.summary.model_copy(update={"changed_at": changed_at, "live": is_live, "attended": attended})


def _read_summary(name: str, path: Path) -> Summary:
    changed_at = max((mtime for mtime, _ in written(path)), default=0) / 1e9
    try:
        with open_records(path) as records:
            facts, subject = records.facts(), records.config().session.subject
            best = records.rows(
                "SELECT stimulus_id, MAX(score) FROM scores WHERE stimulus_id >= ? AND score IS NOT NULL"
                " GROUP BY evolution ORDER BY evolution",
                FIRST_EVOLVED,
            )
            mean = "SELECT AVG(score) AS mean FROM scores WHERE stimulus_id >= ? GROUP BY evolution, generation"
            return Summary(
                name=name,
                session_id=facts["session_id"],
                subject=subject,
                state=records.value("SELECT state FROM states ORDER BY rowid DESC LIMIT 1") or "waiting",
                created_at=float(facts["created_at"]),
                changed_at=changed_at,
                generations=records.value("SELECT COUNT(*) FROM (SELECT DISTINCT evolution, generation FROM scores)"),
                measured=records.value("SELECT COUNT(*) FROM responses WHERE measured"),
                score=records.value(f"SELECT MAX(mean) FROM ({mean})", FIRST_EVOLVED),
                best=[row["stimulus_id"] for row in best],
            )
    except (SessionFileError, OSError) as error:
        return Summary(name=name, changed_at=changed_at, problem=str(error).splitlines()[0])
