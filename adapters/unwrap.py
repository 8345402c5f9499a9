"""Counters that wrap, as ticks that do not: small steps are taken, and anything else is a new beginning."""


class Unwrap:
    """Continues a counter of some bits by steps of at most so many ticks either way.

    A reset cannot be told from a wrap by arithmetic: 3e9 -> 100 looks like a step forward of 1.3e9. So only steps
    that a stream can really make are taken.
    """

    def __init__(self, bits: int, max_step: int) -> None:
        self._modulus, self._max_step = 1 << bits, max_step
        self.last: int | None = None

    def place(self, counter: int) -> int | None:
        """Return the tick that this counter stands for, near the last one; None if it is too far from it."""
        if self.last is None:
            return None
        step = (counter - self.last + self._modulus // 2) % self._modulus - self._modulus // 2
        return self.last + step if abs(step) <= self._max_step else None

    def advance(self, counter: int) -> int | None:
        """Return the tick, and continue from there."""
        tick = self.place(counter)
        if tick is not None:
            self.last = max(tick, self.last or tick)
        return tick

    def restart(self, counter: int) -> int:
        """Take this counter for the tick itself."""
        self.last = counter
        return counter
