"""Random numbers that belong to the identity of a showing, not to the order in which showings come."""

from zlib import crc32

import numpy as np

from protocol.ids import MAX_ATTEMPTS


class Streams:
    """Random numbers by identity: one stream for each name and slot, whatever else is drawn and in whatever order."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._keys: dict[str, int] = {}
        self._bits = np.random.Philox(0)
        self._start = self._bits.state
        self._random = np.random.Generator(self._bits)

    def constant(self, name: str) -> np.random.Generator:
        """Return a new generator for what stays the same in a session."""
        return np.random.default_rng(self._sequence(f"{name} for ever"))

    def showing(self, name: str, presentation: int) -> np.random.Generator:
        """Return the generator at the beginning of its stream for a showing; the next call moves it elsewhere."""
        if name not in self._keys:
            self._keys[name] = int(self._sequence(name).generate_state(1, np.uint64)[0])
        # Philox is made for this: a key is a stream, at no cost.
        self._start["state"]["key"][:] = self._keys[name], presentation // MAX_ATTEMPTS
        self._bits.state = self._start
        return self._random

    def _sequence(self, name: str) -> np.random.SeedSequence:
        return np.random.SeedSequence((self._seed, crc32(name.encode())))
