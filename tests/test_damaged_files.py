"""Files that people hand in, damaged anywhere: each is read, or refused in a sentence that names it."""

import io
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save

from adapters.source import SourceError
from adapters.tap import Tap, read_tap
from protocol.messages import Onsets
from server import initial_codes
from server.database import SessionFileError, open_database
from server.generators import create
from server.generators.weights import WeightsError, read_weights
from server.initial_codes import InitialCodesError
from server.npz import NpzError, read_npz

N_DAMAGES = 80
NUMBERS = np.random.default_rng(0).normal(size=(30, 30))
CODES = NUMBERS[:3, :12].reshape(3, 2, 2, 3)
PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 24, 3), np.uint8))


def written(write: Callable[[io.BytesIO], object]) -> bytes:
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def a_tap(folder: Path) -> bytes:
    tap = Tap(folder / "good.tap", "bridge", least_free_bytes=0)
    tap.settings(0.0, {"response_window_s": [0.05, 0.2]})
    ids = np.arange(3)
    tap.request(0.5, Onsets(1, ids, ids, np.zeros(3)))
    tap.write(1.0, 0, (b"spikes", b"edges"))
    tap.close()
    return (folder / "good.tap").read_bytes()


def a_database(folder: Path) -> bytes:
    with closing(sqlite3.connect(folder / "good")) as file, file:
        file.executescript((Path(__file__).parents[1] / "server" / "schema.sql").read_text("utf-8"))
        file.execute("INSERT INTO meta VALUES ('schema_version', '2')")
    return (folder / "good").read_bytes()


def codes_of(path: Path, kind: str) -> object:
    return initial_codes.create(kind, create("raw_pixel", size=2), 1, folder=path.parent)


WEIGHTS = {"fc6.weight": torch.zeros(8, 4), "deconv.bias": torch.zeros(3)}
FILES: dict[str, tuple[Callable[[Path], bytes], Callable[[Path], Any], type[Exception]]] = {
    ".npz": (
        lambda _: written(lambda file: np.savez_compressed(file, mean=NUMBERS, sd=NUMBERS)),
        lambda path: read_npz(path.read_bytes(), path),
        NpzError,
    ),
    ".npy": (
        lambda _: written(lambda file: np.save(file, CODES)),
        lambda path: codes_of(path, "folder"),
        InitialCodesError,
    ),
    ".png": (
        lambda _: written(lambda file: PICTURE.save(file, "PNG")),
        lambda path: codes_of(path, "images"),
        InitialCodesError,
    ),
    ".bmp": (
        lambda _: written(lambda file: PICTURE.save(file, "BMP")),
        lambda path: codes_of(path, "images"),
        InitialCodesError,
    ),
    ".pt": (lambda _: written(lambda file: torch.save(WEIGHTS, file)), read_weights, WeightsError),
    ".safetensors": (lambda _: save(WEIGHTS), read_weights, WeightsError),
    ".tap": (a_tap, lambda path: list(read_tap(path)), SourceError),
    ".xdream": (a_database, lambda path: open_database(path, "ro").close(), SessionFileError),
}


def damaged(content: bytes, seed: int) -> bytes:
    """Return the file with some bytes changed, a few lost or a few too many, or its end cut off."""
    random, broken = np.random.default_rng(seed), bytearray(content)
    at, near = int(random.integers(len(broken))), int(random.integers(min(len(broken), 200)))
    match seed % 4:
        case 0:
            del broken[at:]
        case 1:
            del broken[near : near + 9]
        case 2:
            broken[near:near] = random.bytes(5)
        case _:
            for place in [near, *random.integers(len(broken), size=seed % 7).tolist()]:
                broken[place] = int(random.integers(256))
    return bytes(broken)


@pytest.mark.filterwarnings("ignore")  # Pillow and NumPy warn of some damage before they refuse it
@pytest.mark.parametrize("ending", FILES)
def test_a_damaged_file_is_read_or_refused_by_name(ending: str, tmp_path: Path) -> None:
    make, read, refusal = FILES[ending]
    content, file = make(tmp_path), tmp_path / "in" / f"handed_in{ending}"
    file.parent.mkdir()
    file.write_bytes(content)
    read(file)
    n_refused = 0
    for seed in range(N_DAMAGES):
        file.write_bytes(damaged(content, seed))
        try:
            read(file)
        except refusal as said:
            n_refused += 1
            assert file.name in str(said)
    assert n_refused > N_DAMAGES / 10
