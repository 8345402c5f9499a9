"""A recording system as a process: it plays to a real adapter what a made-up neuron fires at what a real client shows.

`python -m tests.acquisition.recorder SYSTEM FOLDER`: the screen's photodiode and a test's commands come to a socket
whose address stands in FOLDER/recorder.json, with the adapter's options; all that was recorded is in
FOLDER/recorded.npz when it is told to stop. The display's clock and the recorder's are one, as monotonic clocks of one
machine are; the recording's own clock drifts against them.
"""

import json
import os
import sys
import time
from bisect import insort
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import zmq

from adapters.events import Edge
from adapters.peers.block import Block
from adapters.peers.bridge import BridgePeer
from adapters.peers.open_ephys import OpenEphysPeer
from stimulus_client.display import HeadlessDisplay

RATE, DRIFT = Fraction(30_000), 40e-6
CHANNELS = ("1", "2", "3")
BLOCK = 600
BEHIND_S = 0.15
"""So far behind the clock it records: what the photodiode says must come in time."""
BEFORE_S = 62
"""Recorded before anybody looked, and told at once: long enough for a channel to be known as dead."""
PULSE = 300
FLOOR_HZ = 8.0
SOCKET = "XDREAM_RECORDER"


class PhotodiodeDisplay(HeadlessDisplay):
    """The display `tests.acquisition.recorder:PhotodiodeDisplay`: the diode and the neuron see what comes on."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._wire = zmq.Context.instance().socket(zmq.PUSH)
        self._wire.connect(os.environ[SOCKET])
        self._lit: int | None = None

    def flip(self, stimulus_id: int | None, fixation: bool = False, patch: bool = False) -> float:
        at_s = super().flip(stimulus_id, fixation, patch)
        if stimulus_id is not None and stimulus_id != self._lit:
            self._wire.send(msgpack.packb(["onset", at_s, float(self.images[stimulus_id].mean()) / 255]))
        self._lit = stimulus_id
        return at_s

    def close(self) -> None:
        self._wire.close(linger=500)


class Recorder:
    """What is going to be recorded, and what was."""

    def __init__(self, say: Callable[[Block], None], now_s: float) -> None:
        self._say, self._began_s = say, now_s
        self._random = np.random.default_rng(4)
        self._tick = 0
        self._spikes: list[tuple[int, int]] = []
        self._edges: list[tuple[int, bool]] = []
        self._n_channels = len(CHANNELS) - 1
        """The last one is dead."""
        self._frozen = False
        self.done = False
        self.recorded: list[Block] = []

    def tick(self, at_s: float) -> int:
        """Return the tick of a time of this machine's clock."""
        return round((BEFORE_S + at_s - self._began_s) * (1 + DRIFT) * RATE)

    def hear(self, what: str, *facts: float) -> None:
        match what, facts:
            case "onset", (at_s, drive):
                onset = self.tick(at_s)
                insort(self._edges, (onset, True))
                insort(self._edges, (onset + PULSE, False))
                for channel in range(self._n_channels):
                    latencies_s = 0.06 + self._random.gamma(2, 0.02, self._random.poisson(3 + 12 * drive))
                    self._fire(onset + np.round(latencies_s * float(RATE)).astype(np.int64), channel)
            case "freeze", ():
                self._frozen = True
            case "thaw", ():
                self._frozen = False
            case "revive", ():
                self._n_channels = len(CHANNELS)
            case "stop", ():
                self.done = True

    def record(self, now_s: float) -> None:
        """Say what has been recorded by now; what was frozen comes in a lump."""
        while not self._frozen and self._tick + BLOCK <= self.tick(now_s - BEHIND_S):
            for channel in range(self._n_channels):
                n = self._random.poisson(FLOOR_HZ * BLOCK / float(RATE))
                self._fire(self._tick + self._random.integers(0, BLOCK, n), channel)
            self._say_block(self._tick + BLOCK)

    def _say_block(self, end: int) -> None:
        spikes = [each for each in self._spikes if self._tick <= each[0] < end]
        self._spikes = [each for each in self._spikes if each[0] >= end]
        edges = [Edge(tick, 0, rising) for tick, rising in self._edges if self._tick <= tick < end]
        self._edges = [each for each in self._edges if each[0] >= end]
        ticks, columns = np.array(spikes, np.int64).reshape(-1, 2).T
        block = Block(self._tick, end, ticks.copy(), columns.astype(np.int32), tuple(edges))
        self.recorded.append(block)
        self._say(block)
        self._tick = end

    def _fire(self, ticks: np.ndarray, channel: int) -> None:
        for tick in set(ticks.tolist()):
            if (tick, channel) not in self._spikes:
                insort(self._spikes, (tick, channel))

    def keep(self, path: Path) -> None:
        """Write down all spikes and all rising edges."""
        spikes = np.concatenate([np.stack([each.ticks, each.columns], 1) for each in self.recorded])
        edges = [edge.tick for each in self.recorded for edge in each.edges if edge.rising]
        np.savez(path, spikes=spikes, edges=np.array(edges, np.int64))


def bridge(context: "zmq.Context[zmq.Socket[bytes]]") -> tuple[dict[str, str], Callable[[Block], None]]:
    """Return a bridge's options for its adapter, and what says a block."""
    peer, socket = BridgePeer(CHANNELS, RATE), context.socket(zmq.PUSH)
    with context.socket(zmq.PULL) as probe:
        port = probe.bind_to_random_port("tcp://127.0.0.1")
    socket.setsockopt(zmq.SNDHWM, 0)  # an adapter that is not there yet, or has gone, must not hold the recorder up
    socket.setsockopt(zmq.LINGER, 0)
    socket.connect(f"tcp://127.0.0.1:{port}")

    def say(block: Block) -> None:
        for message in [*([] if block.start else peer.hello(0)), *peer.say(block)]:
            socket.send_multipart(message)

    return {"address": f"tcp://127.0.0.1:{port}"}, say


def open_ephys(context: "zmq.Context[zmq.Socket[bytes]]") -> tuple[dict[str, str], Callable[[Block], None]]:
    """Return the ZMQ Interface's options for its adapter, and what says a block; nothing is said before it is heard."""
    peer, socket = OpenEphysPeer(CHANNELS), context.socket(zmq.XPUB)
    socket.setsockopt(zmq.SNDHWM, 0)
    socket.setsockopt(zmq.LINGER, 0)
    port = socket.bind_to_random_port("tcp://127.0.0.1")
    with context.socket(zmq.PULL) as probe:
        nobody = probe.bind_to_random_port("tcp://127.0.0.1")

    def say(block: Block) -> None:
        if not block.start:
            socket.recv()  # somebody subscribes
        for message in peer.say(block):
            socket.send_multipart(message)

    return {"port": str(port), "http_port": str(nobody)}, say


SYSTEMS = {"bridge": bridge, "open_ephys": open_ephys}


def main(system: str, folder: Path) -> None:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    heard = context.socket(zmq.PULL)
    port = heard.bind_to_random_port("tcp://127.0.0.1")
    options, say = SYSTEMS[system](context)
    told = {"socket": f"tcp://127.0.0.1:{port}", "options": options | {"channels": ",".join(CHANNELS)}}
    fresh = folder / "recorder.tmp"
    fresh.write_text(json.dumps(told))
    fresh.rename(folder / "recorder.json")
    recorder = Recorder(say, time.perf_counter())
    while not recorder.done:
        if heard.poll(10):
            recorder.hear(*msgpack.unpackb(heard.recv()))
        recorder.record(time.perf_counter())
    recorder.keep(folder / "recorded.npz")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
