"""When enough has been seen: what drift does to a curve, what is called flat, and how often that is wrong."""

from math import nan
from pathlib import Path

import numpy as np
import pytest

from protocol.messages import Control, Notice, Onsets, Role, Trial
from server import build
from server.actions import Advanced, Send, State
from server.drift import Drift, drift
from server.evolution import Outcome
from server.plateau import ALPHA, RISE, boundary, trend
from server.stopping import ADVISER, Advice, Rules, Stopping, Verdict, _Course
from tests.builders import (
    Desk,
    a_display,
    a_plan,
    a_report,
    a_session,
    an_acquisition,
    an_answer,
    an_evolution,
    recorded,
    sent,
)
from tests.played import CHANNELS, CONFIG, built, keep, play, show

N_EVOLVED, N_REFERENCES = 40, 10
NO_IDS = np.zeros(0, np.int64)


class Neuron:
    """Makes generations of scores as in vivo: 84 Hz, a standard deviation of a quarter, and a gain that drifts."""

    def __init__(self, seed: int, loss: float = 0.0, n_generations: int = 40, noise: float = 0.25) -> None:
        self._random = np.random.default_rng(seed)
        self._noise = noise
        self._references_hz = self._random.uniform(50, 84, N_REFERENCES)
        self.gain = 1 - loss * np.arange(n_generations) / (n_generations - 1)

    def scores(self, levels_hz: np.ndarray) -> list[np.ndarray]:
        """Return [n_generations] arrays of the scores of images of this level."""
        pairs = zip(levels_hz, self.gain, strict=True)
        return [level * gain * (1 + self._noise * self._random.normal(size=N_EVOLVED)) for level, gain in pairs]

    def references(self) -> list[np.ndarray]:
        shape = (len(self.gain), N_REFERENCES)
        noisy = self._references_hz * (1 + self._noise * self._random.normal(size=shape))
        return list(noisy * self.gain[:, None])


def rising_and_flat(n: int = 40, gain: float = 0.4, tau: float = 6.0) -> np.ndarray:
    """Return a curve as in vivo: half of the gain after some 4 to 8 generations, then a plateau."""
    return 84 * (1 + gain * (1 - np.exp(-np.arange(n) / tau)))


def ends(scores: list[np.ndarray]) -> float:
    """Return by how much the last five generations are above the first five, as a share."""
    means = np.array([each.mean() for each in scores])
    return float(means[-5:].mean() / means[:5].mean())


# Drift.


def test_the_corrected_curve_recovers_what_drift_has_hidden() -> None:
    truth = ends([np.array([level]) for level in rising_and_flat()])
    raw, corrected = [], []
    for seed in range(40):
        neuron = Neuron(seed, loss=0.10)
        evolved = neuron.scores(rising_and_flat())
        found = drift(np.arange(1, 41), neuron.references())
        raw.append(ends(evolved) / truth - 1)
        corrected.append(ends(found.corrected(evolved)) / truth - 1)
    assert np.mean(raw) < -0.075, "a loss of 10 % hides that much"
    assert abs(np.mean(corrected)) < 0.02
    assert np.sqrt(np.mean(np.square(corrected))) < 0.06


def test_without_drift_the_correction_changes_little() -> None:
    off = []
    for seed in range(40):
        neuron = Neuron(seed)
        off.append(drift(np.arange(1, 41), neuron.references()).gain[-1] - 1)
    assert abs(np.mean(off)) < 0.015 and np.std(off) < 0.06


def test_the_gain_is_as_sure_as_it_says() -> None:
    z = []
    for seed in range(60):
        found = drift(np.arange(1, 41), Neuron(seed, loss=0.1).references())
        z.append((found.gain[-1] - 0.9) / found.sd[-1])
    assert 0.6 < np.std(z) < 1.4 and abs(np.mean(z)) < 0.6


def test_many_quiet_references_find_any_drift() -> None:
    neuron = Neuron(1, loss=0.3, noise=0.02)
    np.testing.assert_allclose(drift(np.arange(40), neuron.references()).gain, neuron.gain, atol=0.02)


def test_the_noise_of_a_single_reference_image_is_not_taken_for_drift() -> None:
    moved = []
    for seed in range(20):
        spikes = np.random.default_rng(seed).poisson(10, 30)
        moved.append(np.abs(drift(np.arange(30), [np.array([float(n)]) for n in spikes]).gain - 1).max())
    assert np.median(moved) < 0.1, "one count scatters by a third of its mean"
    steady = 84 * np.linspace(1, 0.8, 40)
    found = drift(np.arange(40), [np.array([each]) for each in steady])
    np.testing.assert_allclose(found.gain, steady / 84, atol=0.02)


