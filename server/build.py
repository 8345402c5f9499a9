"""From a configuration to the parts of a session: evolutions, reference images, the session and its file."""

import json
import math
import sqlite3
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from platform import platform, python_version
from typing import Any
from uuid import uuid4

import numpy as np
from PIL import Image, ImageOps

from protocol.ids import stimulus_id
from protocol.messages import Role
from protocol.software import software
from server import generators, initial_codes, optimizers
from server.actions import Cleared
from server.config import Config, ConfigError, parse_config
from server.config_tables import Evolution as EvolutionTable
from server.database import SessionFileError, cannot_be_written
from server.evolution import Evolution, References
from server.optimizers import ON_A_SPHERE
from server.pictures import NO_PICTURE, to_png
from server.restoring import restore
from server.runs import Plan
from server.scheduler import Schedule
from server.scoring import Scorer, ScorerError, create
from server.session import WORK, Session
from server.session_file import SessionFile
from server.stopping import Rules, Stopping
from server.target_file import as_recorded, with_target
from server.welcome import Settings

SHIPPED_REFERENCES = Path(__file__).with_name("references")
PICTURES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}


@dataclass(frozen=True, slots=True)
class Built:
    """All that an engine needs, and the file it writes."""

    config: Config
    session: Session
    evolutions: list[Evolution]
    file: SessionFile


@dataclass(frozen=True, slots=True)
class Changes:
    """What was asked for beside the configuration, and is kept with the session."""

    seed: int | None = None
    generations: int | None = None

    def apply(self, config: Config) -> Config:
        """Return the configuration as changed."""
        return config.changed(self.seed, self.generations)


def begin(config: Config, changes: Changes, path: Path, clock: Callable[[], float], **extra: str) -> Built:
    """Build a new session and make its file; raise ConfigError or SessionFileError."""
    written, config = config.text, changes.apply(config)
    evolutions = build_evolutions(config)
    check_sizes(evolutions)
    session = build_session(config, f"{config.session.name}-{uuid4().hex[:8]}", evolutions)
    facts = {
        "session_id": session.session_id,
        "config": written,
        "changes": json.dumps(asdict(changes)),
        "software": software(),
        "python": f"{python_version()} on {platform()}",
        **{name: version(name) for name in ("numpy", "torch", "pyzmq", "msgpack", "pillow")},
    }
    file = SessionFile.create(path, clock, facts | extra)
    try:
        _begin_record(file, session.references, evolutions)
    except sqlite3.OperationalError as error:
        file.close()
        path.unlink()  # nothing was shown yet
        raise cannot_be_written(path, error) from error
    return Built(config, session, evolutions, file)


def _begin_record(file: SessionFile, references: References, evolutions: list[Evolution]) -> None:
    with file.transaction():
        file.add_references(references, tuple(to_png(image) for image in references.images))
        for evolution in evolutions:
            file.add_evolution(evolution.number, evolution.name, evolution.facts)


def resume(path: Path, clock: Callable[[], float], generations: int | None = None) -> Built:
    """Build the session that a file holds, where it was left; raise SessionFileError or ConfigError."""
    file = SessionFile(path, clock)
    try:
        facts = file.facts()
        changes = Changes(**json.loads(facts["changes"]))
        if generations is not None:
            changes = replace(changes, generations=generations)
            file.set_fact("changes", json.dumps(asdict(changes)))
        config = changes.apply(parse_config(facts["config"], f"the configuration in {path}"))
        config = as_recorded(config, file.connection)
        begun = {number for (number,) in file.connection.execute("SELECT evolution FROM snapshots")}
        evolutions = build_evolutions(config, file.references(), begun)
        _check_weights(path, file, evolutions)
        session = build_session(config, facts["session_id"], evolutions)
        restore(session, evolutions, file.connection)
        with file.transaction():
            for source in ("spikes", WORK, *Role):  # this server finds out by itself what keeps it from going on
                file.add(Cleared(source))
    except BaseException:
        file.close()
        raise
    return Built(config, session, evolutions, file)


def _check_weights(path: Path, file: SessionFile, evolutions: list[Evolution]) -> None:
    for evolution in evolutions:
        check_weights(path, evolution, file.evolution_facts(evolution.number))


