"""A session file, open for as long as one question takes: nobody who writes it ever waits for the page."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from protocol.ids import MAX_IMAGES, stimulus_id
from protocol.plugins import load
from server.config import ConfigError, parse_config
from server.config_tables import Config, Evolution
from server.database import SCHEMA_VERSION, SessionFileError, cannot_be_opened
from server.reading import UNITS
from server.recounting import changed_channels
from server.status.shapes import About, EvolutionAbout, Reference
from server.target_file import as_recorded

FIRST_EVOLVED = stimulus_id(1, 0, 0)
"""Stimulus ids below are of reference images: ids say it, and no large table need be looked through."""


def ids_of(evolution: int, generation: int) -> tuple[int, int]:
    """Return the first and the last stimulus id that a generation can have."""
    first = stimulus_id(evolution, generation, 0)
    return first, first + MAX_IMAGES - 1


class Records:
    """Answers to questions about one session file; open it with `open_records`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self.path = path
        self._connection = connection

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Return all rows of an answer."""
        return self._connection.execute(query, values).fetchall()

    def value(self, query: str, *values: object) -> Any:
        """Return the first column of the first row; None if there is none."""
        row = self._connection.execute(query, values).fetchone()
        return None if row is None else row[0]

    def facts(self) -> dict[str, str]:
        """Return what the session was begun with."""
        return {row["key"]: row["value"] for row in self.rows("SELECT key, value FROM meta")}

    def config(self) -> Config:
        """Return the configuration that the session was begun with; raise SessionFileError if it cannot be read."""
        facts = self.facts()
        try:
            config = parse_config(facts["config"], self.path.name)
        except ConfigError as error:
            raise SessionFileError(f"the configuration in {self.path.name} cannot be read: {error}") from error
        return as_recorded(config.changed(**json.loads(facts.get("changes", "{}"))), self._connection)

    def changed_channels(self, evolution: int) -> dict[int, tuple[str, ...]]:
        """Return the channels that an operator had scored from a generation on, by that generation."""
        return changed_channels(self._connection, evolution)

    def channels(self) -> list[str]:
        """Return the channels of the acquisition side that joined last."""
        query = "SELECT channels FROM peers WHERE role = 'acquisition' ORDER BY rowid DESC LIMIT 1"
        return list(json.loads(self.value(query) or "[]"))


@contextmanager
def open_records(path: Path) -> Iterator[Records]:
    """Open a session file for one question; raise SessionFileError if it is none, or holds what makes no sense."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA busy_timeout = 200")
            records = Records(connection, path)
            version = records.value("SELECT value FROM meta WHERE key = 'schema_version'")
            if version != str(SCHEMA_VERSION):
                raise SessionFileError(f"{path.name} has schema version {version}, this page reads {SCHEMA_VERSION}")
            yield records
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise cannot_be_opened(path, error) from error
    except SessionFileError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise SessionFileError(
            f"{path.name} cannot be understood ({type(error).__name__}: {error}). Is it damaged? Ask xdream verify."
        ) from error


def changes(records: Records) -> dict[int, dict[str, Any]]:
    """Return what holds since it was changed: `channels` and `parameters` of each evolution."""
    query = "SELECT c.arguments FROM changes h JOIN controls c USING (control_id) WHERE h.refused = '' ORDER BY h.rowid"
    found: dict[int, dict[str, Any]] = {}
    for row in records.rows(query):
        said = json.loads(row["arguments"])
        held = found.setdefault(said["evolution"], {"channels": [], "parameters": {}})
        held["channels"] = said.get("channels") or held["channels"]
        held["parameters"] |= said.get("parameters", {})
    return found


def about(records: Records) -> About:
    """Return what a session is: its parts, its channels, its windows."""
    facts, config, changed = records.facts(), records.config(), changes(records)
    references = records.rows("SELECT stimulus_id, name FROM stimuli WHERE stimulus_id < ?", FIRST_EVOLVED)
    rehearsal = json.loads(facts.get("rehearsal", "null"))
    return About(
        name=records.path.stem,
        session_id=facts["session_id"],
        subject=config.session.subject,
        experimenter=config.session.experimenter,
        created_at=float(facts["created_at"]),
        software=facts.get("software", ""),
        channels=records.channels(),
        response_window_s=config.acquisition.response_window_s,
        baseline_window_s=config.acquisition.baseline_window_s,
        evolutions=[
            _evolution(number, table, changed.get(number, {})) for number, table in enumerate(config.evolutions, 1)
        ],
        references=[Reference(stimulus_id=row[0], name=Path(row[1]).stem) for row in references],
        rehearsal=rehearsal is not None,
        # The words are the simulator's, which no server on a rig needs.
        drills=load("simulator.faults:offered")(rehearsal.get("as", "")) if rehearsal is not None else {},
        config=facts["config"],
    )


def _evolution(number: int, table: Evolution, changed: dict[str, Any]) -> EvolutionAbout:
    return EvolutionAbout(
        number=number,
        name=table.name,
        unit=UNITS.get(table.scorer.name, ""),
        optimizer=table.optimizer.name,
        generator=table.generator.name,
        parameters=table.optimizer.parameters | changed.get("parameters", {}),
        channels=changed.get("channels") or list(table.channels),
        generations=table.generations,
        repeats=table.repeats,
    )
