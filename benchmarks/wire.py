"""The wire: round trips of images and of heartbeats through the codec and TCP, beside pickle and bare bytes."""

import pickle
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import zmq

from benchmarks.figures import Comparison, durations
from protocol.codec import decode, encode
from protocol.messages import Heartbeat, Message, StimulusBatch

Frames = Sequence[bytes | memoryview]


class Way(NamedTuple):
    """How something becomes frames, and frames become something."""

    write: Callable[[Any], Frames]
    read: Callable[[list[bytes]], Any]


WAYS = {
    b"codec": Way(encode, decode),
    b"pickle": Way(lambda message: [pickle.dumps(message, protocol=5)], lambda frames: pickle.loads(frames[0])),
    b"bytes": Way(list, list),
}
END = b"end"
N_WARM_UP = 3


def compare_batches(n_images: int, size_px: int, n_trips: int) -> list[Comparison]:
    """Return round trips of a batch of noise as a message, beside the same as a pickle and as bare bytes."""
    shape = (n_images, size_px, size_px, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    times_s = _round_trips(StimulusBatch(np.arange(n_images, dtype=np.int64), images), n_trips)
    what = f"{n_images} x {size_px} x {size_px} RGB, {images.nbytes / 1e6:.1f} MB"
    return [
        durations(what, times_s[b"codec"], "pickle, same sockets", times_s[b"pickle"]),
        durations(what, times_s[b"codec"], "bare bytes, same sockets", times_s[b"bytes"]),
    ]


def compare_heartbeats(n_trips: int) -> Comparison:
    """Return round trips of a heartbeat as a message, beside its bytes that nobody looks into."""
    times_s = _round_trips(Heartbeat(0.0), n_trips)
    return durations("heartbeat", times_s[b"codec"], "bare bytes, same sockets", times_s[b"bytes"])


def compare_locked(n_images: int, size_px: int, n_trips: int) -> Comparison:
    """Return round trips of a batch of noise over CURVE, as between machines, beside the same in the clear."""
    shape = (n_images, size_px, size_px, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    batch = StimulusBatch(np.arange(n_images, dtype=np.int64), images)
    locked_s, plain_s = [], []
    with an_echo(locked=True) as locked, an_echo() as plain:
        for trip in range(N_WARM_UP + n_trips):
            passed_s = _round_trip(locked, b"codec", batch), _round_trip(plain, b"codec", batch)
            if trip >= N_WARM_UP:
                locked_s.append(passed_s[0])
                plain_s.append(passed_s[1])
    return durations(f"over CURVE, {images.nbytes / 1e6:.1f} MB", locked_s, "in the clear", plain_s)


def _round_trips(message: Message, n_trips: int) -> dict[bytes, list[float]]:
    """Return how long each trip took, one of every way in turn."""
    times_s: dict[bytes, list[float]] = {way: [] for way in WAYS}
    packed, random = encode(message), np.random.default_rng(0)
    with an_echo() as socket:
        for trip in range(N_WARM_UP + n_trips):
            for way in random.permutation(list(WAYS)).tolist():  # none always comes after the same other
                passed_s = _round_trip(socket, way, packed if way == b"bytes" else message)
                if trip >= N_WARM_UP:
                    times_s[way].append(passed_s)
    return times_s


def _round_trip(socket: "zmq.Socket[bytes]", way: bytes, payload: Any) -> float:
    """Send something and read it when it is back; return how long that took."""
    began_s = time.perf_counter()
    socket.send_multipart([way, *WAYS[way].write(payload)])
    _, *frames = socket.recv_multipart()
    WAYS[way].read(frames)
    return time.perf_counter() - began_s


@contextmanager
def an_echo(locked: bool = False) -> Iterator["zmq.Socket[bytes]"]:
    """Yield a DEALER; what it sends comes back from a ROUTER in another thread, read there and written again."""
    with zmq.Context() as context:
        router, dealer = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
        if locked:
            router.curve_server = True
            public, router.curve_secretkey = zmq.curve_keypair()
            dealer.curve_serverkey = public
            dealer.curve_publickey, dealer.curve_secretkey = zmq.curve_keypair()
        port = router.bind_to_random_port("tcp://127.0.0.1")
        dealer.connect(f"tcp://127.0.0.1:{port}")
        thread = threading.Thread(target=_echo, args=(router,), daemon=True)
        thread.start()
        try:
            yield dealer
        finally:
            dealer.send(END)
            thread.join()
            dealer.close(linger=0)
            router.close(linger=0)


def _echo(router: "zmq.Socket[bytes]") -> None:
    while True:
        sender, way, *frames = router.recv_multipart()
        if way == END:
            return
        router.send_multipart([sender, way, *WAYS[way].write(WAYS[way].read(frames))])
