"""The accounting: how many images were shown and counted, which were left out and why, and what the file rests on."""

import json
from dataclasses import dataclass

from server.export.snapshot import Snapshot

MEANINGS = {
    "fixation_broken": "the eye left the fixation point",
    "frame_dropped": "the image was on screen for too long or too short",
    "not_shown": "it never came on screen",
    "image_missing": "the display did not have the image yet",
    "stopped_by_operator": "somebody paused or ended in the middle of the trial",
    "display_lost": "the display went away with it",
    "not_measured": "the recording side could not vouch for the spikes",
}
_EXCLUDED = """
    SELECT COALESCE(p.void, 'not_measured') AS cause, COUNT(*) AS n
    FROM presentations p LEFT JOIN responses r USING (presentation_id)
    WHERE p.void IS NOT NULL OR r.measured = 0 GROUP BY 1 ORDER BY 2 DESC, 1
"""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One reason for which showings do not count."""

    cause: str
    n: int
    share: float
    """Of all showings that were sent."""
    meaning: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """Every showing that was sent, in one place of the book."""

    sent: int
    counted: int
    excluded: int
    open: int
    """Not reported, or not answered, when the file was read."""
    trials: int
    generations: int
    rewards: int
    minutes: float


def ledger(snapshot: Snapshot) -> Ledger:
    """Return the book: sent = counted + excluded + open."""
    value = snapshot.records.value
    sent = value("SELECT COUNT(*) FROM presentations")
    counted = value(
        "SELECT COUNT(*) FROM presentations JOIN responses USING (presentation_id) WHERE measured AND void IS NULL"
    )
    excluded = sum(row["n"] for row in snapshot.records.rows(_EXCLUDED))
    span = "SELECT (COALESCE(MAX(reported_at), MAX(sent_at)) - MIN(sent_at)) / 60 FROM trials"
    return Ledger(
        sent,
        counted,
        excluded,
        sent - counted - excluded,
        value("SELECT COUNT(*) FROM trials WHERE reported_at IS NOT NULL"),
        value("SELECT COUNT(*) FROM generations WHERE scored_at IS NOT NULL"),
        value("SELECT COUNT(*) FROM rewards"),
        value(span) or 0.0,
    )


def exclusions(snapshot: Snapshot) -> list[Exclusion]:
    """Return the causes, the most frequent first."""
    sent = snapshot.records.value("SELECT COUNT(*) FROM presentations")
    return [
        Exclusion(row["cause"], row["n"], row["n"] / sent, MEANINGS.get(row["cause"], ""))
        for row in snapshot.records.rows(_EXCLUDED)
    ]


def record(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Return what the file rests on: versions, peers, hashes of weights, as pairs of name and value."""
    facts = snapshot.records.facts()
    pairs = [(key, value) for key, value in facts.items() if key not in ("config", "created_at")]
    for row in snapshot.records.rows("SELECT DISTINCT role, name, software, instance FROM peers ORDER BY rowid"):
        pairs.append((f"{row['role']} peer", f"{row['name']} {row['software']} (process {row['instance'][:8]})"))
    for row in snapshot.records.rows("SELECT evolution, facts FROM evolutions ORDER BY evolution"):
        for part, said in json.loads(row["facts"]).items():
            text = json.dumps(said) if isinstance(said, dict | list) else str(said)
            pairs.append((f"evolution {row['evolution']}, {part}", text))
    return pairs