def check_weights(path: Path, evolution: Evolution, facts: Mapping[str, Any]) -> None:
    """Raise SessionFileError if a generator would draw other pictures than when these facts went on record."""
    then = facts["generator"]["weights_sha256"]
    now = evolution.facts["generator"]["weights_sha256"]
    if then != now:
        raise SessionFileError(
            f"{path}: evolution {evolution.name!r} was drawn with the generator weights {then[:12]}..., and these "
            f"are {now[:12]}...: the same codes would be other pictures. Bring the weights of then."
        )


def build_session(config: Config, session_id: str, evolutions: list[Evolution]) -> Session:
    """Return the session of a configuration, not begun."""
    plans = [
        Plan(n, table.name, _channels(table), table.generations, table.max_attempts, table.share)
        for n, table in enumerate(config.evolutions, 1)
    ]
    settings = Settings(
        config.display_settings(),
        config.acquisition_settings(),
        config.display.images_per_trial,
        config.display.trials_ahead,
        software(),
    )
    rules = config.stopping
    stopping = Stopping(
        Rules(
            rules.presentations, rules.minutes, rules.plateau, rules.curve == "corrected", rules.act, rules.generations
        ),
        {plan.number: plan.name for plan in plans},
        {plan.number: plan.n_generations for plan in plans},
    )
    return Session(session_id, plans, evolutions[0].references, settings, stopping)


def _channels(table: EvolutionTable) -> tuple[str, ...]:
    """Return all channels that an evolution names: the recording must offer those it squeezes as well."""
    return tuple(dict.fromkeys([*table.channels, *table.scorer.parameters.get("squeeze", ())]))


def build_evolutions(
    config: Config, references: References | None = None, begun: Collection[int] | None = None
) -> list[Evolution]:
    """Return the evolutions of a configuration, new; or, with the references on record, to be restored.

    `begun` are those whose optimizer is on record, initial codes and all; None = every one of those to be restored.
    """
    made = [_generator(table) for table in config.evolutions]
    if begun is None:
        begun = () if references is None else range(1, len(made) + 1)
    if references is None:
        blank = made[0].render(np.zeros((1, *made[0].code_shape), np.float32))
        references = load_references(config, (blank.shape[1], blank.shape[2]))
    evolutions = []
    tables = [_with_target(table) for table in config.evolutions]
    for number, (table, generator) in enumerate(zip(tables, made, strict=True), 1):
        seed = (config.session.seed, number)
        initial = {} if number in begun else _initial_codes(table, generator, seed)
        optimizer = _optimizer(table, generator, seed, initial)
        schedule, scorer = Schedule(config.session.seed, number, table.repeats), build_scorer(config, table)
        parts = (optimizer, generator, scorer, schedule, references)
        evolutions.append(Evolution(number, table.name, *parts, _facts(table, generator)))
    return evolutions


def check_sizes(evolutions: list[Evolution]) -> None:
    """Raise ConfigError if an evolution asks for more in a generation than there can be."""
    for evolution in evolutions:
        try:
            evolution.propose(1)
        except ValueError as error:
            raise ConfigError(f"evolution {evolution.name!r}: {error}") from error


def load_references(config: Config, size_px: tuple[int, int]) -> References:
    """Return the reference images that a configuration names, cropped and scaled to [height, width]."""
    count = config.references.count
    folder = Path(config.references.folder) if config.references.folder else SHIPPED_REFERENCES
    if count and not folder.is_dir():
        raise ConfigError(f"[references], folder: there is no folder {folder}.")
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() in PICTURES)[:count] if count else []
    if len(files) < count:
        raise ConfigError(f"[references], count: {folder} holds {len(files)} pictures, not {count}.")
    images = [_load_picture(file, size_px) for file in files]
    ids = np.array([stimulus_id(0, 0, place) for place in range(len(files))], np.int64)
    stacked = np.stack(images) if images else np.zeros((0, *size_px, 3), np.uint8)
    return References(ids, stacked, tuple(file.name for file in files))


