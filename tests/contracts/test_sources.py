"""What every source of responses must do; a new one is a name in `SOURCES` and the options it is tested with."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from math import nan
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from adapters.live import LiveSource
from adapters.peers.behind import BEHIND, Behind
from adapters.peers.block import Script
from adapters.peers.folder import BehindFolder
from adapters.source import SOURCES, ResponseSource, create_source
from protocol.messages import Onsets, Responses, StimulusBatch
from protocol.plugins import PluginError

SETTINGS = {"response_window_s": [0.05, 0.2], "baseline_window_s": [0.0, 0.05]}
MEAN = {"network": f"{__name__}:Mean", "units": "0,2", "layer": "output"}
OPTIONS = {
    "simulator": MEAN,
    "simulator with a preset": MEAN | {"preset": "IT"},
    "simulator with known neurons": {"network": "known"},
    "replay of a tap": {},
}
EASY = {"lock_trials": "1", "lock_onsets": "2"}
"""A recording system's clock is found with one trial, since these tests show no more."""
SHOWN_S = (0.0, 0.2, 0.4, 1.0, 1.2)
"""When the recordings that peers play have an onset."""
SCHEMA = Path(__file__).parents[2] / "server" / "schema.sql"
NEEDS = {"lsl": "pylsl", "spikeglx": "scipy", "folder_exchange": "scipy"}
DEADLINE_S = 5
DATA_DEADLINE_S = 30
"""LSL finds its streams when the network lets it."""


class Mean(nn.Module):
    """Three units: how red, green and blue an image is."""

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        return self.output(torch.mean(images, dim=(2, 3)))  # type: ignore[no-any-return]


@pytest.fixture(params=[*SOURCES, *(name for name in OPTIONS if name not in SOURCES)])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ResponseSource]:
    with ready(request.param, tmp_path) as source:
        source.begin(SETTINGS)
        source.see(a_batch(5))
        yield source


@contextmanager
def ready(name: str, folder: Path) -> Iterator[ResponseSource]:
    """Make a source, and let the peer behind it play."""
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    if name == "folder_exchange":
        with closing(BehindFolder(folder, ["a", "b"])) as lab, closing(create_source(name, lab.options)) as source:
            yield source
        return
    if name not in BEHIND:
        files = {"replay": a_session, "replay of a tap": a_tap}
        options = {"file": str(files[name](folder))} if name in files else OPTIONS[name]
        with closing(create_source(name.partition(" ")[0], options)) as source:
            yield source
        return
    with live(name, {}) as source:
        yield source


@contextmanager
def live(name: str, options: dict[str, str]) -> Iterator[LiveSource]:
    """Make a source of a recording that has been going on for some seconds."""
    with (
        closing(BEHIND[name](["1", "2"])) as peer,
        closing(create_source(name, peer.options | EASY | options)) as source,
    ):
        assert isinstance(source, LiveSource)
        peer.play(recorded(peer).blocks(0, 6 * int(peer.rate), peer.block))
        deadline_s = monotonic() + DATA_DEADLINE_S
        while source.segment is None or source.segment.counter.watermark < 5.5 * peer.rate:
            assert monotonic() < deadline_s, "the data do not come"
            source.poll()
        yield source


def recorded(peer: Behind) -> Script:
    """Return what a peer plays: a pulse at each onset, three seconds after its beginning, and some spikes."""
    up = (np.array(SHOWN_S) + 3) * float(peer.rate)
    line = int(peer.options.get("line", 0))
    edges = [(int(tick) + wait, line, wait == 0) for tick in up for wait in (0, 900)]
    ticks = np.arange(100, 5 * int(peer.rate), 777)
    return Script(ticks, (ticks % 2).astype(np.int32), np.array(edges, np.int64), np.zeros((0, 2), np.int64))


def a_session(folder: Path) -> Path:
    """Write a session that holds all presentations these tests ask for."""
    path = folder / "session.xdream"
    with closing(sqlite3.connect(path)) as file, file:
        file.executescript(SCHEMA.read_text("utf-8"))
        config = "[acquisition]\nresponse_window_ms = [50, 200]\nbaseline_window_ms = [0, 50]"
        file.execute("INSERT INTO meta VALUES ('config', ?)", (config,))
        file.execute("INSERT INTO peers VALUES (1, 'acquisition', 'x', 'i', '', '[\"a\", \"b\"]')")
        for presentation in (10_000, 10_100, 10_200, 20_000, 20_100):
            row = (presentation, bytes(8), bytes(8), b"", b"")
            file.execute("INSERT INTO responses VALUES (?, 1, 1, ?, ?, 'ttl', '', ?, ?)", row)
    return path


