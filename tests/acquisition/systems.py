"""Every adapter's wire and its peer, for the suites that all must pass: a new one is a line in SYSTEMS."""

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
from made_up_rig import BASELINE_S, RESPONSE_S, Rig

from adapters.blackrock import BlackrockWire
from adapters.bridge import BridgeWire
from adapters.channels import Columns
from adapters.detection import DetectionRules
from adapters.events import Chunk
from adapters.intan_rhx import IntanWire
from adapters.live import Wire
from adapters.lsl import MARKERS, LslWire
from adapters.open_ephys import EVENTS, OpenEphysWire
from adapters.peers.blackrock import BlackrockPeer
from adapters.peers.block import EXACT, Block, Resolution, Script
from adapters.peers.bridge import BridgePeer
from adapters.peers.event_broadcaster import LINES_STREAM, BroadcasterPeer
from adapters.peers.intan_rhx import IntanPeer
from adapters.peers.lsl import LslPeer
from adapters.peers.open_ephys import OpenEphysPeer
from adapters.peers.plexnet import PlexNetPeer
from adapters.peers.tdt import TdtPeer
from adapters.peers.trodes import TrodesPeer
from adapters.peers.voltages import LATE, Voltages, peak_for
from adapters.plexnet import PlexNetWire
from adapters.rules import Rules
from adapters.spikeglx import SpikeGlxWire
from adapters.tdt import TdtWire
from adapters.trodes import TrodesWire

Stream = Iterator[tuple[int, list[Chunk]]]


@dataclass(frozen=True)
class System:
    """How one recording system talks, and who understands it."""

    wire: Callable[[Rig, Rules], Wire]
    speak: Callable[[Rig], Stream]
    rig: dict[str, Any] = field(default_factory=dict)
    bytestream: bool = False
    """TCP: the pieces mean nothing."""
    numbered: bool = True
    """Whether the wire can tell that a message was lost."""
    repeats: bool = True
    """Whether a message may come twice."""
    resolution: Resolution = EXACT

    def make_rig(self, **more: Any) -> Rig:
        rig = Rig(**{**self.rig, **more})
        rig.script = tellable(rig.script, rig, self.resolution)
        return rig


def tellable(script: Script, rig: Rig, resolution: Resolution) -> Script:
    """Return the recording without the spikes of which the system cannot tell, or not whether a window holds them."""
    if resolution == EXACT:
        return script
    bounds = [ceil(Fraction(str(time_s)) * rig.rate) for window_s in (RESPONSE_S, BASELINE_S) for time_s in window_s]
    walls = np.sort(np.add.outer(rig.true_ticks, bounds).ravel())
    ticks, columns = script.ticks, script.columns
    certain = np.searchsorted(walls, ticks, "right") == np.searchsorted(walls, ticks + resolution.late, "right")
    last = np.full(rig.n_channels, -resolution.apart)
    for place in np.flatnonzero(certain):
        certain[place] = ticks[place] - last[columns[place]] >= resolution.apart
        last[columns[place]] = ticks[place] if certain[place] else last[columns[place]]
    return replace(script, ticks=ticks[certain], columns=columns[certain])


