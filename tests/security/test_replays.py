"""Messages replayed, reordered and bent by peers: what was measured stays as it was, and nothing falls over."""

import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from protocol.messages import Control, Hello, Message, Onsets, Responses, Role, Trial, TrialReport
from server.actions import State
from server.database import open_database
from server.exchange import ProtocolError
from tests.builders import Desk, a_display, a_report, an_acquisition, sent
from tests.example_messages import EXAMPLES
from tests.played import CHANNELS, built, keep, play, show, spikes_of
from tests.rig import ROWS
from tests.security.mischief import answers, bent

MANY_STEPS = 2000
ROLE_OF: dict[type[Message], Role] = {TrialReport: Role.DISPLAY, Responses: Role.ACQUISITION}


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return what a session came to."""
    connection = open_database(path, "ro")
    try:
        return {name: [tuple(row) for row in connection.execute(query)] for name, query in ROWS.items()}
    finally:
        connection.close()


def begin(desk: Desk) -> list[Message]:
    """Let both peers join; return what they would answer."""
    desk.start()
    desk.tell(an_acquisition(channels=CHANNELS), Role.ACQUISITION)
    return answers(desk.tell(a_display(), Role.DISPLAY))


def tell(desk: Desk, message: Message) -> list[Message]:
    """Say something as the peer whose message it is; return what good peers would answer to what follows."""
    return answers(desk.tell(message, ROLE_OF[type(message)]))


def test_replayed_and_reordered_messages_change_nothing(tmp_path: Path) -> None:
    play(tmp_path / "quiet.xdream")

    luck = random.Random(1)
    with built(tmp_path / "disturbed.xdream") as made:
        desk = Desk(made.session, made.evolutions)
        waiting, said = begin(desk), list[Message]()
        for _ in range(MANY_STEPS):
            if desk.session.state is State.ENDED:
                break
            # Trials are shown in their order; everything else comes in any, and again whenever it likes.
            reports = [m for m in waiting if isinstance(m, TrialReport)]
            message = luck.choice([*(m for m in waiting if isinstance(m, Responses)), *reports[:1]])
            waiting.remove(message)
            said.append(message)
            waiting += tell(desk, message)
            for again in luck.choices(said, k=3):
                assert not tell(desk, again), "what was said before brings nothing new"
        assert desk.session.state is State.ENDED
        keep(made.file, desk.log)
    assert rows(tmp_path / "disturbed.xdream")["scores"] == rows(tmp_path / "quiet.xdream")["scores"]
    assert rows(tmp_path / "disturbed.xdream")["stimuli"] == rows(tmp_path / "quiet.xdream")["stimuli"]


def test_an_answer_that_names_a_presentation_twice_counts_once(tmp_path: Path) -> None:
    with built(tmp_path / "s.xdream") as made:
        desk = Desk(made.session, made.evolutions)
        [report, *_] = begin(desk)
        [onsets] = sent(desk.tell(report, Role.DISPLAY), Onsets, Role.ACQUISITION)
        answer = spikes_of(onsets)
        twice = Responses(*(np.concatenate([each, each]) for each in (
            answer.presentation_ids, answer.measured, answer.spike_counts, answer.baseline_counts,
        )), "simulated")  # fmt: skip
        desk.tell(twice, Role.ACQUISITION)
        assert desk.session.exchange.n_measured == len(onsets.presentation_ids)


def test_messages_of_another_role_are_refused(tmp_path: Path) -> None:
    with built(tmp_path / "s.xdream") as made:
        desk = Desk(made.session, made.evolutions)
        [report, *_] = begin(desk)
        for wrong in (Role.ACQUISITION, Role.OPERATOR):
            with pytest.raises(ProtocolError, match="makes no sense"):
                desk.tell(report, wrong)
        for wrong in (Role.ACQUISITION, Role.DISPLAY):
            with pytest.raises(ProtocolError, match="makes no sense"):
                desk.tell(Control("c1", "end"), wrong)
        assert desk.session.state is State.RUNNING


@pytest.mark.parametrize("seed", range(12))
def test_whatever_a_peer_says_the_session_stands_and_what_goes_on_record_can_be_written(
    seed: int, tmp_path: Path
) -> None:
    luck = random.Random(seed)
    with built(tmp_path / "s.xdream") as made:
        desk = Desk(made.session, made.evolutions)
        good = begin(desk)
        said: list[Message] = []
        for _ in range(150):
            message = luck.choice([*good[:3], *EXAMPLES, *said[-20:]])
            message = bent(luck, message) if luck.random() < 0.6 else message
            said.append(message)
            role = luck.choice(list(Role))
            if isinstance(message, Hello):
                message = replace(message, role=role.value)  # the router has seen to that
            try:
                good += answers(desk.tell(message, role))
            except ProtocolError:
                continue
        keep(made.file, desk.log)


def test_a_session_that_was_talked_nonsense_to_goes_on_to_its_end(tmp_path: Path) -> None:
    luck = random.Random(2)
    nonsense = [m for m in EXAMPLES if isinstance(m, TrialReport | Responses | Onsets | Trial)]
    with built(tmp_path / "s.xdream") as made:
        desk = Desk(made.session, made.evolutions)

        def answer_and_talk(onsets: Onsets) -> Responses:
            for role in Role:
                try:
                    desk.tell(bent(luck, luck.choice(nonsense)), role)
                except ProtocolError:
                    continue
            return spikes_of(onsets)

        desk.start()
        desk.tell(an_acquisition(channels=CHANNELS), Role.ACQUISITION)
        show(desk, sent(desk.tell(a_display(), Role.DISPLAY), Trial, Role.DISPLAY), answer_and_talk)
        assert desk.session.state is State.ENDED
        keep(made.file, desk.log)
    play(tmp_path / "quiet.xdream")
    assert rows(tmp_path / "s.xdream")["scores"] == rows(tmp_path / "quiet.xdream")["scores"]


def test_a_report_of_another_trials_presentations_is_refused(tmp_path: Path) -> None:
    with built(tmp_path / "s.xdream") as made:
        desk = Desk(made.session, made.evolutions)
        first, second, *_ = begin(desk)
        assert isinstance(first, TrialReport) and isinstance(second, TrialReport)
        crossed = Trial(first.trial, second.presentation_ids, second.presentation_ids)
        with pytest.raises(ProtocolError, match="does not match"):
            desk.tell(a_report(crossed), Role.DISPLAY)
