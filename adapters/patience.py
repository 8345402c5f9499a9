"""Asking a recording program that may not be there yet."""

from collections.abc import Callable
from time import monotonic, sleep
from typing import TypeVar

from adapters.source import SourceError

AGAIN_S = 0.1
Answer = TypeVar("Answer")


def ask_for(wait_s: float, ask: Callable[[], Answer]) -> Answer:
    """Return the answer, asking again for so long as there is none; then raise the last SourceError."""
    give_up_s = monotonic() + wait_s
    while True:
        try:
            return ask()
        except SourceError:
            if monotonic() >= give_up_s:
                raise
        sleep(AGAIN_S)