def blocks(rig: Rig, length: int) -> Iterator[Block]:
    n_blocks = -(-(rig.end_tick - rig.first_tick) // length)
    return rig.script.blocks(rig.first_tick, rig.first_tick + n_blocks * length, length)


def frames(messages: list[tuple[bytes, ...]]) -> list[Chunk]:
    return [Chunk(0.0, message) for message in messages]


def names(rig: Rig) -> list[str]:
    return [f"A-{channel:03}" for channel in range(rig.n_channels)]


def bridge(rig: Rig) -> Stream:
    peer = BridgePeer(names(rig), rig.rate)
    yield rig.first_tick, frames(peer.hello(rig.first_tick))
    for block in blocks(rig, 600):
        yield block.end, frames(peer.say(block))


def open_ephys(rig: Rig) -> Stream:
    peer = OpenEphysPeer(names(rig), float(rig.rate), n_channels=2)
    for block in blocks(rig, 640):
        yield block.end, frames(peer.say(block))


def event_broadcaster(raw: bool) -> Callable[[Rig], Stream]:
    def speak(rig: Rig) -> Stream:
        peer = OpenEphysPeer(names(rig), float(rig.rate))
        broadcaster = BroadcasterPeer(names(rig), float(rig.rate), raw)
        behind: deque[list[Chunk]] = deque([[], []])
        for block in blocks(rig, 640):
            # What the Event Broadcaster says comes two blocks late, which is still in time.
            behind.append([Chunk(0.0, message, EVENTS) for message in broadcaster.say(block)])
            yield block.end, frames(peer.say(block)) + behind.popleft()

    return speak


def intan_rhx(rig: Rig) -> Stream:
    peer = IntanPeer(names(rig), n_words=2)
    for block in blocks(rig, 128):
        yield block.end, [Chunk(0.0, (data,), port) for port, data in peer.say(block)]


def numbers(rig: Rig) -> list[str]:
    return [str(channel + 1) for channel in range(rig.n_channels)]


def blackrock(protocol: str) -> Callable[[Rig], Stream]:
    def speak(rig: Rig) -> Stream:
        peer = BlackrockPeer(numbers(rig), protocol)
        for block in blocks(rig, int(rig.rate) // 100):
            yield block.end, frames(peer.say(block))

    return speak


def lsl(rig: Rig) -> Stream:
    peer = LslPeer(numbers(rig))
    for block in blocks(rig, 20_000):
        packed = []
        for port, times_s, values in peer.say(block):
            data = json.dumps(values).encode() if port == MARKERS else np.array(values, "<i4").tobytes()
            packed += [Chunk(0.0, (np.array(times_s).tobytes(), data), port)] if times_s else []
        yield block.end, packed


def plexnet(rig: Rig) -> Stream:
    peer = PlexNetPeer(numbers(rig))
    for block in blocks(rig, 400):
        yield block.end, [Chunk(0.0, (packet,)) for packet in peer.say(block)]


def spikeglx(rig: Rig) -> Stream:
    voltages = Voltages(rig.n_channels, peak_for(DETECTION.k))
    for block in blocks(rig, 600):
        samples = voltages.take(block)
        head = f"BINARY_DATA {samples.shape[1]} {len(samples)} uint64({block.start})"
        yield block.end, frames([(head.encode(), samples.astype("<i2").tobytes())])


def trodes(rig: Rig) -> Stream:
    peer = TrodesPeer(numbers(rig), rig.rate)
    for block in blocks(rig, 20):
        yield block.end, [Chunk(0.0, messages, port) for port, messages in peer.say(block)]


def tdt(rig: Rig) -> Stream:
    peer = TdtPeer(numbers(rig), bin_samples=1)
    for block in blocks(rig, 10):
        yield block.end, frames(peer.say(block))


DETECTION = DetectionRules(calibration_s=0.5)
"""The noise is known before the first onset, which a rig shows after a second and a half."""
SYSTEMS = {
    "bridge": System(lambda rig, _: BridgeWire(Columns(names(rig))), bridge),
    "open_ephys": System(lambda rig, rules: OpenEphysWire(Columns(names(rig)), rules), open_ephys),
    "event_broadcaster_json": System(
        lambda rig, rules: OpenEphysWire(Columns(names(rig)), rules, "", 100), event_broadcaster(raw=False)
    ),
    "event_broadcaster_raw": System(
        lambda rig, rules: OpenEphysWire(Columns(names(rig)), rules, str(LINES_STREAM), 100),
        event_broadcaster(raw=True),
    ),
    "intan_rhx": System(
        lambda rig, rules: IntanWire(Columns(names(rig)), rules, rig.rate),
        intan_rhx,
        {"rate": Fraction(20_000), "first_tick": 0},
        bytestream=True,
    ),
    "blackrock": System(
        lambda rig, rules: BlackrockWire(Columns(numbers(rig)), rules, "4.1", "samples", 279), blackrock("4.1")
    ),
    "blackrock_3.11": System(
        lambda rig, rules: BlackrockWire(Columns(numbers(rig)), rules, "3.11", "samples", 279),
        blackrock("3.11"),
        {"first_tick": (1 << 32) - 150_000},
    ),
    "blackrock_gemini": System(
        lambda rig, rules: BlackrockWire(Columns(numbers(rig)), rules, "4.1", "ns", 279),
        blackrock("4.1"),
        {"rate": Fraction(10**9), "first_tick": 1_767_225_600 * 10**9},
    ),
    "lsl": System(
        lambda rig, _: LslWire(Columns(numbers(rig)), 100),
        lsl,
        {"rate": Fraction(1_000_000), "first_tick": 123_456_789_000},
        numbered=False,
    ),
    "plexnet": System(
        lambda rig, rules: PlexNetWire(Columns(numbers(rig)), rules, 40_000, 100),
        plexnet,
        {"rate": Fraction(40_000), "first_tick": (1 << 32) - 150_000},
        bytestream=True,
    ),
    "plexnet_after_318_days": System(
        lambda rig, rules: PlexNetWire(Columns(numbers(rig)), rules, 40_000, 100),
        plexnet,
        {"rate": Fraction(40_000), "first_tick": (1 << 40) - 150_000},
        bytestream=True,
    ),
    # It finds the spikes itself, which takes two of one channel apart and one not too near the wall of a window.
    "spikeglx": System(
        lambda rig, rules: SpikeGlxWire(
            Columns([str(channel) for channel in range(rig.n_channels)]), rules, rig.rate, DETECTION, rig.n_channels
        ),
        spikeglx,
        repeats=False,
        resolution=Resolution(apart=ceil(DETECTION.lockout_s * 30_000) + LATE, late=LATE),
    ),
    # Slower than any headstage, as there is a message a sample.
    "trodes": System(
        lambda rig, rules: TrodesWire(Columns(numbers(rig)), rules, rig.rate, 100),
        trodes,
        {"rate": Fraction(2_000), "first_tick": (1 << 32) - 20_000},
        numbered=False,
    ),
    # Each bin a tick, since nothing is known more closely.
    "tdt": System(
        lambda rig, rules: TdtWire(Columns(numbers(rig)), rules, rig.rate, 1, 4),
        tdt,
        {"rate": Fraction(390_625, 16 * 24), "first_tick": (1 << 32) - 5_000},
    ),
}
