"""Repeats of an image become one: by mean, median or trimmed mean, whatever the order they came in."""

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import Ids

AVERAGES = ("mean", "median", "trimmed")


def average_repeats(
    values: NDArray[np.float64], owners: Ids, stimulus_ids: Ids, average: str, trim: float
) -> NDArray[np.float64]:
    """Return [n_images, n_channels] averages of [n_showings, n_channels] values by the images they belong to.

    All three are means of what is left when an image's n values of a channel are sorted and k are dropped at each end:
    k = 0 is the mean, k = floor(trim n) the trimmed mean, k = floor((n - 1) / 2) the median. An image that owns no
    showing has NaN. Sorting also makes the sum the same to the last bit, whatever the order of the showings.
    """
    places = _places(owners, stimulus_ids)
    values, places = values[places >= 0], places[places >= 0]
    n = np.bincount(places, minlength=len(stimulus_ids))
    stacked = np.full((len(stimulus_ids), n.max(initial=0), values.shape[1]), np.nan)
    stacked[places, _turns(places)] = values
    stacked.sort(axis=1)  # NaN comes last
    dropped = {"mean": n * 0, "trimmed": np.floor(trim * n).astype(np.int64), "median": np.maximum(n - 1, 0) // 2}
    k = dropped[average]
    turns = np.arange(stacked.shape[1])
    kept = (turns >= k[:, None]) & (turns < (n - k)[:, None])
    sums = np.where(kept[:, :, None], stacked, 0.0).sum(axis=1)
    return np.asarray(sums / np.where(n, n - 2 * k, np.nan)[:, None])


def _places(owners: Ids, stimulus_ids: Ids) -> Ids:
    """Return [n_showings] the place of each one's image among the ids, -1 where it is not among them."""
    order = np.argsort(stimulus_ids)
    found = np.searchsorted(stimulus_ids, owners, sorter=order)
    places = np.append(order, -1)[found]
    return np.where(np.append(stimulus_ids, -1)[places] == owners, places, -1).astype(np.int64)


def _turns(places: Ids) -> Ids:
    """Return [n_showings] how many showings of the same image stand before each."""
    order = np.argsort(places, kind="stable")
    firsts = np.searchsorted(places[order], places[order])
    turns = np.empty(len(places), np.int64)
    turns[order] = np.arange(len(places)) - firsts
    return turns
