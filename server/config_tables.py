"""The tables of a configuration file: what may be written, what it means, and what is taken if nothing is.

A field `on_s` is written `on_ms` in the file, and so is its default here: `FromMs` converts, and nothing else does.
"""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PrivateAttr, model_validator

from protocol.ids import MAX_ATTEMPTS, MAX_GENERATIONS
from server.config_display import Display
from server.config_rehearsal import Rehearsal, Simulator
from server.config_table import Open, Table
from server.config_values import (
    Address,
    Age,
    AtLeastOneMs,
    Combine,
    FileName,
    GeneratorName,
    Names,
    OptimizerName,
    WindowFromMs,
)
from server.scoring import check_keys

MAX_EVOLUTIONS = 8
"""More would leave each too few showings to get anywhere in a session."""
LARGEST_SEED = 2**32 - 1
"""XDream's random stream takes no larger one."""


class Session(Table):
    """One run on one subject."""

    name: FileName
    """Names the session and its file."""
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    """Where all random numbers start: the same seed and the same responses give the same session."""
    folder: str = "sessions"
    """Where the session's file goes, seen from the folder that the server is started in."""
    subject: str = ""
    """Who is recorded."""
    experimenter: str = ""
    """Who records, as "Last, First"."""
    notes: str = ""
    """Anything worth keeping with the data."""


class Server(Table):
    """Where the peers find the server."""

    address: Address = "tcp://127.0.0.1:5670"
    """`tcp://HOST:PORT` to listen at; host `*` = every network, port `*` = any free one."""


class OptimizerPart(Open):
    """What searches the latent space. All other keys are parameters of that optimizer."""

    name: OptimizerName = "sphere_mirror"
    """An optimizer's name, or `package.module:Class`."""


class GeneratorPart(Open):
    """What turns codes into images. All other keys are parameters of that generator."""

    name: GeneratorName = "embedded"
    """A generator's name, or `package.module:Class`."""


class InitialPart(Open):
    """Where the search begins: docs/generators.md. All other keys are parameters of that kind of beginning."""

    name: str = ""
    """`normal`, `statistics`, `folder`, `images` or `references`; empty = the optimizer's own beginning."""


class ScorerPart(Open):
    """What turns spike counts into scores: docs/scores.md. All other keys are parameters of that scorer."""

    name: str = "rate"
    """`rate`, `target`, `difference` or `pareto`, or `package.module:Class`."""
    baseline: Literal["none", "trial", "generation"] = "generation"
    """What is taken off the rate: `"none"`, the baseline rate of the same `"trial"` or its mean in a `"generation"`."""
    average: Literal["mean", "median", "trimmed"] = "mean"
    """How an image's repeats are combined; the last two are robust to outliers."""
    trim: float = Field(0.2, ge=0, lt=0.5)
    """For `"trimmed"`: the share of an image's repeats left out at each end."""
    artefact_sd: float = Field(0, ge=0)
    """Leave out showings so many standard deviations above the others on half of all channels; 0 = none, 8 is usual."""
    minimise: bool = False
    """Look for what drives the channels least."""

    @model_validator(mode="after")
    def _known(self) -> "ScorerPart":
        check_keys(self.name, self.parameters)
        lists = [key for key in ("target", "means", "sds", "mask") if key in self.parameters]
        if self.name == "target" and self.parameters.get("file") and lists:
            raise ValueError(f"file holds all lists, so {lists[0]} must not be given beside it")
        return self

    @property
    def given(self) -> dict[str, Any]:
        """All keys but the name: what the scorer is made with; of a lab's own scorer those that are written."""
        return self.model_dump(exclude={"name"}, exclude_unset=":" in self.name)


class Evolution(Table):
    """One search for what drives one unit, or one set of channels. Up to 8; their trials are interleaved."""

    name: str = Field("evolution", min_length=1, max_length=40)
    """What people call it; no two the same."""
    channels: Names = ()
    """The channels or units whose spikes count, by the names that the acquisition side gives them; `[]` = all."""
    combine: Combine = "mean"
    """How channels become one score: their `"mean"`, or a list of weights, one a channel."""
    generations: int = Field(0, ge=0, lt=MAX_GENERATIONS)
    """When to stop; 0 = when a person says so."""
    repeats: int = Field(1, ge=1, le=100)
    """How often each image is shown and measured in a generation."""
    share: float = Field(1.0, gt=0, le=1000)
    """How many showings it gets beside those of other evolutions."""
    max_attempts: int = Field(10, ge=1, le=MAX_ATTEMPTS)
    """How often one showing is tried before its image counts as not measured."""
    optimizer: OptimizerPart = OptimizerPart()
    generator: GeneratorPart = GeneratorPart()
    initial: InitialPart = InitialPart()
    scorer: ScorerPart = ScorerPart()

    @model_validator(mode="after")
    def _one_weight_a_channel(self) -> "Evolution":
        if self.combine != "mean" and len(self.combine) != len(self.channels):
            raise ValueError(f"combine has {len(self.combine)} weights for {len(self.channels)} named channels")
        return self


