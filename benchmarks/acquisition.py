"""How much faster than the recording the adapters are, and how old data are when a count is released.

`python benchmarks/acquisition.py` takes two minutes. Speeds are seconds of recording dealt with in one second; 1 is
just enough, and a rig wants 5. Ages are milliseconds from a window's end, for blocks that arrive when their last
sample was taken: what the vendor's own buffers and the network add comes on top.
"""

import sys
from collections.abc import Callable, Iterable
from fractions import Fraction
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from adapters.blackrock import BlackrockWire
from adapters.bridge import BridgeWire
from adapters.channels import Columns
from adapters.detection import SpikeDetector
from adapters.events import Begin, Chunk, Spikes, Watermark
from adapters.intan_rhx import IntanWire
from adapters.live import LiveSource, Wire
from adapters.open_ephys import OpenEphysWire
from adapters.peers.blackrock import BlackrockPeer
from adapters.peers.block import Block, Script
from adapters.peers.bridge import BridgePeer
from adapters.peers.intan_rhx import IntanPeer
from adapters.peers.open_ephys import OpenEphysPeer
from adapters.peers.plexnet import PlexNetPeer
from adapters.peers.tdt import BIN_SAMPLES, CODES, TdtPeer
from adapters.peers.trodes import TrodesPeer
from adapters.plexnet import PlexNetWire
from adapters.rules import Rules
from adapters.segment import Segment, Windows
from adapters.tdt import TdtWire
from adapters.trodes import TrodesWire
from protocol.messages import Onsets

RATE_HZ = 30_000
SPIKES_HZ = 20.0
SECONDS = 5
WINDOW_S = (0.05, 0.2)
N_AGES = 220
N_LOCKING = 20
"""Presentations until the clocks are matched, and left out of the ages."""


def script(n_channels: int, rate_hz: int = RATE_HZ) -> Script:
    """Return some seconds of spikes and ten onsets."""
    random = np.random.default_rng(1)
    n = int(n_channels * SPIKES_HZ * SECONDS)
    ticks = np.sort(random.integers(0, SECONDS * rate_hz, n))
    up = (0.3 + 0.4 * np.arange(10)) * rate_hz
    edges = [(int(tick) + wait, 0, wait == 0) for tick in up for wait in (0, 1500)]
    return Script(
        ticks, random.integers(0, n_channels, n).astype(np.int32), np.array(edges), np.zeros((0, 2), np.int64)
    )


def wire_speed(wire: Wire, chunks: Iterable[Chunk]) -> float:
    """Return seconds of recording understood in a second."""
    ready = list(chunks)
    began_s = perf_counter()
    for chunk in ready:
        wire.take(chunk)
    return SECONDS / (perf_counter() - began_s)