def test_missing_references_move_nothing() -> None:
    references = Neuron(2, noise=1e-6).references()
    best = int(np.argmax(references[0]))
    for each in references[10:30]:
        each[best] = nan
    references[35][:] = nan
    np.testing.assert_allclose(drift(np.arange(40), references).gain, 1, atol=1e-4)


@pytest.mark.parametrize("references", [[], [np.zeros(0)] * 3, [np.full(4, nan)] * 3, [np.full(4, -1.0)] * 3])
def test_where_no_gain_can_be_told_nothing_is_corrected(references: list[np.ndarray]) -> None:
    found = drift(np.arange(len(references)), references)
    assert isinstance(found, Drift) and (found.gain == 1).all() and len(found.gain) == len(references)


# The plateau, under peeking after every generation.


def ever(what: str, levels_hz: np.ndarray, seed: int, loss: float = 0.0, corrected: bool = False) -> int:
    """Return the first generation after which a curve is called rising or flat; 0 = never."""
    neuron = Neuron(seed, loss, len(levels_hz), noise=0.0)
    random = np.random.default_rng((seed, 1))
    evolved = [
        level * gain + 20 * random.normal(size=N_EVOLVED) for level, gain in zip(levels_hz, neuron.gain, strict=True)
    ]
    references = [each + 20 * random.normal(size=N_REFERENCES) for each in neuron.references()]
    generations = np.arange(1, len(levels_hz) + 1)
    for n in range(5, len(levels_hz) + 1):
        if getattr(trend(generations[:n], evolved[:n], references[:n], corrected), what) is not None:
            return n
    return 0


JUST_RISING = 84 + RISE * 20 * 1.15 * np.arange(60)
"""Gains a little more than what counts as flat, also where a correction makes the scores' spread larger by a tenth."""


@pytest.mark.parametrize(("loss", "corrected"), [(0.0, False), (0.1, True)])
def test_what_still_rises_is_called_flat_no_more_often_than_promised(loss: float, corrected: bool) -> None:
    alarms = [bool(ever("flat", JUST_RISING, seed, loss, corrected)) for seed in range(20)]
    assert np.mean(alarms) <= ALPHA


def test_what_is_flat_is_called_rising_no_more_often_than_promised() -> None:
    assert np.mean([bool(ever("rising", np.full(60, 84.0), seed)) for seed in range(20)]) <= ALPHA


def test_a_realistic_curve_is_seen_to_rise_and_then_to_be_flat() -> None:
    curve = rising_and_flat(70)
    rise, flat = ([ever(what, curve, seed) for seed in range(8)] for what in ("rising", "flat"))
    assert all(rise) and np.median(rise) < 14
    assert all(flat) and 25 < np.median(flat) < 55, "after the plateau has begun, and within a long session"


def test_the_bound_holds_at_all_times_at_once() -> None:
    """Robbins' boundary itself, on 4,000 random walks of 300 unequal steps that are looked at after every one."""
    random = np.random.default_rng(0)
    steps = np.arange(1, 301) / 4
    sums = np.cumsum(random.normal(size=(4000, 300)) * steps, axis=1)
    bounds = np.array([boundary(v, ALPHA) for v in np.cumsum(steps**2)])
    crossed = np.mean((sums > bounds).any(axis=1))
    assert 0.01 < crossed <= ALPHA


# Advice.


def advice_on(
    rules: Rules, levels_hz: np.ndarray, number: int = 1, stopping: Stopping | None = None, minutes: float = 1.0
) -> list[Advice]:
    """Return what is said after each generation of 50 presentations and so many minutes."""
    stopping = stopping or Stopping(rules, {number: f"e{number}"})
    neuron = Neuron(3, 0.0, len(levels_hz), noise=0.1)
    pairs = zip(neuron.scores(levels_hz), neuron.references(), strict=True)
    outcomes = [Outcome(number, g, NO_IDS, evolved, NO_IDS, fixed) for g, (evolved, fixed) in enumerate(pairs, 1)]
    return [stopping.absorb(each, 50 * each.generation, minutes * each.generation) for each in outcomes]


