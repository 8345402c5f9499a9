"""Who was recorded where, with what and by which program: the head of an NWB file."""

import json
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from pynwb import NWBFile
from pynwb.file import Subject

from server.config import Config
from server.export.snapshot import Snapshot

KEYWORDS = ["closed loop", "image synthesis", "activation maximization", "visual neuroscience", "XDream"]
REHEARSAL = "This was a rehearsal (dry run): no subject, a simulated display, simulated neurons."
_LAST = """
    SELECT MAX(at) FROM (
        SELECT MAX(at) AS at FROM states UNION ALL SELECT MAX(sent_at) FROM trials
        UNION ALL SELECT MAX(reported_at) FROM trials UNION ALL SELECT MAX(received_at) FROM responses
        UNION ALL SELECT MAX(asked_at) FROM controls UNION ALL SELECT MAX(scored_at) FROM generations
        UNION ALL SELECT MAX(CAST(value AS REAL)) FROM meta WHERE key = 'created_at')
"""


def identifier(snapshot: Snapshot) -> str:
    """Return the UUID of a session, the same in every export of it."""
    return str(uuid5(NAMESPACE_URL, f"xdream:{snapshot.records.facts()['session_id']}"))


def simulated(snapshot: Snapshot) -> bool:
    """Return whether the session was a dry run."""
    return "rehearsal" in snapshot.records.facts()


def a_file(snapshot: Snapshot, config: Config) -> NWBFile:
    """Return an NWB file that says what the session was, and holds no data yet."""
    facts, session, lab = snapshot.records.facts(), config.session, config.lab
    began = datetime.fromtimestamp(float(facts["created_at"]), UTC)
    notes = [session.notes, REHEARSAL if simulated(snapshot) else ""]
    nwb = NWBFile(
        session_description=_description(snapshot),
        identifier=identifier(snapshot),
        session_start_time=began,
        timestamps_reference_time=began,
        file_create_date=[datetime.fromtimestamp(snapshot.records.value(_LAST), UTC)],
        session_id=facts["session_id"],
        experimenter=[session.experimenter] if session.experimenter else None,
        institution=lab.institution or None,
        lab=lab.lab or None,
        protocol=lab.protocol or None,
        keywords=KEYWORDS,
        notes="\n".join(filter(None, notes)) or None,
        experiment_description="Images evolve in a closed loop for what they make the recorded neurons do.",
        stimulus_notes=_stimuli(config),
        source_script=facts.get("software", "xdream"),
        source_script_file_name="xdream",
        subject=_subject(config),
    )
    _add_record(nwb, facts)
    _add_display(nwb, snapshot, config)
    return nwb


def _description(snapshot: Snapshot) -> str:
    parts = []
    for row in snapshot.records.rows("SELECT evolution, name, facts FROM evolutions ORDER BY evolution"):
        facts = json.loads(row["facts"])
        made_of = " + ".join(facts[part]["name"] for part in ("optimizer", "generator", "scorer") if part in facts)
        channels = ", ".join(facts.get("channels", [])[:8]) or "all"
        parts.append(f"evolution {row['evolution']} ({row['name']}): {made_of}, channels {channels}")
    return f"Closed-loop image evolution. {'; '.join(parts) or 'No evolution was begun'}."


def _stimuli(config: Config) -> str:
    display, acquisition = config.display, config.acquisition
    windows = [f"{1000 * start:g} to {1000 * end:g} ms" for start, end in
               (acquisition.response_window_s, acquisition.baseline_window_s)]  # fmt: skip
    return (
        f"Images {display.size_deg:g} degrees wide at ({display.x_deg:g}, {display.y_deg:g}) degrees, "
        f"{1000 * display.on_s:g} ms on, {1000 * display.off_s:g} ms off, grey {display.background} of 255 around. "
        f"Response window {windows[0]}, baseline window {windows[1]} after the onset."
    )


def _subject(config: Config) -> Subject | None:
    """Return what is known of the subject; what is not known is left out, never guessed."""
    subject, name = config.subject, config.session.subject
    born = datetime.fromisoformat(subject.date_of_birth).replace(tzinfo=UTC) if subject.date_of_birth else None
    given = {
        "subject_id": name.replace("/", "-"),
        "species": subject.species,
        "sex": subject.sex,
        "age": subject.age,
        "date_of_birth": born,
        "weight": f"{subject.weight_kg:g} kg" if subject.weight_kg else None,
        "description": subject.description,
    }
    known = {key: value for key, value in given.items() if value}
    return Subject(**known) if known else None


def _add_record(nwb: NWBFile, facts: dict[str, str]) -> None:
    what = "The configuration of the session, a TOML file as it was written."
    nwb.add_scratch(facts["config"], name="config", description=what)
    versions = {key: value for key, value in facts.items() if key != "config"}
    text = "\n".join(f"{key} = {value}" for key, value in versions.items())
    nwb.add_scratch(text, name="versions", description="What the session was begun with, a fact a line.")


def _add_display(nwb: NWBFile, snapshot: Snapshot, config: Config) -> None:
    joined = "SELECT name, software FROM peers WHERE role = 'display' ORDER BY rowid DESC LIMIT 1"
    rows = snapshot.records.rows(joined)
    if not rows:
        return
    monitor = config.display.monitor
    size = f", {monitor.width_px} x {monitor.height_px} pixels" if monitor.width_px and monitor.height_px else ""
    rate = f", {monitor.refresh_hz:g} Hz" if monitor.refresh_hz else ""
    gamma = "by a table of 256 levels" if monitor.gamma_table else f"{monitor.gamma:g}"
    nwb.create_device(
        name="display",
        description=f"Screen {monitor.width_cm:g} cm wide at {monitor.distance_cm:g} cm{size}{rate}, gamma {gamma}, "
        f"shown by {rows[0]['name']} ({rows[0]['software']}).",
    )
