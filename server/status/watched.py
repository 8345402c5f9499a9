"""One session as it is watched: read when it was written, however many look, and told to each from where he was."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from server.database import SessionFileError
from server.status.feed import Feed
from server.status.operator import Heard

LOOK_S = 0.03
"""How often it is looked whether somebody's session file was written."""
PAUSE_S = 0.07
"""At least so much time between two readings: ten a second is all an eye can follow."""
AT_LEAST_S = 1.0
"""It is read so often though nothing was written: ages grow by themselves."""
STILL_HERE_S = 5.0
"""A visitor hears something so often, so that both ends notice a cut."""


class Watched:
    """A feed, and the task that keeps it fresh while somebody watches."""

    def __init__(self, feed: Feed, heard: Callable[[], Heard | None]) -> None:
        self.feed = feed
        self.visitors = 0
        self.closed = False
        self._heard = heard
        self._lock = threading.Lock()
        self._news: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None

    def fresh(self) -> Feed:
        """Return the feed, read just now."""
        with self._lock:
            self.feed.refresh(self._heard())
        return self.feed

    async def events(self, cursor: str) -> AsyncIterator[tuple[str, str]]:
        """Yield (event, cursor after it) for ever; ("", cursor) when there was nothing to say for a while.

        Nothing is kept for a visitor but how far he has read: one who stalls costs nothing and misses nothing.
        """
        self.visitors += 1
        try:
            await asyncio.to_thread(self.fresh)
            while not self.closed:
                event, cursor = self.feed.since(cursor)
                yield event, cursor
                while not self.closed and not await self._news_come(self.feed.version):
                    yield "", cursor
        finally:
            self.visitors -= 1

    def wake(self) -> None:
        """Let everybody who watches look again."""
        news, self._news = self._news, None
        if news is not None:
            news.set()

    async def _news_come(self, version: int) -> bool:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._keep_fresh())
        if self.feed.version != version:
            return True
        self._news = self._news or asyncio.Event()
        try:
            await asyncio.wait_for(self._news.wait(), STILL_HERE_S)
        except TimeoutError:
            return False
        return True

    async def _keep_fresh(self) -> None:
        """Read the file whenever it was written, until nobody watches any more."""
        looked, rest_s = self._signature(), AT_LEAST_S
        while self.visitors:
            await asyncio.sleep(LOOK_S)
            rest_s -= LOOK_S
            signature = self._signature()
            if signature == looked and rest_s > 0:
                continue
            looked, rest_s = signature, AT_LEAST_S
            try:
                await asyncio.to_thread(self.fresh)
            except (SessionFileError, OSError):  # in the middle of being made, or taken away: tried again
                continue
            self.wake()
            await asyncio.sleep(PAUSE_S)

    def _signature(self) -> tuple[object, ...]:
        """Return what changes when the file is written, or when the server says something."""
        heard = self._heard()
        return (written(self.feed.path), heard.at if heard else 0)


def written(path: Path) -> tuple[tuple[int, int], ...]:
    """Return what changes when a session file, or the log beside it, is written."""
    stats = []
    for each in (path, path.with_name(path.name + "-wal")):
        try:
            stat = each.stat()
        except FileNotFoundError:
            continue
        stats.append((stat.st_mtime_ns, stat.st_size))
    return tuple(stats)
