"""What NWB's own tools say of a file: its validator and its inspector."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nwbinspector import Importance, inspect_nwbfile


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a tool has to say of a file."""

    level: str
    """"error", "critical", "violation" or "suggestion"."""
    where: str
    what: str

    @property
    def invalid(self) -> bool:
        """Whether programs may fail to read the file; a fact that an archive misses is no such thing."""
        return self.level == "error"

    @property
    def asks_who(self) -> bool:
        """Whether it is about the subject or the lab, which a rehearsal has not."""
        return self.where.startswith("/general/subject") or any(f"({check}" in self.what for check in _WHO)

    def __str__(self) -> str:
        return f"{self.level}: {self.where}: {self.what}"


_WHO = ("check_subject", "check_experimenter", "check_institution")
_LEVELS = {
    Importance.ERROR: "error",
    Importance.PYNWB_VALIDATION: "error",
    Importance.CRITICAL: "critical",
    Importance.BEST_PRACTICE_VIOLATION: "violation",
    Importance.BEST_PRACTICE_SUGGESTION: "suggestion",
}


def inspect(path: Path) -> list[Finding]:
    """Return all findings, the gravest first."""
    order = list(_LEVELS.values())
    return sorted(_findings(path), key=lambda finding: order.index(finding.level))


def _findings(path: Path) -> Iterator[Finding]:
    for message in inspect_nwbfile(nwbfile_path=path):
        if message is not None:
            level = _LEVELS.get(message.importance, "error")
            where = message.location or message.object_name or "/"
            yield Finding(level, where, f"{message.message} ({message.check_function_name})")