def ages_ms(wire: Wire, say: Callable[[Block], Iterable[Chunk]], length: int, together: int = 1) -> NDArray[np.float64]:
    """Return how old each count was when it was released, where so many blocks of `length` samples come together.

    They come when the last of them ends. Their time is played, not waited for; what the adapter takes is added.
    """
    onsets_s = 0.5 + np.cumsum(np.random.default_rng(3).uniform(0.3, 0.6, N_AGES))
    up = np.rint(onsets_s * RATE_HZ)
    edges = np.array([(int(tick) + wait, 0, wait == 0) for tick in up for wait in (0, 1500)])
    nothing = np.zeros(0, np.int64)
    played = Script(nothing, nothing.astype(np.int32), edges, np.zeros((0, 2), np.int64))
    feed, now_s, ages, asked = Handed(), 0.0, [], 0
    source = LiveSource(wire, feed, Rules(), clock=lambda: now_s)
    source.begin({"response_window_s": WINDOW_S, "baseline_window_s": (0.0, WINDOW_S[0])})
    blocks = list(played.blocks(0, round(onsets_s[-1] + 1) * RATE_HZ // length * length, length))
    for those in zip(*[iter(blocks)] * together, strict=False):
        now_s = those[-1].end / RATE_HZ
        while asked < N_AGES and onsets_s[asked] < now_s:
            row = np.array([asked])
            source.request(Onsets(asked + 1, row, row, onsets_s[row] - 77))
            asked += 1
        feed.chunks = [Chunk(now_s, chunk.frames, chunk.port) for each in those for chunk in say(each)]
        began_s = perf_counter()
        for answer in source.poll():
            late_s = now_s + perf_counter() - began_s - onsets_s[answer.presentation_ids] - WINDOW_S[1]
            ages += late_s[answer.measured & (answer.presentation_ids >= N_LOCKING)].tolist()
    return 1000 * np.array(ages)


class Handed:
    """A feed of what was put there."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []

    def drain(self) -> list[Chunk]:
        """Return it, once."""
        chunks, self.chunks = self.chunks, []
        return chunks

    def close(self) -> None:
        """Do nothing."""


def paced() -> dict[str, NDArray[np.float64]]:
    """Return the ages of each system's counts, with the blocks that its program usually makes."""
    numbers, rules, rate = ["1", "2"], Rules(), Fraction(RATE_HZ)
    bridge, oe = BridgePeer(numbers, rate), OpenEphysPeer(numbers)
    hello = [Chunk(0.0, said) for said in bridge.hello(0)]

    def framed(say: Callable[[Block], list[tuple[bytes, ...]]]) -> Callable[[Block], Iterable[Chunk]]:
        return lambda block: [Chunk(0.0, said) for said in say(block)]

    def greeted(block: Block) -> Iterable[Chunk]:
        return [*(hello if block.start == 0 else []), *framed(bridge.say)(block)]

    def intan() -> tuple[IntanWire, Callable[[Block], Iterable[Chunk]]]:
        peer = IntanPeer(["A-000", "A-001"])
        wire = IntanWire(Columns(["A-000", "A-001"]), rules, rate)
        return wire, lambda block: [Chunk(0.0, (data,), port) for port, data in peer.say(block)]

    plexon, trodes, tdt = PlexNetPeer(numbers), TrodesPeer(numbers, rate), TdtPeer(numbers)
    columns = Columns(numbers)
    return {
        "bridge, 10 ms a message": ages_ms(BridgeWire(), greeted, 300),
        "open_ephys, blocks of 640": ages_ms(OpenEphysWire(columns, rules), framed(oe.say), 640),
        "intan_rhx, 1 block a write": ages_ms(*intan(), 128),
        "intan_rhx, 10 blocks a write": ages_ms(*intan(), 128, together=10),
        "blackrock, 10 ms": ages_ms(
            BlackrockWire(columns, rules, "4.1", "samples", 279), framed(BlackrockPeer(numbers).say), 300
        ),
        "plexnet, 10 ms": ages_ms(
            PlexNetWire(columns, rules, RATE_HZ, 100), lambda block: [Chunk(0.0, (p,)) for p in plexon.say(block)], 300
        ),
        "trodes, 10 ms": ages_ms(
            TrodesWire(columns, rules, rate, 100),
            lambda block: [Chunk(0.0, m, port) for port, m in trodes.say(block)], 300,
        ),
        "tdt, 10 bins": ages_ms(TdtWire(columns, rules, rate, BIN_SAMPLES, CODES), framed(tdt.say), 10 * BIN_SAMPLES),
    }  # fmt: skip


def wires(n_channels: int) -> dict[str, float]:
    """Return the speed of each wire."""
    numbers = [str(channel + 1) for channel in range(n_channels)]
    names = [f"A-{channel:03}" for channel in range(n_channels)]
    spikes, rules = script(n_channels), Rules()

    def chunks(say: Callable[..., list[tuple[bytes, ...]]], length: int) -> Iterable[Chunk]:
        return (Chunk(0.0, said) for block in spikes.blocks(0, SECONDS * RATE_HZ, length) for said in say(block))

    bridge = BridgePeer(numbers, Fraction(RATE_HZ))
    hello = [Chunk(0.0, said) for said in bridge.hello(0)]
    intan = IntanPeer(names)
    blocks = spikes.blocks(0, SECONDS * RATE_HZ // 128 * 128, 128)
    plexon, trodes, tdt = PlexNetPeer(numbers), TrodesPeer(numbers, Fraction(RATE_HZ)), TdtPeer(numbers)
    return {
        "bridge": wire_speed(BridgeWire(), [*hello, *chunks(bridge.say, 300)]),
        "open_ephys, one channel of data": wire_speed(
            OpenEphysWire(Columns(numbers), rules), chunks(OpenEphysPeer(numbers).say, 640)
        ),
        "open_ephys, all channels of data": wire_speed(
            OpenEphysWire(Columns(numbers), rules), chunks(OpenEphysPeer(numbers, n_channels=n_channels).say, 640)
        ),
        "intan_rhx, one digital input": wire_speed(
            IntanWire(Columns(names), rules, Fraction(RATE_HZ)),
            [Chunk(0.0, (data,), port) for block in blocks for port, data in intan.say(block)],
        ),
        "blackrock": wire_speed(
            BlackrockWire(Columns(numbers), rules, "4.1", "samples", 279), chunks(BlackrockPeer(numbers).say, 300)
        ),
        "plexnet": wire_speed(
            PlexNetWire(Columns(numbers), rules, RATE_HZ, 100),
            [Chunk(0.0, (p,)) for b in spikes.blocks(0, SECONDS * RATE_HZ, 400) for p in plexon.say(b)],
        ),
        "trodes": wire_speed(
            TrodesWire(Columns(numbers), rules, Fraction(RATE_HZ), 100),
            [Chunk(0.0, m, port) for b in spikes.blocks(0, SECONDS * RATE_HZ, 300) for port, m in trodes.say(b)],
        ),
        "tdt, bins of 24 samples": wire_speed(
            TdtWire(Columns(numbers), rules, Fraction(RATE_HZ), BIN_SAMPLES, CODES), chunks(tdt.say, 10 * BIN_SAMPLES)
        ),
    }


def detection_speed(n_channels: int) -> float:
    """Return seconds of voltage searched in a second, by blocks of 10 ms."""
    noise = np.random.default_rng(2).normal(0, 20, (SECONDS * RATE_HZ, n_channels)).astype(np.int16)
    detector = SpikeDetector(Fraction(RATE_HZ), n_channels)
    detector.detect(noise[:60_300], 0)
    began_s = perf_counter()
    for start in range(60_300, len(noise), 300):
        detector.detect(noise[start : start + 300], start)
    return (len(noise) - 60_300) / RATE_HZ / (perf_counter() - began_s)


def counting_speed(n_channels: int) -> tuple[float, float]:
    """Return seconds of recording counted in a second, and the time that one answer takes once it is final."""
    spikes = script(n_channels)
    segment = Segment(Begin(0, Fraction(RATE_HZ)), Rules(lock_trials=1), Windows(), n_channels)
    ids = np.arange(10, dtype=np.int64)
    onsets_s = 77 + 0.3 + 0.4 * np.arange(10)
    began_s = perf_counter()
    for block in spikes.blocks(0, SECONDS * RATE_HZ, 300):
        segment.take(Spikes(block.ticks, block.columns), 0.0)
        for edge in block.edges:
            segment.take(edge, 0.0)
        segment.take(Watermark(block.end), 0.0)
        assert not list(segment.counted(0.0))
    streamed_s = perf_counter() - began_s
    segment.request(Onsets(1, ids, ids, onsets_s), 0.0)
    began_s = perf_counter()
    assert sum(not each.reason for each in segment.counted(0.0)) == 10
    return SECONDS / streamed_s, (perf_counter() - began_s) / 10


def main() -> None:
    """Print the figures as a table."""
    say = sys.stdout.write
    for n_channels in (32, 128, 384):
        say(f"{n_channels} channels, {SPIKES_HZ:g} spikes/s each, against real time:\n")
        for name, speed in wires(n_channels).items():
            say(f"  {name:36} x {speed:6.1f}\n")
        speed, answer_s = counting_speed(n_channels)
        say(f"  {'counting':36} x {speed:6.1f}, {1000 * answer_s:.2f} ms an answer\n")
        say(f"  {'detection on all of them, 30 kHz':36} x {detection_speed(n_channels):6.1f}\n")
    say("age of the data when a count is released, from the window's end (median, p99 of 200):\n")
    for name, ages in paced().items():
        say(f"  {name:36} {np.median(ages):5.1f} ms {np.percentile(ages, 99):6.1f} ms ({len(ages)})\n")


if __name__ == "__main__":
    main()