def test_the_advice_reads_like_a_sentence() -> None:
    said = advice_on(Rules(presentations=5000), rising_and_flat(70))
    assert said[0].text == "e1: too early to tell, about 99 generations left"
    rising = next(each for each in said if each.verdict is Verdict.RISING)
    assert rising.text.startswith("e1: still rising, by ") and "a generation on the reference images (" in rising.text
    assert rising.text.endswith(f"about {100 - rising.generation} generations left")
    flat = next(each for each in said if each.verdict is Verdict.FLAT)
    assert "flat for " in flat.text and "with 95 % confidence it gains at most " in flat.text
    assert rising.generation < flat.generation
    assert not any(each.stop for each in said), "it advises; it was not told to act"


def test_it_says_what_is_new_and_says_it_once() -> None:
    news = [each.verdict for each in advice_on(Rules(), rising_and_flat(70)) if each.news]
    assert news[:2] == [Verdict.RISING, Verdict.FLAT] and len(news) < 6


@pytest.mark.parametrize(
    ("rules", "last", "words"),
    [
        (Rules(presentations=400, plateau=False, act=True), 8, "400 presentations are measured, 400 were asked for"),
        (Rules(minutes=5.5, plateau=False, act=True), 6, "6 minutes have passed, 5.5 were asked for"),
    ],
)
def test_a_limit_stops_when_it_was_told_to(rules: Rules, last: int, words: str) -> None:
    said = advice_on(rules, rising_and_flat(12))
    assert next(each.generation for each in said if each.stop) == last
    assert said[last - 1].text == f"e1: enough: {words}" and said[last - 1].news
    assert said[last - 1].note.action == "stop" and said[last - 1].note.author == ADVISER
    assert not said[last].news


def test_generations_are_enough_when_every_evolution_has_had_them() -> None:
    stopping = Stopping(Rules(generations=5, plateau=False, act=True), {1: "e1", 2: "e2", 3: "e3"}, {1: 0, 3: 2})
    first = advice_on(Rules(), np.full(6, 84.0), 1, stopping)
    assert first[0].text == "e1: no limit is reached, about 4 generations left"
    assert first[4].text == "e1: enough: 5 generations are scored, 5 were asked for" and first[4].news
    advice_on(Rules(), np.full(2, 84.0), 3, stopping)  # it ends by itself after two
    second = advice_on(Rules(), np.full(5, 84.0), 2, stopping)
    assert [each.stop for each in (*first, *second)] == [False] * 10 + [True]
    asked = Stopping(Rules(generations=5, plateau=False), {1: "e1"})
    advice = advice_on(Rules(), np.full(6, 84.0), 1, asked)
    assert advice[4].verdict is Verdict.SPENT and not any(each.stop for each in advice), "it was not told to act"


def test_minutes_that_nobody_counted_stop_nothing() -> None:
    assert not any(
        each.stop for each in advice_on(Rules(minutes=1, act=True, plateau=False), rising_and_flat(9), minutes=nan)
    )


def test_one_flat_evolution_does_not_stop_another_that_rises() -> None:
    stopping = Stopping(Rules(act=True), {1: "e1", 2: "e2"})
    first = advice_on(Rules(), np.full(70, 84.0), 1, stopping)
    assert first[-1].verdict is Verdict.FLAT and not any(each.stop for each in first)
    second = advice_on(Rules(), np.full(70, 84.0), 2, stopping)
    assert second[-1].verdict is Verdict.FLAT and second[-1].stop


def test_outcomes_of_before_bring_it_to_where_it_was() -> None:
    straight, resumed = Stopping(Rules(), {1: "e1"}), Stopping(Rules(), {1: "e1"})
    neuron = Neuron(5, noise=0.1)
    pairs = zip(neuron.scores(rising_and_flat()), neuron.references(), strict=True)
    *before, last = [Outcome(1, g, NO_IDS, evolved, NO_IDS, fixed) for g, (evolved, fixed) in enumerate(pairs, 1)]
    for outcome in before:
        straight.absorb(outcome, 0, 0.0)
        resumed.remember(outcome)
    assert straight.absorb(last, 0, 0.0).text == resumed.absorb(last, 0, 0.0).text


