"""Files handed to and fro: half-written ones are waited for, wrong ones refused, rows found by their ids."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from adapters.folder_exchange import HALF_WRITTEN_S, FolderExchange
from adapters.source import SourceError
from protocol.messages import Onsets, Responses

io = pytest.importorskip("scipy.io")
h5py = pytest.importorskip("h5py")
IDS = [10_300, 10_100, 10_200]


class Lab:
    """A folder, an adapter, and the program that answers."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now_s = folder, 0.0
        self.source = FolderExchange(str(folder), "a,b", clock=lambda: self.now_s)

    def asks(self, onsets_s: tuple[float, ...] = (0.0, 0.2, 0.4)) -> Path:
        ids = np.array(IDS, np.int64)
        self.source.request(Onsets(7, ids, ids, np.array(onsets_s)))
        [request] = self.folder.glob("*.json")
        assert json.loads(request.read_text())["presentation_ids"] == IDS
        return request

    def polls(self, after_s: float = 0.1) -> list[Responses]:
        self.now_s += after_s
        return self.source.poll()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path)
    yield lab
    lab.source.close()
    assert not list(tmp_path.glob("*.json"))


def test_a_folder_that_is_away_costs_its_presentations_and_not_the_session(lab: Lab) -> None:
    request = lab.asks()
    away = lab.folder.with_name("away")
    lab.folder.rename(away)
    lab.folder.touch()  # whatever is done there fails now
    ids = np.array([20_100], np.int64)
    lab.source.request(Onsets(8, ids, ids, np.array([0.0])))
    [answer] = lab.polls()
    assert (answer.presentation_ids.tolist(), answer.measured.tolist()) == ([20_100], [False])
    assert "could not be asked about in the folder: Not a directory" in answer.reason
    lab.folder.unlink()
    away.rename(lab.folder)
    io.savemat(request.with_suffix(".mat"), table())
    assert lab.polls()[0].measured.all()


def table(**other: object) -> dict[str, object]:
    counts = np.array([[1, 2], [3, 4], [5, 6]], float)
    return {"presentationID": np.array(sorted(IDS), float)[:, None], "tEvokedResp": counts, **other}


def test_rows_are_found_by_their_ids(lab: Lab) -> None:
    request = lab.asks()
    assert lab.polls() == []
    io.savemat(request.with_suffix(".mat"), table(tBaseline=np.full((3, 2), 9.0)))
    [answer] = lab.polls()
    assert answer.presentation_ids.tolist() == IDS
    assert answer.spike_counts.tolist() == [[5, 6], [1, 2], [3, 4]]
    assert answer.baseline_counts.tolist() == [[9, 9]] * 3
    assert answer.measured.all()
    assert not request.exists()
    assert lab.polls() == []


def test_hdf5_as_matlab_writes_it(lab: Lab) -> None:
    request = lab.asks((0.0, np.nan, 0.4))
    with h5py.File(request.with_suffix(".h5"), "w") as file:
        for name, values in table().items():
            file[name] = np.asarray(values).T
    [answer] = lab.polls()
    assert answer.spike_counts.tolist() == [[5, 6], [1, 2], [3, 4]]
    assert answer.measured.tolist() == [True, False, True]


def test_a_half_written_file_is_waited_for(lab: Lab, tmp_path: Path) -> None:
    request = lab.asks()
    whole = tmp_path / "whole.mat"
    io.savemat(whole, table())
    data = whole.read_bytes()
    request.with_suffix(".mat").write_bytes(data[: len(data) // 2])
    assert lab.polls() == []
    request.with_suffix(".mat").write_bytes(data)
    assert lab.polls()[0].measured.all()


def test_a_broken_file_is_not_waited_for_for_ever(lab: Lab) -> None:
    lab.asks().with_suffix(".mat").write_bytes(b"MATLAB 7.3 MAT-file, and no more")
    assert lab.polls() == []
    [answer] = lab.polls(HALF_WRITTEN_S + 1)
    assert not answer.measured.any()
    assert "broken file" in answer.reason


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"presentationID": np.array([1.0, 2.0, 3.0])}, "not those that were asked about"),
        ({"tEvokedResp": np.zeros((3, 5))}, r"must be \[3, 2\]"),
        ({"tEvokedResp": np.full((3, 2), 1.5)}, "spikes, not rates"),
        ({"tEvokedResp": np.full((3, 2), -1.0)}, "whole numbers from 0"),
    ],
)
def test_what_does_not_fit_is_not_measured(lab: Lab, other: dict[str, object], sentence: str) -> None:
    io.savemat(lab.asks().with_suffix(".mat"), table(**other))
    [answer] = lab.polls()
    assert not answer.measured.any()
    assert pytest.importorskip("re").search(sentence, answer.reason)


def test_nan_is_not_measured_and_silence_is_given_up(lab: Lab) -> None:
    counts = np.array([[1, 2], [np.nan, 4], [5, 6]])
    io.savemat(lab.asks().with_suffix(".mat"), table(tEvokedResp=counts))
    assert lab.polls()[0].measured.tolist() == [True, True, False]
    lab.source.begin({})
    for old in lab.folder.glob("*.mat"):
        old.unlink()
    lab.asks()
    assert lab.polls(59) == []
    [answer] = lab.polls(2)
    assert "no answer in the folder in time" in answer.reason


def test_a_folder_must_be_there() -> None:
    with pytest.raises(SourceError, match="no folder"):
        FolderExchange("/nowhere/at/all", "a")
