"""The images of a session in NWB, each once and pixel for pixel, read from the file as it is written."""

from typing import Any

import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from hdmf.data_utils import GenericDataChunkIterator
from pynwb import NWBFile
from pynwb.base import ImageReferences, Images
from pynwb.image import IndexSeries, RGBImage

from server.export.showings import Showings
from server.export.snapshot import Snapshot
from server.pictures import from_png

GZIP = {"compression": "gzip", "compression_opts": 1}
"""Evolved images are noisy: more effort takes longer and saves little."""


class Pixels(GenericDataChunkIterator):  # type: ignore[misc]
    """[height, width, 3] pixels that are fetched when they are written, so that no session must fit in memory."""

    def __init__(self, snapshot: Snapshot, stimulus: int, shape: tuple[int, int, int]) -> None:
        self._snapshot, self._stimulus, self._shape = snapshot, stimulus, shape
        super().__init__(buffer_shape=shape, chunk_shape=shape)

    def _get_data(self, selection: tuple[slice, ...]) -> Any:
        query = "SELECT png FROM stimuli WHERE stimulus_id = ?"
        return from_png(self._snapshot.records.value(query, self._stimulus))[selection]

    def _get_maxshape(self) -> tuple[int, int, int]:
        return self._shape

    def _get_dtype(self) -> np.dtype[np.uint8]:
        return np.dtype(np.uint8)


def add_stimuli(nwb: NWBFile, snapshot: Snapshot, showings: Showings) -> None:
    """Add all images that were rendered, and which was on screen from when on."""
    images = _images(snapshot)
    if not images:
        return
    order = ImageReferences(name="order_of_images", data=images)
    description = "Every image of the session: reference images first, then evolution by evolution, by generation."
    stimuli = Images(name="stimuli", images=images, order_of_images=order, description=description)
    nwb.add_stimulus_template(stimuli)
    if len(showings.shown):
        series = IndexSeries(
            name="stimulus_onsets",
            data=np.array([row["image_index"] for row in showings.shown], np.uint32),
            unit="N/A",
            indexed_images=stimuli,
            timestamps=np.array([row["start_time"] for row in showings.shown], np.float64),
            description="Which image came on screen when; intervals/stimulus_presentations has the same rows.",
        )
        nwb.add_stimulus(series)


def _images(snapshot: Snapshot) -> list[RGBImage]:
    names = snapshot.reader.evolutions()
    shapes: dict[int, tuple[int, int, int]] = {}
    images = []
    query = (
        "SELECT stimulus_id, evolution, generation, place, name, sha256 FROM stimuli"
        " WHERE png IS NOT NULL ORDER BY stimulus_id"
    )
    for row in snapshot.records.rows(query):
        shape = _shape(snapshot, row["stimulus_id"], row["evolution"], shapes)
        pixels = H5DataIO(Pixels(snapshot, row["stimulus_id"], shape), **GZIP)
        what = (
            f"evolution {row['evolution']} ({names[row['evolution']]}), generation {row['generation']}, "
            f"image {row['place']}"
            if row["evolution"]
            else f"reference image {row['name']}"
        )
        image = RGBImage(
            name=f"stimulus_{row['stimulus_id']}", data=pixels, description=f"{what}; sha256 {row['sha256']}"
        )
        images.append(image)
    return images


def _shape(
    snapshot: Snapshot, stimulus: int, evolution: int, shapes: dict[int, tuple[int, int, int]]
) -> tuple[int, int, int]:
    """Return the shape of an image: all of one evolution have the same."""
    if evolution not in shapes:
        png = snapshot.records.value("SELECT png FROM stimuli WHERE stimulus_id = ?", stimulus)
        height, width, depth = from_png(png).shape
        shapes[evolution] = (height, width, depth)
    return shapes[evolution]
