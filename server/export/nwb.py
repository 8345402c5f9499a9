"""A session as one NWB file: built beside its place, looked over, and moved there whole."""

import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from uuid import UUID, uuid5

import h5py
from pynwb import NWBHDF5IO, NWBFile

from server.config import Config
from server.database import SessionFileError
from server.export.about import a_file, identifier, simulated
from server.export.clock import Clock
from server.export.inspection import Finding, inspect
from server.export.neurons import add_channels, add_spikes
from server.export.population import add_events, add_populations
from server.export.showings import Showings, add_showings
from server.export.snapshot import Snapshot, open_snapshot
from server.export.stimuli import add_stimuli
from server.export.wanted import wanted, with_facts


def export(path: Path, out: Path, facts: Path | None = None) -> tuple[list[Finding], list[str]]:
    """Write the NWB file of a session; return what its inspection found, and what an archive will miss.

    `facts` is a TOML file whose [subject] and [lab] stand above the session's own. The same session file gives the
    same bytes. Raise SessionFileError, with `out` as it was, when the result would not be a valid NWB file.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(dir=out.parent, prefix=f".{out.stem}-", suffix=".nwb", delete=False) as unfinished:
        made = Path(unfinished.name)
    try:
        with open_snapshot(path) as snapshot:
            config = with_facts(snapshot.records.config(), facts)
            nwb = build(snapshot, config)
            with NWBHDF5IO(made, "w") as file:
                file.write(nwb)
            _name_objects(made, UUID(identifier(snapshot)))
        findings = inspect(made)
        _refuse_if_wrong(path, findings)
        made.chmod(0o666 & ~_umask())
        made.replace(out)
    except BaseException:
        made.unlink(missing_ok=True)
        raise
    return findings, wanted(config)


def is_rehearsal(path: Path) -> bool:
    """Return whether a session file is a dry run's, as it says itself."""
    with open_snapshot(path) as snapshot:
        return simulated(snapshot)


def build(snapshot: Snapshot, config: Config) -> NWBFile:
    """Return the NWB file of a session, not written yet."""
    nwb, clock, channels = a_file(snapshot, config), Clock(snapshot), snapshot.records.channels()
    showings = Showings(snapshot, clock)
    add_channels(nwb, snapshot, config, channels, simulated(snapshot))
    add_stimuli(nwb, snapshot, showings)
    add_showings(nwb, showings, len(channels))
    add_spikes(nwb, snapshot, config, showings, channels)
    add_populations(nwb, snapshot)
    add_events(nwb, snapshot, clock)
    return nwb


def _name_objects(made: Path, session: UUID) -> None:
    """Give every object an id that follows from the session and its place, in the place of a random one."""
    with h5py.File(made, "r+") as file:

        def name(place: str, thing: h5py.HLObject) -> None:
            if "object_id" in thing.attrs:
                thing.attrs.modify("object_id", str(uuid5(session, place)))

        name("/", file)
        file.visititems(name)


def _refuse_if_wrong(path: Path, findings: list[Finding]) -> None:
    wrong = [finding for finding in findings if finding.invalid]
    if wrong:
        raise SessionFileError(
            f"{path}: the NWB file made of it is not valid, and was not kept: {'; '.join(map(str, wrong[:5]))}"
        )


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
