"""Which spikes count in which column: a channel's name takes all its units, `NAME:UNIT` takes one."""

from collections.abc import Iterable

from adapters.source import SourceError

NOT_COUNTED = -1


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
        if column == NOT_COUNTED:
            self.uncounted[channel] = self.uncounted.get(channel, 0) + 1
        return column


def parse_channels(text: str) -> Columns:
    """Return the columns of a list such as `1,2,5:1`."""
    return Columns(name.strip() for name in text.split(","))
