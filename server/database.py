"""A session file as a database: what version it is of, whether it is whole, and how to open it, to read or to write."""

import sqlite3
from pathlib import Path

SCHEMA_VERSION = 2
SCHEMA = Path(__file__).with_name("schema.sql")


_NO_ACCESS = frozenset({
    sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
})  # fmt: skip
"""What SQLite says of a folder, a disk or another program, and not of what is in the file."""


class SessionFileError(ValueError):
    """The file cannot be used as a session file; the text says why and what to do."""


def cannot_be_opened(path: Path, error: Exception, mode: str = "ro") -> SessionFileError:
    """Return why a session file cannot be opened, by what SQLite says: its place, or what is in it."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in _NO_ACCESS:
        if mode == "rw":
            return cannot_be_written(path, error)
        return SessionFileError(
            f"{path} cannot be opened where it is ({error}). Even to read it, this account must be able to write in "
            f"its folder: copy it, with {path.name}-wal if there is one, to where that is so."
        )
    return SessionFileError(f"{path} is no session file, or is damaged ({error}). It was left as it is.")


def cannot_be_written(path: Path, error: Exception) -> SessionFileError:
    """Return that a session file cannot be made or written, with what the system says."""
    return SessionFileError(
        f"{path} cannot be written ({error}). Is there room on the disk, and may this account write the file and in "
        "its folder?"
    )


def open_database(path: Path, mode: str) -> sqlite3.Connection:
    """Open a session file "ro" or "rw"; raise SessionFileError with the reason if it is none, or damaged."""
    if not path.is_file():
        raise SessionFileError(f"there is no session file {path}")
    try:
        connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None)
    except sqlite3.OperationalError as error:
        raise SessionFileError(f"{path} cannot be opened ({error}). May this account read it?") from error
    try:
        _check_database(path, connection)
        if mode == "rw":
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # SQLite may quote the damage in its words
        connection.close()
        raise cannot_be_opened(path, error, mode) from error
    except SessionFileError:
        connection.close()
        raise
    return connection


def _check_database(path: Path, connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA busy_timeout = 5000")
    found = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if damage != "ok":
        raise SessionFileError(f"{path} is damaged ({damage}). It was left as it is; work on a copy of it.")
    version = found[0] if found else "none"
    if version != str(SCHEMA_VERSION):
        raise SessionFileError(
            f"{path} has schema version {version}, this XDream reads {SCHEMA_VERSION}. "
            "Open it with the version that wrote it: xdream --version says which one this is."
        )
