"""Messages bent by accident or by malice are refused or are other messages; nothing that they claim is believed."""

import random
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgpack
import pytest
from example_messages import EXAMPLES

from protocol.codec import DecodeError, decode, encode
from protocol.messages import Message

N_BENT = 700
"""Of each kind of bend: 3,500 together."""
Frames = list[bytes]
Bend = Callable[[random.Random, Frames], Frames]

WRONG: tuple[Any, ...] = (
    None, True, -1, 2**63, 2**64 - 1, 1e308, float("nan"), "", "x" * 300, b"\x00", [], {}, [[]], {"a": 1},
    [2**40, 2**40], "object", "float64", {"name": "trials", "dtype": "int64", "shape": [0]},
)  # fmt: skip


def on_the_wire(message: Message) -> Frames:
    return [bytes(frame) for frame in encode(message)]


def flip_bits(random: random.Random, frames: Frames) -> Frames:
    place = random.randrange(len(frames))
    frame = bytearray(frames[place])
    for _ in range(random.randint(1, 8) if frame else 0):
        frame[random.randrange(len(frame))] ^= 1 << random.randrange(8)
    return [*frames[:place], bytes(frame), *frames[place + 1 :]]


def cut_or_stretch(random: random.Random, frames: Frames) -> Frames:
    place = random.randrange(len(frames))
    size = random.randint(0, 2 * len(frames[place]) + 1)
    return [*frames[:place], frames[place][:size].ljust(size, b"\x00"), *frames[place + 1 :]]


def shuffle_frames(random: random.Random, frames: Frames) -> Frames:
    mixed = [*frames, b"", random.choice(frames)]
    random.shuffle(mixed)
    return mixed[random.randint(0, 2) :]


def bend_header(random: random.Random, frames: Frames) -> Frames:
    """Put something wrong anywhere in the header."""
    header = msgpack.unpackb(frames[0])
    node: Any = header
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = random.choice(keys) if keys else None
        if key is None or not isinstance(node[key], dict | list) or random.random() < 0.3:
            break
        node = node[key]
    if key is not None:
        node[key] = random.choice(WRONG)
    return [msgpack.packb(header), *frames[1:]]


def nest(random: random.Random, frames: Frames) -> Frames:
    depth = random.choice([5, 50, 500, 5_000])
    return [random.choice([b"\x91", b"\x81\xa1a"]) * depth + frames[0], *frames[1:]]


BENDS: tuple[Bend, ...] = (
    flip_bits, cut_or_stretch, shuffle_frames, bend_header, nest,
)  # fmt: skip


@pytest.mark.parametrize("bend", BENDS, ids=lambda bend: bend.__name__)
def test_a_bent_message_is_refused_or_is_another_message(bend: Bend) -> None:
    luck = random.Random(bend.__name__)
    originals = [on_the_wire(message) for message in EXAMPLES]
    tracemalloc.start()
    try:
        for _ in range(N_BENT):
            frames = bend(luck, luck.choice(originals))
            try:
                message = decode(frames)
            except DecodeError:
                continue
            again = decode(on_the_wire(message))
            assert on_the_wire(again) == on_the_wire(message)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4_000_000  # the originals are a few kilobytes: nothing that is claimed is allocated
