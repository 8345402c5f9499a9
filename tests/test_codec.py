"""Messages survive the wire whole; what is no message is refused, whoever sends it and however long it is."""

import json
from dataclasses import fields
from math import isnan
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import msgpack
import numpy as np
import pytest
from example_messages import EXAMPLES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from vectors import vector

from protocol.codec import MAX_DEPTH, MAX_HEADER_BYTES, DecodeError, decode, encode
from protocol.messages import Message, Release, Welcome

KINDS = get_args(Message)
VECTORS = json.loads((Path(__file__).parent.parent / "docs" / "vectors.json").read_text("utf-8"))
Frames = list[bytes]

# What the wire carries: every message of every kind, and its neighbours one flip away.

PLAIN = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
VALUES = {
    str: st.text(max_size=12),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(),
    bool: st.booleans(),
    tuple: st.lists(st.text(max_size=5), max_size=3).map(tuple),
    dict: st.dictionaries(st.text(max_size=5), PLAIN, max_size=3),
}


@st.composite
def messages(draw: st.DrawFn) -> Message:
    kind = draw(st.sampled_from(KINDS))
    n, height, width, n_channels = (draw(st.integers(0, 3)) for _ in range(4))
    n_spikes = draw(st.integers(0, 4)) if n and n_channels else 0
    shapes: dict[str, tuple[int, ...]] = {
        "images": (n, height, width, 3),
        "spike_counts": (n, n_channels),
        "baseline_counts": (n, n_channels),
        **dict.fromkeys(("spike_times_s", "spike_rows", "spike_channels"), (n_spikes,)),
    }
    limits = {"spike_rows": n - 1, "spike_channels": n_channels - 1, "spike_counts": 2**31 - 1, "baseline_counts": 9}
    times = {
        **dict.fromkeys(("onsets_s", "offsets_s"), st.floats(allow_infinity=False)),
        **dict.fromkeys(("reward_onsets_s", "reward_durations_s"), st.floats(allow_infinity=False, allow_nan=False)),
    }
    values: dict[str, Any] = {}
    for name, hint in get_type_hints(kind).items():
        if get_origin(hint) is np.ndarray:
            [dtype] = get_args(get_args(hint)[1])
            numbers = st.integers(0, max(0, limits[name])) if name in limits else times.get(name)
            values[name] = draw(arrays(dtype, shapes.get(name, (n,)), elements=numbers))
        elif name == "voids":
            values[name] = tuple(draw(st.lists(st.text(max_size=5), min_size=n, max_size=n)))
        else:
            values[name] = draw(VALUES[get_origin(hint) or hint])
    message: Message = kind(**values)
    return message


def assert_same(one: Message, other: Message) -> None:
    assert type(one) is type(other)
    for f in fields(one):
        mine, yours = getattr(one, f.name), getattr(other, f.name)
        if isinstance(mine, np.ndarray):
            assert mine.dtype == yours.dtype
            np.testing.assert_array_equal(mine, yours, strict=True)
        else:
            assert mine == yours or (isnan(mine) and isnan(yours))


def on_the_wire(message: Message) -> Frames:
    return [bytes(frame) for frame in encode(message)]


def refused(frames: Frames) -> str:
    with pytest.raises(DecodeError) as caught:
        decode(frames)
    return str(caught.value)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages())
def test_a_message_comes_out_as_it_went_in(message: Message) -> None:
    assert_same(message, decode(on_the_wire(message)))


def test_arrays_of_any_layout_in_memory_come_out_the_same() -> None:
    ids = np.arange(20, dtype=np.int64)[::-2]
    assert_same(Release(ids), decode(on_the_wire(Release(ids))))


def test_a_received_array_is_a_view_of_its_frame_that_nobody_can_change() -> None:
    frames = on_the_wire(Release(np.arange(5, dtype=np.int64)))
    message = decode(frames)
    assert isinstance(message, Release)
    assert np.shares_memory(message.stimulus_ids, np.frombuffer(frames[1], np.uint8))
    with pytest.raises(ValueError, match="read-only"):
        message.stimulus_ids[0] = 1


# The bytes that clients in other languages are written to.


@pytest.mark.parametrize("expected", VECTORS, ids=[each["type"] for each in VECTORS])
def test_the_published_bytes_are_the_published_message(expected: dict[str, Any]) -> None:
    message = decode([bytes.fromhex(frame) for frame in expected["frames"]])
    assert vector(message) == expected


def test_every_kind_of_message_has_published_bytes() -> None:
    assert {each["type"] for each in VECTORS} == {kind.__name__ for kind in KINDS}


# What is no message.


def a_header(**changes: Any) -> Frames:
    return [msgpack.packb({"type": "Recall", "fields": {"now": True}, "arrays": []} | changes)]


def a_release(fields: Any = (), **spec: Any) -> Frames:
    given = {"name": "stimulus_ids", "dtype": "int64", "shape": [2]} | spec
    return [*a_header(type="Release", fields=dict(fields), arrays=[given]), bytes(16)]


def a_control(**fields: Any) -> Frames:
    return a_header(type="Control", fields={"control_id": "c1", "action": "note"} | fields)


