"""SpikeGLX's voice: a line server that answers fetches from a run whose samples are made up, as CmdServer does.

It sends channels in ascending order in whatever order they are asked for, no samples at all where there are none yet,
and `Too late` for those that it no longer keeps. Who is silent for ten seconds, or makes five mistakes, is put off.
"""

import socket
import threading
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from inspect import signature

import numpy as np
from numpy.typing import NDArray

from adapters.peers.block import ANYWHERE, Block, Place, Resolution
from adapters.peers.voltages import LATE, Voltages, peak_for, two_levels
from adapters.rules import MS_PER_S, number, whole
from adapters.source import SourceError
from adapters.spikeglx import spikeglx

HOST = "127.0.0.1"
SYNC_BIT = 6
"""What the adapter takes for the onset line if it is not told."""
DEFAULTS = {name: each.default for name, each in signature(spikeglx).parameters.items()}
N_CHANNELS = 385
"""Of a probe: 384 and the sync word."""
KEPT_S, MOST_BEHIND_S = 8, 4
"""How long samples can be fetched; and how far behind an adapter may be before a run in simulated time waits for it."""
GONE_S = 0.5
"""An adapter that takes nothing for so long has gone: the run goes on."""
IDLE_S = 10.0
MISTAKES = 5
RATE = Fraction(30_000)


class Run:
    """The last seconds of a run. One thread makes samples, others fetch them."""

    def __init__(self) -> None:
        self.end = 0
        """How many samples there are since the run began."""
        self._kept: deque[tuple[int, NDArray[np.int16]]] = deque()
        self._fetched = 0
        self._waits = True
        self._changed = threading.Condition()

    def add(self, start: int, samples: NDArray[np.int16]) -> None:
        """Go on by so many samples, once those that are there have nearly all been fetched, or nobody fetches."""
        with self._changed:
            if self._waits:
                self._waits = self._changed.wait_for(self._is_near, GONE_S)
            if start != self.end:
                # As if they had been overwritten: whoever fetches on is too late.
                self._kept.clear()
            self._kept.append((start, samples))
            self.end = start + len(samples)
            while self._kept[0][0] < self.end - KEPT_S * RATE:
                self._kept.popleft()

    def fetch(self, start: int, most: int) -> list[NDArray[np.int16]]:
        """Return [n_samples, n_channels] pieces from a sample on; raise LookupError if it is not kept any more."""
        with self._changed:
            if start < self.end and start < self._kept[0][0]:
                raise LookupError
            pieces = [samples[max(0, start - first) :] for first, samples in self._kept if first + len(samples) > start]
            self._fetched, self._waits = min(self.end, start + most), True
            self._changed.notify_all()
        return pieces

    def _is_near(self) -> bool:
        return self.end - self._fetched < MOST_BEHIND_S * RATE


class BehindSpikeGlx:
    """The command server of a run. Its files are being written, as they should be, unless `saves` is made False."""

    rate, block = RATE, 288

    def __init__(self, channels: list[str], place: Place = ANYWHERE) -> None:
        told = {**DEFAULTS, "line": str(SYNC_BIT), **place.options}
        sync = whole("sync_channel", told["sync_channel"])
        self._columns = {int(channel): column for column, channel in enumerate(channels)}
        if sync in self._columns:
            raise SourceError(
                f"channel {sync} is the sync word: it has no spikes. Name others, or another sync_channel."
            )
        self._columns[sync] = len(channels)
        self._stream, self._voltages = told["stream"], Voltages(len(channels), peak_for(number("k", told["k"])))
        lockout = round(number("lockout_ms", told["lockout_ms"]) / MS_PER_S * RATE)
        self.resolution = Resolution(apart=lockout + LATE, late=LATE, of_the_past=False)
        self._run, self._wait_s = Run(), place.wait_s
        self._listened_to = threading.Event()
        self.heard: set[str] = set()
        self.saves = True
        self._listener = socket.create_server((HOST, place.port("port")))
        port = str(self._listener.getsockname()[1])
        self.options = {**place.options, "port": port, "channels": ",".join(channels), "line": told["line"]}
        self._clients: list[tuple[socket.socket, threading.Thread]] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def play(self, blocks: Iterable[Block]) -> None:
        """Wait until somebody follows the run, and let the samples of these blocks be there to fetch."""
        if not self._listened_to.wait(self._wait_s):
            raise TimeoutError("nobody fetches")
        for block in blocks:
            self._run.add(block.start, self._voltages.take(block))

    def lose(self, block: Block) -> None:
        """Let a block be overwritten before it can be fetched."""
        self._voltages.take(block)

    def close(self) -> None:
        """Stop serving."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for client, thread in self._clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
            thread.join()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients = [each for each in self._clients if each[1].is_alive()]
                self._clients.append((client, threading.Thread(target=self._talk, args=[client], daemon=True)))
                self._clients[-1][1].start()

    def _talk(self, client: socket.socket) -> None:
        mistakes = 0
        with client, client.makefile("rb") as lines, suppress(OSError):
            client.settimeout(IDLE_S)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for line in lines:
                answer = self.answer(line.decode().strip())
                client.sendall(answer)
                mistakes = mistakes + 1 if answer.startswith(b"ERROR") else 0
                if mistakes == MISTAKES:
                    return

    def answer(self, command: str) -> bytes:
        """Return what SpikeGLX says to a command."""
        what, *words = command.split()
        self.heard.add(what)
        if what in ("ISRUNNING", "ISSAVING"):
            return _told(int(self.saves or what == "ISRUNNING"))
        if what not in ("GETSTREAMSAMPLERATE", "GETSTREAMSAMPLECOUNT", "FETCH"):
            return _error(f"CmdWorker: Unknown command [{what}].")
        if " ".join(words[:2]) != self._stream:
            return _error(f"{what}: Not running or stream not enabled.")
        if what == "GETSTREAMSAMPLERATE":
            return _told(f"{float(RATE):.6f}")
        self._listened_to.set()
        return _told(self._run.end) if what == "GETSTREAMSAMPLECOUNT" else self._fetch(*words[2:5])

    def _fetch(self, start: str, most: str, wanted: str) -> bytes:
        named = [each for each in wanted.split("#") if each]
        if not named or not all(each.isdecimal() for each in named):
            return _error("Bad channel string format.")
        numbers = sorted(set(map(int, named)))
        if numbers[-1] >= N_CHANNELS:
            return _error(f"Channel {numbers[-1]} out of range [0..{N_CHANNELS - 1}].")
        try:
            pieces = self._run.fetch(int(start), int(most))
        except LookupError:
            return _error("FETCH: Too late.")
        if not pieces:
            return f"BINARY_DATA {N_CHANNELS} 0 uint64({start})\nOK\n".encode()
        made = np.concatenate(pieces)[: int(most)]
        samples = np.stack([self._channel(each, made, int(start)) for each in numbers], axis=1)
        head = f"BINARY_DATA {samples.shape[1]} {len(samples)} uint64({start})\n"
        return head.encode() + samples.astype("<i2").tobytes() + b"OK\n"

    def _channel(self, number: int, made: NDArray[np.int16], start: int) -> NDArray[np.int16]:
        """Return a channel's samples; one without a neuron has noise."""
        if number in self._columns:
            return made[:, self._columns[number]]
        return two_levels(np.random.default_rng((number, start)), (len(made), 1))[:, 0].astype(np.int16)


def _told(value: object) -> bytes:
    return f"{value}\nOK\n".encode()


def _error(sentence: str) -> bytes:
    return f"ERROR {sentence}\n".encode()
