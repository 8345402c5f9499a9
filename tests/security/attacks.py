"""What is thrown at a server's port: by a port scan, by a browser, by somebody who knows the wire and means harm."""

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import msgpack
import zmq

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
_READY = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER"
READY = b"\x04" + bytes([len(_READY)]) + _READY
ANSWER_S = 10.0
GIB = 1 << 30


def place(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return host, int(port)


def scan(address: str, times: int = 200) -> None:
    """Connect and hang up."""
    for _ in range(times):
        socket.create_connection(place(address), ANSWER_S).close()


def browse(address: str) -> None:
    """Speak something that is not ZMTP."""
    for words in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", bytes(4096), b"\xff" * 4096):
        with socket.create_connection(place(address), ANSWER_S) as line:
            line.sendall(words)


@contextmanager
def many_that_say_nothing(address: str, how_many: int = 150) -> Iterator[None]:
    """Hold connections open and say nothing, or half a greeting."""
    lines = [socket.create_connection(place(address), ANSWER_S) for _ in range(how_many)]
    for line in lines[::2]:
        line.sendall(GREETING[:11])
    try:
        yield
    finally:
        for line in lines:
            line.close()


def is_hung_up_on(address: str, frame: bytes, shake_hands: bool) -> bool:
    """Send the beginning of a frame, after a handshake or instead of one; return whether the server hangs up."""
    with socket.create_connection(place(address), ANSWER_S) as line:
        line.settimeout(ANSWER_S)
        line.sendall(GREETING + (READY if shake_hands else b"") + frame)
        try:
            while line.recv(65_536):
                pass
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
    return True


def huge_frames() -> Iterator[tuple[bytes, bool]]:
    """Yield the beginnings of frames that claim to be huge, each with whether hands were shaken before."""
    sizes = (GIB, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)
    for size, kind, shaken in product(sizes, (b"\x02", b"\x03", b"\x06"), (True, False)):
        yield kind + size.to_bytes(8, "big") + b"x" * 100, shaken


def nasty_headers() -> Iterator[list[bytes]]:
    """Yield messages whose header is small and claims much, or is deep, or is large."""
    for depth in (100, 100_000, 900_000):
        yield [b"\x91" * depth]
        yield [b"\x81\xa1a" * (depth // 3)]
    for kind in (b"\xdd", b"\xdf", b"\xdb", b"\xc6"):  # a list, a map, text, bytes: four thousand million of each
        yield [kind + b"\xff" * 4]
    yield [b"\x83\xa4type\xa5Hello\xa6fields\x80\xa6arrays\xdc\xff\xff" + b"\x80" * 65_535]
    yield [bytes(1 << 21)]
    yield [b""] * 5000
    for shape in ([1 << 40, 1 << 40], [-1], [1 << 62], [2] * 5000):
        header = {"type": "Hello", "fields": {}, "arrays": [{"name": "trials", "dtype": "int64", "shape": shape}]}
        yield [msgpack.packb(header), b""]
    yield [msgpack.packb({"type": "__import__('os').abort()", "fields": {}, "arrays": []})]
    yield [b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."]  # a pickle


def noise(luck: random.Random, how_many: int) -> Iterator[list[bytes]]:
    """Yield messages of random frames."""
    for _ in range(how_many):
        yield [luck.randbytes(luck.choice((0, 1, 30, 3000))) for _ in range(luck.randint(1, 5))]


class Stranger:
    """A DEALER that says what it likes."""

    def __init__(self, address: str) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.sndtimeo = round(1000 * ANSWER_S)
        self.socket.connect(address)

    def says(self, *frames: bytes | memoryview) -> None:
        """Send, waiting for room."""
        self.socket.send_multipart(frames)

    def hears(self) -> list[bytes]:
        """Return the next message."""
        assert self.socket.poll(round(1000 * ANSWER_S)), "no answer"
        return self.socket.recv_multipart()

    def __enter__(self) -> "Stranger":
        return self

    def __exit__(self, *_: object) -> None:
        self._context.destroy(linger=0)
