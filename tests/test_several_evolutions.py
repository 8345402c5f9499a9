"""Several evolutions in one session: each sees strictly its own scores, and a mix-up is caught where it happens."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from protocol.ids import presentation_key, stimulus_key
from protocol.messages import Acknowledge, Onsets, Responses, Role, Trial
from server import build
from server.actions import Advance, Late, State, Trouble
from server.config import load_config
from server.database import open_database
from server.evolution import Evolution
from server.exchange import ProtocolError
from server.recounting import Windows, recorded_channels, recount
from server.rescoring import Wishes, rescore
from tests.builders import Desk, a_display, a_report, an_acquisition, recorded, sent
from tests.played import CHANNELS, CONFIG, built, keep, play, spikes_of
from tests.rig import ROWS, a_rig

RIG = """
[session]
name = "rig"
seed = 3
[server]
address = "{address}"
[[evolution]]
name = "genetic"
channels = ["pixel/0"]
generations = 14
share = 2
optimizer = {{ name = "genetic", population = 17 }}
generator = {{ name = "raw_pixel", size = 4 }}
[[evolution]]
name = "nes"
channels = ["pixel/1"]
generations = 12
optimizer = {{ name = "nes", n_samples = 9 }}
generator = {{ name = "raw_pixel", size = 3 }}
[references]
count = 3
[display]
on_ms = 10
off_ms = 10
inter_trial_ms = 10
fixation_ms = 10
images_per_trial = 5
"""


def a_desk(made: build.Built) -> tuple[Desk, list[Trial]]:
    """Return a session of two evolutions that has begun, and the trials at the display."""
    desk = Desk(made.session, made.evolutions)
    desk.start()
    desk.tell(an_acquisition(channels=CHANNELS), Role.ACQUISITION)
    return desk, sent(desk.tell(a_display(), Role.DISPLAY), Trial, Role.DISPLAY)


def evolution_of(presentation: int) -> int:
    return presentation_key(int(presentation)).evolution


def of(evolution: int, presentations: np.ndarray) -> list[int]:
    return [p for p in presentations.tolist() if evolution_of(p) == evolution]


# Planted mix-ups.


def test_a_report_whose_ids_were_swapped_between_evolutions_is_refused(tmp_path: Path) -> None:
    with built(tmp_path / "s.xdream") as made:
        desk, [trial, *_] = a_desk(made)
        mixed = trial.presentation_ids.copy()
        [first, second] = (mixed.tolist().index(of(number, mixed)[0]) for number in (1, 2))
        mixed[[first, second]] = mixed[[second, first]]
        with pytest.raises(ProtocolError, match="does not match any trial that is out"):
            desk.tell(replace(a_report(trial), presentation_ids=mixed), Role.DISPLAY)
        assert sent(desk.tell(a_report(trial), Role.DISPLAY), Onsets), "the right report still counts"


def test_an_answer_under_an_id_of_the_other_evolution_that_nobody_asked_about_counts_nowhere(tmp_path: Path) -> None:
    with built(tmp_path / "s.xdream") as made:
        desk, [trial, *_] = a_desk(made)
        [onsets] = sent(desk.tell(a_report(trial), Role.DISPLAY), Onsets)
        before = {run.plan.number: run.ledger.debt for run in desk.session.runs}
        answer = spikes_of(onsets)
        ids = answer.presentation_ids.copy()
        stranger = next(p for p in range(2 * 10**12 + 10**7 + 9900, 2 * 10**12 + 10**7, -100) if p not in ids)
        ids[ids == of(1, ids)[0]] = stranger
        desk.tell(replace(answer, presentation_ids=ids), Role.ACQUISITION)
        kept = np.concatenate([row.presentation_ids for row in recorded(desk.log, Responses)])
        assert stranger not in kept and len(kept) == len(ids) - 1
        debts = {run.plan.number: run.ledger.debt for run in desk.session.runs}
        assert sum(before.values()) - sum(debts.values()) == len(ids) - 1


def test_answers_are_told_apart_by_id_and_never_by_place(tmp_path: Path) -> None:
    def shuffled(onsets: Onsets) -> Responses:
        order = np.random.default_rng(onsets.trial).permutation(len(onsets.presentation_ids))
        parts = (onsets.presentation_ids, onsets.stimulus_ids, onsets.onsets_s)
        return spikes_of(Onsets(onsets.trial, *(part[order] for part in parts)))

    straight, turned = play(tmp_path / "a.xdream"), play(tmp_path / "b.xdream", answer=shuffled)
    for mine, theirs in zip(told(straight), told(turned), strict=True):
        assert mine[:2] == theirs[:2]
        np.testing.assert_array_equal(mine[2], theirs[2])


def told(desk: Desk) -> list[tuple[int, int, np.ndarray]]:
    """Return what each evolution was given to score: (evolution, generation, counts by slot)."""
    given = [a for a in desk.log if isinstance(a, Advance) and a.measurements is not None]
    return sorted((a.evolution, a.proposal.generation, a.measurements.spike_counts) for a in given)


def test_what_one_evolution_is_given_holds_nothing_of_the_other(tmp_path: Path) -> None:
    desk = play(tmp_path / "s.xdream")
    for advance in (a for a in desk.log if isinstance(a, Advance) and a.measurements is not None):
        keys = {stimulus_key(stimulus)[:2] for stimulus in advance.measurements.stimulus_ids.tolist()}
        assert keys == {(0, 0), (advance.evolution, advance.proposal.generation)}


def test_an_evolution_ends_the_same_whatever_its_neighbour_draws(tmp_path: Path) -> None:
    """The other channel a hundred times louder: the first evolution's codes and scores stay as they are, to the bit."""

    def loud(onsets: Onsets) -> Responses:
        answer = spikes_of(onsets)
        return replace(answer, spike_counts=answer.spike_counts * np.array([1, 100, 100], np.int32))

    play(tmp_path / "a.xdream")
    play(tmp_path / "b.xdream", answer=loud)
    [mine, theirs] = (rescore(tmp_path / name, Wishes(evolution=1)) for name in ("a.xdream", "b.xdream"))
    assert [each.live.tolist() for each in mine] == [each.live.tolist() for each in theirs]
    [mine, theirs] = (rescore(tmp_path / name, Wishes(evolution=2)) for name in ("a.xdream", "b.xdream"))
    assert mine[0].live.tolist() != theirs[0].live.tolist()


