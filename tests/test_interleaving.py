"""While one evolution is computed the others are shown: the display never stands idle between generations."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from protocol.messages import Onsets, Role, Trial
from server.actions import Action, Advance, Advanced, Render, Rendered
from tests.builders import Desk, a_display, a_report, an_acquisition, sent
from tests.played import CHANNELS, built, spikes_of

HEAD = """
[session]
name = "interleaved"
[references]
count = 2
[display]
images_per_trial = 5
"""
EVOLUTION = """
[[evolution]]
name = "{name}"
generations = 12
share = {share}
optimizer = {{ name = "genetic", population = {population} }}
generator = {{ name = "raw_pixel", size = 3 }}
"""


class BusyDesk(Desk):
    """A session whose worker takes its time: nothing of a generation that was measured comes before `work`."""

    jobs: list[Advance]

    def start(self) -> list[Action]:
        self.jobs = []
        return super().start()

    def _carry_out(self, action: Advance | Render) -> Iterable[Advanced | Rendered]:
        if isinstance(action, Advance) and action.proposal is not None:
            self.jobs.append(action)
            return []
        return super()._carry_out(action)

    def work(self) -> None:
        """Do the job that has waited longest: score, propose, draw."""
        for event in list(super()._carry_out(self.jobs.pop(0))):
            self.tell(event)


def idle_times(path: Path, evolutions: list[tuple[int, float]]) -> tuple[int, int]:
    """Return (generations computed, how often nothing was left to be shown), until the first evolution is over.

    Computing a generation takes as long as showing a trial. Evolutions are given by population and share.
    """
    tables = [EVOLUTION.format(name=f"e{i}", population=n, share=share) for i, (n, share) in enumerate(evolutions)]
    with built(path, HEAD + "".join(tables)) as made:
        desk, n_computed, n_idle = BusyDesk(made.session, made.evolutions), 0, 0
        desk.start()
        desk.tell(an_acquisition(channels=CHANNELS), Role.ACQUISITION)
        desk.tell(a_display(), Role.DISPLAY)
        while not any(run.finished for run in made.session.runs):
            computing = bool(desk.jobs)
            n_idle += not made.session.traffic.out
            for trial in list(made.session.traffic.out.values())[:1]:
                show(desk, trial)
            if computing:
                desk.work()
                n_computed += 1
        return n_computed, n_idle


def show(desk: Desk, trial: Trial) -> None:
    for onsets in sent(desk.tell(a_report(trial), Role.DISPLAY), Onsets, Role.ACQUISITION):
        desk.tell(spikes_of(onsets), Role.ACQUISITION)


@pytest.mark.parametrize(
    "evolutions",
    [
        [(40, 1), (40, 1)],
        [(40, 1), (40, 2)],
        [(40, 1), (26, 1)],
        [(20, 1), (20, 1)],
        [(40, 1), (40, 1), (30, 1)],
    ],
)
def test_with_several_evolutions_there_is_always_a_trial_to_show(
    evolutions: list[tuple[int, float]], tmp_path: Path
) -> None:
    n_computed, n_idle = idle_times(tmp_path / "s.xdream", evolutions)
    assert n_computed >= 15 and n_idle == 0


def test_with_one_alone_the_display_waits_at_every_generation(tmp_path: Path) -> None:
    n_computed, n_idle = idle_times(tmp_path / "s.xdream", [(40, 1)])
    assert n_computed == n_idle == 12
