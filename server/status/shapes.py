"""What the page's API says: every answer as a model, so that OpenAPI describes them all."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

Interval = tuple[float | None, float | None, float | None]
"""Mean, and the ends of its 95 % interval by the normal approximation; None = not measured."""


class Shape(BaseModel):
    """An answer; times named _at are seconds since 1970 (UTC), rates are in spikes per second."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Summary(Shape):
    """One session in the list of sessions."""

    name: str
    """Its file, without the ending; what the other calls name it by."""
    session_id: str = ""
    subject: str = ""
    state: str = ""
    """As the file says it last."""
    live: bool = False
    """Its server is there and can be asked to pause."""
    attended: bool = False
    """Its server is there, or some server has written it within the last seconds."""
    created_at: float = 0
    changed_at: float = 0
    generations: int = 0
    measured: int = 0
    score: float | None = None
    """Best mean score of a generation, in the unit of its scorer."""
    best: list[int] = []
    """The best image of each evolution."""
    problem: str = ""
    """Why it cannot be read."""


class EvolutionAbout(Shape):
    """What one evolution is made of."""

    number: int
    name: str
    unit: str
    """Of its scores: Hz, rank (within a generation), or none."""
    optimizer: str
    generator: str
    parameters: dict[str, object]
    """Of the optimizer."""
    channels: list[str]
    """Those that are scored."""
    generations: int
    """When it stops; 0 = when a person says so."""
    repeats: int


class Reference(Shape):
    """A fixed image, shown every generation."""

    stimulus_id: int
    name: str


class About(Shape):
    """What does not change while a session runs."""

    name: str
    session_id: str
    subject: str
    experimenter: str
    created_at: float
    software: str
    channels: list[str]
    """In the order of the counts; empty until the acquisition side has joined."""
    response_window_s: tuple[float, float]
    baseline_window_s: tuple[float, float]
    evolutions: list[EvolutionAbout]
    references: list[Reference]
    rehearsal: bool
    drills: dict[str, str]
    """A dry run: what can be made to go wrong, by name, in words."""
    config: str


class Generation(Shape):
    """One generation of one evolution, scored or still going on."""

    evolution: int
    generation: int
    proposed_at: float
    first_sent_at: float | None
    last_reported_at: float | None
    last_received_at: float | None
    scored_at: float | None
    stored_s: float | None = None
    """Time spent committing to disk meanwhile."""
    shown: int
    measured: int
    voids: dict[str, int]
    """Presentations that do not count, by cause."""
    debt: int
    """Presentations still owed."""
    scores: list[float | None] = []
    """Of its images in their order."""
    references: list[float | None] = []
    """Of the reference images in their order."""
    best: int | None = None
    """Its best-scored image."""
    contrast: Interval = (None, None, None)
    """Root mean square contrast of its images: the standard deviation of the grey value over white."""
    code_norm: Interval = (None, None, None)
    """Euclidean length of its codes."""
    evolved: Interval = (None, None, None)
    reference: Interval = (None, None, None)


class LogEntry(Shape):
    """One line of the log, told again when it changes."""

    key: str
    at: float
    kind: Literal["state", "alarm", "control", "note", "mark", "change", "peer", "late"]
    what: str
    author: str = ""
    consequence: str = ""
    do: str = ""
    stops: bool = True
    """An alarm: whether the session waits until it is over."""
    cleared_at: float | None = None
    stimulus_id: int | None = None


class Link(Shape):
    """One of the things that a session hangs on."""

    role: Literal["display", "acquisition", "disk", "clock", "server"]
    name: str
    state: Literal["ok", "lost", "absent", "unknown"]
    heard_at: float | None = None
    detail: str = ""


class Trial(Shape):
    """A trial at the display, not yet reported."""

    trial: int
    sent_at: float
    stimulus_ids: list[int]


class Effect(Shape):
    """How much more the last generation's images drive the units than the best reference image does."""

    evolution: int
    evolved_hz: float
    reference_hz: float
    low_hz: float | None
    """End of the 95 % interval of the difference, by the normal approximation; None = too few images."""
    high_hz: float | None
    best_reference: int


class Best(Shape):
    """An image and its score."""

    stimulus_id: int
    score: float
    generation: int


class Frames(Shape):
    """How well the screen kept time, as the display measured it, and the rewards it gave."""

    n: int
    n_long: int
    """Frames that took more than one refresh."""
    longest_s: float | None
    n_rewards: int


class Standing(Shape):
    """How things stand: said whole with every event."""

    state: str
    why: str
    paused: bool
    """An operator holds the trials back: what a session that waits or is suspended will go on to."""
    since: float | None
    live: bool
    """The page's own connection to the server stands."""
    now: float
    """When this was said."""
    changed_at: float
    """When the session file was last written."""
    links: list[Link]
    alarms: list[LogEntry]
    """What is wrong at this moment."""
    trials: list[Trial]
    open: list[Generation]
    """Generations that are not scored yet."""
    shown: int
    measured: int
    voids: dict[str, int]
    frames: Frames
    debt: int
    last_trial: int
    effects: list[Effect]
    best: dict[int, list[Best]]
    """Best images of each evolution."""
    best_references: dict[int, list[Best]]


class Event(Shape):
    """One event of the live stream: how things stand, and what was added since the cursor before."""

    cursor: str
    reset: bool
    """Begin afresh: what follows is everything there is."""
    standing: Standing
    generations: list[Generation]
    gains: dict[int, list[float]] = {}
    """Of each evolution, told whole with new generations: what drift multiplied each one's scores with; 1 = the first.
    Empty where reference images tell nothing of it."""
    log: list[LogEntry]


class Wish(Shape):
    """What an operator asks for; the same `control_id` twice does it once."""

    control_id: str
    state: Literal["on record", "passed on"]
    """Passed on: the server has not yet said that it is on disk."""
