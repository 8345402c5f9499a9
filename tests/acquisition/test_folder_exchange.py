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
        self.source.request(Onsets(7, ids, ids // 100, np.array(onsets_s)))
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


NAMED = ["101.png", "block003_002_102.bmp", "C:\\images\\block003_001_103.png"]
COUNTS = np.array([[1, 2], [3, 4], [5, 6]], float)


def cells(names: list[str]) -> np.ndarray[tuple[int, ...], np.dtype[np.object_]]:
    """Return a cell array, [n, 1]."""
    array = np.empty((len(names), 1), object)
    array[:, 0] = names
    return array


def save_73(path: Path, names: list[str]) -> None:
    """Write a file as MATLAB 7.3 does: columns first, and texts elsewhere, each a column of 16-bit characters."""
    with h5py.File(path, "w", userblock_size=512) as file:
        file["tEvokedResp"] = COUNTS.T
        references = file.create_dataset("stimulusID", (1, len(names)), h5py.ref_dtype)
        for place, name in enumerate(names):
            text = np.frombuffer(name.encode("utf-16-le"), "<u2")[:, None]
            references[0, place] = file.create_dataset(f"#refs#/{place}", data=text).ref
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: PCWIN64".ljust(512, b" "))


@pytest.mark.parametrize("version", ["5", "5, char matrix", "7.3", ".h5"])
def test_rows_are_found_by_the_names_of_their_images(lab: Lab, version: str) -> None:
    request = lab.asks()
    assert json.loads(request.read_text())["image_names"] == ["103.png", "101.png", "102.png"]
    if version == "7.3":
        save_73(request.with_suffix(".mat"), NAMED)
    elif version == ".h5":
        with h5py.File(request.with_suffix(".h5"), "w") as file:
            file["tEvokedResp"], file["stimulusID"] = COUNTS.T, NAMED
    else:
        names = cells(NAMED) if version == "5" else np.array(NAMED)
        io.savemat(request.with_suffix(".mat"), {"stimulusID": names, "tEvokedResp": COUNTS})
    [answer] = lab.polls()
    assert answer.reason == ""
    assert answer.presentation_ids.tolist() == IDS
    assert answer.spike_counts.tolist() == [[5, 6], [1, 2], [3, 4]]
    assert answer.measured.all()


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (cells(["101.png", "102.png", "77.png"]), "stimulusID names '77.png', which the trial does not show"),
        (cells(["101.png", "102.png", "cat 103.png"]), "names 'cat 103.png', which the trial does not show"),
        (cells(["101.png", "102.png", "102.png"]), "not those that were asked about"),
        (np.array([10_100.0, 10_200.0, 10_300.0]), "stimulusID must be a cell array of texts"),
    ],
)
def test_names_that_are_no_images_of_the_trial_are_refused(lab: Lab, names: object, sentence: str) -> None:
    io.savemat(lab.asks().with_suffix(".mat"), {"stimulusID": names, "tEvokedResp": COUNTS})
    [answer] = lab.polls()
    assert not answer.measured.any()
    assert sentence in answer.reason


def test_an_image_that_is_shown_twice_has_no_name_of_its_own(lab: Lab) -> None:
    lab.source.request(Onsets(7, np.array(IDS[:2]), np.array([5, 5]), np.array([0.0, 0.2])))
    [request] = lab.folder.glob("*.json")
    names = {"stimulusID": cells(["5.png", "5.png"]), "tEvokedResp": COUNTS[:2]}
    io.savemat(request.with_suffix(".mat"), names)
    [answer] = lab.polls()
    assert not answer.measured.any()
    assert "shows an image twice" in answer.reason
    assert "write presentationID" in answer.reason


def test_scores_alone_are_refused(lab: Lab) -> None:
    with h5py.File(lab.asks().with_suffix(".h5"), "w") as file:
        file["scores"], file["indices"] = COUNTS[:, 0], np.arange(3)
    [answer] = lab.polls()
    assert "it has no tEvokedResp, which is spike counts: scores are not needed" in answer.reason


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
