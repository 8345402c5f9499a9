"""What a session with neurons whose best image is known came to: how close its pictures are to the best ones."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from protocol.arrays import Images
from server.config import Config, parse_config
from server.reading import Best, Reader
from simulator.arrays import KnownUnits, known_array
from simulator.closeness import Closeness, closeness
from simulator.ground_truth import KnownNeuron
from simulator.options import KNOWN


class NothingKnown(ValueError):
    """No neuron of a session has a best image that is known; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One picture of an evolution, beside the best one for its neuron."""

    evolution: str
    neuron: str
    picture: str
    """Which: the generation whose best-scored picture it is, or the best reference image's name."""
    close: Closeness


def close_up(path: Path) -> list[Compared]:
    """Return how close the best-scored pictures of the first and last generation, and the best reference image, came.

    Raise NothingKnown for a session of other neurons.
    """
    reader = Reader(path)
    try:
        config = parse_config(reader.facts()["config"], str(path))
        return [each for number in reader.evolutions() for each in _of_evolution(reader, config, number)]
    finally:
        reader.close()


def _of_evolution(reader: Reader, config: Config, number: int) -> Iterator[Compared]:
    table = config.evolutions[number - 1]
    pictures = reader.best_evolved(number)
    shown: list[Best] = [*dict.fromkeys(pictures[:1] + pictures[-1:]), *reader.best_references(number)[:1]]
    for neuron in _neurons(config, table.channels):
        for best in shown:
            yield Compared(table.name, neuron.name, best.label, closeness(neuron, _square(best.image)))


def _neurons(config: Config, channels: tuple[str, ...]) -> list[KnownNeuron]:
    options = config.simulator.parameters
    if options.get("network") != KNOWN:
        raise NothingKnown('no best image is known: this is for dry runs with [simulator] network = "known".')
    text = options.get("units", "gabor")
    array = known_array(
        ",".join(text) if isinstance(text, list) else str(text), int(options.get("seed", config.session.seed))
    )
    assert isinstance(array.units, KnownUnits)
    return [each for each in array.units.neurons if not channels or each.name in channels]


def _square(image: Images) -> Images:
    side = min(image.shape[:2])
    return image[:side, :side]
