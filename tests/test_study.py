"""Studies: a grid becomes experiments, each runs once however often the study is killed, and a report judges them."""

import hashlib
import itertools
import json
import sqlite3
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import torch
from torch import nn

from server.config import ConfigError
from server.config_problems import all_tables, key_of
from server.generators.embedded import Embedded
from server.optimizers import create
from simulator.networks.convnet import embedded_convnet
from simulator.networks.evolving import responses
from simulator.study.cluster import Here
from simulator.study.command import main, n_workers
from simulator.study.conduct import conduct, missing
from simulator.study.experiment import Batch
from simulator.study.files import OVERLAYS, load_study, shipped
from simulator.study.labels import searches
from simulator.study.metrics import rows_of
from simulator.study.plan import expand, networks_of
from simulator.study.references import Reference, expected_best
from simulator.study.run import Neuron, run_batch
from simulator.study.store import Store, is_store
from simulator.study.tables import Study
from simulator.study.watch import Watch

torch.set_num_threads(1)
TINY = """
[study]
name = "tiny"
presentations = 60
batch = 2
interpolate = [0, 0.5, 1]

[references]
count = 30

[[network]]
label = "ConvNet"
units = 2
layers = { early = "conv2", late = "fc6" }

[[optimizer]]
label = "GA"
name = "genetic"
population = 10

[[initial]]
label = "random"

[[initial]]
label = "best"
name = "unit_images"
layer = "fc5"
n = 3

[[grid]]
initials = ["random"]
spikes = [0, 20]
seeds = [0, 1]

[[grid]]
initials = ["best"]
"""
N_TINY = 2 * 2 * (2 * 2 + 1)
CONTENT = "hash, experiment, evolved, chosen, recommended, shown, code, image, best, mean, presentations"


def a_file(folder: Path, text: str = TINY) -> str:
    path = folder / "tiny.toml"
    path.write_text(text)
    return str(path)


def hashes(batches: Iterable[Batch]) -> set[str]:
    return {each.hash for batch in batches for each in batch.planned}


def run_here(folder: Path, text: str = TINY, name: str = "here.study") -> Path:
    with Store(folder / name) as store:
        conduct(load_study(a_file(folder, text)), store, Here(), Watch())
    return folder / name


@cache
def planned(text: str = TINY) -> tuple[Batch, ...]:
    """Return the batches of a study, every unit's best reference image being worth 2."""
    study = Study.model_validate(tomllib.loads(text))
    networks = networks_of(study)
    known = Reference(2.0, 1.5, 0.1, 30, {"best": [0, 1, 2], "middle": [3], "worst": [4]})
    references = {
        (networks.specs[label], target): known
        for label, by_layer in networks.targets.items()
        for targets in by_layer.values()
        for target in targets
    }
    return tuple(expand(study, networks, references))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_here(tmp_path_factory.mktemp("study"))


