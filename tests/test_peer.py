"""The peers' end, against a bare ROUTER: nothing kept is lost, and nothing goes to a session that it is not of."""

import dataclasses
from collections.abc import Iterator
from math import isnan

import numpy as np
import pytest
import zmq
from example_messages import EXAMPLES
from talk import Talk

from protocol.codec import MAX_REPORT_BYTES
from protocol.messages import (
    Acknowledge,
    Farewell,
    Heartbeat,
    Hello,
    Message,
    Recall,
    Responses,
    TrialReport,
    Welcome,
)
from protocol.peer import HEARTBEAT_S, HELLO_S, SERVER_LOST_S, Peer, new_instance


@pytest.fixture
def talk() -> Iterator[Talk]:
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    talk = Talk(context)
    yield talk
    talk.peer.close()
    context.destroy(linger=0)


def a_report(trial: int) -> TrialReport:
    [report] = [message for message in EXAMPLES if isinstance(message, TrialReport)]
    return dataclasses.replace(report, trial=trial)


def a_response(presentation: int) -> Responses:
    [responses] = [message for message in EXAMPLES if isinstance(message, Responses)]
    return dataclasses.replace(responses, presentation_ids=np.array([presentation], np.int64))


def trials(messages: list[Message]) -> list[int]:
    return [message.trial for message in messages if isinstance(message, TrialReport)]


def test_a_peer_says_hello_until_it_is_welcomed(talk: Talk) -> None:
    assert talk.hello_arrives().instance == talk.hello.instance

    # No time passes: it says nothing. A quarter of a second later it says Hello again.
    assert talk.peer_says() == []
    talk.now_s += HELLO_S
    [again] = talk.peer_says()
    assert isinstance(again, Hello)

    # Welcomed, it stops.
    [welcome] = talk.peer_hears(Welcome("s1", "test", {"on_s": 0.1}))
    assert isinstance(welcome, Welcome)
    assert welcome.settings == {"on_s": 0.1}
    assert (talk.peer.welcomed, talk.peer.session_id) == (True, "s1")
    talk.now_s += HELLO_S
    assert not any(isinstance(message, Hello) for message in talk.peer_says())


def test_each_hello_tells_how_things_are_now(talk: Talk) -> None:
    talk.hello_arrives()
    talk.hello = dataclasses.replace(talk.hello, trials=np.array([7], np.int64))
    talk.now_s += HELLO_S
    [again] = talk.peer_says()
    assert isinstance(again, Hello)
    assert again.trials.tolist() == [7]


def test_what_is_kept_comes_again_after_every_reconnect_until_acknowledged(talk: Talk) -> None:
    assert talk.join() == []
    talk.peer.keep(a_report(1))
    talk.peer.keep(a_report(2))
    assert trials(talk.peer_says()) == [1, 2]

    talk.lose_the_server()
    assert trials(talk.join()) == [1, 2]

    assert talk.peer_hears(Acknowledge(trials=np.array([1], np.int64))) == []
    assert talk.peer.unacknowledged == 1
    talk.lose_the_server()
    assert trials(talk.join()) == [2]


def test_a_reconnect_is_a_fresh_connection(talk: Talk) -> None:
    talk.join()
    before = talk.server.peer
    talk.lose_the_server()
    talk.join()
    assert talk.server.peer != before


def test_what_is_kept_while_the_server_is_away_comes_when_it_is_back(talk: Talk) -> None:
    talk.join()
    talk.lose_the_server()
    talk.hello_arrives()
    talk.peer.keep(a_report(3))
    assert talk.peer_says() == []
    assert trials(talk.join()) == [3]


def test_a_peer_that_stood_still_reads_what_was_said_meanwhile(talk: Talk) -> None:
    talk.join()
    talk.lose_the_server()
    assert talk.peer_hears(Farewell("session ended: all done", final=True)) != []
    assert talk.peer.farewell is not None


def test_responses_are_kept_and_forgotten_by_their_presentations(talk: Talk) -> None:
    talk.join()
    talk.peer.keep(a_response(11))
    talk.peer.keep(a_response(12))
    talk.peer_hears(Acknowledge(trials=np.array([12], np.int64), presentation_ids=np.array([11], np.int64)))
    talk.lose_the_server()
    [kept] = talk.join()
    assert isinstance(kept, Responses)
    assert kept.presentation_ids.tolist() == [12]


def test_what_was_kept_for_one_session_is_never_given_to_another(talk: Talk) -> None:
    talk.join("s1")
    talk.peer.keep(a_report(1))
    talk.lose_the_server()
    assert talk.peer.kept_trials() == {1}
    assert talk.join("s2") == []
    assert talk.peer.unacknowledged == 0 and not talk.peer.kept_trials(), "none of this session's"

    # The first session is resumed: it gets what is its own.
    talk.lose_the_server()
    assert trials(talk.join("s1")) == [1]


