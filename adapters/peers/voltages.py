"""Voltages of a recording made up of spikes: what a system sends that finds none itself.

The noise takes two values, one as far above zero as the other is below. A detector takes it for noise, and yet there
is an end to what can come through its band (300 to 6000 Hz): 3.4 times the standard deviation, if all samples that the
filter remembers conspire, where Gaussian noise goes beyond 4.5 every ten seconds. The waveform has no mean, so that the
band's ringing is over before the lock-out is. So each spike is found once, and no other.
"""

from collections.abc import Callable, Iterable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from adapters.peers.block import Block

Noise = Callable[[Generator, tuple[int, int]], NDArray[np.floating] | NDArray[np.integer]]
LEVEL = 20
"""Of the noise, above and below zero."""
WAVE = -np.array([0.4, 1.0, 0.7, 0.2, -0.3, -0.55, -0.5, -0.4, -0.3, -0.2, -0.05])
"""Begins with the spike's tick."""
PEAK = 4.0
"""Of a spike, in thresholds: those that fire while the noise is measured make a detector take it for more. In the band,
a waveform as high as LEVEL is as high as one standard deviation of the noise."""
HIGHEST = 30_000
"""What 16 bits hold, and room for the noise."""
LATE = 2
"""A spike is found at its tick, or so much later."""


def two_levels(random: Generator, shape: tuple[int, int]) -> NDArray[np.integer]:
    """Return noise that no detector with a threshold of more than 3.4 standard deviations finds a spike in."""
    return random.choice(np.array([-LEVEL, LEVEL], np.int32), shape)


def gaussian(random: Generator, shape: tuple[int, int]) -> NDArray[np.floating]:
    """Return noise as amplifiers have it."""
    return random.normal(0, LEVEL, shape)


class Voltages:
    """Makes samples block by block: noise, a waveform at each spike, and a word of the digital lines at the end."""

    def __init__(self, n_channels: int, peak: float, noise: Noise = two_levels, seed: int = 1) -> None:
        self._wave = np.round(peak * WAVE).astype(np.int32)
        self._rest = np.zeros((len(WAVE), n_channels), np.int32)
        """Of waveforms that go on in the next block."""
        self._lines = self._end = 0
        self._noise, self._random = noise, np.random.default_rng(seed)

    def take(self, block: Block) -> NDArray[np.int16]:
        """Return [n_samples, n_channels + 1] of a block; after one that is left out, waveforms begin anew."""
        n_samples, n_channels, n_wave = block.end - block.start, self._rest.shape[1], len(self._wave)
        spikes = np.zeros((n_samples + n_wave, n_channels), np.int32)
        if block.start == self._end:
            spikes[:n_wave] = self._rest
        rows = (block.ticks - block.start)[:, None] + np.arange(n_wave)
        np.add.at(spikes, (rows, block.columns[:, None]), self._wave)
        self._rest, self._end = spikes[n_samples:], block.end
        samples = np.empty((n_samples, n_channels + 1), np.int16)
        samples[:, :-1] = spikes[:n_samples] + self._noise(self._random, (n_samples, n_channels))
        samples[:, -1] = self._words(block)
        return samples

    def _words(self, block: Block) -> NDArray[np.uint16]:
        words = np.full(block.end - block.start, self._lines, np.uint16)
        for edge in block.edges:
            self._lines = self._lines | 1 << edge.line if edge.rising else self._lines & ~(1 << edge.line)
            words[edge.tick - block.start :] = self._lines
        return words


def peak_for(k: float) -> float:
    """Return how high spikes must be to be found by a threshold of k standard deviations of the noise in the band."""
    return min(PEAK * k * LEVEL, HIGHEST)


def voltages(blocks: Iterable[Block], n_channels: int, seed: int = 1) -> NDArray[np.int16]:
    """Return [n_samples, n_channels + 1] of a whole recording whose noise is an amplifier's."""
    made = Voltages(n_channels, 11.0 * LEVEL, gaussian, seed)
    return np.concatenate([made.take(block) for block in blocks])
