"""`python -m tests.chaos.proxy FRONT BACK`: a bad network between the peers and the server, seeded.

It passes messages whole, and at random late, twice, or after the one that came later; now and then it cuts a peer
off: what was on its way to or from the server is lost, as with a cable that was pulled.
"""

import argparse
import heapq
import itertools
import random
import time
from dataclasses import dataclass, field

import zmq


@dataclass(slots=True)
class Faults:
    """How often, of all messages, and how long."""

    late: float
    twice: float
    swapped: float
    cut: float
    delay_ms: float


@dataclass(slots=True)
class Proxy:
    """One ROUTER for the peers; for each of them a connection of its own to the server."""

    front: "zmq.Socket[bytes]"
    back_address: str
    faults: Faults
    chance: random.Random
    backs: dict[bytes, "zmq.Socket[bytes]"] = field(default_factory=dict)
    waiting: list[tuple[float, int, bytes, bool, list[bytes]]] = field(default_factory=list)
    order: "itertools.count[int]" = field(default_factory=itertools.count)

    def run(self) -> None:
        """Pass messages on for ever."""
        while True:
            self.turn()

    def turn(self) -> None:
        """Take in what has arrived, and pass on what is due."""
        poller = zmq.Poller()
        for socket in (self.front, *self.backs.values()):
            poller.register(socket, zmq.POLLIN)
        due_s = self.waiting[0][0] - time.monotonic() if self.waiting else 0.1
        poller.poll(max(0, round(1000 * min(due_s, 0.1))))
        while self.front.poll(0):
            peer, *frames = self.front.recv_multipart()
            self.take(peer, True, frames)
        for peer, socket in list(self.backs.items()):
            while not socket.closed and socket.poll(0):
                self.take(peer, False, socket.recv_multipart())
        while self.waiting and self.waiting[0][0] <= time.monotonic():
            _, _, peer, to_server, frames = heapq.heappop(self.waiting)
            self.deliver(peer, to_server, frames)

    def take(self, peer: bytes, to_server: bool, frames: list[bytes]) -> None:
        """Decide what becomes of a message."""
        if self.chance.random() < self.faults.cut:
            self.cut(peer)
            return
        now_s = time.monotonic()
        if b"Welcome" in frames[0]:  # what comes before it belongs to another session, and no connection swaps them
            self.deliver(peer, to_server, frames)
            return
        late = self.chance.random() < self.faults.late
        delay_s = self.chance.uniform(0, self.faults.delay_ms / 1000) if late else 0.0
        if self.chance.random() < self.faults.swapped:
            delay_s += 0.002  # enough for the next one to overtake it
        heapq.heappush(self.waiting, (now_s + delay_s, next(self.order), peer, to_server, frames))
        if self.chance.random() < self.faults.twice:
            again_s = now_s + delay_s + self.chance.uniform(0, 0.01)
            heapq.heappush(self.waiting, (again_s, next(self.order), peer, to_server, frames))

    def cut(self, peer: bytes) -> None:
        """Lose everything between a peer and the server; its next message goes over a new connection."""
        if peer in self.backs:
            self.backs.pop(peer).close(linger=0)
        self.waiting = [entry for entry in self.waiting if entry[2] != peer]
        heapq.heapify(self.waiting)

    def deliver(self, peer: bytes, to_server: bool, frames: list[bytes]) -> None:
        """Send a message on, or lose it where nobody is there to take it."""
        if not to_server:
            self.front.send_multipart([peer, *frames])
            return
        if peer not in self.backs:
            self.backs[peer] = zmq.Context.instance().socket(zmq.DEALER)
            self.backs[peer].connect(self.back_address)
        try:
            self.backs[peer].send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            self.cut(peer)


def main() -> None:
    """Stand between FRONT and BACK until killed."""
    parser = argparse.ArgumentParser("python -m tests.chaos.proxy", description=__doc__)
    parser.add_argument("front")
    parser.add_argument("back")
    parser.add_argument("--seed", type=int, default=0)
    for name, usual in (("late", 0.1), ("twice", 0.05), ("swapped", 0.05), ("cut", 0.0), ("delay-ms", 30.0)):
        parser.add_argument(f"--{name}", type=float, default=usual)
    options = parser.parse_args()
    front = zmq.Context.instance().socket(zmq.ROUTER)
    front.bind(options.front)
    faults = Faults(options.late, options.twice, options.swapped, options.cut, options.delay_ms)
    Proxy(front, options.back, faults, random.Random(options.seed)).run()


if __name__ == "__main__":
    main()
