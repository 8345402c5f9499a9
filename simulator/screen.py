"""`python -m simulator.screen`: the stimulus client with a cable from its screen to a simulated recording.

All but the cable is the client that runs on a rig: its conversation, presenter, timing, gaze and verdict on frames.
"""

import argparse
import logging
import signal
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocol.messages import Control, Message
from simulator.cable import CableError, ScreenEnd
from stimulus_client.client import MISTAKES, serve
from stimulus_client.conversation import Client
from stimulus_client.devices import Devices
from stimulus_client.display import Display, HeadlessDisplay, create_display
from stimulus_client.markers import Markers, NoMarkers

log = logging.getLogger(__name__)


class WiredScreen:
    """A display whose light and whose flips go down a cable as well."""

    def __init__(self, display: Display, cable: ScreenEnd) -> None:
        self._display, self._cable = display, cable
        self.name, self.refresh_hz, self.size_px = display.name, display.refresh_hz, display.size_px
        self._on: tuple[int, float] | None = None
        """The image on screen, and since when."""
        self._images: dict[int, NDArray[np.uint8]] = {}

    def configure(self, settings: dict[str, Any]) -> None:
        """Pass on the table."""
        self._display.configure(settings)

    def load(self, stimulus_id: int, image: NDArray[np.uint8]) -> None:
        """Make an image ready, and let the animal see it from now on whenever it is shown."""
        self._images[stimulus_id] = image
        self._cable.light(stimulus_id, image)
        self._display.load(stimulus_id, image)

    def forget(self, stimulus_ids: Iterable[int]) -> None:
        """Drop images."""
        ids = tuple(stimulus_ids)
        for stimulus_id in ids:
            self._images.pop(stimulus_id, None)
        self._cable.gone(ids)
        self._display.forget(ids)

    def flip(self, stimulus_id: int | None, fixation: bool = False, patch: bool = False) -> float:
        """Flip, and say when that was."""
        at_s = self._display.flip(stimulus_id, fixation, patch)
        self._on = None if stimulus_id is None else (stimulus_id, at_s)
        self._cable.flip(at_s, fixation)
        if not fixation and self._cable.lacks_light():
            for each, image in self._images.items():
                self._cable.light(each, image)
        return at_s

    def drill(self, arguments: dict[str, Any]) -> None:
        """Pass on what is to go wrong; the recording knows what of it is its own."""
        self._cable.drill(arguments)

    def mark(self, presentation_id: int) -> None:
        """Send the pulse of the image that has just come on."""
        if self._on is not None:
            self._cable.pulse(presentation_id, *self._on)

    def tell(self, level: str, text: str) -> None:
        """Pass it on."""
        self._display.tell(level, text)

    def pressed(self) -> list[str]:
        """Return the keys pressed."""
        return self._display.pressed()

    def pointer_deg(self) -> tuple[float, float]:
        """Return where the mouse points."""
        return self._display.pointer_deg()

    def close(self) -> None:
        """Give the screen back, and let go of the cable."""
        self._display.close()
        self._cable.close()


class WiredClient(Client):
    """The client, with one message more for its screen."""

    def _take(self, message: Message) -> None:
        if isinstance(message, Control) and message.action == "drill" and isinstance(self.display, WiredScreen):
            self.display.drill(message.arguments)
        super()._take(message)


class OnsetLine(Markers):
    """The line from the screen to the amplifier: it is raised with the flip itself, by the thread that flipped."""

    def __init__(self, screen: WiredScreen) -> None:
        super().__init__(NoMarkers())
        self._screen = screen

    def mark(self, presentation_id: int) -> None:
        """Raise the line for a presentation that has just come on."""
        self._screen.mark(presentation_id)


def in_simulated_time(cable: ScreenEnd, drop_rate: float, seed: int) -> HeadlessDisplay:
    """Return a screen without a window whose clock is the recording's; to wait is to let that clock go on."""
    return HeadlessDisplay(False, drop_rate, seed, clock=cable.now_s, sleep=lambda _: None)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the client until the session ends; exit as `xdream-client` does."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    cable = ScreenEnd(options.cable)
    try:
        cable.wait()
        screen = WiredScreen(_display(options, cable), cable)
        devices = Devices(markers=OnsetLine(screen), named={"gaze": options.gaze, "reward": options.reward})
        client = WiredClient(options.address, screen, devices)
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda *_: client.stop())
        status, sentence = serve(client, options.patience)
    except (*MISTAKES, CableError) as wrong:
        sys.exit(str(wrong))
    log.info("%s", sentence)
    sys.exit(status)


def _display(options: argparse.Namespace, cable: ScreenEnd) -> Display:
    if options.fast:
        return in_simulated_time(cable, options.drop_rate, options.seed)
    given = {"drop_rate": options.drop_rate, "seed": options.seed} if options.drop_rate else {}
    return create_display(options.display, given if options.display == "headless" else {"windowed": options.windowed})


def _parser() -> argparse.ArgumentParser:
    """Return what reads the options of `xdream-client`, those of a rehearsal, and the cable."""
    parser = argparse.ArgumentParser("python -m simulator.screen", description=__doc__, allow_abbrev=False)
    parser.add_argument("address", metavar="tcp://SERVER:PORT", help="where the server listens")
    parser.add_argument("--cable", required=True, metavar="tcp://HOST:PORT", help="where the recording listens")
    parser.add_argument("--display", default="headless", metavar="NAME", help="what shows images")
    parser.add_argument("--windowed", action="store_true", help="a window to rehearse in")
    parser.add_argument("--fast", action="store_true", help="keep simulated time, which the recording has")
    parser.add_argument("--gaze", default="none", metavar="NAME", help="the eye tracker")
    parser.add_argument("--markers", default="none", metavar="NAME", help="without meaning: the cable carries onsets")
    parser.add_argument("--reward", default="none", metavar="NAME", help="the valve")
    parser.add_argument("--drop-rate", type=float, default=0.0, metavar="P", help="share of images to spoil")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what goes wrong at random")
    parser.add_argument("--patience", type=float, default=float("inf"), metavar="SECONDS", help="with the server")
    return parser


if __name__ == "__main__":
    main()
