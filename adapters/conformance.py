"""`xdream conformance`: play the server to any peer that a lab has written, and say what it does right.

It listens where the server would, waits for the peer's Hello, and goes through a list of conversations. An acquisition
peer must be running on data with onsets, or answer that nothing was measured: both are right.
"""

import sys
from collections.abc import Callable
from contextlib import closing, nullcontext
from math import isnan, nan

import numpy as np
import zmq

from adapters.conformance_display import DISPLAY, SCREEN
from adapters.examiner import N_TRIALS, Examiner, Failed, in_ms
from protocol.codec import MAX_REPORT_BYTES
from protocol.ids import presentation_id
from protocol.lock import Lock
from protocol.messages import (
    PROTOCOL_VERSION,
    Acknowledge,
    Farewell,
    Hello,
    Onsets,
    Responses,
    Role,
    StimulusBatch,
    Welcome,
)

BEAT_WITHIN_S = 1.0
"""Half a second is asked for; twice that is forgiven."""
SETTINGS = {"response_window_s": [0.05, 0.2], "baseline_window_s": [0.0, 0.05], "stale_after_s": 0.9}


def says_hello(examiner: Examiner) -> str:
    """The first message is a Hello of this version, with a role, an instance and, for acquisition, channels."""
    hello = examiner.wait_for(Hello, lambda _: True, examiner.hello_within_s, "a Hello")
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
    examiner.listen(examiner.listen_s)
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
    if examiner.all(Hello)[0].wants_images:
        examiner.says(StimulusBatch(np.zeros(1, np.int64), np.full((1, 64, 64, 3), 128, np.uint8)))
    onsets = _onsets(1, [0.0, nan, 0.4])
    began_s = examiner.clock()
    examiner.says(onsets)
    answered = _answers(examiner, onsets)
    if answered[int(onsets.presentation_ids[1])]:
        raise Failed("a presentation whose onset is NaN was answered as measured")
    return f"3 answers within {examiner.clock() - began_s:.2f} s, {sum(answered.values())} measured"


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


def answers_trial_after_trial(examiner: Examiner) -> str:
    """Trials that are asked about one upon the other are all answered; how soon is measured."""
    trials = [_onsets(first, [3.0 * first, 3.0 * first + 0.2]) for first in range(10, 10 + N_TRIALS)]
    asked_s: dict[int, float] = {}
    for onsets in trials:
        asked_s |= dict.fromkeys(onsets.presentation_ids.tolist(), examiner.clock())
        examiner.says(onsets)
    measured = {p: good for onsets in trials for p, good in _answers(examiner, onsets).items()}
    figures = examiner.figures
    chosen = [p for p, good in measured.items() if good] or list(measured)
    figures.latencies_s = [examiner.came_s[p] - asked_s[p] for p in chosen]
    figures.jitter_s = float(np.ptp(figures.latencies_s))
    figures.n_asked, figures.n_lost = len(measured), len(measured) - sum(measured.values())
    residuals_s = [message.clock_residual_s for message in examiner.all(Responses)]
    known_s = [each for each in residuals_s if not isnan(each)]
    figures.clock_residual_s = float(np.median(known_s)) if known_s else nan
    return f"{N_TRIALS} trials, {sum(measured.values())} of {len(measured)} presentations measured"


BOTH = (says_hello, beats)
ACQUISITION = (
    answers_each_once,
    has_all_channels,
    keeps_what_is_not_acknowledged,
    repeats_itself,
    answers_trial_after_trial,
)


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
            checks += [*(SCREEN if hello.role == Role.DISPLAY else ACQUISITION), keeps_its_instance]
    examiner.dismiss(Farewell("session ended: conformance"))
    say(_badge(examiner, all_well))
    return all_well


def main(address: str, lock: Lock | None = None) -> int:
    """Wait for a peer at an address, examine it, and return the exit status; with a lock, let in who has a key."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router, closing(lock) if lock else nullcontext():
        router.setsockopt(zmq.LINGER, 200)
        router.setsockopt(zmq.MAXMSGSIZE, MAX_REPORT_BYTES)
        if lock is not None:
            lock.put_on(router)
        router.bind(address)
        sys.stdout.write(f"waiting at {address} for a peer; start it with this address\n")
        return int(not examine(Examiner(router, lock=lock), lambda line: sys.stdout.write(f"{line}\n")))


def _badge(examiner: Examiner, all_well: bool) -> str:
    beats_s = np.diff(examiner.beats_s) if len(examiner.beats_s) > 1 else np.array([nan])
    figures = examiner.figures
    parts = [str(figures)]
    if examiner.all(Hello)[0].role == Role.ACQUISITION:
        known = not isnan(figures.clock_residual_s)
        parts.append(f"clock residual {in_ms(figures.clock_residual_s) if known else 'unknown: no onset was matched'}")
    parts += [f"heartbeat jitter {in_ms(float(np.ptp(beats_s)))}", f"{examiner.undecodable} messages undecodable"]
    return f"[xdream protocol {PROTOCOL_VERSION}: {'conforms' if all_well else 'DOES NOT CONFORM'}]  {', '.join(parts)}"


def _onsets(trial: int, onsets_s: list[float]) -> Onsets:
    ids = np.array([presentation_id(1, trial, slot, 0) for slot in range(len(onsets_s))], np.int64)
    return Onsets(trial, ids, np.zeros(len(ids), np.int64), np.array(onsets_s))


def _answers(examiner: Examiner, onsets: Onsets) -> dict[int, bool]:
    """Return whether each presentation was measured, once all are answered."""
    wanted = set(onsets.presentation_ids.tolist())

    def given() -> dict[int, bool]:
        answers = examiner.all(Responses)
        return {p: bool(m) for r in answers for p, m in zip(r.presentation_ids.tolist(), r.measured, strict=True)}

    examiner.wait_for(Responses, lambda _: wanted <= given().keys(), examiner.answer_within_s, "an answer about each")
    return {presentation: measured for presentation, measured in given().items() if presentation in wanted}