def test_showings_are_shared_out_two_to_one_as_long_as_both_go_on(tmp_path: Path) -> None:
    endless = CONFIG.replace("generations = 4", "generations = 0").replace("generations = 3", "generations = 0")
    with built(tmp_path / "s.xdream", endless) as made:
        desk, trials = a_desk(made)
        for _ in range(60):
            actions = desk.tell(a_report(trials.pop(0)), Role.DISPLAY)
            trials += sent(actions, Trial, Role.DISPLAY)
            for onsets in sent(actions, Onsets, Role.ACQUISITION):
                trials += sent(desk.tell(spikes_of(onsets), Role.ACQUISITION), Trial, Role.DISPLAY)
        ids = np.concatenate([trial.presentation_ids for trial in sent(desk.log, Trial)])
        first, second = (len(of(number, ids)) for number in (1, 2))
        assert first + second > 250 and abs(first - 2 * second) <= 6


def test_a_late_report_that_comes_again_after_a_resume_is_kept_once_with_its_rewards(tmp_path: Path) -> None:
    with built(tmp_path / "s.xdream") as made:
        desk, [first, *_] = a_desk(made)
        desk.tell(a_display("d2"), Role.DISPLAY)
        late = replace(a_report(first), reward_onsets_s=np.ones(1), reward_durations_s=np.ones(1))
        desk.tell(late, Role.DISPLAY)
        keep(made.file, desk.log)
    again = build.resume(tmp_path / "s.xdream", lambda: 2.0)
    again.session.receive(a_display("d2"), Role.DISPLAY)
    actions = again.session.receive(late, Role.DISPLAY)
    assert sent(actions, Acknowledge) and not recorded(actions, Late)
    assert again.session.exchange.n_rewards == 1
    again.file.close()


