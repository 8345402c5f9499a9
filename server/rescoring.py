"""Scores computed again from the counts on record: the same to the bit, or where they first differ.

A score in the file is tied to its image (`stimulus_id`), that image's presentations in its generation, the counts of
these presentations, and the formula and windows in the configuration, which the file holds too. So it can be had again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from sqlite3 import Connection

import numpy as np
from numpy.typing import NDArray
from rich.table import Column, Table

from protocol.arrays import Ids, Scores
from protocol.ids import stimulus_key
from server.build import build_scorer
from server.config import Config, parse_config
from server.database import SessionFileError, open_database
from server.recounting import (
    Windows,
    changed_channels,
    check_spike_times,
    recorded_channels,
    recount,
    scored_generations,
)
from server.scoring import Scorer, ScorerError
from server.target_file import as_recorded


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be computed otherwise; nothing = as in the session."""

    windows: Windows = field(default_factory=Windows)
    channels: tuple[str, ...] = ()
    evolution: int | None = None
    """This one alone; None = all."""

    @property
    def differ(self) -> bool:
        """Whether other scores than the live ones are asked for."""
        return self.windows != Windows() or bool(self.channels)


@dataclass(frozen=True, slots=True, eq=False)
class Rescored:
    """The scores of one generation of one evolution, live and again."""

    evolution: int
    name: str
    generation: int
    stimulus_ids: Ids
    """[n_images] evolved images and reference images."""
    live: Scores
    """[n_images] as the optimizer was told them; NaN = not measured."""
    again: Scores
    """[n_images]"""

    @property
    def different(self) -> NDArray[np.int64]:
        """The rows that are not equal to the bit."""
        return np.flatnonzero((self.live != self.again) & ~(np.isnan(self.live) & np.isnan(self.again)))

    @property
    def rank_correlation(self) -> float:
        """Spearman's, over the images measured both times; NaN where there is no order."""
        return rank_correlation(self.live, self.again)

    def first_difference(self) -> str:
        """Return where the two first differ, in a sentence; "" if nowhere."""
        if not len(self.different):
            return ""
        row = self.different[0]
        return (
            f"evolution {self.evolution} ({self.name}), generation {self.generation}, stimulus "
            f"{self.stimulus_ids[row]}: the live score is {self.live[row]!s}, recomputed it is {self.again[row]!s}"
        )


def rescore(path: Path, wishes: Wishes) -> list[Rescored]:
    """Return every scored generation of a session file; raise SessionFileError or ConfigError if it cannot be."""
    connection = open_database(path, "ro")
    try:
        facts = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        live = as_recorded(parse_config(facts["config"], f"the configuration in {path}"), connection)
        config = _as_wished(live, wishes)
        channels = recorded_channels(connection)
        _check(wishes, config, channels, path)
        counted_in = (live.acquisition.response_window_s, live.acquisition.baseline_window_s)
        check_spike_times(connection, wishes.windows, counted_in)
        numbers = [wishes.evolution] if wishes.evolution else range(1, len(config.evolutions) + 1)
        return [each for number in numbers for each in _rescore(connection, config, channels, number, wishes)]
    except ScorerError as error:
        raise SessionFileError(f"{path}: {error}") from error
    finally:
        connection.close()


def rank_correlation(some: Scores, others: Scores) -> float:
    """Return Spearman's rank correlation over the places where neither is NaN; NaN where either has no order."""
    both = ~np.isnan(some) & ~np.isnan(others)
    first, second = _ranks(some[both]), _ranks(others[both])
    if min(len(np.unique(first)), len(np.unique(second))) < 2:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def report(found: Sequence[Rescored]) -> Table:
    """Return one line a generation: what was scored, and how the two agree."""
    name = Column("evolution", no_wrap=True)
    table = Table(name, "generation", "images", "live mean", "again", "differ", "rank r", box=None)
    for each in found:
        means = (
            f"{np.nanmean(scores):.3f}" if not np.isnan(scores).all() else "-" for scores in (each.live, each.again)
        )
        n_images, n_different = str(len(each.live)), str(len(each.different))
        order = f"{each.rank_correlation:.4f}"
        table.add_row(each.name, str(each.generation), n_images, *means, n_different, order)
    return table


def overall(found: Sequence[Rescored]) -> float:
    """Return the rank correlation over all generations together."""
    nothing = np.zeros(0)
    live, again = ([nothing, *(getattr(each, which) for each in found)] for which in ("live", "again"))
    return rank_correlation(np.concatenate(live), np.concatenate(again))


def _rescore(
    connection: Connection, config: Config, channels: tuple[str, ...], number: int, wishes: Wishes
) -> Iterator[Rescored]:
    table = config.evolutions[number - 1]
    scorer = build_scorer(config, table)
    changed = {} if wishes.channels else changed_channels(connection, number)
    for generation, live in scored_generations(connection, number):
        scorer = _with_channels(scorer, changed.get(generation, ()))
        measurements = recount(connection, channels, number, generation, wishes.windows)
        ids = np.array(list(live), np.int64)
        again = np.full(len(ids), np.nan)
        evolved = np.array([stimulus_key(stimulus).evolution > 0 for stimulus in live], np.bool_)
        for part in (evolved, ~evolved):  # asked for apart, as Evolution.absorb asks
            again[part] = scorer.score(measurements, ids[part])
        yield Rescored(number, table.name, generation, ids, np.array(list(live.values()), np.float64), again)


def _with_channels(scorer: Scorer, channels: tuple[str, ...]) -> Scorer:
    """Return the scorer as `Evolution.change` leaves it when an operator has other channels scored."""
    if not channels or not is_dataclass(scorer) or isinstance(scorer, type):
        return scorer
    changed: Scorer = replace(scorer, channels=channels, weights=())
    return changed


def _as_wished(config: Config, wishes: Wishes) -> Config:
    """Return the configuration with the windows and channels that are asked for."""
    named = {"response_window_s": wishes.windows.response_s, "baseline_window_s": wishes.windows.baseline_s}
    windows = {key: window for key, window in named.items() if window is not None}
    channels = {"channels": wishes.channels, "combine": "mean"} if wishes.channels else {}
    return config.model_copy(
        update={
            "acquisition": config.acquisition.model_copy(update=windows),
            "evolutions": tuple(each.model_copy(update=channels) for each in config.evolutions),
        }
    )


def _check(wishes: Wishes, config: Config, channels: tuple[str, ...], path: Path) -> None:
    n = len(config.evolutions)
    if wishes.evolution is not None and not 1 <= wishes.evolution <= n:
        raise SessionFileError(f"{path} has evolutions 1 to {n}, there is no evolution {wishes.evolution}")
    for name in wishes.channels:
        if name not in channels:
            raise SessionFileError(f"{path} has no channel {name!r}. Recorded: {', '.join(channels)}")


def _ranks(scores: Scores) -> Scores:
    """Return the rank of each score, equal ones sharing their mean rank."""
    _, which, counts = np.unique(scores, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[which])