def test_an_evolution_that_was_flat_before_a_resume_is_flat_after_it() -> None:
    stopping = Stopping(Rules(act=True), {1: "e1", 2: "e2"})
    neuron = Neuron(5, n_generations=70)
    for g, (evolved, fixed) in enumerate(zip(neuron.scores(np.full(70, 84.0)), neuron.references(), strict=True), 1):
        stopping.remember(Outcome(1, g, NO_IDS, evolved, NO_IDS, fixed))  # it has come to its end
    assert any(each.stop for each in advice_on(Rules(), np.full(70, 84.0), 2, stopping))


def test_what_was_said_before_a_resume_is_not_said_again() -> None:
    stopping, neuron = Stopping(Rules(), {1: "e1"}), Neuron(5, n_generations=70)
    pairs = zip(neuron.scores(np.full(70, 84.0)), neuron.references(), strict=True)
    *before, last = [Outcome(1, g, NO_IDS, evolved, NO_IDS, fixed) for g, (evolved, fixed) in enumerate(pairs, 1)]
    for outcome in before:
        stopping.remember(outcome)
    said = stopping.absorb(last, 0, 0.0)
    assert said.verdict is Verdict.FLAT and not said.news


def test_minutes_since_a_resume_are_shared_out_among_the_generations_since_then() -> None:
    stopping, scores = Stopping(Rules(minutes=60, plateau=False), {1: "e1"}), np.ones(4)
    for generation in range(1, 101):
        stopping.remember(Outcome(1, generation, NO_IDS, scores, NO_IDS, np.zeros(0)))
    said = stopping.absorb(Outcome(1, 101, NO_IDS, scores, NO_IDS, np.zeros(0)), 0, 1.0)
    assert said.text.endswith("about 59 generations left")


def test_other_channels_are_not_called_flat_for_scoring_less_than_those_of_before() -> None:
    stopping, random = Stopping(Rules(act=True), {1: "e1"}), np.random.default_rng(0)

    def absorb(generation: int, evolved_hz: float, references_hz: float) -> Advice:
        evolved, fixed = (random.normal(mean, 4, n) for mean, n in ((evolved_hz, 40), (references_hz, 10)))
        return stopping.absorb(Outcome(1, generation, NO_IDS, evolved, NO_IDS, fixed), 0, 0.0)

    for generation in range(1, 11):
        absorb(generation, 60.0 + 2 * generation, 50.0)
    stopping.begin_afresh(1)
    said = [absorb(generation, 5.0 + generation - 10, 5.0) for generation in range(11, 31)]
    assert not any(each.stop for each in said) and said[0].verdict is Verdict.EARLY
    assert said[-1].verdict is Verdict.RISING


def test_generations_without_a_single_score_are_passed_over() -> None:
    stopping = Stopping(Rules(), {1: "e1"})
    nothing = np.full(4, nan)
    for generation in range(1, 12):
        said = stopping.absorb(Outcome(1, generation, NO_IDS, nothing, NO_IDS, nothing), 0, 0.0)
    assert said.verdict is Verdict.EARLY


# In a session: advice is on record and told, and stops when it was told to act.


def test_advice_goes_on_record_and_to_everybody_and_the_session_goes_on(tmp_path: Path) -> None:
    desk = play(tmp_path / "s.xdream", CONFIG + "[stopping]\npresentations = 30\n")
    notes = recorded(desk.log, Control)
    assert [(note.action, note.author) for note in notes] == [("note", ADVISER)] * 2
    assert "presentations are measured, 30 were asked for" in notes[0].arguments["text"]
    told = [a for a in desk.log if isinstance(a, Send) and isinstance(a.message, Notice)]
    assert {a.role for a in told if a.message.text == notes[0].arguments["text"]} == set(Role)
    assert [len(recorded(desk.log, Advanced))] == [4 + 3 + 2], "every generation was asked for and scored"


def test_told_to_act_the_session_stops_after_the_generation(tmp_path: Path) -> None:
    desk = play(tmp_path / "s.xdream", CONFIG + "[stopping]\npresentations = 30\nact = true\n")
    assert desk.session.state is State.ENDED and ADVISER in desk.session.standing.why
    outcomes = [row.outcome for row in recorded(desk.log, Advanced) if row.outcome]
    assert 2 <= len(outcomes) < 7, "what was begun was finished, and nothing more was begun"
    assert not any(desk.session.runs[number].ledger for number in (1, 2))


def test_told_to_act_on_generations_the_session_stops_after_as_many_of_each(tmp_path: Path) -> None:
    desk = play(tmp_path / "s.xdream", CONFIG + "[stopping]\ngenerations = 2\nact = true\n")
    assert desk.session.state is State.ENDED and ADVISER in desk.session.standing.why
    scored = [row.outcome.evolution for row in recorded(desk.log, Advanced) if row.outcome]
    assert {scored.count(1), scored.count(2)} <= {2, 3} and len(scored) < 7


