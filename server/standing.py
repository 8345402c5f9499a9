"""How a session stands: a state that follows from facts, so that no two of them can contradict each other."""

from dataclasses import dataclass, field

from protocol.messages import Notice, Role
from server.actions import State, Trouble

NO_TRIAL = "no new trial is shown; what was measured stays measured"
CONSEQUENCES = {
    Role.DISPLAY: "nothing is shown; what was on its way is shown again later",
    Role.ACQUISITION: "no new trial is shown; spikes of what was shown are asked for again",
    "spikes": "no new trial is shown; the session goes on by itself as soon as data flow again",
}


def consequence_of(source: str) -> str:
    """Return what trouble of this source means for the session, in words."""
    return CONSEQUENCES.get(source, NO_TRIAL)


def not_joined(role: Role) -> Trouble:
    """Return the trouble that every session begins with, once for each peer it needs."""
    return Trouble(role.value, f"no {role.value} has joined yet", f"start the {role.value}")


@dataclass(slots=True)
class Standing:
    """What is in trouble and what was asked for."""

    troubles: dict[str, Trouble] = field(
        default_factory=lambda: {role.value: not_joined(role) for role in (Role.DISPLAY, Role.ACQUISITION)}
    )
    begun: bool = False
    """Both peers have been here at once."""
    paused: bool = False
    stopping: bool = False
    """No generation is begun any more."""
    ending: bool = False
    """No trial is begun any more."""
    ended: bool = False
    wish: str = ""
    """Who asked for the pause or the end, in words."""
    stop_wish: str = ""
    """Who asked to stop, in words."""

    @property
    def state(self) -> State:
        """How the session stands."""
        if self.ended:
            return State.ENDED
        if self.ending:
            return State.ENDING
        if self.troubles:
            return State.SUSPENDED if self.begun else State.WAITING
        return State.PAUSED if self.paused else State.RUNNING

    @property
    def why(self) -> str:
        """Why it stands so, in words."""
        return "; ".join(trouble.what for trouble in self.troubles.values()) or self.wish or self.stop_wish

    def suspend(self, trouble: Trouble) -> bool:
        """Take note of trouble; return False if that is no news."""
        known = self.troubles.get(trouble.source)
        self.troubles[trouble.source] = trouble
        return known != trouble

    def clear(self, source: str) -> bool:
        """Take note that a trouble is over; return False if there was none."""
        if self.troubles.pop(source, None) is None:
            return False
        self.begun = self.begun or not self.troubles
        return True

    def obey(self, action: str, author: str) -> None:
        """Take note of what an operator asks for; raise ValueError if there is no such thing to ask."""
        by = f"by {author or 'the operator'}"
        match action:
            case "pause" | "pause_now":
                self.paused, self.wish = True, f"paused {by}"
            case "resume":
                self.paused, self.wish = False, ""
            case "stop":
                self.paused, self.wish = False, ""
                self.wind_up(by)
            case "end":
                self.ending, self.wish = True, f"ended {by}"
            case "note" | "mark" | "change" | "drill":
                pass
            case _:
                raise ValueError(f"no control action {action!r}")

    def wind_up(self, by: str) -> None:
        """Begin no generation any more; a session that is paused stays so."""
        self.stopping, self.stop_wish = True, f"stopping after this generation, {by}"

    def notice(self) -> Notice:
        """Return what people at the peers should read."""
        level = "alarm" if self.state in (State.WAITING, State.SUSPENDED) else "info"
        return Notice(level, f"{self.state.value}: {self.why}" if self.why else self.state.value)
