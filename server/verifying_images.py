"""Pictures, their hashes, and the codes that they were drawn from."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from protocol.arrays import Images
from server import generators
from server.export.snapshot import Snapshot
from server.generators import Generator
from server.pictures import from_png
from server.session_file import fingerprint

BATCH = 16


def images(snapshot: Snapshot) -> Iterator[str]:
    """Yield pictures that cannot be read, or have other pixels than their hash says; what is not stored is drawn."""
    query = "SELECT stimulus_id, sha256, png FROM stimuli WHERE sha256 IS NOT NULL AND png IS NOT NULL"
    for stimulus, sha256, png in map(tuple, snapshot.connection.execute(query)):
        try:
            found = fingerprint(from_png(png))
        except Exception as error:  # a damaged picture makes the decoder raise whatever it likes
            yield f"stimulus {stimulus}: its picture cannot be read ({error})"
            continue
        if found != sha256:
            yield f"stimulus {stimulus}: its pixels have the SHA-256 {found[:12]}..., on record is {sha256[:12]}..."
    for row in snapshot.records.rows("SELECT stimulus_id FROM stimuli WHERE sha256 IS NULL AND png IS NOT NULL"):
        yield f"stimulus {row[0]}: its picture has no hash on record"
    gone = "SELECT stimulus_id FROM stimuli WHERE sha256 IS NOT NULL AND png IS NULL AND code IS NULL"
    for row in snapshot.records.rows(gone):
        yield f"stimulus {row[0]}: its picture is not stored, and there is no code to draw it from"
    yield from _drawn(snapshot, "png IS NULL")


def drawn_again(snapshot: Snapshot) -> Iterator[str]:
    """Yield images that their code, drawn anew by this machine, does not give."""
    yield from _drawn(snapshot, "1")


def codes(snapshot: Snapshot) -> Iterator[str]:
    """Yield evolved images without a code, and codes that are not as long as they were."""
    sizes: dict[int, int] = {}
    query = "SELECT stimulus_id, evolution, code, code_norm FROM stimuli WHERE evolution > 0 ORDER BY stimulus_id"
    for stimulus, evolution, code, norm in map(tuple, snapshot.connection.execute(query)):
        if code is None or norm is None:
            yield f"stimulus {stimulus}: it has no code"
            continue
        values = np.frombuffer(code, "<f4")
        if len(values) != sizes.setdefault(evolution, len(values)):
            yield f"stimulus {stimulus}: a code of {len(values)} numbers, others have {sizes[evolution]}"
        elif not np.isclose(float(np.linalg.norm(values)), norm, rtol=1e-5):
            yield f"stimulus {stimulus}: its code has length {np.linalg.norm(values):.6g}, on record is {norm:.6g}"


def _drawn(snapshot: Snapshot, which: str) -> Iterator[str]:
    for evolution in snapshot.reader.evolutions():
        query = (
            f"SELECT stimulus_id, sha256, code FROM stimuli WHERE evolution = ? AND sha256 IS NOT NULL"
            f" AND code IS NOT NULL AND {which} ORDER BY stimulus_id"
        )
        rows = [tuple(row) for row in snapshot.records.rows(query, evolution)]
        if rows:
            part = snapshot.records.config().evolutions[evolution - 1].generator
            generator: Generator = generators.create(part.name, **part.parameters)
            for start in range(0, len(rows), BATCH):
                yield from _differing(generator, rows[start : start + BATCH])


def _differing(generator: Generator, rows: Sequence[Any]) -> Iterator[str]:
    shape = generator.code_shape
    drawn: Images = generator.render(np.stack([np.frombuffer(row[2], "<f4").reshape(shape) for row in rows]))
    for (stimulus, sha256, _), image in zip(rows, drawn, strict=True):
        if fingerprint(image) != sha256:
            yield f"stimulus {stimulus}: drawn from its code it has other pixels than its SHA-256 says"
