"""Whether what a command stumbled over is damage in a session file: then that is said, and no traceback."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from server.database import SessionFileError

log = logging.getLogger(__name__)


@contextmanager
def naming_damage(path: Path, *others: type[Exception]) -> Iterator[None]:
    """Raise SessionFileError for whatever goes wrong inside if the session file is damaged; else let it through.

    What gives its reason already, what the system refused, a SessionFileError or one of the `others`, is let through
    at once.
    """
    try:
        yield
    except Exception as error:
        if _says_why(error, others):
            raise
        log.warning("%s: %s. Looking whether %s is damaged", type(error).__name__, error, path)
        problem = _first_problem(path)
        if not problem:
            raise
        raise SessionFileError(f"{path} is damaged: {problem}. For all there is: xdream verify {path}") from error


def _says_why(error: Exception, others: tuple[type[Exception], ...]) -> bool:
    if isinstance(error, OSError):
        return error.errno is not None  # a picture that is none is an OSError too, of no system
    return isinstance(error, (SessionFileError, *others))


def _first_problem(path: Path) -> str:
    from server.verifying import verify

    for result in verify(path):
        if result.problems:
            return f"{result.name}: {result.problems[0].rstrip('.')}"
    return ""
