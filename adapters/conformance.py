"""`xdream conformance`: play the server to any peer that a lab has written, and say what it does right.

It listens where the server would, waits for the peer's Hello, and goes through a list of conversations. An acquisition
peer must be running on data with onsets, or answer that nothing was measured: both are right.
"""

import sys
from collections.abc import Callable
from math import nan

import numpy as np
import zmq

from adapters.examiner import Examiner, Failed
from protocol.ids import presentation_id
from protocol.messages import (
    PROTOCOL_VERSION,
    Acknowledge,
    Farewell,
    Hello,
    Onsets,
    Release,
    Responses,
    Role,
    StimulusBatch,
    Trial,
    TrialReport,
    Void,
    Welcome,
)

HELLO_WITHIN_S = 30.0
ANSWER_WITHIN_S = 15.0
BEAT_WITHIN_S = 1.0
"""Half a second is asked for; twice that is forgiven."""
LISTEN_S = 2.0
SETTINGS = {"response_window_s": [0.05, 0.2], "baseline_window_s": [0.0, 0.05], "stale_after_s": 1.0}
DISPLAY = {"on_s": 0.1, "off_s": 0.1, "images_per_trial": 3, "inter_trial_s": 0.1, "fixation_s": 0.0}
SIDE_PX = 64


def says_hello(examiner: Examiner) -> str:
    """The first message is a Hello of this version, with a role, an instance and, for acquisition, channels."""
    hello = examiner.wait_for(Hello, lambda _: True, HELLO_WITHIN_S, "a Hello")
    if hello.protocol_version != PROTOCOL_VERSION:
        raise Failed(f"it speaks version {hello.protocol_version}, not {PROTOCOL_VERSION}")
    if hello.role not in (Role.ACQUISITION, Role.DISPLAY) or not hello.instance:
        raise Failed(f"role {hello.role!r} and instance {hello.instance!r} will not do")
    if hello.role == Role.ACQUISITION and (not hello.channels or len(set(hello.channels)) < len(hello.channels)):
        raise Failed(f"channels must be names, each once, got {hello.channels}")
    examiner.says(Welcome("conformance", "xdream conformance", DISPLAY if hello.role == Role.DISPLAY else SETTINGS))
    return f"{hello.role} {hello.name}" + (f", {len(hello.channels)} channels" if hello.channels else "")


def beats(examiner: Examiner) -> str:
    """Heartbeats come at least once a second, also after garbage and after a message of a type to come."""
    examiner.socket.send_multipart([examiner.peer, b"\xc1garbage", b"\0" * 10])
    examiner.socket.send_multipart([examiner.peer, b"\x83\xa4type\xa6Future\xa6fields\x80\xa6arrays\x90"])
    began_s = examiner.clock()
    examiner.beats_s.clear()
    examiner.listen(LISTEN_S)
    gaps_s = np.diff([began_s, *examiner.beats_s, examiner.clock()])
    if gaps_s.max() > BEAT_WITHIN_S:
        raise Failed(f"{gaps_s.max():.2f} s without a heartbeat")
    return f"every {np.median(gaps_s[1:-1]) if len(gaps_s) > 2 else gaps_s.max():.2f} s"


def keeps_its_instance(examiner: Examiner) -> str:
    """All its Hellos name one instance."""
    instances = {message.instance for message in examiner.all(Hello)}
    if len(instances) != 1:
        raise Failed(f"{len(instances)} instances in one run")
    return "one instance"


# -- acquisition


def answers_each_once(examiner: Examiner) -> str:
    """Every presentation that is asked about is answered, and one with no onset is not measured."""
    onsets = _onsets(1, [0.0, nan, 0.4])
    began_s = examiner.clock()
    examiner.says(onsets)
    answered = _answers(examiner, onsets)
    examiner.latencies_s.append(examiner.clock() - began_s)
    if answered[int(onsets.presentation_ids[1])]:
        raise Failed("a presentation whose onset is NaN was answered as measured")
    return f"3 answers within {examiner.latencies_s[-1]:.2f} s, {sum(answered.values())} measured"


def has_all_channels(examiner: Examiner) -> str:
    """Counts have a column for each channel of the Hello, and say how onsets were found."""
    hello = examiner.all(Hello)[0]
    for message in examiner.all(Responses):
        if message.spike_counts.shape[1] != len(hello.channels):
            raise Failed(f"{message.spike_counts.shape[1]} columns for {len(hello.channels)} channels")
        if not message.onset_source or (not message.measured.all() and not message.reason):
            raise Failed("onset_source is empty, or the reason why something was not measured")
    return f"{len(hello.channels)} columns"


def keeps_what_is_not_acknowledged(examiner: Examiner) -> str:
    """What was not acknowledged is sent again after a Welcome, and what was is not."""
    ids = [p for m in examiner.all(Responses) for p in m.presentation_ids.tolist()]
    examiner.says(Acknowledge(presentation_ids=np.array(ids, np.int64)))
    second = _onsets(2, [1.0, 1.2])
    examiner.says(second)
    _answers(examiner, second)
    examiner.forget(Responses)
    examiner.says(Welcome("conformance", "xdream conformance", SETTINGS))
    again = set(_answers(examiner, second))
    if again & set(ids):
        raise Failed("answers that were acknowledged were sent again")
    return "sent again after a Welcome, until acknowledged"


def repeats_itself(examiner: Examiner) -> str:
    """Asked twice for the same, it answers the same."""
    onsets = _onsets(3, [2.0, 2.2])
    examiner.says(onsets)
    first = _answers(examiner, onsets)
    examiner.forget(Responses)
    examiner.says(onsets)
    if _answers(examiner, onsets) != first:
        raise Failed("two answers about one presentation differ")
    return "the same answer"


