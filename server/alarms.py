"""Alarms that do not stop a session: each has a beginning and an end on record, and is told to whoever can act."""

from collections.abc import Iterable, Mapping
from typing import Any

from protocol.messages import Condition, Notice, Role
from server.actions import Action, Alarm, AlarmOver, Record, Send
from server.exchange import ProtocolError

MAX_ALARMS = 50
MAX_TEXT = 1000
"""What comes from a peer is shown and kept: there must be an end to it."""
PARTS = ("what", "consequence", "do")
READERS = (Role.DISPLAY, Role.OPERATOR)
"""Roles that are told; the acquisition side says its own on its own screen."""


class Alarms:
    """What is wrong now, by who says so."""

    def __init__(self) -> None:
        self._open: dict[str, dict[str, Alarm]] = {}

    def stand(self, source: str, alarms: Iterable[Alarm]) -> list[Action]:
        """Take it that just these of a source are open now; return what to record and whom to tell.

        What a server before this one left open is over, as far as it is not said again.
        """
        now = {alarm.key: alarm for alarm in alarms}
        actions: list[Action] = [] if source in self._open else [Record(AlarmOver(source, ""))]
        known = self._open.get(source, {})
        self._open[source] = now
        for key in known.keys() - now.keys():
            actions += [Record(AlarmOver(source, key)), *_tell("info", f"over: {known[key].what}")]
        for key, alarm in now.items():
            if alarm != known.get(key):
                actions.append(Record(alarm))
            if key not in known:
                actions += _tell("alarm", " | ".join((alarm.what, alarm.consequence, alarm.do)))
        return actions


def read_condition(source: str, condition: Condition) -> list[Alarm]:
    """Return the alarms of a peer's message; raise ProtocolError if they are none."""
    if len(condition.alarms) > MAX_ALARMS:
        raise ProtocolError(f"{len(condition.alarms)} alarms at once; at most {MAX_ALARMS}")
    return [_read(source, key, said) for key, said in condition.alarms.items()]


def _read(source: str, key: str, said: Any) -> Alarm:
    if not isinstance(said, Mapping) or set(said) != set(PARTS) or not key:
        raise ProtocolError(f"alarm {key!r} must have {', '.join(PARTS)}")
    texts = [said[part] for part in PARTS]
    if not all(isinstance(text, str) and len(text) <= MAX_TEXT for text in (key, *texts)):
        raise ProtocolError(f"alarm {key[:40]!r} must be text, {MAX_TEXT} characters at most")
    return Alarm(source, key, *texts)


def _tell(level: str, text: str) -> list[Action]:
    return [Send(role, Notice(level, text)) for role in READERS]
