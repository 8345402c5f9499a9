"""Peers come, go and repeat themselves, two operators press what they like: the session does as its model says.

Hypothesis draws the order of things. Whatever it was, in the end everybody comes back, the session goes on, and ends
with the scores of one that nothing ever happened to.
"""

from collections import Counter
from functools import cache
from typing import Any

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from protocol.ids import presentation_key
from protocol.messages import Control, Farewell, Hello, Message, Onsets, Recall, Responses, Role, Trial, Void
from server.actions import Action, Advanced, Cleared, GraceOver, Send, State, Trouble
from tests.builders import Desk, a_display, a_plan, a_report, a_session, an_acquisition, an_answer, an_evolution
from tests.chaos.bad_rig import LONG

N_GENERATIONS = 3
STALE = Trouble("spikes", "no fresh data from the recording system", "look at the amplifier")
GONE = {role: Trouble(role.value, f"the {role.value} has fallen silent", "look at it") for role in Role}


def an_answer_of(onsets: Onsets, rows: list[int]) -> Responses:
    """Return the counts that a neuron would give which knows the images: the same whenever they are shown."""
    some = Onsets(onsets.trial, onsets.presentation_ids[rows], onsets.stimulus_ids[rows], onsets.onsets_s[rows])
    answer = an_answer(some)
    answer.spike_counts[:, 0] = some.stimulus_ids * 7919 % 31
    return answer


def final_scores(desk: Desk) -> dict[tuple[int, int], list[float]]:
    advanced = [a.row for a in desk.log if hasattr(a, "row") and isinstance(a.row, Advanced)]
    outcomes = [each.outcome for each in advanced if each.outcome is not None]
    return {(o.evolution, o.generation): np.asarray(o.scores).tolist() for o in outcomes}


