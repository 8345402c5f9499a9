"""What a person at the rig must know of a recording: each alarm says what is wrong, what follows and what to do."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

from protocol.messages import Condition


class Alarm(NamedTuple):
    """Something that is wrong and does not stop the session; a sentence each."""

    what: str
    consequence: str
    do: str


@runtime_checkable
class Watchful(Protocol):
    """A source, or something that goes along with one, that says what is wrong. A source need not be."""

    def alarms(self) -> Mapping[str, Alarm]:
        """Return what is wrong now, by keys that stay the same for as long as it is."""


def alarms_of(watched: object) -> dict[str, Alarm]:
    """Return what is wrong with something; nothing where it keeps no watch."""
    return dict(watched.alarms()) if isinstance(watched, Watchful) else {}


def condition(alarms: Mapping[str, Alarm]) -> Condition:
    """Return the message that says so."""
    said: dict[str, Any] = {key: alarm._asdict() for key, alarm in alarms.items()}
    return Condition(said)


class Latch:
    """Turns on above one value and off below a lower one, so that an alarm does not flicker."""

    def __init__(self, on: float, off: float) -> None:
        self._on, self._off = on, off
        self.closed = False

    def see(self, value: float) -> bool:
        """Return whether it is on, now that the value is this."""
        self.closed = value > (self._off if self.closed else self._on)
        return self.closed