def _load_picture(file: Path, size_px: tuple[int, int]) -> Any:
    try:
        with Image.open(file) as picture:
            fitted = ImageOps.fit(picture.convert("RGB"), size_px[::-1], Image.Resampling.LANCZOS)
    except NO_PICTURE as error:
        raise ConfigError(f"[references], folder: {file} cannot be read as a picture: {error}.") from error
    return np.array(fitted, np.uint8)


def _generator(table: EvolutionTable) -> generators.Generator:
    try:
        return generators.create(table.generator.name, **table.generator.parameters)
    except generators.GeneratorError as error:
        raise ConfigError(f"evolution {table.name!r}, [evolution.generator]: {error}") from error


def _initial_codes(table: EvolutionTable, generator: generators.Generator, seed: tuple[int, int]) -> dict[str, Any]:
    if not table.initial.name:
        return {}
    try:
        return {"initial_codes": initial_codes.create(table.initial.name, generator, seed, **table.initial.parameters)}
    except initial_codes.InitialCodesError as error:
        raise ConfigError(f"evolution {table.name!r}, [evolution.initial]: {error}") from error


def _optimizer(
    table: EvolutionTable, generator: generators.Generator, seed: tuple[int, int], initial: dict[str, Any]
) -> optimizers.Optimizer:
    try:
        parameters = table.optimizer.parameters | initial | _subspace(table, generator)
        usual = _usual_norm(generator, parameters.get("subspace")) if table.optimizer.name in ON_A_SPHERE else {}
        return optimizers.create(table.optimizer.name, generator.code_shape, seed, **usual | parameters)
    except (optimizers.OptimizerError, generators.GeneratorError) as error:
        raise ConfigError(f"evolution {table.name!r}, [evolution.optimizer]: {error}") from error


def _subspace(table: EvolutionTable, generator: generators.Generator) -> dict[str, Any]:
    """Return the axes in the file that the optimizer's `subspace` names, if they are of this generator."""
    file = table.optimizer.parameters.get("subspace")
    if not isinstance(file, str):
        return {}
    from server.generators import hessian  # torch takes seconds to import, and few ask for a subspace

    return {"subspace": hessian.load(Path(file), str(getattr(generator, "weights_sha256", ""))).directions}


def _with_target(table: EvolutionTable) -> EvolutionTable:
    """Return the table of an evolution with the lists of the file that its scorer names, if it names one."""
    try:
        return table.model_copy(update={"scorer": with_target(table.scorer)})
    except ScorerError as error:
        raise ConfigError(f"evolution {table.name!r}, [evolution.scorer]: {error}") from error


def _usual_norm(generator: generators.Generator, subspace: Any) -> dict[str, Any]:
    """Return the norm of this generator's usual codes, if it states one: in a subspace, as large in each number."""
    if not isinstance(generator, generators.Sized):
        return {}
    n_genes = math.prod(generator.code_shape)
    n_searched = len(subspace) if isinstance(subspace, list | np.ndarray) else n_genes
    return {"norm": generator.usual_norm * (n_searched / n_genes) ** 0.5}


def _facts(table: EvolutionTable, generator: generators.Generator) -> dict[str, Any]:
    """Return what the record says of an evolution's parts."""
    return {
        "optimizer": table.optimizer.model_dump(),
        "generator": table.generator.model_dump() | {"weights_sha256": getattr(generator, "weights_sha256", "")},
        "initial": table.initial.model_dump(),
        "scorer": table.scorer.model_dump(),
        "channels": table.channels,
        "combine": table.combine,
    }


def build_scorer(config: Config, table: EvolutionTable) -> Scorer:
    """Return the scorer of an evolution; raise ConfigError if it cannot be had."""
    response, baseline = config.acquisition.response_window_s, config.acquisition.baseline_window_s
    weights = () if table.combine == "mean" else tuple(table.combine)
    widths_s = (response[1] - response[0], baseline[1] - baseline[0])
    try:
        return create(table.scorer.name, table.channels, weights, *widths_s, **table.scorer.given)
    except ScorerError as error:
        raise ConfigError(f"evolution {table.name!r}, [evolution.scorer]: {error}") from error
