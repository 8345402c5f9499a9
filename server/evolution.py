"""One optimizer, one generator and one scorer at work: propose images, absorb the answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any

import numpy as np

from protocol.arrays import Codes, Ids, Images, Scores
from protocol.ids import MAX_IMAGES, MAX_SLOTS, stimulus_id
from protocol.messages import StimulusBatch
from server.generators import Generator
from server.ledger import Measurements
from server.optimizers import Optimizer
from server.scheduler import Schedule
from server.scoring import Scorer


@dataclass(frozen=True, slots=True, eq=False)
class References:
    """The fixed images shown in every generation."""

    stimulus_ids: Ids
    """[n_references]"""
    images: Images
    """[n_references, height_px, width_px, 3] uint8 RGB."""
    names: tuple[str, ...] = ()
    """[n_references] where each came from."""


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """What one generation will show."""

    evolution: int
    generation: int
    codes: Codes
    """[n_codes, *code_shape] float32, exactly as rendered."""
    stimulus_ids: Ids
    """[n_codes] the image of each code."""
    slots: Ids
    """[n_slots] stimulus ids in the order of showing, reference images and repeats among them."""


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What one generation taught."""

    evolution: int
    generation: int
    stimulus_ids: Ids
    """[n_codes]"""
    scores: Scores
    """[n_codes] NaN = not measured."""
    reference_ids: Ids
    """[n_references]"""
    reference_scores: Scores
    """[n_references] NaN = not measured."""


@dataclass(slots=True)
class Evolution:
    """XDream's "thread": a search through one generator's latent space for what drives one set of units."""

    number: int
    """From 1; every id of this evolution begins with it."""
    name: str
    optimizer: Optimizer
    generator: Generator
    scorer: Scorer
    schedule: Schedule
    references: References
    facts: dict[str, Any] = field(default_factory=dict)
    """Names, parameters and hashes of the parts, for the record."""

    def propose(self, generation: int) -> Proposal:
        """Ask for codes, and lay out their showings among those of the reference images."""
        return self.recall(generation, np.asarray(self.optimizer.ask(), np.float32))

    def recall(self, generation: int, codes: Codes) -> Proposal:
        """Return the proposal of a generation whose codes are known, the same each time it is asked.

        Raise ValueError for more images or showings than ids can name.
        """
        n_showings = self.schedule.repeats * (len(codes) + len(self.references.stimulus_ids))
        if len(codes) > MAX_IMAGES or n_showings > MAX_SLOTS:
            raise ValueError(
                f"a generation of {len(codes)} codes and {n_showings} showings is too large: at most {MAX_IMAGES} "
                f"codes and {MAX_SLOTS} showings. Ask for a smaller population, or fewer repeats."
            )
        ids = np.array([stimulus_id(self.number, generation, i) for i in range(len(codes))], np.int64)
        everything = np.concatenate([ids, self.references.stimulus_ids])
        slots = everything[self.schedule.slots(generation, len(everything))]
        return Proposal(self.number, generation, codes, ids, slots)

    def render(self, proposal: Proposal, done: frozenset[int], first: int, later: int) -> Iterator[StimulusBatch]:
        """Yield the images in the order of showing, `first` of them and then `later` at a time.

        Images whose ids are in `done` exist already and are left out.
        """
        place = {int(stimulus): i for i, stimulus in enumerate(proposal.stimulus_ids)}
        order = [s for s in dict.fromkeys(proposal.slots.tolist()) if s in place and s not in done]
        start, size = 0, first
        while start < len(order):
            ids = order[start : start + size]
            images = self.generator.render(proposal.codes[[place[s] for s in ids]])
            yield StimulusBatch(np.array(ids, np.int64), images)
            start, size = start + size, later

    def recommend(self) -> tuple[Codes, Images]:
        """Return the code that the search believes in, [*code_shape] float32, and its picture [height, width, 3]."""
        code = np.asarray(self.optimizer.recommend(), np.float32)
        image: Images = self.generator.render(code[None])[0]
        return code, image

    def change(self, parameters: Mapping[str, Any], channels: Sequence[str]) -> None:
        """Search and score otherwise from the next ask on; raise ValueError, nothing being changed, if it cannot be."""
        scorer = self.scorer
        if channels:
            if not is_dataclass(scorer) or isinstance(scorer, type):
                raise ValueError(f"{type(scorer).__name__} cannot score other channels while it runs")
            scorer = replace(scorer, channels=tuple(channels), weights=())
        if parameters:
            self.optimizer.change(**parameters)
        self.scorer = scorer

    def absorb(self, proposal: Proposal, measurements: Measurements) -> Outcome:
        """Score every image by the spikes it drew, and tell the optimizer its own."""
        scores = self.scorer.score(measurements, proposal.stimulus_ids)
        reference_scores = self.scorer.score(measurements, self.references.stimulus_ids)
        self.optimizer.tell(scores)
        return Outcome(
            self.number,
            proposal.generation,
            proposal.stimulus_ids,
            scores,
            self.references.stimulus_ids,
            reference_scores,
        )
