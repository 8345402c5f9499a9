"""Experiments of one network and generator, generation by generation side by side: the server's own evolutions.

Nothing here searches or scores: `server.evolution` proposes and absorbs as it does on a rig. What stands between is
what a rig has as well: the images are rendered (all searches' in one batch), shown (one pass through the network),
and every unit's spikes are counted.
"""

import io
import time
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from protocol.arrays import Images
from protocol.ids import presentation_id
from server import optimizers, scoring
from server.evolution import Evolution, Proposal, References
from server.generators import Generator
from server.ledger import Measurements
from server.scheduler import Schedule
from simulator.neurons import Poisson
from simulator.study import parts
from simulator.study.beginnings import begin
from simulator.study.experiment import Batch, Planned, Result
from simulator.study.recording import Recording, precision

NOISELESS_SPIKES = 2.0**22
"""Spikes at the best reference image where nothing is left to chance: as exact as float32."""
MOST_SPIKES = float(np.iinfo(np.int32).max)


class Neuron:
    """A unit that fires at its activation in Hz, watched for as long as it takes to see so many spikes at its best.

    So the rates that the server's scorer makes of the counts are activations again, and the noise is Poisson's, as
    in the paper. Without noise a count is the expected one, and an activation below zero counts below zero.
    """

    def __init__(self, name: str, best_reference: float, spikes: float, seed: int) -> None:
        self.window_s = (spikes or NOISELESS_SPIKES) / best_reference
        self._noise = Poisson(seed, (name,)) if spikes else None

    def count(self, generation: int, activations: NDArray[np.float64]) -> NDArray[np.int32]:
        """Return [n_slots, 1] spikes for the [n_slots] activations of a generation's showings."""
        expected = np.clip(activations * self.window_s, -MOST_SPIKES, MOST_SPIKES)
        if self._noise is None:
            return np.rint(expected).astype(np.int32)[:, None]
        means = np.maximum(expected, 0)
        drawn = [self._noise.draw(presentation_id(1, generation, i, 0), means[[i]]) for i in range(len(means))]
        return np.concatenate(drawn)


class Search:
    """One experiment under way."""

    def __init__(self, planned: Planned, batch: Batch, generator: Generator, no_references: References) -> None:
        experiment = planned.experiment
        self.planned, self.left = planned, experiment.presentations
        name = f"{experiment.layer}/{experiment.unit}"
        self.neuron = Neuron(name, planned.reference.best, experiment.spikes, experiment.seed)
        seed = (experiment.seed, crc32(name.encode()))
        self.optimizer = optimizers.create(
            experiment.optimizer["name"], generator.code_shape, seed,
            **experiment.optimizer["parameters"], **begin(planned, batch, generator, seed),
        )  # fmt: skip
        scorer = scoring.create("rate", (name,), (), self.neuron.window_s, 1.0)
        schedule = Schedule(experiment.seed, 1, experiment.repeats)
        self.evolution = Evolution(1, name, self.optimizer, generator, scorer, schedule, no_references)
        self.name, self.generation, self.done = name, 0, False
        self.trace: list[tuple[float, float, int]] = []
        self.strongest = self.highest = -np.inf
        self.kept: dict[str, tuple[Images, NDArray[np.float32]]] = {}

    def propose(self) -> Proposal | None:
        """Return what the next generation shows, or nothing once the presentations left would not do for it."""
        proposal = self.evolution.propose(self.generation + 1)
        self.done = self.generation > 0 and len(proposal.slots) > self.left
        return None if self.done else proposal

    def absorb(self, proposal: Proposal, images: Images, activations: NDArray[np.float64]) -> None:
        """Let the unit answer to the images [n_codes, ...], which activate it so [n_codes], and the search learn."""
        self.generation = proposal.generation
        place = {int(stimulus): i for i, stimulus in enumerate(proposal.stimulus_ids)}
        slots = np.array([place[stimulus] for stimulus in proposal.slots.tolist()])
        counts = self.neuron.count(self.generation, activations[slots])
        outcome = self.evolution.absorb(
            proposal, Measurements((self.name,), proposal.slots, counts, np.zeros_like(counts))
        )
        self.left -= len(slots)
        self.trace.append((activations.max(), activations.mean(), self.planned.experiment.presentations - self.left))
        self._keep(proposal, images, activations, outcome.scores)

    def _keep(
        self, proposal: Proposal, images: Images, activations: NDArray[np.float64], scores: NDArray[np.float64]
    ) -> None:
        """Keep the image that excites the unit most, and the one that scored best."""
        strongest, highest = int(activations.argmax()), int(scores.argmax())
        if activations[strongest] > self.strongest:
            self.strongest = float(activations[strongest])
            self.kept["strongest"] = images[strongest].copy(), proposal.codes[strongest].copy()
        if scores[highest] > self.highest:
            self.highest = float(scores[highest])
            self.kept["chosen"] = images[highest].copy(), proposal.codes[highest].copy()