def a_ruled_desk(stopping: Stopping) -> tuple[Desk, list[Trial]]:
    """Return a session of two evolutions, the second with the longer generations, and the trials at its display."""
    session = a_session([a_plan(1, n_generations=0), a_plan(2, n_generations=0)], images_per_trial=6)
    session.stopping = stopping
    desk = Desk(session, [an_evolution(1, 4), an_evolution(2, 22)])
    desk.start()
    return desk, sent(desk.join(), Trial)


def test_a_session_that_somebody_has_paused_stays_paused_when_the_rules_say_enough() -> None:
    desk, trials = a_ruled_desk(Stopping(Rules(presentations=12, plateau=False, act=True), {1: "e1", 2: "e2"}))
    asked: list[Onsets] = []
    for trial in trials:  # the first one's generation is shown after two trials
        asked += sent(desk.tell(a_report(trial), Role.DISPLAY), Onsets)
    desk.tell(Control("c1", "pause", "JD"), Role.OPERATOR)
    shown = len(sent(desk.log, Trial))
    for onsets in asked:
        desk.tell(an_answer(onsets), Role.ACQUISITION)
    assert ADVISER in [each.author for each in recorded(desk.log, Control)], "the rules have spoken"
    assert desk.session.state is State.PAUSED and "JD" in desk.session.standing.why
    assert len(sent(desk.log, Trial)) == shown, "somebody may be with the animal"
    desk.tell(Control("c2", "resume", "JD"), Role.OPERATOR)
    assert desk.session.state is State.RUNNING and ADVISER in desk.session.standing.why, "what was begun is finished"


def test_a_stop_is_on_record_also_where_its_verdict_is_no_news() -> None:
    class Flickering(Stopping):
        """The first evolution is flat, was not for a while, and is again when the second is flat too."""

        verdicts = iter((Verdict.FLAT, Verdict.UNCLEAR, Verdict.FLAT, Verdict.FLAT))

        def _judged(self, course: _Course) -> tuple[Verdict, str]:
            return next(self.verdicts), "flat"

    stopping = Flickering(Rules(act=True), {1: "e1", 2: "e2"})
    desk, _ = a_ruled_desk(stopping)
    first, second = (Outcome(number, 1, NO_IDS, np.zeros(0), NO_IDS, np.zeros(0)) for number in (1, 2))
    assert not any(stopping.absorb(outcome, 0, 0.0).stop for outcome in (first, first, second))
    desk.tell(Advanced(1, first, None, b""))
    assert desk.session.standing.stopping
    assert [(each.action, each.author) for each in recorded(desk.log, Control)] == [("stop", ADVISER)]


@pytest.mark.parametrize("resumes", [False, True])
def test_a_change_of_channels_begins_the_curve_afresh(tmp_path: Path, resumes: bool) -> None:
    with built(tmp_path / "s.xdream") as made:
        desk = Desk(made.session, made.evolutions)
        desk.start()
        desk.tell(an_acquisition(channels=CHANNELS), Role.ACQUISITION)
        trials = sent(desk.tell(a_display(), Role.DISPLAY), Trial)
        wish = {"evolution": 1, "channels": ["noise"]}
        desk.tell(Control("c1", "change", "JD", wish), Role.OPERATOR)
        show(desk, trials)
        keep(made.file, desk.log)
    again = build.resume(tmp_path / "s.xdream", lambda: 2.0)
    stopping = (again.session if resumes else desk.session).stopping
    assert stopping._courses[1].generations == [2, 3, 4], "the first was scored by the channels of before"
    assert stopping._courses[2].generations == [1, 2, 3]
    again.file.close()


def test_a_resumed_session_remembers_what_was_advised_upon(tmp_path: Path) -> None:
    desk = play(tmp_path / "s.xdream")
    again = build.resume(tmp_path / "s.xdream", lambda: 2.0)
    outcome = next(row.outcome for row in recorded(desk.log, Advanced)[::-1] if row.outcome)
    texts = {session.stopping.absorb(outcome, 99, 1.0).text for session in (desk.session, again.session)}
    assert len(texts) == 1 and again.session.exchange.n_measured == desk.session.exchange.n_measured
    again.file.close()