class SessionMachine(RuleBasedStateMachine):
    """A session, its two peers as far as it can see them, and what should hold of it."""

    def __init__(self) -> None:
        super().__init__()
        plan = a_plan(n_generations=N_GENERATIONS, max_attempts=90)
        self.desk = Desk(a_session([plan]), [an_evolution()])
        self.instances = Counter({Role.DISPLAY: 0, Role.ACQUISITION: 0})
        self.here: set[Role] = set()
        self.silent: set[Role] = set()
        self.waiting: dict[int, Trial] = {}
        self.reported: list[Any] = []
        self.asked: list[Onsets] = []
        self.answered: list[Responses] = []
        self.stale = self.paused = self.stopping = self.ending = self.begun = False
        self.n_controls = 0
        self.controls: list[Control] = []
        self.measured: Counter[tuple[int, int, int]] = Counter()

    @initialize()
    def start(self) -> None:
        self.hear(self.desk.start(), may_show=False)

    # -- what the peers do

    @precondition(lambda self: self.desk.session.state is not State.ENDED)
    @rule(role=st.sampled_from([Role.DISPLAY, Role.ACQUISITION]), anew=st.booleans())
    def join(self, role: Role, anew: bool) -> None:
        if anew or not self.instances[role]:
            self.instances[role] += 1
            self.forget(role)
        self.here.add(role)
        self.silent.discard(role)
        self.begun = self.begun or not self.troubled()
        name = f"{role}{self.instances[role]}"
        display = a_display(name, [*self.waiting, *(r.trial for r in self.reported)])
        hello: Hello = display if role is Role.DISPLAY else an_acquisition(name)
        self.tell(hello, role)

    @precondition(lambda self: self.here)
    @rule(chance=st.randoms(use_true_random=False), says_so=st.booleans())
    def leave(self, chance: Any, says_so: bool) -> None:
        role = chance.choice(sorted(self.here))
        self.here.discard(role)
        if says_so:
            self.tell(Farewell("stopped by hand"), role)
            self.forget(role)
        else:
            self.silent.add(role)
            self.tell(GONE[role])

    @precondition(lambda self: self.waiting and Role.DISPLAY in self.here)
    @rule(voids=st.sets(st.integers(0, 2)), cause=st.sampled_from([Void.FIXATION, Void.FRAME, Void.IMAGE_MISSING]))
    def show(self, voids: set[int], cause: Void) -> None:
        trial = self.waiting.pop(next(iter(self.waiting)))
        void = {place: cause for place in voids if place < len(trial.presentation_ids)}
        self.report(a_report(trial, void, "broken" if void else "complete"))

    @precondition(lambda self: self.reported and Role.DISPLAY in self.here)
    @rule(chance=st.randoms(use_true_random=False))
    def report_again(self, chance: Any) -> None:
        self.tell(chance.choice(self.reported), Role.DISPLAY)

    @precondition(lambda self: self.asked and Role.ACQUISITION in self.here)
    @rule(chance=st.randoms(use_true_random=False), lost=st.booleans())
    def answer(self, chance: Any, lost: bool) -> None:
        """Answer a question in part, in any order; now and then a showing was not measured."""
        onsets = self.asked.pop(chance.randrange(len(self.asked)))
        rows = list(range(len(onsets.presentation_ids)))
        chance.shuffle(rows)
        cut = chance.randint(1, len(rows))
        now, later = rows[:cut], rows[cut:]
        if later:
            rest = np.array(later)
            self.asked.append(
                Onsets(onsets.trial, onsets.presentation_ids[rest], onsets.stimulus_ids[rest], onsets.onsets_s[rest])
            )
        answer = an_answer_of(onsets, now)
        if lost:
            answer.measured[0] = False
        self.answered.append(answer)
        self.tell(answer, Role.ACQUISITION)

    @precondition(lambda self: self.answered and Role.ACQUISITION in self.here)
    @rule(chance=st.randoms(use_true_random=False))
    def answer_again(self, chance: Any) -> None:
        self.tell(chance.choice(self.answered), Role.ACQUISITION)

    @rule(stale=st.booleans())
    def data_age(self, stale: bool) -> None:
        if self.desk.session.state is State.ENDED:
            return
        self.stale = stale
        self.begun = self.begun or (not stale and not self.troubled())
        self.tell(STALE if stale else Cleared("spikes"))

    # -- what operators do

    @precondition(lambda self: self.desk.session.state is not State.ENDED)
    @rule(
        action=st.sampled_from(["pause", "pause", "pause_now", "resume", "resume", "note"]),
        author=st.sampled_from(["JD", "MK"]),
        times=st.integers(1, 5),
    )
    def press(self, action: str, author: str, times: int) -> None:
        for _ in range(times):
            self.n_controls += 1
            self.paused = {"pause": True, "pause_now": True, "resume": False}.get(action, self.paused)
            self.controls.append(Control(f"c{self.n_controls}", action, author))
            self.tell(self.controls[-1], Role.OPERATOR)

    @precondition(lambda self: self.desk.session.state is not State.ENDED)
    @rule(action=st.sampled_from([*["note"] * 17, "stop", "stop", "end"]), author=st.sampled_from(["JD", "MK"]))
    def have_enough(self, action: str, author: str) -> None:
        """Now and then, stop after this generation, or end now."""
        if action == "stop":
            self.stopping, self.paused = True, False
        self.ending = self.ending or action == "end"
        self.press(action, author, 1)

    @precondition(lambda self: self.desk.session.state is State.ENDING)
    @rule()
    def grace_is_over(self) -> None:
        self.tell(GraceOver())
        assert self.desk.session.state is State.ENDED

    @precondition(lambda self: self.controls)
    @rule(chance=st.randoms(use_true_random=False))
    def press_of_long_ago_arrives_again(self, chance: Any) -> None:
        self.tell(chance.choice(self.controls), Role.OPERATOR)

    # -- what must hold

    @invariant()
    def it_stands_as_the_model_says(self) -> None:
        state = self.desk.session.state
        if state is State.ENDED:
            assert self.all_scored() or self.stopping or self.ending
        elif self.ending:
            assert state is State.ENDING
        elif self.troubled():
            assert state is (State.SUSPENDED if self.begun else State.WAITING)
        else:
            assert state is (State.PAUSED if self.paused else State.RUNNING)

    @invariant()
    def nothing_counts_twice(self) -> None:
        assert all(n == 1 for n in self.measured.values())

    def teardown(self) -> None:
        """Compare the session's end with an undisturbed one's, as far as it came."""
        self.finish()
        scores = final_scores(self.desk)
        assert scores == {key: undisturbed()[key] for key in scores}
        assert self.all_scored() or self.stopping or self.ending

    # -- how the peers hear of it

    def finish(self) -> None:
        """Bring everybody back, and let the session go on to its end."""
        if self.desk.session.state is not State.ENDED:
            self.data_age(False)
            self.join(Role.ACQUISITION, anew=True)
            self.join(Role.DISPLAY, anew=False)
            self.press("resume", "JD", 1)
        if self.desk.session.state is State.ENDING:
            self.grace_is_over()
        for _ in range(2000):
            if self.desk.session.state is State.ENDED:
                break
            if self.waiting:
                self.report(a_report(self.waiting.pop(next(iter(self.waiting)))))
            elif self.asked:
                onsets = self.asked.pop()
                self.tell(an_answer_of(onsets, list(range(len(onsets.presentation_ids)))), Role.ACQUISITION)
        assert self.desk.session.state is State.ENDED
        self.nothing_counts_twice()

    def troubled(self) -> bool:
        return self.stale or self.here != {Role.DISPLAY, Role.ACQUISITION}

    def all_scored(self) -> bool:
        return len(final_scores(self.desk)) == N_GENERATIONS

    def forget(self, role: Role) -> None:
        """A program that ended remembers nothing."""
        if role is Role.DISPLAY:
            self.waiting.clear()
            self.reported.clear()
        else:
            self.asked.clear()
            self.answered.clear()

    def report(self, report: Any) -> None:
        self.reported.append(report)
        self.tell(report, Role.DISPLAY)

    def tell(self, event: Any, sender: Role | None = None) -> None:
        before = self.desk.session.state
        actions = self.desk.tell(event, sender)
        self.hear(actions, may_show=State.RUNNING in (before, self.desk.session.state))

    def hear(self, actions: list[Action], may_show: bool) -> None:
        for action in actions:
            row = getattr(action, "row", None)
            if isinstance(row, Responses):
                self.count(row)
            if isinstance(action, Send) and action.role in self.here:
                self.take(action.role, action.message, may_show)

    def count(self, responses: Responses) -> None:
        for presentation in responses.presentation_ids[responses.measured].tolist():
            key = presentation_key(presentation)
            self.measured[key.evolution, key.generation, key.slot] += 1

    def take(self, role: Role, message: Message, may_show: bool) -> None:
        match message:
            case Trial():
                new = message.trial not in {r.trial for r in self.reported}
                assert may_show or message.trial in self.waiting or not new, "nothing new is shown now"
                if new:
                    self.waiting[message.trial] = message
            case Recall():
                back, self.waiting = list(self.waiting.values()), {}
                for trial in back:
                    unshown = dict.fromkeys(range(len(trial.presentation_ids)), Void.NOT_SHOWN)
                    self.report(a_report(trial, unshown, "recalled"))
            case Onsets():
                self.asked.append(message)


@cache
def undisturbed() -> dict[tuple[int, int], list[float]]:
    """Return the scores of a session in which everything was shown and measured at once."""
    machine = SessionMachine()
    machine.start()
    machine.finish()
    return final_scores(machine.desk)


TestSession = SessionMachine.TestCase
TestSession.settings = settings(
    max_examples=2000 if LONG else 60, stateful_step_count=60, deadline=None, derandomize=not LONG
)