def run_batch(batch: Batch) -> list[Result]:
    """Return the results of a batch's experiments, which share every pass through generator and network."""
    began_s = time.process_time()
    generator = parts.generator(batch.generator)
    recording = Recording(batch.network, [(e.experiment.layer, e.unit) for e in batch.planned], batch.device)
    no_references = References(np.zeros(0, np.int64), np.zeros((0, *batch.size_px, 3), np.uint8))
    searches = [Search(each, batch, generator, no_references) for each in batch.planned]
    with precision(batch.planned[0].experiment.dtype, batch.device):
        while _turn(searches, generator, recording):
            pass
    return _results(searches, generator, recording, began_s)


def _turn(searches: list[Search], generator: Generator, recording: Recording) -> bool:
    """Let every search that is not done show a generation and learn from it; return whether there was one."""
    asked = [(i, search.propose()) for i, search in enumerate(searches) if not search.done]
    shown = [(i, proposal) for i, proposal in asked if proposal is not None]
    if not shown:
        return False
    codes = np.concatenate([proposal.codes for _, proposal in shown])
    owners = np.repeat([i for i, _ in shown], [len(proposal.codes) for _, proposal in shown])
    images = np.concatenate([generator.render(part) for part in recording.passes(codes)])
    activations = recording.own(images, owners)
    for i, proposal in shown:
        searches[i].absorb(proposal, images[owners == i], activations[owners == i])
    return True


def _results(searches: list[Search], generator: Generator, recording: Recording, began_s: float) -> list[Result]:
    """Return what came of the searches, each one's images seen once more in float32."""
    images = np.stack([_final(search, generator) for search in searches])
    n, n_images = len(searches), images.shape[1]
    flat = images.reshape(n * n_images, *images.shape[2:])
    exact = recording.own(flat, np.repeat(np.arange(n), n_images)).reshape(n, n_images)
    cpu_s = (time.process_time() - began_s) / n
    return [_result(*each, cpu_s) for each in zip(searches, images[:, 0], exact, strict=True)]


def _final(search: Search, generator: Generator) -> Images:
    """Return [3, ...] the strongest, the best-scored and the recommended image."""
    recommended = generator.render(np.asarray(search.optimizer.recommend(), np.float32)[None])
    return np.stack([search.kept["strongest"][0], search.kept["chosen"][0], recommended[0]])


def _result(search: Search, image: Images, exact: NDArray[np.float64], cpu_s: float) -> Result:
    """Return a result; `exact` are activations by its strongest, best-scored and recommended image."""
    evolved, chosen, recommended = exact.tolist()
    best, mean, shown = np.array(search.trace, np.float32).T
    packed = io.BytesIO()
    Image.fromarray(image).save(packed, "PNG", optimize=True)
    return Result(
        search.planned.hash, evolved, chosen, recommended, int(shown[-1]),
        np.asarray(search.kept["strongest"][1], np.float32).tobytes(), packed.getvalue(),
        best.tobytes(), mean.tobytes(), shown.tobytes(), cpu_s,
    )  # fmt: skip
