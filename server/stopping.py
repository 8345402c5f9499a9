"""When enough has been seen: generations, presentations, minutes, a plateau. Advice in words; others act on it.

Fed one outcome a generation, in any order of the evolutions. It reads no clock: minutes come from outside. It holds no
more than the scores, so that feeding it the outcomes on record again brings it to where it was.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil, inf, isfinite

import numpy as np

from protocol.arrays import Scores
from protocol.messages import Control
from server.evolution import Outcome
from server.plateau import FEWEST, Trend, trend

ADVISER = "stopping rules"
"""Who says so, on record."""


class Verdict(StrEnum):
    """How an evolution stands."""

    EARLY = "too early to tell"
    UNCLEAR = "unclear"
    RISING = "still rising"
    FLAT = "flat"
    SPENT = "a limit is reached"


NEWS = frozenset({Verdict.RISING, Verdict.FLAT, Verdict.SPENT})


@dataclass(frozen=True, slots=True)
class Rules:
    """What counts as enough; 0 = no limit."""

    presentations: int = 0
    minutes: float = 0.0
    plateau: bool = True
    corrected: bool = False
    """Judge the plateau by the curve that is corrected for drift."""
    act: bool = False
    """Stop when a limit is reached, or every evolution is flat."""
    generations: int = 0
    """Of each evolution, so that it is reached when the slowest has come so far."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What a generation's outcome says about going on."""

    evolution: int
    generation: int
    verdict: Verdict
    text: str
    news: bool
    """Whether it is worth a person's while: rising, flat or enough, and not what was said last."""
    stop: bool
    """True only where the rules say to act."""

    @property
    def note(self) -> Control:
        """The advice as it goes on record: a note, or a stop, by the stopping rules instead of an operator."""
        said = f"advice-{self.evolution}-{self.generation}"
        return Control(said, "stop" if self.stop else "note", ADVISER, {"text": self.text})


@dataclass(slots=True)
class _Course:
    """The scores of one evolution so far."""

    generations: list[int] = field(default_factory=list)
    evolved: list[Scores] = field(default_factory=list)
    references: list[Scores] = field(default_factory=list)
    verdict: Verdict = Verdict.EARLY
    said: Verdict | None = None
    """The last verdict that was news."""
    unjudged: bool = False
    """Whether outcomes of before were added that nobody has judged yet."""
    n_past: int = 0
    """Outcomes of other channels, which these cannot be compared with."""
    n_heard: int = 0
    """Outcomes since the server was started, which is what minutes are counted from."""

    @property
    def n_scored(self) -> int:
        """Generations scored, by whatever channels."""
        return self.n_past + len(self.generations)