def content(store: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return all that a store says but when and how fast."""
    with closing(sqlite3.connect(store)) as connection:
        tables = {"experiments": CONTENT, "targets": "*", "planned": "*", "lines": "*"}
        found = {
            name: connection.execute(f"SELECT {columns} FROM {name} ORDER BY 1, 2, 3").fetchall()
            for name, columns in tables.items()
        }
    return found


def n_done(store: Path) -> int:
    """Return how many results a store holds, which may not be there yet."""
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
            [n] = connection.execute("SELECT COUNT(*) FROM experiments").fetchone()
    except sqlite3.Error:
        return 0
    return int(n)


def until(holds: Callable[[], bool], patience_s: float = 200) -> None:
    end = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def test_a_grid_becomes_every_combination_once() -> None:
    experiments = [each for batch in planned() for each in batch.planned]
    assert len(experiments) == len({each.hash for each in experiments}) == N_TINY
    assert {each.experiment.spikes for each in experiments if each.labels.initial == "best"} == {0}


def test_a_hash_follows_what_determines_a_result_and_nothing_else() -> None:
    relabelled = TINY.replace('"GA"', '"another name"').replace("batch = 2", "batch = 3")
    otherwise = TINY.replace("population = 10", "population = 12")
    hashes = [
        {each.hash for batch in planned(text) for each in batch.planned} for text in (TINY, relabelled, otherwise)
    ]
    assert hashes[0] == hashes[1]
    assert not hashes[0] & hashes[2]


def test_what_is_done_is_not_run_again_and_the_others_keep_their_company() -> None:
    batches = list(planned())
    first = batches[0].planned[0].hash
    left = missing(batches, {first})
    assert [each.hash for each in left[0].planned] == [each.hash for each in batches[0].planned[1:]]
    assert left[1:] == batches[1:]


@pytest.mark.timeout(300)
def test_a_study_killed_and_started_again_ends_as_if_nothing_had_happened(tmp_path: Path, finished: Path) -> None:
    pytest.importorskip("distributed")
    store, file = tmp_path / "killed.study", a_file(tmp_path)
    run = f"main({file!r}, Path({str(store)!r}), workers=2)"
    command = [sys.executable, "-c", f"from pathlib import Path; from simulator.study.command import main; {run}"]
    killed = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until(lambda: n_done(store) > 0)
    finally:
        killed.kill()
        killed.wait()
    assert n_done(store) < N_TINY
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=200)
    assert content(store) == content(finished)


def test_a_search_is_the_servers_own_from_the_first_code_to_the_last() -> None:
    [batch] = [each for each in planned() if each.planned[0].experiment.layer == "fc6"][:1]
    alone = replace(batch, planned=tuple(e for e in batch.planned[:1]))
    [result] = run_batch(alone)
    [search] = alone.planned
    optimizer = create("genetic", (256,), (0, crc32(f"fc6/{search.unit}".encode())), population=10)
    generator, network, best = Embedded(), embedded_convnet(), []
    for _ in range(6):
        seen = responses(network, generator.render(optimizer.ask()))["fc6"][:, search.unit.channel]
        optimizer.tell(seen)
        best.append(seen.max())
    assert np.frombuffer(result.best, np.float32) == pytest.approx(best, rel=1e-3)
    assert result.evolved == pytest.approx(max(best), rel=1e-3)
    assert result.shown == 60


def test_noise_is_poissons_with_so_many_spikes_at_the_best_reference() -> None:
    noisy = Neuron("fc6/1", best_reference=4.0, spikes=20, seed=0)
    counts = np.concatenate([noisy.count(generation, np.full(50, 4.0)) for generation in range(1, 41)])
    assert counts.mean() == pytest.approx(20, rel=0.05)
    assert counts.var() == pytest.approx(20, rel=0.15)
    assert counts.mean() / noisy.window_s == pytest.approx(4.0, rel=0.05)
    assert not noisy.count(1, np.array([-3.0])).any()


def test_without_noise_scores_are_activations_to_the_last_digit_of_float32_negative_ones_too() -> None:
    exact = Neuron("output/1", best_reference=3.0, spikes=0, seed=0)
    activations = np.array([3.0, -1.25, 1e-4, 7.7])
    assert exact.count(1, activations)[:, 0] / exact.window_s == pytest.approx(activations, abs=1e-6)


@pytest.mark.parametrize("n", range(1, 7))
def test_the_expected_best_is_the_mean_over_all_choices(n: int) -> None:
    values = np.array([3.0, 1.0, 4.0, 1.5, 9.0, 2.6])
    chosen = [max(each) for each in itertools.combinations(values, n)]
    assert expected_best(values, n) == pytest.approx(np.mean(chosen))


class HalfDead(nn.Module):
    """Two channels: one sees how red an image is, one nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = nn.Conv2d(3, 2, 1, bias=False)
        with torch.no_grad():
            self.seen.weight.zero_()[0, 0] = 1

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.seen(images)


def test_units_that_no_reference_image_excites_are_left_out(tmp_path: Path) -> None:
    text = TINY.replace(
        'units = 2\nlayers = { early = "conv2", late = "fc6" }', 'units = 2\nlayers = { early = "seen" }'
    )
    text = text.replace('label = "ConvNet"', 'model = "test_study:HalfDead"').split("[[initial]]")[0]
    with Store(run_here(tmp_path, text)) as store:
        assert [row.unit for row in rows_of(store, "tiny")] == ["0"]


def test_units_can_be_named_with_their_place_in_a_map(tmp_path: Path) -> None:
    text = TINY.replace("units = 2", 'units = ["7", "3@2,4"]').replace(', late = "fc6"', "")
    with Store(run_here(tmp_path, text.split("[[initial]]")[0])) as store:
        assert [row.unit for row in rows_of(store, "tiny")] == ["3@2,4", "7"]


def test_a_mistake_found_once_the_networks_are_there_names_its_file_too(tmp_path: Path) -> None:
    file = a_file(tmp_path, TINY.replace("units = 2", 'units = ["7", "3@2,99"]'))
    with pytest.raises(ConfigError, match=r"tiny\.toml, .*, units: layer 'conv2' has .*: no unit 3@2,99"):
        main(file, tmp_path / "tiny.study", workers=0, quiet=True)


def test_bare_pixels_can_be_searched_from_images_too(tmp_path: Path) -> None:
    text = TINY.replace('layer = "fc5"\n', "") + '\n[[generator]]\nname = "raw_pixel"\nsize = 16\n'
    with Store(run_here(tmp_path, text)) as store:
        rows = rows_of(store, "tiny")
        assert len(rows) == N_TINY
        assert len(store.code(rows[0].hash)) == 16 * 16 * 3


@pytest.mark.parametrize(
    ("was", "written", "says"),
    [
        ("presentations = 60", "presentation = 60", "[study]: no key 'presentation'. Did you mean 'presentations'?"),
        ("presentations = 60", 'presentations = "60"', "[study]: presentations must be a whole number, got '60'."),
        ("units = 2", "units = 0", "[network] number 1: units must be how many to draw"),
        ('late = "fc6"', 'late = "fc66"', "[[network]] 'ConvNet', layer 'fc66': no layer named 'fc66'. Did you mean"),
        ('["best"]', '["bets"]', "[[grid]] number 2, initials: no 'bets'. Did you mean 'best'?"),
        ("population = 10", "populaton = 10", "'GA' with generator 'embedded': optimizer 'genetic': no parameter"),
        ('layer = "fc5"', 'layr = "fc5"', "[[initial]] 'best': no parameter 'layr'. Did you mean 'layer'?"),
        ("n = 3", 'which = "bst"', "[[initial]] 'best', which must be one of best, middle, worst, got 'bst'."),
        ("seeds = [0, 1]", "seeds = []", "[grid] number 1: seeds and spikes must name at least one value each"),
        ("interpolate = [0, 0.5, 1]", "interpolate = [0.5]", "interpolate must have 0, 0.5 and 1 among them"),
    ],
)
def test_a_mistake_is_said_in_a_sentence_that_names_file_and_key(
    tmp_path: Path, was: str, written: str, says: str
) -> None:
    assert was in TINY
    with pytest.raises(ConfigError) as wrong:
        run_here(tmp_path, TINY.replace(was, written))
    assert says in str(wrong.value)


def test_a_study_that_there_is_not_names_those_that_come_with_xdream() -> None:
    with pytest.raises(ConfigError, match="Studies that come with XDream: generators, initialisation, layers"):
        load_study("lairs")


def test_the_studies_that_come_with_xdream_are_in_order() -> None:
    about = dict(shipped())
    assert set(about) == {"layers", "initialisation", "generators", "optimizers", "sweeps"}
    assert all(about.values())
    for overlay in OVERLAYS.glob("*.toml"):
        assert load_study("layers", [overlay.stem]).study.presentations == 10_000


def test_one_gpu_is_one_process_s_unless_more_are_asked_for() -> None:
    assert n_workers(None, "", "cuda") == 0
    assert n_workers(2, "", "cuda") == 2
    assert n_workers(None, "", "cpu") >= 1
    assert n_workers(None, "tcp://10.0.0.5:8786", "cpu") == 0


def test_a_sweep_tries_one_value_at_a_time() -> None:
    ways = searches(load_study("sweeps").optimizers)
    assert ("GA mutation_rate=0.25", {"n_conserve": 0, "mutation_rate": 0.25}) in [
        (w.label, w.parameters) for w in ways
    ]
    assert len({way.label for way in ways}) == len(ways)


def test_parameters_that_suit_a_generators_codes_go_by_an_optimizers_name_and_above_that_its_label() -> None:
    text = TINY.replace("population = 10", "population = 10\nsweep = { mutation_rate = [0.9] }")
    text += """
[[generator]]
name = "embedded"
optimizers.genetic = { population = 30, selectivity = 1.5, mutation_rate = 0.4 }
optimizers.GA = { selectivity = 3.0 }
"""
    found = {e.labels.optimizer: e.experiment.optimizer["parameters"] for b in planned(text) for e in b.planned}
    assert found["GA"] == {"population": 10, "selectivity": 3.0, "mutation_rate": 0.4}
    assert found["GA mutation_rate=0.9"] == {"population": 10, "selectivity": 3.0, "mutation_rate": 0.9}


@pytest.mark.parametrize("overlays", [[], ["pretrained"]])
@pytest.mark.parametrize("study", ["optimizers", "sweeps"])
def test_fdgd_and_nes_are_xdreams_own_and_beside_them_the_servers(study: str, overlays: list[str]) -> None:
    ways = [way for way in searches(load_study(study, overlays).optimizers) if way.name in ("fdgd", "nes")]
    own = {way.of for way in ways if way.parameters.get("xdream_compatible")}
    assert own == {"FDGD", "NES"}
    assert {way.of for way in ways} - own == {"FDGD, standardised", "NES, standardised"}


def test_a_store_knows_itself_and_refuses_what_is_none(tmp_path: Path, finished: Path) -> None:
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE t (x)")
    assert is_store(finished)
    assert not is_store(other)
    assert not is_store(tmp_path / "nothing")
    with pytest.raises(ConfigError, match=r"other\.db is no store of studies"):
        Store(other)


def test_a_store_holds_what_its_hash_was_made_of(finished: Path) -> None:
    for hash_, text, *_ in content(finished)["experiments"]:
        assert hashlib.sha256(str(text).encode()).hexdigest()[:32] == hash_
        assert json.loads(str(text))["network"]["weights"]


def test_every_key_of_a_study_file_is_on_its_page() -> None:
    page = (Path(__file__).parent.parent / "docs" / "studies.md").read_text("utf-8")
    keys = {key_of(field) for _, table in all_tables(table=Study) for field in table.model_fields.values()}
    assert [key for key in sorted(keys) if f"`{key}`" not in page and f"[{key}]" not in page] == []
