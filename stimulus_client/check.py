"""`xdream-client --check`: measures the screen, what is wired to it and the way to the server; says pass or fail."""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from protocol.keys import PeerKey
from stimulus_client.devices import DeviceError, Devices
from stimulus_client.display import Display
from stimulus_client.geometry import GeometryError
from stimulus_client.operator_peer import Operator

N_FLIPS = 300
N_IMAGES = 40
IMAGE_PX = 256
N_MARKERS = 20
ANSWER_S = 3.0
"""A server that does not answer within this time is not there."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the check."""

    what: str
    value: str
    passed: bool

    def __str__(self) -> str:
        return f"{'pass' if self.passed else 'FAIL'}  {self.what}: {self.value}"


def check(
    display: Display,
    devices: Devices,
    address: str,
    clock: Callable[[], float] = time.perf_counter,
    key: PeerKey | None = None,
) -> int:
    """Measure everything, say it line by line, have it written to the session, and return the exit status."""
    operator = Operator(address, clock, key=key)
    findings = []
    for finding in _findings(display, devices, operator, clock):
        findings.append(finding)
        log.info("%s", finding)
    operator.ask("note", text="check of the display:\n" + "\n".join(map(str, findings)))
    _wait(operator, lambda: operator.n_waiting == 0, clock)
    for part in (operator, devices, display):
        part.close()
    return 0 if all(finding.passed for finding in findings) else 1


def _findings(display: Display, devices: Devices, operator: Operator, clock: Callable[[], float]) -> Iterator[Finding]:
    yield round_trip(operator, clock)
    steps: dict[str, Callable[[], None]] = {
        "screen": lambda: display.configure(operator.settings),
        "devices": lambda: devices.configure(operator.settings, display),
    }
    for what, configure in steps.items():
        try:
            configure()
        except (DeviceError, GeometryError, OSError) as wrong:
            yield Finding(what, str(wrong), False)
        else:
            yield Finding(what, "as the server wants it" if operator.settings else "as it is by default", True)
    yield from frames(display)
    yield upload(display, clock)
    yield marker_latency(devices, clock)


def frames(display: Display) -> Iterator[Finding]:
    """Measure how regular the refresh is, with an image drawn in every frame."""
    image = np.random.default_rng(0).integers(0, 256, (IMAGE_PX, IMAGE_PX, 3), np.uint8)
    display.load(-1, image)
    intervals_s = np.diff([display.flip(-1) for _ in range(N_FLIPS)])
    display.forget([-1])
    period_s = float(np.median(intervals_s))
    off = abs(1 / period_s / display.refresh_hz - 1)
    yield Finding("refresh", f"{1 / period_s:.3f} Hz, taken to be {display.refresh_hz:.3f} Hz", off < 0.01)
    n_long = int((np.rint(intervals_s / period_s) != 1).sum())
    jitter_ms = 1000 * float(np.std(intervals_s))
    worst_ms = 1000 * float(intervals_s.max())
    yield Finding(
        "frames", f"{n_long} of {N_FLIPS - 1} irregular, SD {jitter_ms:.3f} ms, longest {worst_ms:.2f} ms", not n_long
    )


def upload(display: Display, clock: Callable[[], float]) -> Finding:
    """Measure how long an image takes to the graphics card."""
    images = np.random.default_rng(1).integers(0, 256, (N_IMAGES, IMAGE_PX, IMAGE_PX, 3), np.uint8)
    times_s = []
    for n, image in enumerate(images):
        began_s = clock()
        display.load(-n - 1, image)
        times_s.append(clock() - began_s)
    display.forget(range(-N_IMAGES, 0))
    median_ms, worst_ms = 1000 * float(np.median(times_s)), 1000 * max(times_s)
    value = f"{median_ms:.2f} ms an image of {IMAGE_PX} x {IMAGE_PX}, longest {worst_ms:.2f} ms"
    return Finding("texture upload", value, median_ms < 10)


def marker_latency(devices: Devices, clock: Callable[[], float]) -> Finding:
    """Measure how long a marker keeps the caller, and how long it takes to be sent."""
    port, courier = devices.markers.port, devices.markers.courier
    calls_s, sent_s = [], []
    for _ in range(N_MARKERS):
        began_s = clock()
        devices.markers.mark(0)
        calls_s.append(clock() - began_s)
        courier.finish(ANSWER_S)
        sent_s.append(clock() - began_s)
    asked_us, sent_ms = 1e6 * float(np.median(calls_s)), 1000 * float(np.median(sent_s))
    value = f"{port.name}, asked in {asked_us:.0f} us (longest {1e6 * max(calls_s):.0f}), sent in {sent_ms:.2f} ms"
    failed = courier.n_failed + courier.n_lost
    return Finding("markers", f"{value}, {failed} failed {courier.problem}".rstrip(), not failed and asked_us < 1000)


def round_trip(operator: Operator, clock: Callable[[], float]) -> Finding:
    """Measure how long it takes until something that is said to the server is on its disk."""
    peer = operator.connect()
    if not _wait(operator, lambda: peer.welcomed, clock):
        why = peer.farewell.reason if peer.farewell else peer.trouble
        return Finding("network", f"no answer from the server within {ANSWER_S:g} s{f': {why}' if why else ''}", False)
    began_s = clock()
    operator.ask("note", text="the display is being checked")
    written = _wait(operator, lambda: operator.n_waiting == 0, clock)
    passed_s = clock() - began_s
    return Finding(
        "network", f"a note was on the server's disk after {1000 * passed_s:.1f} ms", written and passed_s < 1
    )


def _wait(operator: Operator, until: Callable[[], bool], clock: Callable[[], float]) -> bool:
    deadline_s = clock() + ANSWER_S
    while not until() and clock() < deadline_s:
        operator.attend(0.05)
    return until()
