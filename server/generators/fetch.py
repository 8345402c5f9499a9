"""Weights from where they were published: gone on with where a download broke off, and the same ones ever after."""

import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from server.generators.store import Record, check_unchanged, file_of, read_record, record_of, take_in
from server.generators.weights import READERS, WeightsError, sha256_of

PUBLISHED = "https://huggingface.co/binxu/DeePSim_DosovitskiyBrox2016/resolve/main/upconvGAN_{}.pt"
ADDRESSES = {
    f"deepsim-{layer}": PUBLISHED.format(layer)
    for layer in ("norm1", "norm2", "conv3", "conv4", "pool5", "fc6", "fc7", "fc8")
}
TIMEOUT_S = 30
CHUNK_BYTES = 1 << 18

Progress = Callable[[int, int | None], None]
"""Told how many bytes are there, and how many there will be where that is known."""


def fetch(name: str, folder: Path, progress: Progress = lambda done, total: None, address: str = "") -> Record:
    """Return the weights of that name, downloaded unless they are there; raise WeightsError.

    What comes from an address the first time is what must come from it ever after.
    """
    address = source(name, address)
    before = read_record(name, folder)
    if before and before.source == address and file_of(name, folder).is_file():
        check_unchanged(name, folder)
        return before
    part = download(address, folder / f"{name}.part{_kind(address)}", progress)
    try:
        if before and before.source == address and sha256_of(part) != before.source_sha256:
            raise WeightsError(
                f"{address} is not what it was: its SHA-256 is {sha256_of(part)}, and was {before.source_sha256}. "
                f"It is not used. If the change is meant, delete {record_of(name, folder)} and fetch again."
            )
        return take_in(part, name, folder, source=address)
    finally:
        part.unlink()


def source(name: str, address: str = "") -> str:
    """Return where the weights of that name come from: an address, or else the published one; raise WeightsError."""
    address = address or _published(name)
    _kind(address)
    return address


def download(address: str, part: Path, progress: Progress) -> Path:
    """Fill a file from an address, from where it stopped the last time if that is the same version; return it."""
    part.parent.mkdir(parents=True, exist_ok=True)
    version = part.with_suffix(".version")
    try:
        with _opened(address, part, version) as answer:
            _save(answer, part, version, progress)
    except (HTTPException, OSError) as wrong:
        reason = getattr(wrong, "reason", wrong)
        raise WeightsError(
            f"{address} could not be downloaded: {reason}. What came is kept: the same command goes on from there."
        ) from wrong
    version.unlink(missing_ok=True)
    return part


def _opened(address: str, part: Path, version: Path) -> Any:
    """Return the answer to a request for the file, or for what is missing of it."""
    request = urllib.request.Request(address, headers={"User-Agent": "xdream"})
    if part.exists() and version.exists():
        # A server that has another version by now ignores the range and sends all.
        request.add_header("Range", f"bytes={part.stat().st_size}-")
        request.add_header("If-Range", version.read_text("utf-8"))
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT_S)  # a person typed it  # nosec B310
    except urllib.error.HTTPError as wrong:
        if wrong.code != 416:  # nothing is missing, or the file is shorter now: begin anew
            raise
        wrong.close()
        part.unlink()
        return urllib.request.urlopen(address, timeout=TIMEOUT_S)  # as above  # nosec B310


def _save(answer: Any, part: Path, version: Path, progress: Progress) -> None:
    """Write what comes, behind what is there or over it."""
    goes_on = answer.status == 206
    done = part.stat().st_size if goes_on else 0
    length = answer.headers.get("Content-Length")
    total = done + int(length) if length else None
    tag = answer.headers.get("ETag", "")
    # Without a name for the version, or with a weak one, a part cannot be gone on with safely.
    version.write_text(tag, "utf-8") if tag.startswith('"') else version.unlink(missing_ok=True)
    with part.open("ab" if goes_on else "wb") as file:
        while chunk := answer.read(CHUNK_BYTES):
            file.write(chunk)
            done += len(chunk)
            progress(done, total)
    if total is not None and done != total:
        raise OSError(f"the connection closed after {done} of {total} bytes")


def _published(name: str) -> str:
    if name not in ADDRESSES:
        raise WeightsError(
            f"no weights of {name!r} are published at an address known here; known: {', '.join(ADDRESSES)}. "
            f"With a file of your own: xdream weights import FILE --name {name}"
        )
    return ADDRESSES[name]


def _kind(address: str) -> str:
    """Return the ending of the file at an address, or raise a sentence."""
    parts = urlsplit(address)
    kind = PurePosixPath(parts.path).suffix
    if parts.scheme not in ("http", "https") or kind not in READERS:
        raise WeightsError(f"{address} must be an http or https address of a file that ends in {', '.join(READERS)}.")
    return kind
