"""What every recording system's adapter may be told: which line shows the onsets, and how strict to be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from adapters.source import SourceError
from protocol.ids import MAX_ATTEMPTS
from protocol.plugins import nearest

ONSETS = ("photodiode", "ttl", "word", "marker")
EDGES = ("rising", "falling", "both")
MS_PER_S = 1000.0
WHOLE_ID = 64
MAX_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Rules:
    """Options that are common to all recording systems; `_ms` where people write milliseconds."""

    onset: str = "ttl"
    """What the onset line carries: photodiode, ttl, word or marker."""
    line: int = 0
    """Which digital line, counted from 0."""
    edge: str = "rising"
    """Which change of the line is an onset: rising, falling or both (a patch that toggles)."""
    onset_delay_ms: float = 0.0
    """From the edge to light on the screen: 0 for a photodiode, the display's measured lag for a TTL."""
    tolerance_ms: float = 8.0
    """How far an edge may be from where the clocks put it."""
    lock_onsets: int = 8
    """How many onsets it takes to match the clocks."""
    lock_trials: int = 2
    """How many trials."""
    word_bits: int = 8
    """Width of the words that say which presentation it is; 64 = its whole id."""
    photodiode: str = ""
    """With words or markers: the line of a photodiode, whose edge next to the word is then the onset."""
    infer: bool = False
    """Count after the time that the clock gives where an edge is missing."""
    coincidence_ms: float = 0.0
    """Drop spikes on 40 % of the channels within this time; 0 = keep them. 0.5 is usual."""
    give_up_ms: float = 5000.0
    """How long to wait for the data of a presentation before it is not measured."""
    keep_s: float = 120.0
    """How long spikes are kept for onsets that come late."""

    @property
    def photodiode_line(self) -> int | None:
        """The line that words are refined by."""
        return whole("photodiode", self.photodiode) if self.photodiode and self.identified else None

    @property
    def source(self) -> str:
        """How onsets are found, in a word, for the record."""
        return self.onset if self.photodiode_line is None else "photodiode"

    @property
    def identified(self) -> bool:
        """Whether onsets come with words that say which they are."""
        return self.onset in ("word", "marker")

    def word(self, before: int, after: int) -> int:
        """Return the word that all lines make after a change; 0 if its own did not change, but one beside them."""
        old, new = ((lines >> self.line) & ((1 << self.word_bits) - 1) for lines in (before, after))
        return new if new != old else 0

    def code(self, presentation_id: int) -> int:
        """Return the word that the display sends for a presentation: never 0, which is a port at rest."""
        if self.word_bits >= WHOLE_ID:
            return presentation_id
        return 1 + sum(divmod(presentation_id, MAX_ATTEMPTS)) % ((1 << self.word_bits) - 1)


def parse_rules(options: Mapping[str, str], **defaults: Any) -> Rules:
    """Return the rules that these options ask for; raise SourceError for what cannot be."""
    rules = replace(Rules(), **defaults)
    known = {field.name: field.type for field in fields(Rules)}
    for name, text in options.items():
        if name not in known:
            raise SourceError(f"no option {name!r}.{nearest(name, known)} Common to all: {', '.join(known)}.")
        rules = replace(rules, **{name: _value(name, text, type(getattr(rules, name)))})
    choice("onset", rules.onset, ONSETS)
    choice("edge", rules.edge, EDGES)
    if not 0 < rules.word_bits <= WHOLE_ID:
        raise SourceError(f"word_bits must be from 1 to {WHOLE_ID}, got {rules.word_bits}.")
    if rules.photodiode and not rules.identified:
        raise SourceError(
            f"photodiode is the line of a flash beside a word (onset=word or marker), and onset is {rules.onset}: "
            f"say line={rules.photodiode}."
        )
    if rules.photodiode:
        whole("photodiode", rules.photodiode)
    return rules


def whole(name: str, text: str) -> int:
    """Return the whole number from 0 up that an option says."""
    if not text.isdecimal():
        raise SourceError(f"{name} must be a whole number from 0 up, got {text!r}.")
    return int(text)


def port_number(name: str, text: str) -> int:
    """Return the number of a network port that an option says."""
    value = whole(name, text)
    if not 0 < value <= MAX_PORT:
        raise SourceError(f"{name} must be a port from 1 to {MAX_PORT}, got {text!r}.")
    return value


def ticks_per_second(name: str, text: str) -> int:
    """Return the whole number of ticks a second that an option says."""
    value = whole(name, text)
    if not value:
        raise SourceError(f"{name} must not be 0.")
    return value


def _value(name: str, text: str, kind: type) -> Any:
    if kind is bool:
        choice(name, text, ("yes", "no"))
        return text == "yes"
    if kind is int:
        return whole(name, text)
    if kind is float:
        return number(name, text)
    return text


def number(name: str, text: str) -> float:
    """Return the number from 0 up that an option says."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise SourceError(f"{name} must be a number from 0 up, got {text!r}.")
    return value


def choice(name: str, value: str, known: Iterable[str]) -> None:
    """Raise SourceError unless the value is known."""
    if value not in known:
        raise SourceError(f"{name} cannot be {value!r}.{nearest(value, known)} It is one of {', '.join(known)}.")
