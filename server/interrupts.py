"""What Ctrl-C does to a session: the first stops it softly, the second now."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from rich.console import Console

from protocol.messages import Control
from server.engine import Engine


@contextmanager
def ctrl_c(engine: Engine, console: Console) -> Iterator[None]:
    """The first Ctrl-C stops after the generation, the second now."""
    actions = iter(("stop", "end"))

    def obey(*_: object) -> None:
        action = next(actions, None)
        if action is None:
            raise KeyboardInterrupt
        if action == "stop":
            console.print("Stopping after this generation. Press Ctrl-C again to stop now.")
        engine.ask(Control(uuid4().hex, action, "Ctrl-C"))

    before = {number: signal.signal(number, obey) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
