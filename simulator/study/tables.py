"""The tables of a study file: what is searched for, where, by what, how often."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, model_validator

from server.config_table import Open, Table
from server.config_tables import LARGEST_SEED, InitialPart
from server.config_values import FileName, GeneratorName, OptimizerName

MOST_PRESENTATIONS = 1_000_000
Labels = Annotated[tuple[str, ...], Field(strict=False)]
"""Empty = all there are."""
Triple = Annotated[tuple[float, float, float], Field(strict=False)]


def _units(value: Any) -> int | tuple[str, ...]:
    if type(value) is int and value > 0:
        return value
    if isinstance(value, list | tuple) and value and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise ValueError(f'must be how many to draw, or a list such as ["3", "12@7,7"], got {value!r}')


def _written(units: int | tuple[str, ...]) -> int | list[str]:
    return units if isinstance(units, int) else list(units)


def _free(value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict) or not all(isinstance(each, dict) for each in value.values()):
        raise ValueError("must be tables named as optimizers are, such as [generator.optimizers.genetic]")
    return value


def _swept(value: Any) -> dict[str, list[Any]]:
    if not isinstance(value, dict) or not all(isinstance(each, list) and each for each in value.values()):
        raise ValueError("must give a list of values a parameter, such as mutation_rate = [0.25, 0.5]")
    return value


def _points(positions: tuple[float, ...]) -> tuple[float, ...]:
    if positions and not {0.0, 0.5, 1.0} <= set(positions):
        raise ValueError("must have 0, 0.5 and 1 among them")
    return positions


class Settings(Table):
    """What the study is, and what every experiment of it has in common."""

    name: FileName
    """Names the study in its store."""
    about: str = ""
    """One sentence for the report."""
    presentations: int = Field(10_000, ge=2, le=MOST_PRESENTATIONS)
    """Images shown in an experiment, repeats counted."""
    repeats: int = Field(1, ge=1, le=100)
    """How often each image is shown in a generation."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """What the networks reckon with during a search; the activations in the report are float32 either way."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where the recorded network runs; a DeePSiM generator takes a GPU where there is one."""
    batch: int = Field(4, ge=1, le=1000)
    """Experiments of one network and generator that share forward passes."""
    interpolate: Annotated[tuple[float, ...], Field(strict=False), AfterValidator(_points)] = ()
    """Where to look on the line between two optima of one unit, 0 the one and 1 the other; `[]` = nowhere."""


class Images(Table):
    """The reference set: what evolved images are compared with, and what noise is scaled by."""

    folder: str = ""
    """A folder of pictures, searched with all folders in it; empty = the procedural pictures that come with XDream."""
    count: int = Field(10_000, ge=2)
    """How many of them; of a folder, those first by name, and all if it has fewer."""
    seed: int = Field(1_000_003, ge=0)
    """Of the procedural pictures."""


class Network(Table):
    """A network whose units are recorded."""

    label: str = ""
    """What the report calls it; empty = the model's name."""
    model: str = "embedded"
    """`embedded`, or `package.module:callable` that gives an nn.Module."""
    weights: str = ""
    """A file for it, .safetensors or .pt; empty = those it comes with."""
    pretrained: bool = False
    """Whether it was trained on photographs, so that the paper's numbers can be asked of it."""
    layers: dict[str, str]
    """Layers by what the report calls them; claims ask for `early`, `middle`, `late` and `output`."""
    units: Annotated[int | tuple[str, ...], PlainValidator(_units), PlainSerializer(_written, Any)] = 100
    """How many of each layer, drawn at random, at the centre of maps; or which, as `channel@row,column`."""
    size_px: int = Field(0, ge=0, le=4096)
    """The side that images are resized to; 0 = as they were rendered."""
    mean: Triple = (0.0, 0.0, 0.0)
    """Taken off the red, green and blue of 0..1."""
    std: Triple = (1.0, 1.0, 1.0)
    """Which they are then divided by."""
    order: Literal["RGB", "BGR"] = "RGB"
    """How the network takes its colours."""
    white: float = Field(1.0, gt=0)
    """What is 1 becomes this, after all else: 255 for networks from Caffe."""


class Generator(Open):
    """What draws images. All other keys are parameters of that generator."""

    label: str = ""
    """What the report calls it; empty = its name."""
    name: GeneratorName = "embedded"
    """A generator's name, or `package.module:Class`."""
    optimizers: Annotated[dict[str, dict[str, Any]], PlainValidator(_free)] = Field(default_factory=dict)
    """Parameters that suit its codes, by the optimizer's name or, above that, its label; what the optimizer's own
    table says has the last word."""
    initial: InitialPart = InitialPart()
    """Where searches begin unless an initialisation says otherwise."""


class Optimizer(Open):
    """What searches. All other keys are parameters of that optimizer."""

    label: str = ""
    """What the report calls it; empty = its name. Claims ask for `GA`, `FDGD`, `NES` and `CMA`."""
    name: OptimizerName = "genetic"
    """An optimizer's name, or `package.module:Class`."""
    sweep: Annotated[dict[str, list[Any]], PlainValidator(_swept)] = Field(default_factory=dict)
    """Values to try, one parameter at a time: each makes one more optimizer, labelled by it."""


class Initial(Open):
    """Where searches begin. All other keys are parameters of that kind of beginning."""

    label: str
    """What the report calls it. Claims ask for `random`, `best`, `middle` and `worst`."""
    name: str = ""
    """As in docs/generators.md, or `unit_images` (docs/studies.md); empty = as the generator says."""


class Grid(Table):
    """Which of them meet: every combination of what is named. A study may have several grids."""

    networks: Labels = ()
    layers: Labels = ()
    generators: Labels = ()
    optimizers: Labels = ()
    initials: Labels = ()
    spikes: Annotated[tuple[float, ...], Field(strict=False)] = (0.0,)
    """Poisson noise: expected spikes at the unit's best reference image; 0 = no noise."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, le=LARGEST_SEED)], ...], Field(strict=False)] = (0,)
    """One search each; the same seed begins alike whatever the condition."""

    @model_validator(mode="after")
    def _possible(self) -> "Grid":
        if not self.seeds or not self.spikes or min(self.spikes) < 0:
            raise ValueError("seeds and spikes must name at least one value each, and spikes none below 0")
        return self


class Study(Table):
    """A study file."""

    study: Settings
    references: Images = Images()
    networks: Annotated[tuple[Network, ...], Field(alias="network", strict=False, min_length=1)]
    generators: Annotated[tuple[Generator, ...], Field(alias="generator", strict=False, min_length=1)] = (Generator(),)
    optimizers: Annotated[tuple[Optimizer, ...], Field(alias="optimizer", strict=False, min_length=1)] = (
        Optimizer(label="GA"),
    )
    initials: Annotated[tuple[Initial, ...], Field(alias="initial", strict=False, min_length=1)] = (
        Initial(label="random"),
    )
    grids: Annotated[tuple[Grid, ...], Field(alias="grid", strict=False, min_length=1)] = (Grid(),)
