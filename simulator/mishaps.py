"""What goes wrong with a recording on its own wire: as it does on a rig, so that the adapter must notice by itself.

stall               blocks stop while the socket lives, and then come all at once
lose                a block is said to nobody: its number is missing, or else its samples are
clock               the recording's ticks jump ahead, as soon as no response is being recorded
photodiode          onsets leave no pulse
channel, storm      spikes are missing, or there are too many
not_recording       the program says so to whoever asks
crash_simulator     the program dies
"""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from adapters.events import Edge, Word
from adapters.peers.block import Block
from adapters.windows import to_ticks
from simulator.faults import STORM_S, AcquisitionFaults, drilled
from simulator.recording import PULSE_S

JUMP_S = 100.0
"""No system takes that for a moment without data. It is rounded up to whole blocks."""
Seconds = NDArray[np.float64]
Columns = NDArray[np.int32]
Window = tuple[float, float]


@runtime_checkable
class Loses(Protocol):
    """A system's voice on whose wire it can be seen that something was lost."""

    def lose(self, block: Block) -> None:
        """Say a block to nobody."""


@runtime_checkable
class CanBeAsked(Protocol):
    """A system's voice that says whether raw data are kept."""

    saves: bool


class Mishaps:
    """Spoils showings and blocks. Ticks are the recording's own, before any jump of them."""

    def __init__(
        self, faults: AcquisitionFaults, ticks_per_s: Fraction, windows_s: tuple[Window, Window], n_channels: int,
        voice: object = None,
    ) -> None:  # fmt: skip
        """Take the response and the baseline window, and what speaks for the recording."""
        response_s, edges_s = windows_s[0], np.array(windows_s)
        storm_s = STORM_S[(edges_s.min() <= STORM_S) & (edges_s.max() > STORM_S)]
        every = np.arange(n_channels, dtype=np.int32)
        self._storm_s, self._everywhere = np.tile(storm_s, n_channels), np.repeat(every, len(storm_s))
        self._faults = faults
        self._voice = voice if isinstance(voice, Loses) else None
        self._program = voice if isinstance(voice, CanBeAsked) else None
        start, end, self._pulse, self._jump = (
            to_ticks(time_s, ticks_per_s) for time_s in (*response_s, PULSE_S, JUMP_S)
        )
        self._middle, self._end = (start + end) // 2, end
        self._open_until = 0
        """When the last response is over."""
        self._n_jumps = self._ahead = 0
        self._lost: list[int] = []
        self._dark: set[int] = set()

    @property
    def stand_still(self) -> bool:
        """Whether nothing goes out for the time being."""
        return self._faults.stands_still

    def drill(self, arguments: Mapping[str, Any]) -> None:
        """Let something go wrong now."""
        if drilled(arguments).what == "clock":
            self._n_jumps += 1
        else:
            self._faults.drill(arguments)

    def reach(self, presentation: int) -> None:
        """Take note of what begins with a showing."""
        self._n_jumps += sum(fault.what == "clock" for fault in self._faults.reach([presentation]))

    def spikes(self, presentation: int, times_s: Seconds, columns: Columns) -> tuple[Seconds, Columns]:
        """Return the spikes of a showing, less those of dead channels, and with those of artefacts."""
        alive = ~np.isin(columns, self._faults.silent(presentation))
        times_s, columns = times_s[alive], columns[alive]
        if not self._faults.storms(presentation):
            return times_s, columns
        return np.concatenate([times_s, self._storm_s]), np.concatenate([columns, self._everywhere])

    def shown(self, presentation: int, onset: int) -> None:
        """Take note of an onset; where its loss could not be seen on the wire, it leaves no pulse rather."""
        self._open_until = max(self._open_until, onset + self._end)
        loses = self._faults.loses("lose", presentation)
        if loses and self._voice is not None:
            self._lost.append(onset + self._middle)
        elif loses or self._faults.loses("photodiode", presentation):
            self._dark |= {onset, onset + self._pulse}

    def pass_on(self, block: Block) -> Block | None:
        """Return a block as it goes out; None if it does not."""
        if self._program is not None:
            self._program.saves = self._faults.saves
        if self._n_jumps and block.start >= self._open_until:
            length = block.end - block.start
            self._ahead += self._n_jumps * -(-self._jump // length) * length
            self._n_jumps = 0
        passed = _shifted(self._darkened(block), self._ahead)
        n_before = len(self._lost)
        self._lost = [tick for tick in self._lost if tick >= block.end]
        if len(self._lost) == n_before or self._voice is None:
            return passed
        self._voice.lose(passed)
        return None

    def _darkened(self, block: Block) -> Block:
        dark = {edge.tick for edge in block.edges} & self._dark
        self._dark -= dark
        return replace(block, edges=tuple(edge for edge in block.edges if edge.tick not in dark)) if dark else block


def _shifted(block: Block, n: int) -> Block:
    if not n:
        return block
    return Block(
        block.start + n,
        block.end + n,
        block.ticks + n,
        block.columns,
        tuple(Edge(edge.tick + n, edge.line, edge.rising) for edge in block.edges),
        tuple(Word(word.tick + n, word.value) for word in block.words),
    )