def test_a_session_neither_replaces_nor_forgets_what_is_kept_for_another(talk: Talk) -> None:
    talk.join("s1")
    talk.peer.keep(a_report(1))
    talk.lose_the_server()
    talk.join("s2")
    talk.peer.keep(a_report(1))
    talk.peer_hears(Acknowledge(trials=np.array([1], np.int64)))
    talk.lose_the_server()
    assert trials(talk.join("s1")) == [1]


def test_heartbeats_go_out_twice_a_second_and_carry_the_age_of_the_data(talk: Talk) -> None:
    talk.join()
    talk.peer.data_age_s = 0.02
    assert talk.peer_says() == []
    talk.now_s += HEARTBEAT_S
    [beat] = talk.peer_says()
    assert isinstance(beat, Heartbeat)
    assert (beat.sent_s, beat.data_age_s) == (talk.now_s, 0.02)
    assert isnan(beat.echo_s)
    assert talk.peer_says() == []


def test_each_side_can_tell_the_round_trip(talk: Talk) -> None:
    talk.join()
    assert isnan(talk.peer.round_trip_s)
    assert talk.peer_hears(Heartbeat(sent_s=5000.0, echo_s=talk.now_s - 0.25)) == []
    assert talk.peer.round_trip_s == 0.25

    # The peer's next one echoes the server's.
    talk.now_s += HEARTBEAT_S
    [beat] = talk.peer_says()
    assert isinstance(beat, Heartbeat)
    assert beat.echo_s == 5000.0


def test_a_server_that_speaks_is_not_lost(talk: Talk) -> None:
    talk.join()
    for _ in range(5):
        talk.now_s += SERVER_LOST_S - 0.1
        talk.peer_hears(Heartbeat(1.0))
    assert talk.peer.welcomed
    assert talk.peer.silence_s == 0


def test_a_final_farewell_is_the_end(talk: Talk) -> None:
    talk.hello_arrives()
    [farewell] = talk.peer_hears(Farewell("this session has a display already"))
    assert isinstance(farewell, Farewell)
    assert talk.peer.farewell is not None
    talk.now_s += 60
    assert talk.peer_says() == []


def test_a_farewell_that_is_not_final_is_answered_by_hello(talk: Talk) -> None:
    talk.join()
    talk.peer_hears(Farewell("the server restarts", final=False))
    assert (talk.peer.welcomed, talk.peer.farewell) == (False, None)
    talk.now_s += HELLO_S
    assert trials(talk.join()) == []


def test_a_peer_that_leaves_says_why(talk: Talk) -> None:
    talk.join()
    talk.peer.close("the window was closed")
    message = talk.server.hears()
    assert isinstance(message, Farewell)
    assert message.reason == "the window was closed"


@pytest.mark.parametrize("garbage", [[b""], [b"GET / HTTP/1.1"], [b"\x80", b"x"], [bytes(1 << 21)]])
def test_garbage_is_dropped_and_the_talk_goes_on(talk: Talk, garbage: list[bytes]) -> None:
    talk.join()
    talk.server.says_raw(*garbage)
    [recall] = talk.peer_hears(Recall(now=True))
    assert isinstance(recall, Recall)


def test_an_acknowledged_control_is_told_to_the_operator(talk: Talk) -> None:
    talk.join()
    [acknowledge] = talk.peer_hears(Acknowledge(controls=("c1",)))
    assert isinstance(acknowledge, Acknowledge)
    assert acknowledge.controls == ("c1",)


def test_nothing_can_be_sent_before_there_is_a_connection(talk: Talk) -> None:
    nowhere = Peer("tcp://127.0.0.1:1", lambda: talk.hello, lambda: talk.now_s)
    assert not nowhere.send(Recall())
    assert list(nowhere.receive(0)) == []
    nowhere.close()


def test_a_message_that_no_server_takes_is_not_sent_again_and_again(talk: Talk) -> None:
    talk.join()
    times_s = np.zeros(MAX_REPORT_BYTES // 4 + 1, np.float32)
    rows = np.zeros(len(times_s), np.int32)
    with pytest.raises(ValueError, match=r"64 MiB.*fewer presentations"):
        talk.peer.send(dataclasses.replace(a_response(1), spike_times_s=times_s, spike_rows=rows, spike_channels=rows))


def test_every_process_has_a_name_of_its_own() -> None:
    assert new_instance() != new_instance()
