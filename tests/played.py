"""A whole session of two evolutions played at once into a real session file, with spikes that have times."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from protocol.ids import MAX_ATTEMPTS
from protocol.messages import Onsets, Responses, Role, Trial
from server import build
from server.actions import Action, Record
from server.config import parse_config
from server.evolution import Evolution
from server.session_file import SessionFile
from tests.builders import Desk, a_display, a_report, an_acquisition, sent

CHANNELS = ("left", "right", "noise")
CONFIG = """
[session]
name = "two"
seed = 4
[[evolution]]
name = "genetic left"
channels = ["left"]
generations = 4
repeats = 2
share = 2
optimizer = { name = "genetic", population = 8 }
generator = { name = "raw_pixel", size = 3 }
scorer = { name = "rate", baseline = "generation" }
[[evolution]]
name = "population"
channels = ["right", "noise"]
combine = [3, 1]
generations = 3
optimizer = { name = "nes", n_samples = 4 }
generator = { name = "raw_pixel", size = 4 }
scorer = { name = "rate", baseline = "trial", average = "median" }
[references]
count = 3
[acquisition]
response_window_ms = [50, 200]
baseline_window_ms = [0, 50]
"""


def spikes_of(onsets: Onsets, with_times: bool = True) -> Responses:
    """Return what three channels answer: the same for the same showing, and counted in the windows of the settings."""
    n = len(onsets.presentation_ids)
    trains = [
        _train(presentation, channel) for presentation in onsets.presentation_ids.tolist() for channel in range(3)
    ]
    times = np.concatenate(trains) if trains else np.zeros(0, np.float32)
    which = np.repeat(np.arange(len(trains)), [len(train) for train in trains])
    rows, channels = (which // 3).astype(np.int32), (which % 3).astype(np.int32)
    counts = []
    for start, end in ((0.05, 0.2), (0.0, 0.05)):
        inside = (times >= start) & (times < end)
        counts.append(np.bincount(which[inside], minlength=3 * n).reshape(n, 3).astype(np.int32))
    spikes = (times, rows, channels) if with_times else ()
    return Responses(onsets.presentation_ids, np.ones(n, np.bool_), counts[0], counts[1], "simulated", *spikes)


def _train(presentation: int, channel: int) -> np.ndarray:
    random = np.random.default_rng((channel, presentation // MAX_ATTEMPTS))
    times = random.uniform(-0.1, 0.3, random.poisson(6 + 4 * channel + presentation // MAX_ATTEMPTS % 7))
    # to the microsecond, so that no spike lies on a window's edge for the one and beside it for the other
    return np.sort((np.floor(times * 1e6) + 0.5) / 1e6).astype(np.float32)


def show(desk: Desk, trials: list[Trial], answer: Callable[[Onsets], Responses] = spikes_of) -> None:
    """Show and measure whatever is asked until nothing more is."""
    while trials:
        actions = desk.tell(a_report(trials.pop(0)), Role.DISPLAY)
        trials += sent(actions, Trial, Role.DISPLAY)
        for onsets in sent(actions, Onsets, Role.ACQUISITION):
            trials += sent(desk.tell(answer(onsets), Role.ACQUISITION), Trial, Role.DISPLAY)


@contextmanager
def built(path: Path, config: str = CONFIG) -> Iterator[build.Built]:
    """A session that has just been made, and its file."""
    made = build.begin(parse_config(config, "two.toml"), build.Changes(), path, lambda: 1.0)
    try:
        yield made
    finally:
        made.file.close()


def play(
    path: Path,
    config: str = CONFIG,
    answer: Callable[[Onsets], Responses] = spikes_of,
    meddle: Callable[[list[Evolution]], None] = lambda evolutions: None,
) -> Desk:
    """Play a session to its end, all of it on record; `meddle` may spoil its evolutions before."""
    with built(path, config) as made:
        meddle(made.evolutions)
        desk = Desk(made.session, made.evolutions)
        desk.start()
        desk.tell(an_acquisition(channels=CHANNELS), Role.ACQUISITION)
        show(desk, sent(desk.tell(a_display(), Role.DISPLAY), Trial, Role.DISPLAY), answer)
        keep(made.file, desk.log)
    return desk


def keep(file: SessionFile, actions: list[Action]) -> None:
    """Put on disk what goes on record."""
    with file.transaction():
        for action in actions:
            if isinstance(action, Record):
                file.add(action.row)
