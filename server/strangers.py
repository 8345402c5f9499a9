"""Those who are turned away at the door: told in a sentence, but never so often that the telling does harm."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from math import nan

from protocol.handshakes import AUTH, OTHER_KEY, OTHER_MECHANISM

PERIOD_S = 60.0
MAX_TOLD = 10
"""Of one kind so many different ones are told of in a period; a port scan knocks a thousand times."""
MAX_TEXT = 300
NONSENSE = "nonsense"
log = logging.getLogger(__name__)


def plain(text: str) -> str:
    """Return what somebody else has written so that it can stand in a log or on a terminal: short, no control codes."""
    cut = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}..."
    return "".join(each if each.isprintable() else "?" for each in cut)


@dataclass(slots=True)
class _Told:
    since_s: float
    sentences: set[str] = field(default_factory=set)
    n_left_out: int = 0


class Strangers:
    """Tells of those who were turned away, and remembers the last of them. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float], locked: bool) -> None:
        self.last = ""
        """The last one, in a sentence."""
        self.last_s = nan
        self._clock = clock
        self._locked = locked
        self._told: dict[str, _Told] = {}

    def unknown_key(self, who: str) -> None:
        """Tell of a key that is not on the list."""
        self.tell(
            "key",
            f"turned away {who}: not on the list. If it is one of yours: xdream keys list says which are, "
            "xdream keys make NAME --role ROLE makes one.",
        )

    def failed(self, how: str) -> None:
        """Tell of a handshake that failed."""
        if how == OTHER_MECHANISM and self._locked:
            self.tell(how, "turned away a peer that has no key; start it with --key FILE (xdream keys make).")
        elif how == OTHER_MECHANISM:
            self.tell(how, "turned away a peer that comes with a key, which this server asks nobody for; or a scan.")
        elif how == OTHER_KEY:
            self.tell(how, "turned away a peer whose key was made for another server; xdream keys make gives it one.")
        elif how != AUTH:  # those were told of by name
            peer = "a peer that has no key (--key FILE)" if self._locked else "a peer that comes with a key"
            self.tell(NONSENSE, f"somebody knocked and said nothing sensible: {peer}, a port scan, another program.")

    def tell(self, kind: str, sentence: str) -> None:
        """Log a sentence, once a period, and no more than so many of its kind; `kind` is one of few."""
        now_s, sentence = self._clock(), plain(sentence)
        if kind != NONSENSE or not self.last:
            self.last, self.last_s = sentence, now_s
        told = self._told.setdefault(kind, _Told(now_s))
        if now_s - told.since_s > PERIOD_S:
            if told.n_left_out:
                log.warning("%d more like the next were not told of", told.n_left_out)
            told = self._told[kind] = _Told(now_s)
        if sentence in told.sentences or len(told.sentences) >= MAX_TOLD:
            told.n_left_out += 1
            return
        told.sentences.add(sentence)
        log.warning("%s", sentence)