def test_a_resumed_session_knows_the_trials_that_both_share(tmp_path: Path) -> None:
    with built(tmp_path / "s.xdream") as made:
        desk, [first, second] = a_desk(made)
        desk.tell(a_report(first), Role.DISPLAY)
        keep(made.file, desk.log)
        was = desk.session.traffic
    again = build.resume(tmp_path / "s.xdream", lambda: 2.0)
    now = again.session.traffic
    assert [t.presentation_ids.tolist() for t in now.out.values()] == [
        t.presentation_ids.tolist() for t in was.out.values()
    ]
    [asked], [owed] = was.unanswered(), now.unanswered()
    assert (
        asked.presentation_ids.tolist() == owed.presentation_ids.tolist()
        and len({*map(evolution_of, owed.presentation_ids)}) == 2
    )

    # Both evolutions' part of each counts: the report that was on its way, and the answer.
    again.session.receive(an_acquisition(channels=CHANNELS), Role.ACQUISITION)
    again.session.receive(a_display(trials=now.out), Role.DISPLAY)
    before = sum(run.ledger.debt for run in again.session.runs)
    [onsets] = sent(again.session.receive(a_report(second), Role.DISPLAY), Onsets)
    for each in (owed, onsets):
        again.session.receive(spikes_of(each), Role.ACQUISITION)
    assert before - sum(run.ledger.debt for run in again.session.runs) == len(owed.presentation_ids) + len(
        onsets.presentation_ids
    )
    again.file.close()


def test_what_stopped_a_server_that_was_killed_is_over_when_the_next_one_goes_on(tmp_path: Path) -> None:
    with built(tmp_path / "s.xdream") as made:
        desk, _ = a_desk(made)
        desk.tell(Trouble("spikes", "no fresh data from the recording system", "look at it"))
        keep(made.file, desk.log)
    again = build.resume(tmp_path / "s.xdream", lambda: 2.0)
    again.session.receive(an_acquisition(channels=CHANNELS), Role.ACQUISITION)
    again.session.receive(a_display(), Role.DISPLAY)
    assert again.session.state is State.RUNNING
    [(began_at, over_at)] = again.file.connection.execute("SELECT began_at, cleared_at FROM troubles").fetchall()
    assert (began_at, over_at) == (1.0, 2.0), "the page says no data for as long as it is open"
    again.file.close()


def test_a_resumed_session_shares_out_what_follows_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    with built(tmp_path / "s.xdream") as made:
        desk, trials = a_desk(made)
        for _ in range(8):
            actions = desk.tell(a_report(trials.pop(0)), Role.DISPLAY)
            trials += sent(actions, Trial, Role.DISPLAY)
            for onsets in sent(actions, Onsets, Role.ACQUISITION):
                trials += sent(desk.tell(spikes_of(onsets), Role.ACQUISITION), Trial, Role.DISPLAY)
        keep(made.file, desk.log)
        [following] = sent(desk.tell(a_report(trials[0]), Role.DISPLAY), Trial, Role.DISPLAY)
    again = build.resume(tmp_path / "s.xdream", lambda: 2.0)
    again.session.receive(an_acquisition(channels=CHANNELS), Role.ACQUISITION)
    again.session.receive(a_display(trials=again.session.traffic.out), Role.DISPLAY)
    [then] = sent(again.session.receive(a_report(trials[0]), Role.DISPLAY), Trial, Role.DISPLAY)
    assert then.presentation_ids.tolist() == following.presentation_ids.tolist()
    again.file.close()


