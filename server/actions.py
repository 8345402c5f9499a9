"""What a session is told, and what it wants done: the vocabulary between the rules and the engine."""

from dataclasses import dataclass
from enum import StrEnum
from math import nan

from protocol.arrays import Ids
from protocol.messages import Control, Hello, Message, Responses, Role, StimulusBatch, Trial, TrialReport
from server.changes import Change, Changed
from server.evolution import Outcome, Proposal
from server.ledger import Measurements


class State(StrEnum):
    """How a session stands."""

    WAITING = "waiting"
    RUNNING = "running"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    ENDING = "ending"
    ENDED = "ended"


# Events: what happened, told to the session beside the peers' messages.


@dataclass(frozen=True, slots=True, eq=False)
class Advanced:
    """The worker has scored a generation, or asked for the next one, or both."""

    evolution: int
    outcome: Outcome | None
    proposal: Proposal | None
    """None: the evolution rests here."""
    snapshot: bytes
    """The optimizer, as it was left; with a proposal its ask is pending."""
    minutes: float = nan
    """Since the server was started; NaN = nobody looked."""
    changed: tuple[Changed, ...] = ()
    """What became of the changes that were to hold from here on."""


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """The worker has made some images of a generation."""

    evolution: int
    generation: int
    batch: StimulusBatch
    pngs: tuple[bytes, ...]
    """[n_images] the same pictures, losslessly compressed."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something keeps the session from going on, by itself or until somebody acts."""

    source: str
    """What it is about: "display", "acquisition", "spikes", ..."""
    what: str
    do: str


@dataclass(frozen=True, slots=True)
class Cleared:
    """That trouble is over."""

    source: str


@dataclass(frozen=True, slots=True)
class GraceOver:
    """An ending session has waited long enough for what was still on its way."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something is wrong that does not stop the session, or still is, in other words."""

    source: str
    """Who says so: a peer's role, or "evolution N"."""
    key: str
    """The same for as long as it lasts."""
    what: str
    consequence: str
    do: str


@dataclass(frozen=True, slots=True)
class AlarmOver:
    """That alarm is over."""

    source: str
    key: str
    """"" = all of this source."""


@dataclass(frozen=True, slots=True, eq=False)
class Failed:
    """The worker could not do a job: an optimizer, a generator or a scorer raised an error."""

    job: "Advance | Render"
    error: str


Event = Message | Advanced | Rendered | Failed | Trouble | Cleared | GraceOver

# Rows: what goes on record.


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """A peer was let in."""

    hello: Hello


@dataclass(frozen=True, slots=True, eq=False)
class Voided:
    """Presentations whose report will never come."""

    presentation_ids: Ids
    cause: str


@dataclass(frozen=True, slots=True, eq=False)
class Late:
    """A report that came after its presentations were given up: kept, not counted."""

    report: TrialReport


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The session stands differently now."""

    state: State
    why: str


Row = (
    Advanced
    | Rendered
    | Joined
    | Trial
    | TrialReport
    | Responses
    | Voided
    | Late
    | Control
    | Changed
    | StateChanged
    | Trouble
    | Cleared
    | Alarm
    | AlarmOver
)

# Actions: what the engine is to do.


@dataclass(frozen=True, slots=True)
class Record:
    """Put a row on disk, before anything else of the same list is done."""

    row: Row


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message to the peer of a role, if one is there."""

    role: Role
    message: Message


@dataclass(frozen=True, slots=True)
class Dismiss:
    """Say Farewell to the peer of a role and forget it."""

    role: Role
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Advance:
    """Have the worker score a generation (if there is one) and propose the next (if there is to be one)."""

    evolution: int
    proposal: Proposal | None
    measurements: Measurements | None
    next_generation: int | None
    changes: tuple[Change, ...] = ()
    """To be made before the next is proposed."""


@dataclass(frozen=True, slots=True, eq=False)
class Render:
    """Have the worker make those images of a proposal that do not exist yet."""

    proposal: Proposal
    done: frozenset[int]


Action = Record | Send | Dismiss | Advance | Render
