"""What tests need and do not want to read about: small sessions, reports and answers that make sense."""

from collections.abc import Iterable, Sequence
from math import nan
from typing import Any, TypeVar

import numpy as np

from protocol.ids import stimulus_id
from protocol.messages import Hello, Message, Onsets, Responses, Role, StimulusBatch, Trial, TrialReport
from server import generators, optimizers
from server.actions import Action, Advance, Advanced, Record, Render, Rendered, Send
from server.evolution import Evolution, References
from server.pictures import to_png
from server.runs import Plan
from server.scheduler import Schedule
from server.scoring import RateScorer
from server.session import Session
from server.snapshots import pack
from server.welcome import Settings
from server.worker import make_change

M = TypeVar("M", bound=Message)


def some_references(n: int = 2) -> References:
    ids = np.array([stimulus_id(0, 0, i) for i in range(n)], np.int64)
    images = np.zeros((n, 2, 2, 3), np.uint8) + 40 * np.arange(n, dtype=np.uint8)[:, None, None, None]
    return References(ids, images, tuple(f"reference{i}.png" for i in range(n)))


def an_evolution(number: int = 1, population: int = 4, n_references: int = 2, repeats: int = 1) -> Evolution:
    generator = generators.create("raw_pixel", size=2)
    optimizer = optimizers.create("genetic", generator.code_shape, (0, number), population=population)
    scorer = RateScorer((), (), response_s=0.1, baseline_s=0.1)
    schedule = Schedule(0, number, repeats)
    return Evolution(number, f"e{number}", optimizer, generator, scorer, schedule, some_references(n_references))


def a_plan(number: int = 1, **changes: Any) -> Plan:
    return Plan(**{"number": number, "name": f"e{number}", "n_generations": 2} | changes)


def a_session(plans: Sequence[Plan] | None = None, images_per_trial: int = 3, n_references: int = 2) -> Session:
    settings = Settings(images_per_trial=images_per_trial, trials_ahead=2)
    return Session("s1", plans or [a_plan()], some_references(n_references), settings)


def a_display(instance: str = "d1", trials: Iterable[int] = ()) -> Hello:
    return Hello("display", "headless", instance, trials=np.array(list(trials), np.int64))


def an_acquisition(instance: str = "a1", channels: tuple[str, ...] = ("u1",), wants_images: bool = False) -> Hello:
    return Hello("acquisition", "replay", instance, channels=channels, wants_images=wants_images)


def sent(actions: Iterable[Action], kind: type[M], role: Role | None = None) -> list[M]:
    """Return the messages of a kind among the actions."""
    sends = [action for action in actions if isinstance(action, Send)]
    return [a.message for a in sends if isinstance(a.message, kind) and (role is None or a.role is role)]


def recorded(actions: Iterable[Action], kind: type[Any]) -> list[Any]:
    """Return the rows of a kind among the actions."""
    return [a.row for a in actions if isinstance(a, Record) and isinstance(a.row, kind)]


def a_report(trial: Trial, voids: dict[int, str] | None = None, outcome: str = "complete") -> TrialReport:
    """Return the report of a trial, with these places void and all others shown well."""
    n = len(trial.presentation_ids)
    why = tuple((voids or {}).get(place, "") for place in range(n))
    onsets_s = np.array([nan if void else 10.0 + 0.2 * place for place, void in enumerate(why)])
    frames = np.full(n, 6, np.int32)
    return TrialReport(trial.trial, outcome, trial.presentation_ids, onsets_s, onsets_s + 0.1, frames, frames, why)


def an_answer(onsets: Onsets, spikes: int = 3, n_channels: int = 1, unmeasured: Iterable[int] = ()) -> Responses:
    n = len(onsets.presentation_ids)
    measured = np.array([place not in set(unmeasured) for place in range(n)], np.bool_)
    counts = np.full((n, n_channels), spikes, np.int32)
    return Responses(onsets.presentation_ids, measured, counts, np.zeros_like(counts), "simulated")


class Desk:
    """A session with its worker's part played at once: what Advance and Render ask for is done and told."""

    def __init__(self, session: Session, evolutions: Sequence[Evolution]) -> None:
        self.session = session
        self.evolutions = {evolution.number: evolution for evolution in evolutions}
        self.log: list[Action] = []

    def start(self) -> list[Action]:
        return self._work(self.session.start())

    def tell(self, event: Any, sender: Role | None = None) -> list[Action]:
        return self._work(self.session.receive(event, sender))

    def join(self) -> list[Action]:
        return [*self.tell(an_acquisition(), Role.ACQUISITION), *self.tell(a_display(), Role.DISPLAY)]

    def _work(self, actions: list[Action]) -> list[Action]:
        self.log += actions
        every = list(actions)
        for action in actions:
            if isinstance(action, Advance | Render):
                for event in self._carry_out(action):
                    every += self.tell(event)
        return every

    def _carry_out(self, action: Advance | Render) -> Iterable[Advanced | Rendered]:
        if isinstance(action, Render):
            evolution, proposal, done = self.evolutions[action.proposal.evolution], action.proposal, action.done
        else:
            evolution, done = self.evolutions[action.evolution], frozenset()
            outcome = None
            if action.proposal is not None and action.measurements is not None:
                outcome = evolution.absorb(action.proposal, action.measurements)
            following = action.next_generation
            changed = tuple(make_change(evolution, change, following or 0) for change in action.changes)
            proposal = None if following is None else evolution.propose(following)
            yield Advanced(action.evolution, outcome, proposal, pack(evolution.optimizer.snapshot()), changed=changed)
        if proposal is not None:
            for batch in evolution.render(proposal, done, 3, 16):
                yield Rendered(proposal.evolution, proposal.generation, batch, _pngs(batch))


def _pngs(batch: StimulusBatch) -> tuple[bytes, ...]:
    return tuple(to_png(image) for image in batch.images)


def a_desk(population: int = 4, **changes: Any) -> Desk:
    desk = Desk(a_session(**changes), [an_evolution(population=population)])
    desk.start()
    return desk
