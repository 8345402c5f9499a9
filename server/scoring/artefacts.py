"""Showings that no neurons made: a burst of counts on many channels at once, far above all other showings."""

import numpy as np
from numpy.typing import NDArray

FEWEST_CHANNELS = 8
"""On fewer, a burst cannot be told from neurons that agree."""
FEWEST_SHOWINGS = 8
"""Fewer do not say what is usual."""
SHARE = 0.5
"""Of the channels, that must stand out together."""


def artefacts(counts: NDArray[np.integer], sd: float) -> NDArray[np.bool_]:
    """Return [n_showings] whether each stands out by `sd` standard deviations on half of the channels; 0 = none does.

    Counts of [n_showings, n_channels] are made of equal variance first, by Anscombe's 2 sqrt(x + 3/8) (Biometrika 35,
    1948), under which Poisson counts have a standard deviation of 1. Centre and spread are the median and 1.4826 times
    the median absolute deviation, which artefacts themselves do not move.
    """
    n_showings, n_channels = counts.shape
    if not sd or n_showings < FEWEST_SHOWINGS or n_channels < FEWEST_CHANNELS:
        return np.zeros(n_showings, np.bool_)
    roots = 2 * np.sqrt(counts + 3 / 8)
    above = roots - np.median(roots, axis=0)
    spread = np.maximum(1.0, 1.4826 * np.median(np.abs(above), axis=0))
    return np.asarray((above > sd * spread).mean(axis=1) >= SHARE)