REFUSED: dict[str, Frames] = {
    "no frames": [],
    "an empty header": [b""],
    "text": [b"GET / HTTP/1.1\r\n\r\n"],
    "a pickle": [b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."],
    "a list": [msgpack.packb([1, 2])],
    "a key too many": a_header(more=1),
    "a key too few": [msgpack.packb({"type": "Recall", "fields": {}})],
    "an unknown type": a_header(type="Shutdown"),
    "a type that is no text": a_header(type=1),
    "an unknown field": a_header(fields={"later": True}),
    "a number for a truth": a_header(fields={"now": 1}),
    "a number for text": a_header(type="Notice", fields={"level": 1, "text": ""}),
    "a truth for a number": a_header(type="Heartbeat", fields={"sent_s": True}),
    "nothing for a number": a_header(type="Heartbeat", fields={"sent_s": None}),
    "numbers for names": a_header(
        type="Hello", fields={"role": "", "name": "", "instance": "", "channels": [1]}, arrays=[]
    ),
    "a missing field": a_header(type="Heartbeat", fields={}),
    "a list for an array": a_header(type="Release", fields={"stimulus_ids": [1, 2]}),
    "fields in a list": a_header(fields=[]),
    "arrays in a map": a_header(arrays={}),
    "a frame too many": [*a_header(), b""],
    "a frame too few": a_release()[:1],
    "a field that is an array too": a_release(name="stimulus_ids", fields={"stimulus_ids": 1}),
    "Python objects": a_release(dtype="object"),
    "text arrays": a_release(dtype="<U2"),
    "another dtype": a_release(dtype="uint8"),
    "a dtype that is a list": a_release(dtype=["int64"]),
    "a negative length": a_release(shape=[-2]),
    "a length that is no number": a_release(shape=["2"]),
    "a length that is a truth": a_release(shape=[2, True]),
    "a shape that is a number": a_release(shape=2),
    "five dimensions": a_release(shape=[2, 1, 1, 1, 1]),
    "two dimensions for one": a_release(shape=[1, 2]),
    "no dimensions": [*a_release(shape=[])[:1], bytes(8)],
    "more than the frame holds": a_release(shape=[3]),
    "less than the frame holds": a_release(shape=[1]),
    "a length past all memory": a_release(shape=[2**60]),
    "a length past int64": a_release(shape=[2**63]),
    "a huge length and a length of 0": [*a_release(shape=[0, 2**62])[:1], b""],
    "a spec with more in it": a_release(order="F"),
    "a spec that is text": a_header(arrays=["stimulus_ids"]),
    "a name that is no text": a_release(name=1),
    "a long header": [bytes(MAX_HEADER_BYTES + 1)],
    "a list that claims 4 billion items": [b"\xdd\xff\xff\xff\xff"],
    "text that claims 4 GB": [b"\xdb\xff\xff\xff\xff"],
    "an extension type": a_header(fields={"now": msgpack.Timestamp(1)}),
    "a hundred thousand lists": [b"\x91" * 100_000],
    "text that is not UTF-8": [b"\x81\xa1\xff\x01"],
    "two headers": [a_header()[0] * 2],
}
NOT_PLAIN: dict[str, Frames] = {
    "bytes in a map": a_control(arguments={"text": b"x"}),
    "bytes in a list": a_control(arguments={"text": [b"x"]}),
    "bytes for a key": a_control(arguments={"text": {b"x": 1}}),
    "a number past int64": a_control(arguments={"n": 2**63}),
    "a field past int64": a_header(
        type="Hello", fields={"role": "", "name": "", "instance": "", "protocol_version": 2**63}
    ),
}


@pytest.mark.parametrize("frames", REFUSED.values(), ids=REFUSED)
def test_what_is_no_message_is_refused(frames: Frames) -> None:
    assert refused(frames)


@pytest.mark.parametrize("frames", NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_what_json_and_sqlite_could_not_hold_is_refused(frames: Frames) -> None:
    assert refused(frames)


def test_settings_may_be_nested_so_deep_and_no_deeper() -> None:
    def nested(depth: int) -> Any:
        return {"deeper": nested(depth - 1)} if depth else 1

    decode(on_the_wire(Welcome("s1", "", nested(MAX_DEPTH - 1))))
    assert "nested deeper than 8" in refused(on_the_wire(Welcome("s1", "", nested(MAX_DEPTH))))


def test_a_truth_is_one_byte_of_0_or_1() -> None:
    [*frames, measured, counts, baseline, times, rows, channels] = on_the_wire(EXAMPLES[11])
    frames = [*frames, b"\x02", counts, baseline, times, rows, channels]
    assert len(measured) == 1
    assert "bool is 0 or 1" in refused(frames)


def test_numbers_that_point_outside_are_refused() -> None:
    [*frames, rows, channels] = on_the_wire(EXAMPLES[11])
    assert "spike_rows must lie in 0 to 0" in refused([*frames, b"\x01" + rows[1:], channels])
    assert "spike_channels must lie in 0 to 1" in refused([*frames, rows, b"\xff" * len(channels)])