def a_tap(folder: Path) -> Path:
    """A tap of the trials that are asked about below."""
    tap = folder / "day.tap"
    with live("bridge", {"tap": str(tap)}) as source:
        measured(source)
    return tap


def measured(source: ResponseSource) -> list[Responses]:
    """Return what a source says to two trials."""
    source.begin(SETTINGS)
    for request in (a_request([0.0, 0.2, 0.4], trial=1), a_request([1.0, 1.2], trial=2)):
        source.request(request)
    return answers(source, 5)


@pytest.mark.parametrize("name", BEHIND)
def test_what_an_adapter_has_taped_is_answered_again_to_the_bit(name: str, tmp_path: Path) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    with live(name, {"tap": str(tmp_path / "day.tap")}) as source:
        said = by_presentation(measured(source))
        channels = source.channels
    with closing(create_source("replay", {"file": str(tmp_path / "day.tap")})) as replay:
        assert replay.channels == channels
        assert by_presentation(measured(replay)) == said
    assert sum(row[0] for row in said.values()) == 5, "all are measured"


def by_presentation(given: list[Responses]) -> dict[int, tuple[object, ...]]:
    """Return all that is said of each presentation."""
    return {
        presentation: (
            bool(each.measured[row]),
            each.onset_source,
            each.spike_counts[row].tolist(),
            each.baseline_counts[row].tolist(),
            each.spike_times_s[each.spike_rows == row].tobytes(),
            each.spike_channels[each.spike_rows == row].tolist(),
        )
        for each in given
        for row, presentation in enumerate(each.presentation_ids.tolist())
    }


def a_batch(n_images: int) -> StimulusBatch:
    images = np.random.default_rng(3).integers(0, 256, (n_images, 32, 32, 3), np.uint8)
    return StimulusBatch(np.arange(n_images, dtype=np.int64), images)


def a_request(onsets_s: list[float], trial: int = 1) -> Onsets:
    n = len(onsets_s)
    ids = np.arange(n, dtype=np.int64)
    return Onsets(trial, 100 * ids + 10_000 * trial, ids % 5, np.array(onsets_s))


def answers(source: ResponseSource, n_presentations: int) -> list[Responses]:
    """Return all answers until so many presentations are answered."""
    given: list[Responses] = []
    deadline_s = monotonic() + DEADLINE_S
    while sum(len(each.presentation_ids) for each in given) < n_presentations:
        assert monotonic() < deadline_s, "no answer"
        given += source.poll()
    return given


def test_it_says_what_it_counts(source: ResponseSource) -> None:
    assert source.name
    assert len(set(source.channels)) == len(source.channels) > 0
    assert isinstance(source.wants_images, bool)


def test_every_presentation_is_answered_once_by_its_id(source: ResponseSource) -> None:
    requests = [a_request([0.0, 0.2, 0.4], trial=1), a_request([1.0, 1.2], trial=2)]
    for request in requests:
        source.request(request)
    given = answers(source, 5)
    answered = np.concatenate([each.presentation_ids for each in given])
    asked = np.concatenate([each.presentation_ids for each in requests])
    assert sorted(answered.tolist()) == sorted(asked.tolist())
    assert source.poll() == []


def test_every_channel_is_counted(source: ResponseSource) -> None:
    source.request(a_request([0.0, 0.2, 0.4]))
    for each in answers(source, 3):
        assert each.spike_counts.shape == (len(each.presentation_ids), len(source.channels))
        assert each.onset_source


def test_what_was_not_shown_is_not_measured(source: ResponseSource) -> None:
    source.request(a_request([0.0, nan, 0.4]))
    given = answers(source, 3)
    measured = {p: m for each in given for p, m in zip(each.presentation_ids.tolist(), each.measured, strict=True)}
    assert [measured[p] for p in sorted(measured)] == [True, False, True]
    assert any(each.reason for each in given)


def test_nothing_asked_is_nothing_answered(source: ResponseSource) -> None:
    source.request(a_request([]))
    assert source.poll() == []


def test_a_new_session_begins_afresh(source: ResponseSource) -> None:
    source.request(a_request([0.0]))
    source.begin(SETTINGS)
    assert source.poll() == []


def test_it_says_how_old_its_data_are(source: ResponseSource) -> None:
    assert source.data_age_s() >= 0


def test_forgetting_images_that_were_never_seen_is_no_error(source: ResponseSource) -> None:
    source.forget([1, 77])


def test_unknown_names_and_options_are_answered_with_the_known_ones() -> None:
    with pytest.raises(PluginError, match=r"no source named 'simulater'. Did you mean 'simulator'\?"):
        create_source("simulater", {})
    with pytest.raises(PluginError, match=r"source 'simulator': no parameter 'unit'. Did you mean 'units'\?"):
        create_source("simulator", {"unit": "3"})
