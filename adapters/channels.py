"""Which spikes count in which column: a channel's name takes all its units, `NAME:UNIT` takes one."""

from collections.abc import Iterable

from adapters.source import SourceError

NOT_COUNTED = -1
MAX_UNCOUNTED = 4096
"""Names come from the network, and may be anything: no person reads more."""


class Columns:
    """Finds the column of a spike by its channel and its unit."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self._columns = {name: column for column, name in enumerate(self.names)}
        self.uncounted: dict[str, int] = {}
        """Spikes of channels that nobody asked for, for people."""
        if not self.names or len(self._columns) < len(self.names) or "" in self._columns:
            raise SourceError(f"channels must be names, each once, with commas between, got {', '.join(self.names)!r}.")

    def of(self, channel: str, unit: int) -> int:
        """Return the column, or NOT_COUNTED."""
        column = self._columns.get(f"{channel}:{unit}", self._columns.get(channel, NOT_COUNTED))
        if column == NOT_COUNTED and (channel in self.uncounted or len(self.uncounted) < MAX_UNCOUNTED):
            self.uncounted[channel] = self.uncounted.get(channel, 0) + 1
        return column


def parse_channels(text: str, units: bool = True) -> Columns:
    """Return the columns of a list such as `1,2,5:1`; without `units` a colon is a letter like any other."""
    columns = Columns(name.strip() for name in text.split(","))
    for name in columns.names if units else ():
        channel, colon, unit = name.rpartition(":")
        if colon and unit.isdecimal() and channel in columns.names:
            raise SourceError(
                f"{channel} is all units of a channel, and a spike has one column only: "
                f"{name} cannot be counted beside it. Name the channel, or each of its units."
            )
    return columns
