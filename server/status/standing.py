"""How a session stands at this moment: its state and why, what is wrong, what is on its way, what it came to so far."""

import heapq
from collections import Counter

import numpy as np

from protocol.ids import stimulus_key
from server.reading import compare
from server.status import log
from server.status.generations import generation
from server.status.links import links
from server.status.operator import Heard
from server.status.records import Records
from server.status.shapes import About, Best, Effect, Frames, Generation, LogEntry, Standing, Trial

N_BEST = 6
"""Images shown as the best so far."""
RECENT_TRIALS = 200
"""A trial that is so many trials old is not on its way any more."""
ENDED = "ended"


class Tally:
    """What all scored generations came to, kept up with each that is added."""

    def __init__(self) -> None:
        self.shown = self.measured = 0
        self.voids: Counter[str] = Counter()
        self.best: dict[int, list[tuple[float, int]]] = {}
        self.last: dict[int, Generation] = {}
        self._references: dict[int, list[list[float | None]]] = {}
        self._means: dict[int, list[float]] = {}
        self._effects: dict[int, Effect | None] = {}

    def add(self, each: Generation) -> None:
        """Add a generation that was scored."""
        self.shown += each.shown
        self.measured += each.measured
        self.voids.update(each.voids)
        self.last[each.evolution] = each
        self._references.setdefault(each.evolution, []).append(each.references)
        self._means.pop(each.evolution, None)
        self._effects.pop(each.evolution, None)
        best = self.best.setdefault(each.evolution, [])
        score = max((score for score in each.scores if score is not None), default=None)
        if each.best is not None and score is not None:
            heapq.heappush(best, (score, each.best))
            if len(best) > N_BEST:
                heapq.heappop(best)

    def begin_afresh(self, evolution: int) -> None:
        """Forget what reference images drew so far: from here on other channels are scored."""
        self._references.pop(evolution, None)

    def best_evolved(self, evolution: int) -> list[Best]:
        """Return the best images of different generations, the best first."""
        ordered = sorted(self.best.get(evolution, []), reverse=True)
        return [Best(stimulus_id=s, score=score, generation=stimulus_key(s).generation) for score, s in ordered]

    def best_references(self, evolution: int, about: About) -> list[Best]:
        """Return the reference images by their mean score, the best first."""
        means = self._reference_means(evolution)
        pairs = [
            (mean, each.stimulus_id) for mean, each in zip(means, about.references, strict=False) if not np.isnan(mean)
        ]
        ordered = sorted(pairs, reverse=True)[:N_BEST]
        return [Best(stimulus_id=stimulus, score=mean, generation=0) for mean, stimulus in ordered]

    def effect(self, evolution: int, about: About) -> Effect | None:
        """Return how the last generation compares with the best reference image; None before both were measured."""
        if evolution not in self._effects:
            self._effects[evolution] = self._effect(evolution, about)
        return self._effects[evolution]

    def _effect(self, evolution: int, about: About) -> Effect | None:
        means = self._reference_means(evolution)
        if not len(means) or np.isnan(means).all():
            return None
        best = int(np.nanargmax(means))
        found = compare(
            np.array(self.last[evolution].scores, np.float64),
            np.array([scores[best] for scores in self._references[evolution]], np.float64),
        )
        if found is None:
            return None
        low, high = found.interval_hz
        return Effect(
            evolution=evolution, evolved_hz=found.evolved_hz, reference_hz=found.reference_hz,
            low_hz=_finite(low), high_hz=_finite(high), best_reference=about.references[best].stimulus_id,
        )  # fmt: skip

    def _reference_means(self, evolution: int) -> list[float]:
        if evolution not in self._means:
            self._means[evolution] = self._mean_scores(evolution)
        return self._means[evolution]

    def _mean_scores(self, evolution: int) -> list[float]:
        scores = np.array(self._references.get(evolution, []), np.float64)
        if not scores.size:
            return []
        n = (~np.isnan(scores)).sum(axis=0)
        means: list[float] = np.where(n > 0, np.nansum(scores, axis=0) / np.maximum(n, 1), np.nan).tolist()
        return means


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def standing(
    records: Records, about: About, tally: Tally, heard: Heard | None, now: float, changed_at: float
) -> Standing:
    """Return how a session stands; `heard` is what its server said last, None when there is none."""
    last = records.rows("SELECT state, why, at FROM states ORDER BY rowid DESC LIMIT 1")
    state, why, since = tuple(last[0]) if last else ("waiting", "", about.created_at)
    if heard is not None and heard.at > since:
        state, why = heard.vitals.state, heard.vitals.why
    ended = state == ENDED
    going = open_generations(records, about)
    voids = tally.voids + Counter()
    for each in going:
        voids.update(each.voids)
    effects = (tally.effect(each.number, about) for each in about.evolutions)
    return Standing(
        state=state,
        paused=not ended and _is_paused(records),
        why=why,
        since=since,
        live=heard is not None,
        now=now,
        changed_at=changed_at,
        links=links(records, heard, ended),
        alarms=[] if ended else alarms(records, state, heard, about),
        trials=[] if ended else trials_out(records, going),
        open=going,
        shown=tally.shown + sum(each.shown for each in going),
        measured=tally.measured + sum(each.measured for each in going),
        voids=dict(voids),
        frames=frames(records),
        debt=0 if ended else sum(each.debt for each in going),
        last_trial=records.value("SELECT COALESCE(MAX(trial), 0) FROM trials"),
        effects=[effect for effect in effects if effect is not None],
        best={each.number: tally.best_evolved(each.number) for each in about.evolutions},
        best_references={each.number: tally.best_references(each.number, about) for each in about.evolutions},
    )


