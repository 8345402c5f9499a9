"""A session file as it stands at one moment: its server goes on writing, and is neither seen nor held up."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from server.database import open_database
from server.reading import Reader
from server.status.records import Records


class Snapshot:
    """What a session file says within one read transaction; open it with `open_snapshot`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self.connection = connection
        self.records = Records(connection, path)
        self.reader = Still(connection, path)


class Still(Reader):
    """A reader that asks within a transaction of its owner's, who closes it."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection


@contextmanager
def open_snapshot(path: Path) -> Iterator[Snapshot]:
    """Open a session file, running, finished or crashed; raise SessionFileError if it is none, or damaged."""
    with closing(open_database(path, "ro")) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("BEGIN")
        connection.execute("SELECT COUNT(*) FROM meta").fetchone()  # with its first look the transaction begins
        yield Snapshot(connection, path)
