"""The rules of the conversation: one event in, actions out. No I/O, no clock, no waiting.

    WAITING ---- both peers have joined ----> RUNNING <----- pause / resume -----> PAUSED
                                              |     ^
                          trouble: a peer lost,     cleared: the peer is back,
                          spikes stale        v     spikes are fresh
    ENDED <--- nothing on its way --- ENDING  SUSPENDED
      ^                                 ^
      +-- last generation scored        +-- "end", from any state

Whatever the state, reports and responses are taken: what was measured counts. Trials go out only while RUNNING.
"""

from collections.abc import Sequence
from dataclasses import replace

from protocol.messages import (
    Acknowledge,
    Condition,
    Control,
    Farewell,
    Hello,
    Notice,
    Recall,
    Release,
    Responses,
    Role,
    StimulusBatch,
    TrialReport,
    Void,
)
from server.actions import (
    Action,
    Advance,
    Advanced,
    Cleared,
    Dismiss,
    Event,
    Failed,
    GraceOver,
    Joined,
    Record,
    Render,
    Rendered,
    Send,
    State,
    StateChanged,
    Trouble,
)
from server.alarms import Alarms, read_condition
from server.changes import Changed, read_change
from server.evolution import Outcome, References
from server.exchange import Exchange, ProtocolError
from server.runs import Plan, Run, Runs, in_parts
from server.score_signs import ScoreSigns
from server.standing import Standing
from server.stopping import ADVISER, Rules, Stopping
from server.traffic import Traffic
from server.welcome import Settings, refusal

WORK = "work"
"""The source of trouble that a failed job of the worker is."""


