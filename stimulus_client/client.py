"""`xdream-client`: shows on this screen what the server sends, and reports what was truly shown."""

import argparse
import logging
import re
import signal
import sys
from collections.abc import Sequence
from math import inf
from typing import Any

from protocol.plugins import PluginError
from stimulus_client.conversation import Client
from stimulus_client.display import DISPLAYS, create_display
from stimulus_client.gaze import create_gaze

OUT_OF_PATIENCE = 2
log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the client until the session ends; exit with status 0 only if it ended as it should."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        client = _client(options)
    except PluginError as wrong:
        sys.exit(str(wrong))
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: client.stop())
    client.run(options.patience)
    client.close()
    status, sentence = ending(client, options.patience)
    log.info("%s", sentence)
    sys.exit(status)


def ending(client: Client, patience_s: float) -> tuple[int, str]:
    """Return the exit status, and the sentence that says why the client stopped."""
    if client.stopped:
        return 0, "stopped; the server shows what is unfinished to the next client."
    if client.peer.farewell is not None:
        reason = client.peer.farewell.reason
        return int(not reason.startswith("session ended")), reason
    return OUT_OF_PATIENCE, (
        f"the server at {client.peer.address} was silent for {patience_s:g} s, so the client gave up. "
        "Start the server, then the client again; without --patience it waits for ever."
    )


def _client(options: argparse.Namespace) -> Client:
    display: dict[str, Any] = {"fast": True} if options.fast else {}
    if options.drop_rate:
        display |= {"drop_rate": options.drop_rate, "seed": options.seed}
    simulated = {"break_rate": options.break_rate, "seed": options.seed}
    gaze = create_gaze("simulated", simulated) if options.break_rate else create_gaze("none", {})
    return Client(options.address, create_display(options.display, display), gaze)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("xdream-client", description=__doc__, allow_abbrev=False)
    parser.add_argument("address", type=_address, metavar="tcp://SERVER:PORT", help="where the server listens")
    parser.add_argument(
        "--display",
        metavar="NAME",
        default="headless",
        help=f"{', '.join(DISPLAYS)}, or package.module:Class (default: headless)",
    )
    parser.add_argument("--fast", action="store_true", help="headless: do not wait for the refresh, jump to it")
    parser.add_argument("--break-rate", type=_share, default=0.0, metavar="P", help="share of trials to look away in")
    parser.add_argument("--drop-rate", type=_share, default=0.0, metavar="P", help="headless: share of images to spoil")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what goes wrong at random")
    parser.add_argument(
        "--patience", type=float, default=inf, metavar="SECONDS", help="give up after this much silence of the server"
    )
    return parser


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
