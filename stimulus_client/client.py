"""`xdream-client`: shows on this screen what the server sends, and reports what was truly shown."""

import argparse
import gc
import logging
import os
import re
import signal
import sys
from collections.abc import Sequence
from math import inf
from typing import Any

from protocol.keys import KEY_VARIABLE, KeyProblem, peer_key
from protocol.plugins import PluginError
from stimulus_client.check import check
from stimulus_client.conversation import Client
from stimulus_client.devices import KINDS, DeviceError, Devices
from stimulus_client.display import DISPLAYS, Display, create_display
from stimulus_client.gaze import GAZES
from stimulus_client.geometry import GeometryError
from stimulus_client.markers import MARKERS
from stimulus_client.reward import REWARDS

OUT_OF_PATIENCE = 2
MISTAKES = (PluginError, DeviceError, GeometryError, KeyProblem, OSError)
"""What a person can mend: said in a sentence, without a traceback."""
log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the client until the session ends; exit with status 0 only if it ended as it should."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        key = peer_key(options.key, os.environ)
        display = _display(options)
        if options.check:
            sys.exit(check(display, _devices(options), options.address, key=key))
        client = Client(options.address, display, _devices(options), key=key)
    except MISTAKES as wrong:
        sys.exit(str(wrong))
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: client.stop())
    status, sentence = serve(client, options.patience)
    log.info("%s", sentence)
    sys.exit(status)


def serve(client: Client, patience_s: float) -> tuple[int, str]:
    """Run a client to its end; return the exit status and the sentence that says why it stopped."""
    # Neither another thread nor a clean-up of all that was ever imported may hold a flip up.
    sys.setswitchinterval(0.0005)
    gc.collect()
    gc.freeze()
    try:
        client.run(patience_s)
    except MISTAKES as wrong:
        client.close(str(wrong))
        return 1, str(wrong)
    client.close()
    return ending(client, patience_s)


def ending(client: Client, patience_s: float) -> tuple[int, str]:
    """Return the exit status, and the sentence that says why the client stopped."""
    if client.stopped:
        return 0, "stopped; the server shows what is unfinished to the next client."
    if client.peer.farewell is not None:
        reason = client.peer.farewell.reason
        return int(not reason.startswith("session ended")), reason
    return OUT_OF_PATIENCE, (
        f"the server at {client.peer.address} was silent for {patience_s:g} s, so the client gave up: "
        + (client.peer.trouble or "start the server, then the client again; without --patience it waits for ever.")
    )


def _display(options: argparse.Namespace) -> Display:
    name = options.display or ("headless" if options.fast or options.drop_rate else "psychopy")
    given: dict[str, Any] = {"fast": True} if options.fast else {}
    if options.drop_rate:
        given |= {"drop_rate": options.drop_rate, "seed": options.seed}
    if name != "headless":
        given |= {"screen": options.screen} if options.screen else {}
        given |= {"windowed": True} if options.windowed else {}
    return create_display(name, given)


def _devices(options: argparse.Namespace) -> Devices:
    named = {kind: getattr(options, kind) for kind in KINDS if getattr(options, kind)}
    if options.break_rate:
        named["gaze"] = f"simulated,break_rate={options.break_rate},seed={options.seed}"
    return Devices(named=named)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("xdream-client", description=__doc__, allow_abbrev=False)
    parser.add_argument("address", type=_address, metavar="tcp://SERVER:PORT", help="where the server listens")
    parser.add_argument("--key", metavar="FILE", help=f"what a server beyond this machine asks for (or {KEY_VARIABLE})")
    parser.add_argument("--check", action="store_true", help="measure this screen and its devices, say pass or fail")
    _add_screen(parser)
    _add_devices(parser)
    parser.add_argument(
        "--patience", type=float, default=inf, metavar="SECONDS", help="give up after this much silence of the server"
    )
    return parser


def _add_screen(parser: argparse.ArgumentParser) -> None:
    names = f"{', '.join(DISPLAYS)}, or package.module:Class (default: psychopy)"
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--display", metavar="NAME", help=names)
    which.add_argument("--headless", dest="display", action="store_const", const="headless", help="show nothing")
    parser.add_argument("--screen", type=int, default=0, metavar="N", help="which screen, 0 is the first")
    parser.add_argument("--windowed", action="store_true", help="a window to rehearse in, not for an animal")
    parser.add_argument("--fast", action="store_true", help="do not wait for the refresh, jump to it (headless)")
    parser.add_argument("--drop-rate", type=_share, default=0.0, metavar="P", help="headless: share of images to spoil")


def _add_devices(parser: argparse.ArgumentParser) -> None:
    how = "NAME or NAME,key=value,... (default: as the server says)"
    parser.add_argument("--gaze", metavar="NAME", help=f"the eye tracker: {', '.join(GAZES)}; {how}")
    parser.add_argument("--markers", metavar="NAME", help=f"the marker port: {', '.join(MARKERS)}; {how}")
    parser.add_argument("--reward", metavar="NAME", help=f"the valve: {', '.join(REWARDS)}; {how}")
    parser.add_argument("--break-rate", type=_share, default=0.0, metavar="P", help="simulated: share of trials broken")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what goes wrong at random")


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"must lie in 0 to 1, got {text}")
    return value


def _address(text: str) -> str:
    # zmq would take a wrong one too, and wait for ever.
    if not re.fullmatch(r"tcp://\S+:\d+|ipc://\S+", text):
        raise argparse.ArgumentTypeError(f"an address is written tcp://SERVER:PORT, got {text!r}")
    return text


if __name__ == "__main__":
    main()
