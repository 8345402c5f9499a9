"""Who is let in, and what a peer is told at the door."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from protocol.messages import Hello, Role, Welcome
from server.runs import Plan


@dataclass(frozen=True, slots=True)
class Settings:
    """How a session talks to its peers."""

    display: dict[str, Any] = field(default_factory=dict)
    acquisition: dict[str, Any] = field(default_factory=dict)
    images_per_trial: int = 5
    trials_ahead: int = 2
    """Trials that wait at the display, so that the animal never waits for the network."""
    software: str = ""

    def welcome(self, session_id: str, role: Role, n_rewards: int = 0) -> Welcome:
        """Return what a peer of this role is told when it joins; a display that was restarted counts rewards on."""
        display = self.display | {"rewards_given": n_rewards}
        tables = {Role.DISPLAY: display, Role.ACQUISITION: self.acquisition, Role.OPERATOR: display}
        return Welcome(session_id, self.software, tables.get(role, {}))


def refusal(hello: Hello, recorded: tuple[str, ...], plans: Iterable[Plan]) -> str:
    """Return why an acquisition side cannot join a session with these channels on record; "" if it can."""
    offer = f"It offers: {', '.join(hello.channels) or 'none'}."
    if recorded and hello.channels != recorded:
        return f"this session records channels {', '.join(recorded)}; {hello.name} must offer just those. {offer}"
    for plan in plans:
        for name in plan.channels:
            if name not in hello.channels:
                return f"evolution {plan.name!r} scores channel {name!r}, which {hello.name} lacks. {offer}"
    twice = next((name for name, n in Counter(hello.channels).items() if n > 1), None)
    if twice is not None:
        return f"{hello.name} offers channel {twice!r} more than once, so nobody can say which is meant. {offer}"
    return "" if hello.channels else f"{hello.name} offers no channels, so there is nothing to score"
