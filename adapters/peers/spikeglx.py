"""SpikeGLX's voice: a line server that answers fetches from a made-up recording; it speaks as CmdServer does."""

import re
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from adapters.peers.block import WAIT_S, Block

HOST = "127.0.0.1"
NOISE, SPIKE = 20.0, -220.0
"""Standard deviation of the noise, and the depth of a spike."""
SYNC_BIT = 6
WAVE = np.array([0.1, 0.35, 0.8, 1.0, 0.75, 0.35, 0.05, -0.2, -0.3, -0.25, -0.15, -0.1, -0.05])
_FETCH = re.compile(r"FETCH (\d) (\d) (\d+) (\d+) ([\d#]+) 1")


def voltages(blocks: Iterable[Block], n_channels: int, seed: int = 1) -> NDArray[np.int16]:
    """Return [n_samples, n_channels + 1] noise with a spike at each tick, and the sync word, from the first tick on."""
    script = list(blocks)
    start, end = script[0].start, script[-1].end
    samples = np.random.default_rng(seed).normal(0, NOISE, (end - start, n_channels + 1))
    samples[:, -1] = 0
    for block in script:
        for tick, column in zip(block.ticks.tolist(), block.columns.tolist(), strict=True):
            piece = samples[tick - start : tick - start + len(WAVE), column]
            piece += SPIKE * WAVE[: len(piece)]
        for edge in block.edges:
            if edge.line == SYNC_BIT:
                samples[edge.tick - start :, -1] = edge.rising << SYNC_BIT
    return samples.astype(np.int16)


class BehindSpikeGlx:
    """The command server of a run whose samples are all there as soon as it plays."""

    rate, block = Fraction(30_000), 300

    def __init__(self, channels: list[str]) -> None:
        self._numbers = [int(channel) for channel in channels]
        self._samples = np.zeros((0, len(channels) + 1), np.int16)
        self._first = 0
        self.heard: set[str] = set()
        self.saves = False
        self._listener = socket.create_server((HOST, 0))
        self._stop = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.options = {
            "port": str(self._listener.getsockname()[1]),
            "channels": ",".join(channels),
            "line": str(SYNC_BIT),
        }

    def play(self, blocks: Iterable[Block]) -> None:
        """Let the samples of these blocks be there to fetch."""
        script = list(blocks)
        self._first, self._samples = script[0].start, voltages(script, len(self._numbers))

    def close(self) -> None:
        """Stop serving."""
        self._stop = True
        socket.create_connection(self._listener.getsockname()).close()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        clients: list[threading.Thread] = []
        while not self._stop:
            client, _ = self._listener.accept()
            clients.append(threading.Thread(target=self._talk, args=[client], daemon=True))
            clients[-1].start()
        for each in clients:
            each.join()

    def _talk(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as lines, suppress(OSError):
            client.settimeout(WAIT_S)
            for line in lines:
                client.sendall(self.answer(line.decode().strip()))
                if self._stop:
                    return

    def answer(self, command: str) -> bytes:
        """Return what SpikeGLX says to a command."""
        self.heard.add(command.split(maxsplit=1)[0])
        if command.startswith("GETSTREAMSAMPLERATE"):
            return b"30000.000000\nOK\n"
        if command.startswith("GETSTREAMSAMPLECOUNT"):
            return f"{self._first}\nOK\n".encode()
        if command in ("ISRUNNING", "ISSAVING"):
            return f"{int(self.saves or command == 'ISRUNNING')}\nOK\n".encode()
        if found := _FETCH.fullmatch(command):
            start, longest = int(found[3]), int(found[4])
            rows = self._samples[max(0, start - self._first) :][:longest]
            head = f"BINARY_DATA {rows.shape[1]} {len(rows)} uint64({start})\n"
            return head.encode() + rows.astype("<i2").tobytes() + b"OK\n"
        return b"ERROR CmdWorker: unknown command\n"
