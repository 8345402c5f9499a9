"""What a session hangs on, each with a word and an age: display, acquisition, disk, clock and the server itself."""

import shutil
from math import isfinite
from typing import Any

from protocol.ids import presentation_id, presentation_key
from server.status.operator import Heard
from server.status.records import Records
from server.status.shapes import Link

LOST_S = 2.0
"""A peer not heard for so long is lost; the server thinks so too."""
OLD_S = 5.0
"""Onsets are found trial by trial; when the last one is older, it is said."""
TOLD_S = 600.0
"""Who was turned away at the door is told of for so long."""


def links(records: Records, heard: Heard | None, ended: bool) -> list[Link]:
    """Return the links of a session; `heard` is what its server said last, None when there is none."""
    peers = [_peer(role, heard, records, ended) for role in ("display", "acquisition")]
    return [_server(heard, ended), *peers, _disk(records, heard), _clock(records)]


def _server(heard: Heard | None, ended: bool) -> Link:
    if heard is None:
        return Link(role="server", name="server", state="absent" if ended else "unknown")
    dropped = heard.vitals.n_dropped
    words = [f"{dropped} messages dropped"] if dropped else []
    refused = heard.vitals.links.get("refused")
    if refused is not None and refused["heard_s"] < TOLD_S:
        words.append(f"{refused['heard_s']:.0f} s ago {refused['name']}")
    detail = "; ".join(words)
    return Link(role="server", name="server", state="ok", heard_at=heard.at, detail=detail)


def _peer(role: Any, heard: Heard | None, records: Records, ended: bool) -> Link:
    name = records.value("SELECT name FROM peers WHERE role = ? ORDER BY rowid DESC LIMIT 1", role) or role
    if heard is None:
        return Link(role=role, name=name, state="absent" if ended else "unknown")
    facts = heard.vitals.links.get(role)
    if facts is None:
        return Link(role=role, name=name, state="absent")
    age_s, data_age_s = facts.get("heard_s", 0.0), facts.get("data_age_s", float("nan"))
    return Link(
        role=role,
        name=facts.get("name", name),
        state="lost" if age_s > LOST_S or _stands_still(role, records) else "ok",
        heard_at=heard.at - age_s,
        detail=_ms(data_age_s, "data ", " old"),
    )


def _stands_still(role: str, records: Records) -> bool:
    """Whether the server has found that no fresh data come, from a peer that is well itself."""
    open_trouble = "SELECT 1 FROM troubles WHERE source = 'spikes' AND cleared_at IS NULL LIMIT 1"
    return role == "acquisition" and records.value(open_trouble) is not None


def _disk(records: Records, heard: Heard | None) -> Link:
    free_gb = shutil.disk_usage(records.path.parent).free / 1e9
    words = [f"{free_gb:.0f} GB free" if free_gb >= 10 else f"only {free_gb:.1f} GB free"]
    if heard is not None and heard.vitals.commit_s >= 0:
        words.append(_ms(heard.vitals.commit_s, "commit "))
    return Link(role="disk", name="disk", state="ok" if free_gb >= 1 else "lost", detail=", ".join(words))


def _clock(records: Records) -> Link:
    """Say how the onsets of the last presentations were found, which all timing hangs on."""
    newest = _newest_response(records)
    if newest is None:
        return Link(role="clock", name="onsets", state="absent")
    source, received_at, residual_s, age_s = newest
    state: Any = "lost" if source in ("inferred", "") else "ok"
    words = [f"by {source}"]
    if residual_s is not None:
        words.append(_ms(residual_s, "clocks within "))
    if age_s is not None and age_s > OLD_S:
        words.append(f"last found {age_s:.0f} s before")
    return Link(role="clock", name="onsets", state=state, heard_at=received_at, detail=", ".join(words))


def _newest_response(records: Records) -> tuple[str, float, float | None, float | None] | None:
    """Return how the onset of the response that came last was found, when it came, and how the clocks stood.

    Ids go by evolution and slot, so the last of them is not the newest: each evolution's last generation is looked at.
    """
    query = (
        "SELECT onset_source, received_at, residual_s, age_s FROM responses LEFT JOIN clocks USING (presentation_id)"
        " WHERE presentation_id BETWEEN ? AND ? ORDER BY received_at DESC LIMIT 1"
    )
    found: list[tuple[str, float, float | None, float | None]] = []
    for (evolution,) in records.rows("SELECT evolution FROM evolutions"):
        of_evolution = presentation_id(evolution, 0, 0, 0), presentation_id(evolution + 1, 0, 0, 0) - 1
        last = records.value(
            "SELECT MAX(presentation_id) FROM responses WHERE presentation_id BETWEEN ? AND ?", *of_evolution
        )
        if last is not None:
            first = presentation_id(evolution, presentation_key(last).generation, 0, 0)
            found += [(row[0], row[1], row[2], row[3]) for row in records.rows(query, first, of_evolution[1])]
    return max(found, key=lambda each: each[1], default=None)


def _ms(seconds: float, before: str = "", after: str = "") -> str:
    """Return a time in words; nothing if it is not known."""
    if not isfinite(seconds):
        return ""
    return before + (f"{seconds * 1000:.1f} ms" if seconds < 0.01 else f"{seconds * 1000:.0f} ms") + after
