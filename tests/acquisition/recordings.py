"""Recordings of the real programs, where they are at hand: they are too large to be kept with the code."""

import json
import lzma
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.events import Chunk

BESIDE = Path(__file__).parents[2] / ".." / "shared" / "data"


def recording(name: str) -> Path:
    """Return the folder of a recording, or skip the test."""
    folder = Path(os.environ.get("XDREAM_RECORDINGS", BESIDE)) / name
    if not folder.is_dir():
        pytest.skip(f"no recording {name}: set XDREAM_RECORDINGS to the folder that holds it")
    return folder


def table(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return loaded


def open_ephys_chunks(path: Path) -> Iterator[Chunk]:
    """Yield the messages of a capture: receive time, number of frames, then each frame's length and bytes."""
    with lzma.open(path) as file:
        assert file.readline() == b"OEZMQCAP1\n"
        while head := file.read(12):
            at_s, n_frames = struct.unpack("<dI", head)
            frames = tuple(file.read(struct.unpack("<I", file.read(4))[0]) for _ in range(n_frames))
            yield Chunk(at_s, frames)