class References(Table):
    """Fixed images shown in every generation: how the neurons drift, and what evolved images are compared with."""

    folder: str = ""
    """Where they are; empty = the ones that come with XDream."""
    count: int = Field(10, ge=0, le=1000)
    """How many of them, in the order of their names; 0 = none."""


class Stopping(Table):
    """When enough has been seen. The server says so, on record, and goes on unless it is told to act."""

    generations: int = Field(0, ge=0, lt=MAX_GENERATIONS)
    """So many scored, in every evolution; 0 = no limit. An evolution with `generations` of its own ends by itself."""
    presentations: int = Field(0, ge=0)
    """So many measured; 0 = no limit."""
    minutes: float = Field(0, ge=0)
    """So long since the server was started, or resumed; 0 = no limit."""
    plateau: bool = True
    """Look whether the evolved images still gain on the reference images: docs/scores.md."""
    curve: Literal["raw", "corrected"] = "raw"
    """Which curve the plateau is judged by: scores as measured, or corrected for drift by the reference images."""
    act: bool = False
    """Stop after the generation in which a limit is reached or every evolution is flat."""


class Acquisition(Table):
    """When spikes count, relative to an image's onset; sent to the acquisition side."""

    response_window_s: WindowFromMs = (50, 200)
    """Start and end of the window whose spikes are the response."""
    baseline_window_s: WindowFromMs = (0, 50)
    """Start and end of the window whose spikes are the baseline."""
    stale_after_s: AtLeastOneMs = 900
    """Data older than this mean that the recording stands still, and the session waits."""


def _a_day(day: str) -> str:
    try:
        date.fromisoformat(day or "2000-01-01")
    except ValueError:
        raise ValueError(f'must be a day such as "2018-05-31", got {day!r}') from None
    return day


class Lab(Table):
    """Where the data were recorded, for the record."""

    lab: str = ""
    """The laboratory."""
    institution: str = ""
    """The institution."""
    protocol: str = ""
    """The animal protocol under which it was done."""
    area: str = ""
    """Where the electrodes are, such as "IT, left hemisphere"."""
    electrodes: str = ""
    """What they are, such as "Utah array, 96 channels"."""
    amplifier: str = ""
    """What records them."""


class Subject(Table):
    """Who was recorded, for the record."""

    species: str = ""
    """In Latin, such as `Macaca mulatta`."""
    sex: Literal["", "M", "F", "U", "O"] = ""
    """`M`, `F`, `U` (unknown) or `O` (other)."""
    age: Age = ""
    """As an ISO 8601 duration: `P8Y` is eight years, `P9Y/P10Y` between nine and ten."""
    date_of_birth: Annotated[str, AfterValidator(_a_day)] = ""
    """In its place or beside it, such as "2018-05-31"."""
    weight_kg: float | None = Field(None, gt=0)
    """On the day of the session."""
    description: str = ""
    """Anything else about the subject."""


def _told_apart(evolutions: tuple[Evolution, ...]) -> tuple[Evolution, ...]:
    if not 1 <= len(evolutions) <= MAX_EVOLUTIONS:
        raise ValueError(f"a session has 1 to {MAX_EVOLUTIONS} evolutions, not {len(evolutions)}")
    names = [each.name for each in evolutions]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{names.count(name)} evolutions are named {name!r}; give each a name of its own")
    return evolutions


class Config(Table):
    """A configuration file."""

    session: Session
    server: Server = Server()
    evolutions: Annotated[tuple[Evolution, ...], AfterValidator(_told_apart)] = Field(alias="evolution", strict=False)
    references: References = References()
    stopping: Stopping = Stopping()
    display: Display = Display()
    acquisition: Acquisition = Acquisition()
    simulator: Simulator = Simulator()
    rehearsal: Rehearsal = Rehearsal()
    lab: Lab = Lab()
    subject: Subject = Subject()
    _text: str = PrivateAttr("")

    def model_post_init(self, context: Any, /) -> None:
        """Keep the text that these tables were read from, which is the context of their validation."""
        self._text = context or ""

    @property
    def text(self) -> str:
        """The file as it was written."""
        return self._text

    def changed(self, seed: int | None = None, generations: int | None = None) -> "Config":
        """Return the same with another seed, or other evolutions' ends; the text stays as it was written."""
        session, evolutions = self.session, self.evolutions
        if seed is not None:
            session = session.model_copy(update={"seed": seed})
        if generations is not None:
            evolutions = tuple(each.model_copy(update={"generations": generations}) for each in evolutions)
        return self.model_copy(update={"session": session, "evolutions": evolutions})

    def display_settings(self) -> dict[str, Any]:
        """Return what a display is told when it is welcomed: seconds, degrees."""
        return self.display.model_dump(mode="json")

    def acquisition_settings(self) -> dict[str, Any]:
        """Return what an acquisition side is told when it is welcomed: seconds relative to the onset."""
        return self.acquisition.model_dump(mode="json")
