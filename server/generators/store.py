"""The folder of weights: one file a generator, and beside it what the file was when it came."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors.torch import save_file

from server.generators.deepsim_networks import VARIANTS
from server.generators.weights import (
    State,
    WeightsError,
    fitted,
    read_weights,
    recognised,
    sha256_of,
    without_zero_biases,
)


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a generator's weights."""

    name: str
    sha256: str
    """Of the file in the folder."""
    source: str
    """The file or the address that they came from."""
    source_sha256: str
    """Of what was there the first time."""


def default_folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Return where weights are kept: $XDREAM_WEIGHTS, or the place for a user's data on that system."""
    if environment.get("XDREAM_WEIGHTS"):
        return Path(environment["XDREAM_WEIGHTS"])
    home = Path(environment.get("HOME") or environment.get("USERPROFILE") or Path.home())
    data = {
        "win32": Path(environment.get("LOCALAPPDATA") or home / "AppData" / "Local"),
        "darwin": home / "Library" / "Application Support",
    }.get(platform, Path(environment.get("XDG_DATA_HOME") or home / ".local" / "share"))
    return data / "xdream" / "weights"


def find(name: str, weights: str | Path = "", folder: Path | None = None) -> Path:
    """Return the file of a generator's weights: the one given, or the one kept; raise WeightsError."""
    folder = folder or default_folder()
    path = Path(weights) if weights else file_of(name, folder)
    if not path.is_file():
        raise WeightsError(
            f"generator {name!r} has no weights at {path}. "
            f"Get them: xdream weights fetch {name}, or xdream weights import FILE."
        )
    if not weights:
        check_unchanged(name, folder)
    return path


def check_unchanged(name: str, folder: Path) -> None:
    """Raise WeightsError unless the file kept is the one that was put there."""
    path, record = file_of(name, folder), read_record(name, folder)
    if record is None:
        raise WeightsError(f"{path} was not put there by xdream: xdream weights import {path} --name {name}")
    if sha256_of(path) != record.sha256:
        raise WeightsError(
            f"{path} has changed since it came from {record.source}: its SHA-256 is no longer {record.sha256}. "
            f"Delete it and get it again: xdream weights fetch {name}, or xdream weights import FILE."
        )


def take_in(path: Path, name: str, folder: Path, source: str = "") -> Record:
    """Keep the weights in a file, converted, under that name or the one they fit; raise WeightsError."""
    found = read_weights(path)
    name = name or recognised(found, Path(source or path))
    if name not in VARIANTS:
        raise WeightsError(f"no generator {name!r} has weights to be kept. Known: {', '.join(VARIANTS)}.")
    variant = VARIANTS[name]
    state = without_zero_biases(variant, fitted(name, variant, found, path))
    file = _write(state, file_of(name, folder))
    record = Record(name, sha256_of(file), source or str(path.resolve()), sha256_of(path))
    record_of(name, folder).write_text(json.dumps(asdict(record), indent=1) + "\n", "utf-8")
    return record


def read_record(name: str, folder: Path) -> Record | None:
    """Return what is known of a generator's weights, if anything is."""
    try:
        return Record(**json.loads(record_of(name, folder).read_text("utf-8")))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as wrong:
        raise WeightsError(
            f"{record_of(name, folder)} cannot be read: {wrong}. Delete it and import the weights again."
        ) from wrong


def kept(folder: Path) -> list[Record]:
    """Return what is known of all weights in a folder."""
    records = (read_record(name, folder) for name in VARIANTS if file_of(name, folder).is_file())
    return [record for record in records if record]


def file_of(name: str, folder: Path) -> Path:
    """Return where a generator's weights are kept."""
    return folder / f"{name}.safetensors"


def record_of(name: str, folder: Path) -> Path:
    """Return where it is written what they were when they came."""
    return folder / f"{name}.json"


def _write(state: State, path: Path) -> Path:
    """Write the file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    save_file(state, unfinished)
    return unfinished.replace(path)
