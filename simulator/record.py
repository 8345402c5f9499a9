"""`python -m simulator.record SYSTEM`: a recording system with simulated neurons, which speaks as the real one does.

It learns of onsets as an amplifier would: by a cable from the screen (`python -m simulator.screen`), and knows no
server. Its spikes and pulses go out on the system's own wire, for the adapter of that name or anybody else. Without a
screen it records, and nothing is shown; `--pulse-every` then raises the onset line by itself, so that an adapter's
check has something to find.
"""

import argparse
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from math import inf

import numpy as np

from adapters.peers.behind import BEHIND, Behind
from adapters.peers.block import Block, Place
from adapters.rules import Rules
from adapters.source import create_source
from protocol.plugins import PluginError
from simulator.cable import Asked, CableError, Drill, Flip, Gone, Goodbye, Light, Pulse, RecordingEnd, Said
from simulator.jitter import Jitter
from simulator.lulls import Irregular
from simulator.mishaps import Mishaps
from simulator.neurons_on_record import SeeingNeurons, Window
from simulator.options import OF_RECORDING, PPM, Options
from simulator.pace import Pace, RealTime, SimulatedTime
from simulator.recording import Oscillator, Recording
from simulator.wires import WIRES, check_channels, find_wire, name_channels

LISTEN_S = 0.001
SPONTANEOUS_HZ = 10.0
"""Of neurons that see nothing."""
FORGOTTEN_S = 60
"""A rehearsal's recording that hears no screen for so long, and whose rehearsal is gone, goes too."""
log = logging.getLogger(__name__)


class Recorder:
    """Neurons that see what the screen shows, and the recording that is made of them, as long as time goes on."""

    def __init__(
        self,
        neurons: "Future[SeeingNeurons]",
        recording: Recording,
        cable: RecordingEnd,
        pace: Pace,
        mishaps: Mishaps,
        jitter: Jitter,
    ) -> None:
        self.stopped = False
        self.once = False
        """Whether to stop when the screen has said goodbye; a real recording goes on."""
        self.pulse_every_s = inf
        self.n_channels = 0
        self._random = np.random.default_rng(0)
        self._neurons, self._recording, self._cable, self._pace = neurons, recording, cable, pace
        self._mishaps, self._jitter = mishaps, jitter
        self._before_s = 0.0
        self._parent, self._heard_s = os.getppid(), time.monotonic()
        self._flipped_s: float | None = None
        self._pulsed_s = pace.until_s()

    def keep_back(self, before_s: float) -> None:
        """Stay so far behind the time that spikes before an onset can still be recorded."""
        self._before_s = before_s

    def blocks(self, length: int) -> Iterator[Block]:
        """Yield what is recorded, block by block, as soon as its time has passed."""
        # What went on before there was a listener is lost to it, as it would be.
        self._recording.begin(self._pace.until_s() - self._before_s)
        while not self.stopped:
            until_s = self._pace.until_s() - self._before_s
            while self._recording.can_give(length, until_s) and not (self.stopped or self._mishaps.stand_still):
                self._pulse_by_itself()
                if (block := self._mishaps.pass_on(self._recording.block(length))) is not None:
                    yield block
            # A recording runs before there is a neuron: the screen is not answered until there is.
            if wait([self._neurons], LISTEN_S).done:
                for said in self._cable.heard(LISTEN_S):
                    self._heard_s = time.monotonic()
                    self._take(self._neurons.result(), said)
            self.stopped |= self.once and self._is_forgotten()

    def _is_forgotten(self) -> bool:
        """Whether who started it was killed, and the screen as well, so that nobody will say goodbye."""
        return os.getppid() != self._parent and time.monotonic() - self._heard_s > FORGOTTEN_S

    def _take(self, neurons: SeeingNeurons, said: Said) -> None:
        match said:
            case Light(stimulus_id, image):
                neurons.see(stimulus_id, image)
            case Gone(stimulus_ids):
                neurons.forget(stimulus_ids)
            case Asked(flips=flips):
                if not flips:
                    self._let_go()
                self._cable.tell(said, self._pace.asked() if flips else self._pace.until_s())
            case Flip(at_s, in_trial):
                self._flipped_s = at_s
                self._pace.flipped(at_s, in_trial)
            case Pulse():
                self._fire(neurons, said)
            case Drill(arguments):
                self._mishaps.drill(arguments)
            case Goodbye():
                self.stopped = self.once

    def _let_go(self) -> None:
        """Wait no longer for the next flip of a screen that died in a trial: another one has come."""
        if self._flipped_s is not None:
            self._pace.flipped(self._flipped_s, in_trial=False)

    def _fire(self, neurons: SeeingNeurons, pulse: Pulse) -> None:
        """Record a showing; one that no neuron saw, or that its source has lost, leaves no pulse: it is shown again."""
        if not neurons.knows(pulse.stimulus_id):
            self._cable.ask_for_light(pulse.peer)
            return
        presentation = pulse.presentation_id
        self._mishaps.reach(presentation)
        fired = neurons.respond(presentation, pulse.stimulus_id, pulse.at_s)
        if fired is None:
            return
        spikes = self._mishaps.spikes(presentation, *fired)
        onset_s, n_late = pulse.at_s + self._jitter.of(presentation), self._recording.n_late
        self._mishaps.shown(presentation, self._recording.show(onset_s, *spikes, Rules().code(presentation)))
        if self._recording.n_late > n_late:
            log.warning("an onset came late: its time was recorded already, so its spikes are not counted")

    def _pulse_by_itself(self) -> None:
        now_s = self._pace.until_s()
        if now_s - self._pulsed_s >= self.pulse_every_s:
            self._pulsed_s = now_s
            # Nobody sees anything: neurons fire as they please.
            n = self._random.poisson(SPONTANEOUS_HZ * self.pulse_every_s, self.n_channels)
            times_s = self._random.uniform(0, self.pulse_every_s, n.sum())
            self._recording.show(now_s, times_s, np.repeat(np.arange(self.n_channels, dtype=np.int32), n))


