"""What an archive asks about an animal and a lab, and the configuration may have left open."""

import tomllib
from pathlib import Path

from pydantic import ValidationError

from server.config import Config, ConfigError
from server.config_problems import sentence

MAY_BE_ADDED = ("subject", "lab")
OF_SESSION = ("subject", "experimenter", "notes")


def wanted(config: Config) -> list[str]:
    """Return the keys that NWB's archive DANDI asks for and that are empty, each with what it is."""
    session, subject, lab = config.session, config.subject, config.lab
    asked = {
        "[session] subject, the animal's name or number": session.subject,
        '[session] experimenter, as "Last, First"': session.experimenter,
        '[subject] species, in Latin, such as "Macaca mulatta"': subject.species,
        "[subject] sex, M, F, U or O": subject.sex,
        '[subject] age such as "P8Y", or date_of_birth': subject.age or subject.date_of_birth,
        "[lab] institution": lab.institution,
        "[lab] lab": lab.lab,
        '[lab] area, such as "IT, left hemisphere"': lab.area,
    }
    return [what for what, given in asked.items() if not given]


def for_rehearsals(config: Config) -> bool:
    """Return whether a configuration has simulated neurons and says nothing of an animal or a lab."""
    return bool(config.simulator.model_fields_set) and not (
        config.subject.model_fields_set or config.lab.model_fields_set
    )


def with_facts(config: Config, path: Path | None) -> Config:
    """Return the configuration with the [subject] and [lab] of a TOML file, and who is named in its [session]."""
    if path is None:
        return config
    document = tomllib.loads(config.text)
    if isinstance(document.get("evolution"), dict):
        document["evolution"] = [document["evolution"]]
    for name, table in _added(path).items():
        document[name] = document.get(name, {}) | table
    try:
        return Config.model_validate(document, context=config.text)
    except ValidationError as wrong:
        raise ConfigError(*(sentence(str(path), each, document) for each in wrong.errors())) from None


def _added(path: Path) -> dict[str, dict[str, object]]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as wrong:
        raise ConfigError(f"{path}: not TOML: {wrong}.") from wrong
    except OSError as wrong:
        raise ConfigError(f"{path}: cannot be read: {wrong.strerror or wrong}.") from wrong
    added = {name: document[name] for name in MAY_BE_ADDED if name in document}
    session = {key: value for key, value in document.get("session", {}).items() if key in OF_SESSION}
    return added | ({"session": session} if session else {})
