"""Where spikes come from: the one interface that every recording system and every simulator has."""

from collections.abc import Iterable
from typing import Any, Protocol, cast

from protocol.messages import Onsets, Responses, StimulusBatch
from protocol.plugins import PluginError, create

SOURCES = {
    "simulator": "simulator.source:SimulatedUnits",
    "bridge": "adapters.bridge:bridge",
    "open_ephys": "adapters.open_ephys:open_ephys",
    "intan_rhx": "adapters.intan_rhx:intan_rhx",
    "blackrock": "adapters.blackrock:blackrock",
    "plexnet": "adapters.plexnet:plexnet",
    "spikeglx": "adapters.spikeglx:spikeglx",
    "trodes": "adapters.trodes:trodes",
    "tdt": "adapters.tdt:tdt",
    "lsl": "adapters.lsl:lsl",
    "folder_exchange": "adapters.folder_exchange:FolderExchange",
    "replay": "adapters.replay:Replay",
}


class SourceError(PluginError):
    """A source that cannot be made as its user asked: no such unit, file, window, ..."""


class ResponseSource(Protocol):
    """Counts spikes after onsets, on some channels. All of it runs in one thread; no call waits for data.

    Every presentation of a request is answered once by `poll`, by its id, as soon as its answer is final; in what
    order, and with which others, is up to the source. What cannot be measured is answered `measured` False.
    """

    name: str
    channels: tuple[str, ...]
    """What it counts spikes of, in the order of the columns of its answers."""
    wants_images: bool
    """Whether it has to see what the subject would see."""

    def begin(self, settings: dict[str, Any]) -> None:
        """Start afresh for a session: `response_window_s` and `baseline_window_s`, [start, end] from the onset."""

    def see(self, batch: StimulusBatch) -> None:
        """Look at images that are going to be shown."""

    def forget(self, stimulus_ids: Iterable[int]) -> None:
        """Drop images that will not be shown again; those it never saw are no error."""

    def request(self, onsets: Onsets) -> None:
        """Begin to count after these onsets; NaN is not an onset and not measured."""

    def poll(self) -> list[Responses]:
        """Return the answers that have become final since the last call."""

    def data_age_s(self) -> float:
        """Return the age of the newest data."""

    def close(self) -> None:
        """Let the recording system go."""


def create_source(name: str, options: dict[str, str]) -> ResponseSource:
    """Return the source of that name, or of that `package.module:Class`, with options as its user wrote them.

    Raise PluginError for what is unknown and SourceError for what cannot be had.
    """
    return cast(ResponseSource, create("source", name, SOURCES, **options))
