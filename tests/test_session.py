"""The rules of the conversation, told as conversations; no sockets, no clock, no disk."""

import numpy as np
import pytest

from protocol.codec import MAX_ARRAY_BYTES
from protocol.ids import stimulus_id
from protocol.messages import (
    Acknowledge,
    Control,
    Farewell,
    Hello,
    Notice,
    Onsets,
    Recall,
    Release,
    Responses,
    Role,
    StimulusBatch,
    Trial,
    TrialReport,
    Void,
    Welcome,
)
from server.actions import Advance, Advanced, Cleared, Dismiss, GraceOver, Late, Record, State, Trouble, Voided
from server.changes import Changed
from server.evolution import References
from server.exchange import ProtocolError
from server.session import Session
from server.welcome import Settings
from tests.builders import (
    Desk,
    a_desk,
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


def test_a_generation_reads_like_a_conversation() -> None:
    desk = a_desk(plans=[a_plan(n_generations=1)], images_per_trial=6)

    # The acquisition side joins: it is welcomed, and nothing is shown yet.
    actions = desk.tell(an_acquisition(), Role.ACQUISITION)
    assert sent(actions, Welcome, Role.ACQUISITION)[0].session_id == "s1"
    assert desk.session.state is State.WAITING and not sent(actions, Trial)

    # The display joins: it gets the images and, all that is needed being there, the first trial.
    actions = desk.tell(a_display(), Role.DISPLAY)
    shown_ids = np.concatenate([batch.stimulus_ids for batch in sent(actions, StimulusBatch, Role.DISPLAY)])
    [trial] = sent(actions, Trial, Role.DISPLAY)
    assert desk.session.state is State.RUNNING
    assert set(trial.stimulus_ids.tolist()) == set(shown_ids.tolist())

    # The display reports: it is on disk first, then acknowledged, then the spikes of those onsets are asked for.
    report = a_report(trial)
    record, acknowledge, request = desk.tell(report, Role.DISPLAY)
    assert record == Record(report)
    assert acknowledge.message.trials.tolist() == [trial.trial]
    assert request.role is Role.ACQUISITION
    assert request.message.onsets_s.tolist() == report.onsets_s.tolist()

    # The spikes come back: on disk, acknowledged, and the generation being complete, it is scored and all is done.
    actions = desk.tell(an_answer(request.message), Role.ACQUISITION)
    assert recorded(actions, Responses)
    assert sent(actions, Acknowledge, Role.ACQUISITION)
    assert sent(actions, Release, Role.DISPLAY)
    assert desk.session.state is State.ENDED
    assert {a.role for a in desk.log if isinstance(a, Dismiss)} == set(Role)


def play(desk: Desk, actions: list, voids: dict[int, str] | None = None) -> int:
    """Show and measure whatever is asked until nothing more is; return how many presentations were measured."""
    measured = 0
    trials = sent(actions, Trial, Role.DISPLAY)
    while trials:
        actions = desk.tell(a_report(trials.pop(0), voids), Role.DISPLAY)
        trials += sent(actions, Trial, Role.DISPLAY)
        for onsets in sent(actions, Onsets, Role.ACQUISITION):
            measured += len(onsets.presentation_ids)
            trials += sent(desk.tell(an_answer(onsets), Role.ACQUISITION), Trial, Role.DISPLAY)
    return measured


def test_a_session_goes_on_to_its_last_generation() -> None:
    desk = a_desk(plans=[a_plan(n_generations=3)])
    assert play(desk, desk.join()) == 3 * 6
    assert desk.session.state is State.ENDED


def test_two_trials_wait_at_the_display() -> None:
    desk = a_desk()
    trials = sent(desk.join(), Trial)
    assert [len(trial.presentation_ids) for trial in trials] == [3, 3]


def test_a_void_is_shown_again_under_a_new_id() -> None:
    desk = a_desk(images_per_trial=6)
    [trial] = sent(desk.join(), Trial)
    actions = desk.tell(a_report(trial, {4: Void.FIXATION, 5: Void.FIXATION}), Role.DISPLAY)
    [onsets], [again] = sent(actions, Onsets), sent(actions, Trial)
    assert onsets.presentation_ids.tolist() == trial.presentation_ids[:4].tolist()
    assert sorted(again.stimulus_ids) == sorted(trial.stimulus_ids[4:])
    assert not set(again.presentation_ids.tolist()) & set(trial.presentation_ids.tolist())


def test_what_was_not_measured_is_shown_again() -> None:
    desk = a_desk(images_per_trial=6)
    [trial] = sent(desk.join(), Trial)
    [onsets] = sent(desk.tell(a_report(trial), Role.DISPLAY), Onsets)
    [again] = sent(desk.tell(an_answer(onsets, unmeasured=[2]), Role.ACQUISITION), Trial)
    assert again.stimulus_ids.tolist() == [onsets.stimulus_ids[2]]


def test_an_image_that_can_never_be_shown_is_given_up_and_not_guessed() -> None:
    desk = a_desk(plans=[a_plan(n_generations=1, max_attempts=2)], images_per_trial=6)
    play(desk, desk.join(), voids={0: Void.FIXATION})
    assert desk.session.state is State.ENDED
    [outcome] = [row.outcome for row in recorded(desk.log, Advanced) if row.outcome]
    everything = np.concatenate([outcome.scores, outcome.reference_scores])
    assert np.isnan(everything).any() and not np.isnan(everything).all()


def test_a_report_that_comes_twice_is_acknowledged_twice_and_counted_once() -> None:
    desk = a_desk(images_per_trial=6)
    [trial] = sent(desk.join(), Trial)
    desk.tell(a_report(trial), Role.DISPLAY)
    actions = desk.tell(a_report(trial), Role.DISPLAY)
    assert sent(actions, Acknowledge) and not recorded(actions, TrialReport) and not sent(actions, Onsets)


def test_responses_that_come_twice_or_in_part_are_counted_once() -> None:
    desk = a_desk(images_per_trial=6)
    [trial] = sent(desk.join(), Trial)
    [onsets] = sent(desk.tell(a_report(trial), Role.DISPLAY), Onsets)
    first = Onsets(onsets.trial, onsets.presentation_ids[:2], onsets.stimulus_ids[:2], onsets.onsets_s[:2])
    [kept] = recorded(desk.tell(an_answer(first), Role.ACQUISITION), Responses)
    [rest] = recorded(desk.tell(an_answer(onsets), Role.ACQUISITION), Responses)
    assert kept.presentation_ids.tolist() == onsets.presentation_ids[:2].tolist()
    assert rest.presentation_ids.tolist() == onsets.presentation_ids[2:].tolist()
    assert not recorded(desk.tell(an_answer(onsets), Role.ACQUISITION), Responses)


def test_a_report_of_a_trial_that_was_never_sent_is_nonsense() -> None:
    desk = a_desk()
    [trial, _] = sent(desk.join(), Trial)
    with pytest.raises(ProtocolError, match="trial 99"):
        desk.tell(a_report(Trial(99, trial.presentation_ids, trial.stimulus_ids)), Role.DISPLAY)
    with pytest.raises(ProtocolError, match=f"trial {trial.trial}"):
        desk.tell(a_report(Trial(trial.trial, trial.presentation_ids + 1, trial.stimulus_ids)), Role.DISPLAY)


def test_only_the_display_reports_and_only_the_acquisition_side_answers() -> None:
    desk = a_desk()
    [trial, _] = sent(desk.join(), Trial)
    with pytest.raises(ProtocolError, match="acquisition"):
        desk.tell(a_report(trial), Role.ACQUISITION)


def test_counts_of_another_number_of_channels_are_refused() -> None:
    desk = a_desk(images_per_trial=6)
    [trial] = sent(desk.join(), Trial)
    [onsets] = sent(desk.tell(a_report(trial), Role.DISPLAY), Onsets)
    with pytest.raises(ProtocolError, match="2 channels"):
        desk.tell(an_answer(onsets, n_channels=2), Role.ACQUISITION)


# Peers that come and go.


def stimuli(trials: list[Trial]) -> list[int]:
    """Return the stimuli of some trials, sorted."""
    return sorted(int(stimulus) for trial in trials for stimulus in trial.stimulus_ids)


def test_a_display_that_died_took_its_trials_with_it() -> None:
    desk = a_desk()
    out = sent(desk.join(), Trial)
    desk.tell(Trouble("display", "silent", "look"))
    actions = desk.tell(a_display("d2"), Role.DISPLAY)
    lost = recorded(actions, Voided)
    again = sent(actions, Trial)
    assert [row.presentation_ids.tolist() for row in lost] == [trial.presentation_ids.tolist() for trial in out]
    assert stimuli(again) == stimuli(out)
    assert not {t.trial for t in again} & {t.trial for t in out}


def test_a_report_after_its_trial_was_given_up_is_kept_but_not_counted() -> None:
    desk = a_desk()
    [first, _] = sent(desk.join(), Trial)
    desk.tell(a_display("d2"), Role.DISPLAY)
    actions = desk.tell(a_report(first), Role.DISPLAY)
    assert recorded(actions, Late) and sent(actions, Acknowledge) and not sent(actions, Onsets)
    assert not recorded(desk.tell(a_report(first), Role.DISPLAY), Late)


def test_a_display_that_was_cut_off_gets_what_it_missed_and_no_more() -> None:
    desk = a_desk()
    [first, second] = sent(desk.join(), Trial)
    actions = desk.tell(a_display("d1", trials=[first.trial]), Role.DISPLAY)
    assert [trial.trial for trial in sent(actions, Trial)] == [second.trial]
    assert not recorded(actions, Voided)


def test_an_acquisition_side_that_comes_back_is_asked_again_what_it_has_not_answered() -> None:
    desk = a_desk(images_per_trial=6)
    [trial] = sent(desk.join(), Trial)
    [onsets] = sent(desk.tell(a_report(trial), Role.DISPLAY), Onsets)
    first = Onsets(onsets.trial, onsets.presentation_ids[:2], onsets.stimulus_ids[:2], onsets.onsets_s[:2])
    desk.tell(an_answer(first), Role.ACQUISITION)
    [again] = sent(desk.tell(an_acquisition("a2"), Role.ACQUISITION), Onsets)
    assert again.presentation_ids.tolist() == onsets.presentation_ids[2:].tolist()


def test_a_simulator_is_sent_the_images_and_a_rig_is_not() -> None:
    desk = a_desk()
    assert not sent(desk.tell(an_acquisition(), Role.ACQUISITION), StimulusBatch)
    assert sent(desk.tell(an_acquisition("a2", wants_images=True), Role.ACQUISITION), StimulusBatch, Role.ACQUISITION)


def test_wrong_channel_names_are_refused_with_the_list_that_is_offered() -> None:
    desk = Desk(a_session([a_plan(channels=("IT-14",))]), [an_evolution()])
    desk.start()
    refused, *_ = desk.tell(an_acquisition(channels=("V1-1", "V1-2")), Role.ACQUISITION)
    assert isinstance(refused, Dismiss)
    assert "'IT-14'" in refused.reason and "V1-1, V1-2" in refused.reason


def test_two_channels_of_one_name_are_refused_for_nobody_guesses_which_is_meant() -> None:
    desk = Desk(a_session([a_plan(channels=("7",))]), [an_evolution()])
    desk.start()
    refused, *_ = desk.tell(an_acquisition(channels=("7", "8", "7")), Role.ACQUISITION)
    assert isinstance(refused, Dismiss) and "channel '7' more than once" in refused.reason


def test_channels_cannot_change_within_a_session() -> None:
    desk = a_desk()
    desk.join()
    refused, *_ = desk.tell(an_acquisition("a2", channels=("u2",)), Role.ACQUISITION)
    assert isinstance(refused, Dismiss) and "u1" in refused.reason


def test_a_recording_system_that_comes_back_with_other_channels_is_no_longer_there() -> None:
    desk = a_desk(population=10)
    desk.join()
    desk.tell(an_acquisition("a1", channels=("u2",)), Role.ACQUISITION)
    assert desk.session.state is State.SUSPENDED, "nobody counts, so nothing is shown"
    assert "u1" in desk.session.standing.why
    desk.tell(an_acquisition("a1"), Role.ACQUISITION)
    assert desk.session.state is State.RUNNING


def test_a_missing_image_is_sent_again_and_the_attempt_is_not_held_against_it() -> None:
    desk = a_desk(plans=[a_plan(max_attempts=1)], images_per_trial=6)
    [trial] = sent(desk.join(), Trial)
    actions = desk.tell(a_report(trial, dict.fromkeys(range(6), Void.IMAGE_MISSING)), Role.DISPLAY)
    assert sent(actions, StimulusBatch, Role.DISPLAY)
    assert len(sent(actions, Trial)[0].presentation_ids) == 6


def test_no_message_of_images_is_larger_than_a_peer_takes() -> None:
    """A display that is sent one hangs up, says Hello and is sent it again, for ever."""
    images = np.zeros((1000, 300, 300, 3), np.uint8)  # 270 MB that nobody touches
    references = References(np.array([stimulus_id(0, 0, i) for i in range(1000)], np.int64), images)
    session = Session("s1", [a_plan()], references, Settings())
    batches = sent(session.receive(a_display(), Role.DISPLAY), StimulusBatch)
    assert all(batch.images.nbytes <= MAX_ARRAY_BYTES for batch in batches)
    np.testing.assert_array_equal(np.concatenate([batch.stimulus_ids for batch in batches]), references.stimulus_ids)


# Trouble, and operators.


def test_trouble_suspends_and_its_end_goes_on_by_itself() -> None:
    desk = a_desk(population=10)
    [first, _] = sent(desk.join(), Trial)
    stale = Trouble("spikes", "no fresh data", "look at the amplifier")
    actions = desk.tell(stale)
    assert desk.session.state is State.SUSPENDED
    assert sent(actions, Recall) and "no fresh data" in sent(actions, Notice, Role.DISPLAY)[0].text
    assert not desk.tell(stale)

    # What had been shown still counts, but nothing new is sent until the trouble is over.
    actions = desk.tell(a_report(first), Role.DISPLAY)
    assert sent(actions, Onsets) and not sent(actions, Trial)
    actions = desk.tell(Cleared("spikes"))
    assert desk.session.state is State.RUNNING and sent(actions, Trial)


def test_a_peer_that_takes_its_leave_suspends_the_session() -> None:
    desk = a_desk()
    desk.join()
    desk.tell(Farewell("stopped by hand"), Role.ACQUISITION)
    assert desk.session.state is State.SUSPENDED
    assert "stopped by hand" in desk.session.standing.why


def a_control(action: str, control_id: str = "c1") -> Control:
    return Control(control_id, action, "JD")


def test_pause_gives_back_what_was_not_begun_and_resume_shows_it() -> None:
    desk = a_desk()
    [first, second] = sent(desk.join(), Trial)
    assert not sent(desk.tell(a_control("pause"), Role.OPERATOR), Recall)[0].now
    desk.tell(a_report(first), Role.DISPLAY)
    desk.tell(a_report(second, dict.fromkeys(range(3), Void.NOT_SHOWN)), Role.DISPLAY)
    assert desk.session.state is State.PAUSED
    [again] = sent(desk.tell(a_control("resume", "c2"), Role.OPERATOR), Trial)
    assert sorted(again.stimulus_ids) == sorted(second.stimulus_ids)


def test_a_display_that_comes_back_while_paused_shows_nothing() -> None:
    desk = a_desk()
    [first, second] = sent(desk.join(), Trial)
    desk.tell(Trouble("display", "fallen silent", "look"))
    desk.tell(a_control("pause"), Role.OPERATOR)
    actions = desk.tell(a_display(trials=[first.trial]), Role.DISPLAY)
    assert not sent(actions, Trial) and sent(actions, Recall, Role.DISPLAY), "what it holds is asked back"
    [voided] = recorded(actions, Voided)
    assert voided.presentation_ids.tolist() == second.presentation_ids.tolist() and voided.cause is Void.NOT_SHOWN
    again = sent(desk.tell(a_control("resume", "c2"), Role.OPERATOR), Trial)
    assert sorted(again[0].stimulus_ids) == sorted(second.stimulus_ids)


def test_a_control_said_twice_is_done_once() -> None:
    desk = a_desk()
    desk.join()
    desk.tell(a_control("pause"), Role.OPERATOR)
    desk.tell(a_control("resume", "c2"), Role.OPERATOR)
    actions = desk.tell(a_control("pause"), Role.OPERATOR)
    assert desk.session.state is State.RUNNING
    assert sent(actions, Acknowledge) and not recorded(actions, Control)


def test_an_unknown_control_is_nonsense_and_changes_nothing() -> None:
    desk = a_desk()
    desk.join()
    with pytest.raises(ProtocolError, match="explode"):
        desk.tell(a_control("explode"), Role.OPERATOR)
    assert desk.session.state is State.RUNNING


def test_stop_ends_after_the_generation() -> None:
    desk = a_desk(plans=[a_plan(n_generations=0)], images_per_trial=6)
    actions = desk.join()
    desk.tell(a_control("stop"), Role.OPERATOR)
    assert desk.session.state is State.RUNNING
    assert play(desk, actions) == 6
    assert desk.session.state is State.ENDED


def test_end_waits_for_what_was_shown_and_for_nothing_else() -> None:
    desk = a_desk()
    [first, second] = sent(desk.join(), Trial)
    [onsets] = sent(desk.tell(a_report(first), Role.DISPLAY), Onsets)
    actions = desk.tell(a_control("end"), Role.OPERATOR)
    assert sent(actions, Recall)[0].now and desk.session.state is State.ENDING
    out = [trial for trial in sent(desk.log, Trial) if trial.trial != first.trial]
    for trial in out:
        broken_off = dict.fromkeys(range(len(trial.presentation_ids)), Void.OPERATOR)
        desk.tell(a_report(trial, broken_off), Role.DISPLAY)
    assert desk.session.state is State.ENDING
    desk.tell(an_answer(onsets), Role.ACQUISITION)
    assert desk.session.state is State.ENDED
    assert second.trial in {trial.trial for trial in out}


def test_end_does_not_wait_for_ever() -> None:
    desk = a_desk()
    desk.join()
    desk.tell(a_control("end"), Role.OPERATOR)
    desk.tell(GraceOver())
    assert desk.session.state is State.ENDED


def test_a_channel_that_nobody_offers_is_refused_also_where_it_was_asked_for_before_anybody_came() -> None:
    desk = a_desk(plans=[a_plan(n_generations=3)])
    wish = {"evolution": 1, "channels": ["typo"]}
    desk.tell(Control("c1", "change", "JD", wish), Role.OPERATOR)
    actions = desk.join()
    [refused] = recorded(actions, Changed)
    assert refused.generation == 0 and "there is no channel 'typo'; there are u1" in refused.refused
    play(desk, actions)
    assert desk.session.state is State.ENDED and not desk.session.runs[1].plan.channels


# Several evolutions.


def test_evolutions_share_the_trials_as_they_were_told_to() -> None:
    session = a_session([a_plan(1, share=2.0, n_generations=0), a_plan(2, n_generations=0)], images_per_trial=6)
    desk = Desk(session, [an_evolution(1, 12), an_evolution(2, 12)])
    desk.start()
    [first, _] = sent(desk.join(), Trial)
    of_first = [p for p in first.presentation_ids.tolist() if p // 10**12 == 1]
    assert len(of_first) == 4


def test_each_evolution_advances_by_itself_and_is_told_its_own_spikes_only() -> None:
    session = a_session([a_plan(1, n_generations=2), a_plan(2, n_generations=2)], images_per_trial=4)
    desk = Desk(session, [an_evolution(1, 4), an_evolution(2, 8)])
    desk.start()
    assert play(desk, desk.join()) == 2 * 6 + 2 * 10
    for advance in (a for a in desk.log if isinstance(a, Advance) and a.measurements is not None):
        ids = advance.measurements.stimulus_ids
        own = ids[ids >= 10**9] // 10**9
        assert set(own.tolist()) == {advance.evolution}


def test_a_hello_of_a_stranger_role_is_no_concern_of_the_session() -> None:
    with pytest.raises(ValueError, match="janitor"):
        a_desk().tell(Hello("janitor", "x", "i"), None)