class Session:
    """One run on one subject: who is there, what is on its way, and what to do next."""

    def __init__(
        self,
        session_id: str,
        plans: Sequence[Plan],
        references: References,
        settings: Settings,
        stopping: Stopping | None = None,
    ) -> None:
        self.session_id = session_id
        self.settings = settings
        self.references = references
        self.runs = Runs(plans)
        self.traffic = Traffic()
        self.exchange = Exchange(self.runs, self.traffic)
        self.standing = Standing()
        self.stopping = stopping or Stopping(Rules(plateau=False), {plan.number: plan.name for plan in plans})
        self.alarms = Alarms()
        self.signs = ScoreSigns({plan.number: plan.name for plan in plans})
        self.channels: tuple[str, ...] = ()
        """Of the acquisition side, in the order of the counts; empty until one has joined."""
        self.display_instance = ""
        """The display that the trials went to which are out."""
        self.acquisition_instance = ""
        self.control_ids: set[str] = set()
        self.held: list[Advance | Render] = []
        """What the worker could not do, until somebody has it tried again."""
        self._wants_images = False

    @property
    def state(self) -> State:
        """How the session stands."""
        return self.standing.state

    def start(self) -> list[Action]:
        """Return what to do first: set every evolution to work, or back to work."""
        return [action for run in self.runs for action in self._set_to_work(run)] + self._go_on()

    def receive(self, event: Event, sender: Role | None = None) -> list[Action]:
        """Take one event and return what to do about it; raise ProtocolError for a peer's nonsense.

        Records must be on disk before any other action of the list is carried out.
        """
        before = self.state
        actions = self._take(event, sender) + self._go_on()
        return actions + self._say_state() if self.state is not before else actions

    def _take(self, event: Event, sender: Role | None) -> list[Action]:
        match event:
            case Hello():
                return self._join(event, Role(event.role))
            case TrialReport() if sender is Role.DISPLAY:
                repair = [Send(Role.DISPLAY, batch) for batch in self._batches()]
                return self.exchange.reported(event, repair)
            case Responses() if sender is Role.ACQUISITION:
                return self.exchange.responded(event, len(self.channels))
            case Condition() if sender in (Role.DISPLAY, Role.ACQUISITION):
                return self.alarms.stand(sender.value, read_condition(sender.value, event))
            case Control() if sender is Role.OPERATOR:
                return self._controlled(event)
            case Farewell() if sender is not None:
                return self._left(event, sender)
            case Advanced():
                return self._advanced(event)
            case Rendered():
                return self._rendered(event)
            case Failed():
                return self._hold(event)
            case Trouble():
                return self._suspend(event)
            case Cleared():
                return [Record(event)] if self.standing.clear(event.source) else []
            case GraceOver():
                self.standing.ended = self.standing.ended or self.standing.ending
                return []
        raise ProtocolError(f"{type(event).__name__} makes no sense from {sender.value if sender else 'nobody'}")

    # -- peers come and go

    def _join(self, hello: Hello, role: Role) -> list[Action]:
        no = refusal(hello, self.channels, (run.plan for run in self.runs)) if role is Role.ACQUISITION else ""
        if no:
            # It may be the one that was here, with other channels than before: then nobody counts any more.
            return [Dismiss(role, no), *self._suspend(Trouble(role.value, no, f"start the {role.value} again"))]
        welcome = self.settings.welcome(self.session_id, role, self.exchange.n_rewards)
        actions: list[Action] = [Record(Joined(hello)), Send(role, welcome)]
        over: list[Action] = [Record(Cleared(role.value))] if self.standing.clear(role.value) else []
        if role is Role.DISPLAY:
            actions += self._catch_up_display(hello)
        elif role is Role.ACQUISITION:
            actions += self._catch_up_acquisition(hello)
        return [*actions, *over, Send(role, self.standing.notice())]

    def _catch_up_display(self, hello: Hello) -> list[Action]:
        """Send the images, void what a display that is gone took with it, and repeat what was never received.

        Where nothing is to be shown now, what was never received is void instead, and the rest is asked back.
        """
        actions: list[Action] = [Send(Role.DISPLAY, batch) for batch in self._batches()]
        if hello.instance != self.display_instance:
            for trial in list(self.traffic.out.values()):
                actions += self.exchange.abandon(trial, Void.DISPLAY_LOST)
        self.display_instance = hello.instance
        held = set(hello.trials.tolist())
        missing = [trial for n, trial in self.traffic.out.items() if n not in held]
        if self.state is State.RUNNING:
            return actions + [Send(Role.DISPLAY, trial) for trial in missing]
        for trial in missing:
            actions += self.exchange.abandon(trial, Void.NOT_SHOWN)
        return [*actions, Send(Role.DISPLAY, Recall(now=self.standing.ending))]

    def _catch_up_acquisition(self, hello: Hello) -> list[Action]:
        over = [] if hello.instance == self.acquisition_instance else self.alarms.stand(Role.ACQUISITION.value, [])
        self.channels, self._wants_images = hello.channels, hello.wants_images
        self.acquisition_instance = hello.instance
        images = self._batches() if hello.wants_images else []
        unanswered = self.traffic.unanswered()
        over += [Record(changed) for run in self.runs for changed in run.refuse_changes(self.channels)]
        return [*over, *(Send(Role.ACQUISITION, b) for b in images), *(Send(Role.ACQUISITION, o) for o in unanswered)]

    def _left(self, farewell: Farewell, sender: Role) -> list[Action]:
        if sender is Role.OPERATOR:
            return []
        why = f"the {sender.value} left" + (f": {farewell.reason}" if farewell.reason else "")
        return self._suspend(Trouble(sender.value, why, f"start the {sender.value} again"))

    def _suspend(self, trouble: Trouble) -> list[Action]:
        """Take no new trial, and have those given back that wait at the display."""
        return [Record(trouble), Send(Role.DISPLAY, Recall())] if self.standing.suspend(trouble) else []

    # -- the operator

    def _controlled(self, control: Control) -> list[Action]:
        acknowledge = Send(Role.OPERATOR, Acknowledge(controls=(control.control_id,)))
        if control.control_id in self.control_ids:
            return [acknowledge]
        try:
            self.standing.obey(control.action, control.author)
        except ValueError as error:
            raise ProtocolError(str(error)) from error
        self.control_ids.add(control.control_id)
        actions: list[Action] = [Record(control), acknowledge]
        if control.action in ("pause", "pause_now", "end"):
            actions.append(Send(Role.DISPLAY, Recall(now=control.action != "pause")))
        if control.action in ("resume", "stop"):
            actions += self._try_again()
        if control.action == "drill":
            actions += [Send(role, control) for role in (Role.DISPLAY, Role.ACQUISITION)]
        return actions + (self._change(control) if control.action == "change" else [])

    def _change(self, control: Control) -> list[Action]:
        """Keep a change for the next generation of its evolution; one that makes no sense is on record as refused."""
        try:
            change = read_change(control, [run.plan.number for run in self.runs], self.channels)
        except ValueError as error:
            return [Record(Changed(control.control_id, 0, 0, refused=str(error)))]
        self.runs[change.evolution].changes.append(change)
        return []

    # -- generations

    def _set_to_work(self, run: Run) -> list[Action]:
        if run.proposal is None:
            run.finished = run.next_generation is None
            changes = run.take_changes() if self.channels else ()  # till then nobody knows whether they can be
            return [] if run.finished else [Advance(run.plan.number, None, None, run.next_generation, changes)]
        missing = len(run.rendered) < len(run.proposal.codes)
        return [Render(run.proposal, run.rendered)] if missing else []

    def _advanced(self, event: Advanced) -> list[Action]:
        run = self.runs[event.evolution]
        advised = self._advise(event.outcome, event.minutes) if event.outcome is not None else []
        if event.outcome is not None:
            advised += self.alarms.stand(f"evolution {event.evolution}", self.signs.absorb(event.outcome))
        for changed in event.changed:
            if changed.channels:
                self.stopping.begin_afresh(event.evolution)
            run.plan = replace(run.plan, channels=changed.channels or run.plan.channels)
        run.finished = event.proposal is None or self.standing.stopping
        if event.proposal is not None and not run.finished:
            run.open(event.proposal, self.references.stimulus_ids)
        return [Record(event), *advised]

    def _advise(self, outcome: Outcome, minutes: float) -> list[Action]:
        """Say what the stopping rules make of an outcome, where that is news, and stop if they were told to act.

        Nobody is at the button: a session that somebody has paused stays paused.
        """
        advice = self.stopping.absorb(outcome, self.exchange.n_measured, minutes)
        stop = advice.stop and not self.standing.stopping
        if stop:
            self.standing.wind_up(f"by {ADVISER}")
        if not (advice.news or stop):
            return []
        return [Record(advice.note), *(Send(role, Notice("info", advice.text)) for role in Role)]

    def _hold(self, failed: Failed) -> list[Action]:
        """Hold a generation that the worker could not finish; all that was measured of it is kept."""
        self.held.append(failed.job)
        do = "press Resume to try again; or end the server, mend the cause, and go on with xdream resume"
        return self._suspend(Trouble(WORK, f"the server's work failed: {failed.error}", do))

    def _try_again(self) -> list[Action]:
        """Have the worker do again what it could not do."""
        held, self.held = self.held, []
        over: list[Action] = [Record(Cleared(WORK))] if self.standing.clear(WORK) else []
        return over + [self._rest_of(job) for job in held]

    def _rest_of(self, job: Advance | Render) -> Action:
        run = self.runs[job.evolution if isinstance(job, Advance) else job.proposal.evolution]
        return job if isinstance(job, Advance) else replace(job, done=run.rendered)

    def _rendered(self, event: Rendered) -> list[Action]:
        run = self.runs[event.evolution]
        if run.finished or run.last_generation != event.generation:
            return []
        run.add(event.batch)
        return [Record(event), *(send for part in in_parts(event.batch) for send in self._to_viewers(part))]

    def _go_on(self) -> list[Action]:
        """Return what follows from how things stand: generations to score, trials to send, the end."""
        actions: list[Action] = []
        if not self.standing.ending:
            actions += [action for run in self.runs for action in self._close(run)]
        while self.state is State.RUNNING and len(self.traffic.out) < self.settings.trials_ahead:
            drawn = self.runs.draw(
                self.settings.images_per_trial, hurry=not self.traffic.out, n_ahead=self.settings.trials_ahead
            )
            if drawn is None:
                break
            trial = self.traffic.send(*drawn)
            actions += [Record(trial), Send(Role.DISPLAY, trial)]
        if all(run.finished for run in self.runs) or (self.standing.ending and not self._on_its_way()):
            self.standing.ended = True
        return actions

    def _close(self, run: Run) -> list[Action]:
        """Have a settled generation scored and the next one proposed; its images will not be shown again."""
        if run.proposal is None or run.ledger is None or not run.ledger.settled or not self.channels:
            return []  # a server that goes on may have settled it before it knows what is recorded
        measurements = run.ledger.measurements(self.channels)
        self.signs.measured(run.plan.number, measurements, run.plan.channels)
        following = None if self.standing.stopping else run.next_generation
        changes = () if following is None else run.take_changes()
        run.ledger, run.batches = None, []
        release = Release(run.proposal.stimulus_ids)
        return [Advance(run.plan.number, run.proposal, measurements, following, changes), *self._to_viewers(release)]

    def _on_its_way(self) -> bool:
        """Whether something that was shown is still to be reported or measured by a peer that is there."""
        troubles = self.standing.troubles
        coming_reports = self.traffic.out and Role.DISPLAY.value not in troubles
        return bool(coming_reports or (self.traffic.awaiting and Role.ACQUISITION.value not in troubles))

    # -- what peers are told

    def _say_state(self) -> list[Action]:
        actions: list[Action] = [Record(StateChanged(self.state, self.standing.why))]
        if self.state is State.ENDED:
            return actions + [Dismiss(role, f"session ended: {self.standing.why or 'all done'}") for role in Role]
        return actions + [Send(role, self.standing.notice()) for role in Role]

    def _batches(self) -> list[StimulusBatch]:
        """Return all images that may still be shown."""
        references = StimulusBatch(self.references.stimulus_ids, self.references.images)
        current = [batch for run in self.runs for batch in run.batches]
        return [part for batch in (references, *current) for part in in_parts(batch)]

    def _to_viewers(self, message: StimulusBatch | Release) -> list[Action]:
        roles = [Role.DISPLAY, Role.ACQUISITION] if self._wants_images else [Role.DISPLAY]
        return [Send(role, message) for role in roles]
