"""The states of a session and what leads from one to the next, found by trying everything."""

from collections.abc import Callable
from copy import deepcopy

from server.actions import State, Trouble
from server.standing import Standing

STALE = Trouble("spikes", "no fresh data", "look")


def _everybody_joined(standing: Standing) -> None:
    for source in list(standing.troubles):
        standing.clear(source)


def _is_over(standing: Standing) -> None:
    standing.ended = True


def _nothing_on_its_way(standing: Standing) -> None:
    standing.ended = standing.ended or standing.ending


HAPPENINGS: dict[str, Callable[[Standing], object]] = {
    "all troubles are over": _everybody_joined,
    "a peer is lost or spikes are stale": lambda standing: standing.suspend(STALE),
    "pause": lambda standing: standing.obey("pause", ""),
    "resume": lambda standing: standing.obey("resume", ""),
    "end": lambda standing: standing.obey("end", ""),
    "nothing is on its way": _nothing_on_its_way,
    "the last generation is scored": _is_over,
}


def transitions() -> dict[tuple[State, State], set[str]]:
    """Return what can lead from one state to another."""
    found: dict[tuple[State, State], set[str]] = {}
    seen: list[Standing] = []
    ahead = [Standing()]
    while ahead:
        standing = ahead.pop()
        if standing in seen or standing.state is State.ENDED:
            continue
        seen.append(standing)
        for name, happen in HAPPENINGS.items():
            after = deepcopy(standing)
            happen(after)
            after.wish = ""
            if after.state is not standing.state:
                found.setdefault((standing.state, after.state), set()).add(name)
            ahead.append(after)
    return found


def state_diagram() -> str:
    """Return the states as a Mermaid diagram."""
    every = sorted(transitions().items())
    lines = [f"    {a.value} --> {b.value}: {' / '.join(sorted(names))}" for (a, b), names in every]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> waiting", *lines, "    ended --> [*]", "```"])