def _is_paused(records: Records) -> bool:
    """Return whether an operator holds the trials back, whatever else stands in their way."""
    wishes = "SELECT action FROM controls WHERE action IN ('pause', 'pause_now', 'resume', 'stop', 'end')"
    return records.value(f"{wishes} ORDER BY rowid DESC LIMIT 1") in ("pause", "pause_now")


def frames(records: Records) -> Frames:
    """Return how the display's frames came out over the session."""
    query = "SELECT COALESCE(SUM(n_frames), 0), COALESCE(SUM(n_long_frames), 0), MAX(longest_frame_s) FROM frames"
    [(n, n_long, longest_s)] = map(tuple, records.rows(query))
    return Frames(n=n, n_long=n_long, longest_s=longest_s, n_rewards=records.value("SELECT COUNT(*) FROM rewards"))


def open_generations(records: Records, about: About) -> list[Generation]:
    """Return the last generation of each evolution, unless it is scored."""
    found = []
    for evolution in about.evolutions:
        last = records.value("SELECT MAX(generation) FROM generations WHERE evolution = ?", evolution.number)
        which = (evolution.number, last)
        scored = "SELECT 1 FROM scores WHERE evolution = ? AND generation = ? LIMIT 1"
        if last is not None and records.value(scored, *which) is None:
            found.append(generation(records, *which, evolution.repeats))
    return found


def trials_out(records: Records, going: list[Generation]) -> list[Trial]:
    """Return the trials at the display, in the order of showing."""
    query = (
        "SELECT t.trial, p.place, t.sent_at, p.stimulus_id FROM presentations p JOIN trials t USING (trial)"
        " WHERE p.evolution = ? AND p.generation = ? AND t.reported_at IS NULL AND p.void IS NULL AND t.trial > ?"
    )
    first = (records.value("SELECT MAX(trial) FROM trials") or 0) - RECENT_TRIALS
    rows = [tuple(row) for each in going for row in records.rows(query, each.evolution, each.generation, first)]
    found: dict[int, Trial] = {}
    for trial, _, sent_at, stimulus in sorted(rows):
        known = found.setdefault(trial, Trial(trial=trial, sent_at=sent_at, stimulus_ids=[]))
        known.stimulus_ids.append(stimulus)
    return list(found.values())


def alarms(records: Records, state: str, heard: Heard | None, about: About) -> list[LogEntry]:
    """Return what is wrong at this moment, in the words WHAT - SINCE - CONSEQUENCE - DO."""
    found = log.open_alarms(records)
    if state not in ("waiting", "suspended"):
        return found
    found = log.open_troubles(records) + found
    if heard is None or state == "suspended":
        return found
    joined = heard.vitals.links
    missing = [role for role in ("display", "acquisition") if role not in joined]
    return found + [_not_joined(role, about.created_at) for role in missing]


def _not_joined(role: str, since: float) -> LogEntry:
    return log.alarm(
        f"missing-{role}", since, f"no {role} has joined yet", "the session has not begun", f"start the {role}"
    )