# -- display


def reports_a_trial(examiner: Examiner) -> str:
    """A trial is shown and reported: every presentation in its order, with onsets that rise or a void."""
    images = np.random.default_rng(1).integers(0, 256, (3, SIDE_PX, SIDE_PX, 3), np.uint8)
    examiner.says(StimulusBatch(np.arange(3, dtype=np.int64), images))
    began_s = examiner.clock()
    report = _shown(examiner, 1)
    examiner.latencies_s.append(examiner.clock() - began_s)
    onsets_s = report.onsets_s[[not void for void in report.voids]]
    if np.isnan(onsets_s).any() or (np.diff(onsets_s) <= 0).any():
        raise Failed(f"onsets of what counts must rise, got {onsets_s.tolist()}")
    jitter_s = float(np.ptp(np.diff(onsets_s))) if len(onsets_s) > 2 else nan
    return f"{len(onsets_s)} of 3 shown well, intervals within {1000 * jitter_s:.1f} ms"


def shows_a_trial_once(examiner: Examiner) -> str:
    """A trial that is sent again is not shown again, and its report is kept until acknowledged."""
    examiner.forget(TrialReport)
    examiner.says(Welcome("conformance", "xdream conformance", DISPLAY))
    examiner.wait_for(
        TrialReport, lambda report: report.trial == 1, ANSWER_WITHIN_S, "the report that was not acknowledged"
    )
    examiner.says(Acknowledge(trials=np.array([1], np.int64)))
    examiner.listen(0.2)
    examiner.forget(TrialReport)
    examiner.says(_trial(1))
    examiner.listen(LISTEN_S)
    if any(report.trial == 1 and not all(report.voids) for report in examiner.all(TrialReport)):
        raise Failed("a trial that was reported was shown again")
    return "shown once"


def says_what_it_lacks(examiner: Examiner) -> str:
    """A trial of an image that was released is void: image_missing."""
    examiner.says(Release(np.arange(3, dtype=np.int64)))
    report = _shown(examiner, 2)
    if Void.IMAGE_MISSING not in report.voids:
        raise Failed(f"voids {report.voids} of a trial whose images it was told to forget")
    return "image_missing"


BOTH = (says_hello, beats)
ACQUISITION = (answers_each_once, has_all_channels, keeps_what_is_not_acknowledged, repeats_itself, keeps_its_instance)
SCREEN = (reports_a_trial, shows_a_trial_once, says_what_it_lacks, keeps_its_instance)


def examine(examiner: Examiner, say: Callable[[str], object]) -> bool:
    """Go through the conversations, say how each went, and return whether all went well."""
    all_well = True
    checks = list(BOTH)
    while checks:
        check = checks.pop(0)
        name = check.__name__.replace("_", " ")
        try:
            say(f"pass  {name}: {check(examiner)}")
        except Failed as failed:
            say(f"FAIL  {name}: {failed}. It should: {check.__doc__}")
            all_well = False
            if check is says_hello:
                return False
        if check is BOTH[-1]:
            hello = examiner.all(Hello)[0]
            checks += SCREEN if hello.role == Role.DISPLAY else ACQUISITION
    examiner.says(Farewell("session ended: conformance"))
    say(_badge(examiner, all_well))
    return all_well


def main(address: str) -> int:
    """Wait for a peer at an address, examine it, and return the exit status."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.setsockopt(zmq.LINGER, 200)
        router.bind(address)
        sys.stdout.write(f"waiting at {address} for a peer; start it with this address\n")
        return int(not examine(Examiner(router), lambda line: sys.stdout.write(f"{line}\n")))


def _badge(examiner: Examiner, all_well: bool) -> str:
    beats_s = np.diff(examiner.beats_s) if len(examiner.beats_s) > 1 else np.array([nan])
    latency_s = max(examiner.latencies_s, default=nan)
    return (
        f"[xdream protocol {PROTOCOL_VERSION}: {'conforms' if all_well else 'DOES NOT CONFORM'}]  "
        f"latency {1000 * latency_s:.0f} ms, heartbeat jitter {1000 * float(np.ptp(beats_s)):.0f} ms, "
        f"{examiner.undecodable} messages undecodable"
    )


def _onsets(trial: int, onsets_s: list[float]) -> Onsets:
    ids = np.array([presentation_id(1, trial, slot, 0) for slot in range(len(onsets_s))], np.int64)
    return Onsets(trial, ids, np.zeros(len(ids), np.int64), np.array(onsets_s))


def _answers(examiner: Examiner, onsets: Onsets) -> dict[int, bool]:
    """Return whether each presentation was measured, once all are answered."""
    wanted = set(onsets.presentation_ids.tolist())

    def given() -> dict[int, bool]:
        answers = examiner.all(Responses)
        return {p: bool(m) for r in answers for p, m in zip(r.presentation_ids.tolist(), r.measured, strict=True)}

    examiner.wait_for(Responses, lambda _: wanted <= given().keys(), ANSWER_WITHIN_S, "an answer about each")
    return {presentation: measured for presentation, measured in given().items() if presentation in wanted}


def _trial(number: int) -> Trial:
    ids = np.array([presentation_id(1, number, slot, 0) for slot in range(3)], np.int64)
    return Trial(number, ids, np.arange(3, dtype=np.int64))


def _shown(examiner: Examiner, number: int) -> TrialReport:
    trial = _trial(number)
    examiner.says(trial)
    report = examiner.wait_for(
        TrialReport, lambda report: report.trial == number, ANSWER_WITHIN_S, f"the report of trial {number}"
    )
    if report.presentation_ids.tolist() != trial.presentation_ids.tolist():
        raise Failed("the report names other presentations than the trial, or in another order")
    return report
