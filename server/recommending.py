"""What a search recommends, drawn from its session file: its centre, and not the image with the luckiest score.

The best of many noisy scores is partly luck; the centre is what all generations together have come to. The optimizer
on record is woken up, as `xdream resume` does, and asked; nothing is written.
"""

import json
from dataclasses import dataclass

import numpy as np

from protocol.arrays import Codes, Images
from server.build import build_evolutions, check_weights
from server.config import Config
from server.database import SessionFileError
from server.evolution import Evolution, References
from server.export.snapshot import Snapshot
from server.generators.contrast import rms_contrast
from server.restoring import LATEST
from server.snapshots import unpack

NO_REFERENCES = References(np.zeros(0, np.int64), np.zeros((0, 1, 1, 3), np.uint8))
"""None are shown here, and those on record need not be read."""
_SCORED = """
    SELECT COUNT(DISTINCT c.generation) FROM scores c JOIN stimuli s USING (stimulus_id)
    WHERE c.evolution = ? AND s.evolution > 0 AND c.score IS NOT NULL
"""
_SHOWN = """
    SELECT MAX(generation) FROM stimuli
    WHERE evolution = ? AND code_norm BETWEEN ? AND ? AND code = ? AND sha256 IS NOT NULL
"""
SLACK = 1e-6
"""The norm on record may differ by so much, as a share: it narrows the look-up of a code, which compares every bit."""


@dataclass(frozen=True, slots=True, eq=False)
class Recommendation:
    """The picture that one evolution recommends."""

    evolution: int
    name: str
    n_generations: int
    """Generations with scores that it rests on."""
    code: Codes
    """[*code_shape] float32, exactly as drawn."""
    image: Images
    """[height_px, width_px, 3] uint8 RGB."""
    shown: int | None
    """The generation that showed this very code, as happens in a search without a centre; None = none did."""

    @property
    def words(self) -> str:
        """What it is, and whether it was ever measured."""
        if self.shown is not None:
            return f"what the search recommends; shown in generation {self.shown}"
        return "the search's centre, which it recommends; never shown, not measured"

    @property
    def figures(self) -> str:
        """What drives neurons whatever the picture shows: length and contrast."""
        [contrast] = rms_contrast(self.image[None])
        return f"code norm {np.linalg.norm(self.code):.4g}, RMS contrast {contrast:.3f}"


def recommend(snapshot: Snapshot, number: int) -> Recommendation:
    """Return what an evolution recommends; raise SessionFileError or ConfigError if it cannot be had here.

    The weights must be those that the session was drawn with.
    """
    name = snapshot.reader.evolutions().get(number)
    if name is None:
        n = len(snapshot.reader.evolutions())
        raise SessionFileError(f"{snapshot.path} has evolutions 1 to {n}, there is no evolution {number}")
    n_generations = snapshot.records.value(_SCORED, number)
    if not n_generations:
        raise SessionFileError(
            f"{snapshot.path}: no generation of evolution {number} ({name}) is scored yet, so it recommends nothing"
        )
    evolution = _woken(snapshot, snapshot.records.config(), number)
    code, image = evolution.recommend()
    return Recommendation(number, name, n_generations, code, image, _shown(snapshot, number, code))


def _woken(snapshot: Snapshot, config: Config, number: int) -> Evolution:
    """Return an evolution, alone, whose search is where the file says it was; it is no part of any session."""
    alone = config.model_copy(update={"evolutions": (config.evolutions[number - 1],)})
    [evolution] = build_evolutions(alone, NO_REFERENCES)
    facts = json.loads(snapshot.records.value("SELECT facts FROM evolutions WHERE evolution = ?", number))
    check_weights(snapshot.path, evolution, facts)
    [row] = snapshot.records.rows(LATEST, number)
    try:
        evolution.optimizer.restore(unpack(row["snapshot"]))
    except Exception as error:  # a damaged one makes the optimizer, a lab's own perhaps, raise whatever it likes
        raise SessionFileError(
            f"{snapshot.path}: the search of evolution {number} ({evolution.name}) cannot be woken up ({error}). "
            "xdream verify says what is damaged."
        ) from error
    return evolution


def _shown(snapshot: Snapshot, number: int, code: Codes) -> int | None:
    norm = float(np.linalg.norm(code))
    generation: int | None = snapshot.records.value(
        _SHOWN, number, norm * (1 - SLACK), norm * (1 + SLACK), code.astype("<f4").tobytes()
    )
    return generation