class Stopping:
    """Advises after every generation of every evolution."""

    def __init__(self, rules: Rules, names: Mapping[int, str], ends: Mapping[int, int] | None = None) -> None:
        """Advise on evolutions of these names; `ends` are the generations after which some end by themselves."""
        self.rules = rules
        self._ends = {number: end for number, end in (ends or {}).items() if end}
        self._names = dict(names)
        self._courses = {number: _Course() for number in names}

    def remember(self, outcome: Outcome) -> None:
        """Take note of an outcome of before, without a word about it."""
        self._add(outcome).unjudged = True

    def begin_afresh(self, evolution: int) -> None:
        """Forget an evolution's curve: from here on other channels are scored, or otherwise."""
        old = self._courses[evolution]
        self._courses[evolution] = _Course(n_past=old.n_scored, n_heard=old.n_heard)

    def absorb(self, outcome: Outcome, presentations: int, minutes: float) -> Advice:
        """Return the advice after an outcome, when so many presentations were measured in so many minutes (or NaN)."""
        self._judge_what_was_before()
        course = self._add(outcome)
        course.n_heard += 1
        spent = self._spent(presentations, minutes)
        course.verdict, text = self._judged(course)
        left = self._left(course, presentations, minutes)
        stop = self.rules.act and (bool(spent) or self._all_flat() or self._all_scored())
        if not spent and self.rules.generations and course.n_scored >= self.rules.generations:
            spent = f"{course.n_scored} generations are scored, {self.rules.generations} were asked for"
        if spent:
            course.verdict, text, left = Verdict.SPENT, f"enough: {spent}", ""
        words = f"{self._names[outcome.evolution]}: {text}{left}"
        news = course.verdict in NEWS and course.verdict is not course.said
        course.said = course.verdict if news else course.said
        return Advice(outcome.evolution, outcome.generation, course.verdict, words, news, stop)

    def _add(self, outcome: Outcome) -> _Course:
        course = self._courses[outcome.evolution]
        course.generations.append(outcome.generation)
        course.evolved.append(outcome.scores)
        course.references.append(outcome.reference_scores)
        return course

    def _judge_what_was_before(self) -> None:
        """Come to the verdicts that outcomes of before had led to, and that were said then."""
        for course in self._courses.values():
            if course.unjudged:
                course.verdict, _ = self._judged(course)
                course.said = course.verdict if course.verdict in NEWS else None
                course.unjudged = False

    def _judged(self, course: _Course) -> tuple[Verdict, str]:
        if not self.rules.plateau:
            return Verdict.EARLY, "no limit is reached"
        if len(course.generations) < FEWEST:
            return Verdict.EARLY, Verdict.EARLY.value
        generations = np.array(course.generations, np.int64)
        found = trend(generations, course.evolved, course.references, self.rules.corrected)
        against = "on the reference images" if len(course.references[-1]) else "(there are no reference images)"
        return in_words(found, against)

    def _spent(self, presentations: int, minutes: float) -> str:
        if self.rules.presentations and presentations >= self.rules.presentations:
            return f"{presentations} presentations are measured, {self.rules.presentations} were asked for"
        if self.rules.minutes and minutes >= self.rules.minutes:
            return f"{minutes:.0f} minutes have passed, {self.rules.minutes:g} were asked for"
        return ""

    def _left(self, course: _Course, presentations: int, minutes: float) -> str:
        """Return how many generations the limits leave at the pace so far, or nothing where there is no limit."""
        rules, done = self.rules, course.n_scored
        paces = (
            (rules.generations, done, done),
            (rules.presentations, presentations, done),
            (rules.minutes, minutes, course.n_heard),
        )
        left = min(done * (limit - used) / used if limit and used > 0 else inf for limit, used, done in paces)
        return f", about {ceil(left)} generations left" if isfinite(left) else ""

    def _all_scored(self) -> bool:
        """Return whether each evolution has had the generations asked for, or as many as it will ever have."""
        limit = self.rules.generations
        done = (each.n_scored >= min(limit, self._ends.get(n, limit)) for n, each in self._courses.items())
        return bool(limit) and all(done)

    def _all_flat(self) -> bool:
        return all(course.verdict is Verdict.FLAT for course in self._courses.values())


def in_words(found: Trend, against: str) -> tuple[Verdict, str]:
    """Return what a trend means, and says."""
    if found.flat is not None:
        n, most = found.flat.n_generations, found.flat.highest
        sure = f"with 95 % confidence it gains at most {most:.2g} a generation {against}"
        return Verdict.FLAT, f"flat for {n} generations: {sure}; below {found.worthwhile:.2g} counts as flat"
    if found.rising is not None:
        gain, low, high = found.rising.gain, found.rising.lowest, found.rising.highest
        span = f"{gain:.2g} a generation {against} ({low:.2g} to {high:.2g})"
        return Verdict.RISING, f"still rising, by {span} over the last {found.rising.n_generations}"
    if found.recent is None:
        return Verdict.EARLY, Verdict.EARLY.value
    low, high, n = found.recent.lowest, found.recent.highest, found.recent.n_generations
    return Verdict.UNCLEAR, f"cannot tell yet: between {low:+.2g} and {high:+.2g} a generation over the last {n}"
