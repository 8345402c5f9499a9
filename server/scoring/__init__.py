"""From spike counts to scores, by name: what an optimizer is to make larger.

    scorer = create("rate", channels=("7",), weights=(), response_s=0.15, baseline_s=0.05, baseline="trial")
    scores = scorer.score(measurements, stimulus_ids)      # [n_images], NaN where an image was not measured

docs/scores.md has the formulas. A new one is a file, a name in `SCORERS` and a pass of
`tests/contracts/test_scorers.py`.
"""

from collections.abc import Iterable, Sequence
from inspect import signature
from typing import Any, Protocol

from protocol import plugins
from protocol.arrays import Ids, Scores
from server.ledger import Measurements
from server.scoring.rate import RateScorer
from server.scoring.rates import ScorerError

__all__ = ["SCORERS", "RateScorer", "Scorer", "ScorerError", "check_keys", "create"]

SCORERS: dict[str, str] = {
    "rate": "server.scoring.rate:RateScorer",
    "target": "server.scoring.target:TargetScorer",
    "difference": "server.scoring.difference:DifferenceScorer",
    "pareto": "server.scoring.pareto:ParetoScorer",
}
_GIVEN = ("channels", "weights", "response_s", "baseline_s")
"""What every scorer is made of, before the parameters that its user names."""


class Scorer(Protocol):
    """Turns what was measured in a generation into one number an image; it knows no codes and no pictures."""

    def score(self, measurements: Measurements, stimulus_ids: Ids) -> Scores:
        """Return [n_images] scores, larger is better, NaN where an image was never measured."""
        ...


def create(
    name: str, channels: Sequence[str], weights: Sequence[float], response_s: float, baseline_s: float, **given: Any
) -> Scorer:
    """Return the scorer of that name, or of that `package.module:Class`; raise ScorerError if it cannot be had."""
    try:
        scorer: Scorer = plugins.create("scorer", name, SCORERS, channels, weights, response_s, baseline_s, **given)
    except plugins.PluginError as wrong:
        raise ScorerError(str(wrong)) from wrong
    return scorer


def check_keys(name: str, keys: Iterable[str]) -> None:
    """Raise ScorerError unless there is such a scorer, and it takes these keys; a lab's own takes any."""
    try:
        plugins.check_name("scorer", name, SCORERS)
    except plugins.PluginError as wrong:
        raise ScorerError(str(wrong)) from wrong
    if name not in SCORERS:
        return
    known = ["name", *(key for key in signature(plugins.find("scorer", name, SCORERS)).parameters if key not in _GIVEN)]
    for key in keys:
        if key not in known:
            raise ScorerError(f"no key {key!r}.{plugins.nearest(key, known)} Known: {', '.join(known)}.")