def main(arguments: Sequence[str] | None = None) -> None:
    """Record until told to stop, or until the adapter did not come."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        recorder, behind = build(options)
    except (PluginError, CableError, OSError) as wrong:
        sys.exit(str(wrong))
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: sys.exit(0))
    told = " ".join(f"-o {key}={value}" for key, value in behind.options.items())
    log.info("recording; listen with: xdream-adapter %s tcp://SERVER:PORT %s", options.system, told)
    try:
        behind.play(recorder.blocks(behind.block))
    except (PluginError, CableError, TimeoutError) as wrong:
        sys.exit(f"{options.system}: {str(wrong).rstrip('.') or 'no adapter came'}.")
    finally:
        behind.close()


def build(options: argparse.Namespace) -> tuple[Recorder, Behind]:
    """Return the recorder and the voice that it speaks with."""
    find_wire(options.system)
    wire = dict(options.option)
    settings = json.loads(options.settings)
    response_s, baseline_s = (_window(settings, name) for name in ("response_window_s", "baseline_window_s"))
    windows_s = (response_s, baseline_s)
    channels = tuple(filter(None, wire.get("channels", "").split(",")))
    own, neural = _parted(dict(options.neuron))

    def neurons_of(channels: Sequence[str]) -> SeeingNeurons:
        source = create_source(options.neurons, neural)
        name_channels(options.system, source.channels, channels)
        return SeeingNeurons(source, response_s, baseline_s)

    neurons = ThreadPoolExecutor(1).submit(neurons_of, channels)
    channels = channels or neurons.result().channels
    check_channels(options.system, channels)
    cable = RecordingEnd(options.cable)
    behind = BEHIND[options.system](list(channels), Place(wire, options.wait))
    pace = _pace(options.fast)
    clock = Oscillator(behind.rate, options.first_tick, pace.until_s(), options.drift_ppm * PPM + own.clock_drift)
    line = int({"line": "0", **wire, **behind.options}["line"])
    recording = Recording(clock, line, windows_s, behind.resolution)
    mishaps = Mishaps(own.trouble(), behind.rate, windows_s, len(channels), behind)
    recorder = Recorder(neurons, recording, cable, pace, mishaps, own.jitter)
    recorder.keep_back(max(0.0, -response_s[0], -baseline_s[0]) + own.jitter.widest_s)
    recorder.pulse_every_s, recorder.once, recorder.n_channels = options.pulse_every, options.once, len(channels)
    return recorder, behind


def _pace(speed: float) -> Pace:
    return Irregular(SimulatedTime(speed, time.monotonic, time.sleep)) if speed else RealTime(time.perf_counter)


def _window(settings: dict[str, Sequence[float]], name: str) -> Window:
    start_s, end_s = settings[name]
    return float(start_s), float(end_s)


def _parted(options: dict[str, str]) -> tuple[Options, dict[str, str]]:
    """Return what the simulator's options say of the recording, and those that are left for the neurons."""
    own = {key: options[key] for key in (*OF_RECORDING, "seed") if key in options}
    return Options(**own), {key: value for key, value in options.items() if key not in OF_RECORDING}


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"an option is written KEY=VALUE, got {text!r}")
    return key, value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m simulator.record", description=__doc__, allow_abbrev=False)
    parser.add_argument("system", help=", ".join(WIRES))
    for flag, kept, what in (
        ("-o", "option", "an option of the system's adapter, such as port=5556"),
        ("-n", "neuron", "an option of the neurons, such as layer=conv3"),
    ):
        parser.add_argument(flag, dest=kept, action="append", default=[], type=_pair, metavar="KEY=VALUE", help=what)
    parser.add_argument("--neurons", default="simulator", help="a source that sees images (default: simulator)")
    parser.add_argument("--cable", default="tcp://127.0.0.1:*", metavar="tcp://HOST:PORT", help="for the screen")
    parser.add_argument(
        "--settings",
        default='{"response_window_s": [0.05, 0.2], "baseline_window_s": [0.0, 0.05]}',
        help="the windows that spikes are counted in, as JSON",
    )
    parser.add_argument("--drift-ppm", type=float, default=0.0, metavar="PPM", help="of the recording's clock")
    parser.add_argument("--first-tick", type=int, default=0, metavar="N", help="where the recording's clock stands")
    parser.add_argument("--fast", type=float, default=0.0, metavar="TIMES", help="simulated time, so much faster")
    parser.add_argument("--wait", type=float, default=60.0, metavar="SECONDS", help="for the adapter")
    parser.add_argument("--pulse-every", type=float, default=inf, metavar="SECONDS", help="raise the onset line")
    parser.add_argument("--once", action="store_true", help="end when the screen has said goodbye")
    return parser


if __name__ == "__main__":
    main()
