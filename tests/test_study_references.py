"""The reference set of a study: seen once however often the study is killed, unreadable pictures left out."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_study import TINY, a_file, content, run_here

from server.config import ConfigError
from simulator.study import references, report
from simulator.study.cluster import Here
from simulator.study.conduct import conduct
from simulator.study.files import load_study
from simulator.study.references import Scan, Seen
from simulator.study.store import Store
from simulator.study.watch import Watch

SMALL = (
    TINY.split("[[initial]]")[0]
    .replace("presentations = 60", "presentations = 20")
    .replace("interpolate = [0, 0.5, 1]", "")
)


class Killed(Exception):
    """As good as kill -9: nothing after it is done."""


class UntilKilled(Here):
    """Does so many scans and no more; knows which numbers it was asked for."""

    def __init__(self, scans: int) -> None:
        self.left, self.asked = scans, list[range]()

    def run(self, function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        for task in tasks:
            if isinstance(task, Scan):
                if not self.left:
                    raise Killed
                self.left -= 1
                self.asked.append(task.numbers)
            yield task, function(task)


class Heard(Watch):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.sentences, self.begun = list[str](), list[tuple[str, int, int]]()

    def begins(self, what: str, total: int, done: int) -> None:
        self.begun.append((what, total, done))

    def notices(self, sentence: str) -> None:
        self.sentences.append(sentence)


def pictures(folder: Path, n: int) -> Path:
    folder.mkdir()
    for number in range(n):
        pixels = np.random.default_rng(number).integers(0, 255, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder


def n_seen(store: Path) -> int:
    with closing(sqlite3.connect(store)) as connection:
        [n] = connection.execute("SELECT COUNT(*) FROM seen").fetchone()
    return int(n)


def test_a_reference_set_seen_in_part_is_seen_to_the_end_and_no_part_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "CHUNK", 10)
    study, path = load_study(a_file(tmp_path, SMALL)), tmp_path / "killed.study"
    with Store(path) as store, pytest.raises(Killed):
        conduct(study, store, UntilKilled(scans=2), Watch())
    assert n_seen(path) == 2
    again, heard = UntilKilled(scans=1), Heard()
    with Store(path) as store:
        conduct(study, store, again, heard)
    assert again.asked == [range(20, 30)]
    assert heard.begun[0] == ("reference images", 30, 20)
    assert n_seen(path) == 0
    assert content(path) == content(run_here(tmp_path, SMALL))


def test_the_room_of_a_reference_set_seen_to_the_end_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "s.study"
    with Store(path) as store:
        before = path.stat().st_size
        store.add_seen("scan", Seen(0, np.ones((500, 400), np.float32), {}))
        assert path.stat().st_size > before + 700_000
        [seen] = store.seen("scan", 400)
        assert seen.activations.shape == (500, 400)
        store.forget_seen("scan")
        assert path.stat().st_size <= before + 20_000


def test_pictures_that_cannot_be_read_are_left_out_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "CHUNK", 4)
    folder = pictures(tmp_path / "set", 10)
    (folder / "03.png").write_bytes(b"no picture")
    whole = (folder / "06.png").read_bytes()
    (folder / "06.png").write_bytes(whole[: len(whole) // 2])
    text = SMALL.replace("count = 30", f"folder = {str(folder)!r}\ncount = 10")
    heard = Heard()
    with Store(tmp_path / "s.study") as store:
        conduct(load_study(a_file(tmp_path, text)), store, Here(), heard)
        [(n_images, ranked), *_] = store.connection.execute("SELECT n_images, ranked FROM targets").fetchall()
        assert n_images == 8
        assert "3" not in ranked.replace("[", "").replace("]", "").replace(",", "").split()
    assert [each.split(" is left out")[0] for each in heard.sentences] == [
        "reference picture 03.png", "reference picture 06.png",
    ]  # fmt: skip
    pytest.importorskip("jinja2")
    pytest.importorskip("scipy")
    page = report.write(tmp_path / "s.study", tmp_path / "report").read_text("utf-8")
    assert "2 that cannot be read were left out: 03.png, 06.png" in page


def test_a_folder_that_is_gone_is_no_set_of_unreadable_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "CHUNK", 4)
    folder = pictures(tmp_path / "set", 8)
    text = SMALL.replace("count = 30", f"folder = {str(folder)!r}\ncount = 8")

    class Unmounted(UntilKilled):
        def run(self, function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
            for done in super().run(function, tasks):
                yield done
                folder.rename(tmp_path / "gone")

    with Store(tmp_path / "s.study") as store:
        with pytest.raises(ConfigError, match=r"04\.png is not to be had: No such file or directory"):
            conduct(load_study(a_file(tmp_path, text)), store, Unmounted(scans=9), Watch())
        assert n_seen(tmp_path / "s.study") == 1


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ("fc55", "layer: of network 'embedded': no layer named 'fc55'. Did you mean 'fc5'? Known: conv1"),
        ("conv4", "numbers of an image, and a code of generator 'embedded' has 256."),
    ],
)
def test_a_beginning_that_cannot_be_is_refused_before_any_picture_is_looked_at(
    tmp_path: Path, layer: str, says: str
) -> None:
    text = TINY.replace('layer = "fc5"', f'layer = "{layer}"')
    with Store(tmp_path / "s.study") as store, pytest.raises(ConfigError) as wrong:
        conduct(load_study(a_file(tmp_path, text)), store, UntilKilled(scans=0), Watch())
    assert says in str(wrong.value)


def test_no_more_codes_are_taken_from_the_store_than_there_are_lines_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = TINY.replace("presentations = 60", "presentations = 20")
    path, read = run_here(tmp_path, text), list[str]()
    kept = Store.code
    monkeypatch.setattr(Store, "code", lambda store, hash_: (read.append(hash_), kept(store, hash_))[1])

    class OneByOne(Here):
        def run(self, function: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
            for task in tasks:
                assert len(task.codes) == 2
                under_way.append(len(read))
                yield task, function(task)

    under_way = list[int]()
    with Store(path) as store:
        store.connection.execute("DELETE FROM lines")
        conduct(load_study(a_file(tmp_path, text)), store, OneByOne(), Watch())
    assert under_way == [2 * (n + 1) for n in range(len(under_way))]
    assert len(under_way) == 8