# A whole session of real processes.


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file of a session of two generators, two optimizers and two channels, with shares of 2 to 1."""
    with a_rig(tmp_path_factory.mktemp("two"), 0) as rig:
        rig.config.write_text(RIG.format(address=rig.address))
        server = rig.server()
        rig.client()
        rig.adapter()
        rig.finish(server)
        return rig.file


def rows(path: Path, query: str) -> list[tuple]:
    connection = open_database(path, "ro")
    try:
        return connection.execute(query).fetchall()
    finally:
        connection.close()


def replayed(path: Path, evolution: Evolution, channels: tuple[str, ...] | None = None) -> list[str]:
    """Run an evolution alone on the counts in a file, and return where it asks or scores otherwise than on record."""
    if channels is not None:
        evolution.scorer = replace(evolution.scorer, channels=channels)
    connection, found = open_database(path, "ro"), []
    last = connection.execute("SELECT MAX(generation) FROM generations WHERE evolution = ?", (evolution.number,))
    for generation in range(1, last.fetchone()[0] + 1):
        which = (evolution.number, generation)
        proposal = evolution.propose(generation)
        query = "SELECT code FROM stimuli WHERE evolution = ? AND generation = ? ORDER BY place"
        codes = b"".join(row[0] for row in connection.execute(query, which))
        found += [f"codes {generation}"] * (codes != proposal.codes.tobytes())
        given = recount(connection, recorded_channels(connection), *which, Windows())
        outcome = evolution.absorb(proposal, given)
        query = "SELECT score FROM scores WHERE evolution = ? AND generation = ? ORDER BY stimulus_id"
        scores = [row[0] for row in connection.execute(query, which)]
        found += [f"scores {generation}"] * (scores != [*outcome.reference_scores, *outcome.scores])
    connection.close()
    return found


def test_each_optimizer_saw_strictly_its_own_scores(whole: Path) -> None:
    """Alone, on its own rows of the record, each evolution asks for the same codes to the last bit."""
    config = load_config(whole.with_name("rig.toml"))
    for evolution in build.build_evolutions(config):
        assert replayed(whole, evolution) == []
    first, second = build.build_evolutions(config)
    assert replayed(whole, first, ("pixel/1",))[:2] == ["scores 1", "codes 2"], "the neighbour's channel would show"
    assert replayed(whole, second, ("pixel/0",))[0] == "scores 1"


def test_the_record_of_two_evolutions_gives_their_live_scores(whole: Path) -> None:
    found = rescore(whole, Wishes())
    assert [sum(each.evolution == number for each in found) for number in (1, 2)] == [14, 12]
    assert not any(len(each.different) for each in found)


def test_a_server_killed_three_times_ends_with_the_same_two_evolutions(whole: Path, tmp_path: Path) -> None:
    with a_rig(tmp_path, 0) as rig:
        rig.config.write_text(RIG.format(address=rig.address))
        rig.client()
        rig.adapter()
        for target in (30, 110, 190):
            server = rig.server()
            rig.wait(server, lambda target=target: rig.n_measured() >= target)
            server.kill()
            server.wait()
        rig.finish(rig.server())
        for query in ROWS.values():
            assert rig.query(query) == rows(whole, query)


def test_both_were_shown_in_the_same_trials_at_two_to_one(whole: Path) -> None:
    shown = rows(whole, "SELECT evolution, trial, generation FROM presentations ORDER BY trial, place")
    ends = [max(place for place, row in enumerate(shown) if row[0] == number) for number in (1, 2)]
    numbers = np.array([row[0] for row in shown[: min(ends) + 1]])
    assert len(numbers) > 250
    # While one is computed the other has the display to itself, for longer on a busy machine: two to one only about.
    assert 1.3 < (numbers == 1).sum() / (numbers == 2).sum() < 2.7
    assert rows(whole, "SELECT 1 FROM presentations GROUP BY trial HAVING COUNT(DISTINCT evolution) = 2")


def test_every_showing_is_of_its_own_evolutions_image_or_of_a_reference(whole: Path) -> None:
    strangers = (
        "SELECT 1 FROM presentations p JOIN stimuli s USING (stimulus_id)"
        " WHERE s.evolution > 0 AND (s.evolution, s.generation) != (p.evolution, p.generation)"
    )
    assert not rows(whole, strangers)
    twice = "SELECT 1 FROM presentations JOIN responses USING (presentation_id) WHERE measured"
    assert not rows(whole, f"{twice} GROUP BY evolution, generation, slot HAVING COUNT(*) > 1")
