"""`xdream-adapter`: counts spikes for the server, with the recording system or the simulator of that name."""

import argparse
import logging
import os
import re
import signal
import sys
from collections.abc import Sequence
from math import inf

from adapters.check import report
from adapters.conversation import Adapter
from adapters.source import SOURCES, SourceError, create_source
from protocol.keys import KEY_VARIABLE, KeyProblem, peer_key
from protocol.plugins import PluginError

OUT_OF_PATIENCE = 2
log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run an adapter until the session ends; exit with status 0 only if it ended as it should."""
    parser = _parser()
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if options.check:
        sys.exit(report(options.name, dict(options.option)))
    if options.address is None:
        parser.error("the address of the server is missing: tcp://SERVER:PORT")
    try:
        key = peer_key(options.key, os.environ)
        adapter = Adapter(options.address, create_source(options.name, dict(options.option)), key=key)
    except (PluginError, KeyProblem) as wrong:
        sys.exit(str(wrong))
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: adapter.stop())
    status, sentence = serve(adapter, options.patience)
    log.info("%s", sentence)
    sys.exit(status)


def serve(adapter: Adapter, patience_s: float) -> tuple[int, str]:
    """Run an adapter to its end; return the exit status and the sentence that says why it stopped."""
    try:
        adapter.run(patience_s)
    except SourceError as wrong:
        adapter.close(str(wrong))
        return 1, str(wrong)
    adapter.close("the acquisition adapter was stopped" if adapter.stopped else "")
    return ending(adapter, patience_s)


def ending(adapter: Adapter, patience_s: float) -> tuple[int, str]:
    """Return the exit status, and the sentence that says why the adapter stopped."""
    if adapter.stopped:
        return 0, "stopped; the server waits for the next adapter."
    if adapter.peer.farewell is not None:
        reason = adapter.peer.farewell.reason
        return int(not reason.startswith("session ended")), reason
    return OUT_OF_PATIENCE, (
        f"the server at {adapter.peer.address} was silent for {patience_s:g} s, so the adapter gave up: "
        + (adapter.peer.trouble or "start the server, then the adapter again; without --patience it waits for ever.")
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("xdream-adapter", description=__doc__, allow_abbrev=False)
    parser.add_argument("name", help=f"{', '.join(SOURCES)}, or package.module:Class")
    parser.add_argument(
        "address", type=_address, nargs="?", metavar="tcp://SERVER:PORT", help="where the server listens"
    )
    parser.add_argument("--key", metavar="FILE", help=f"what a server beyond this machine asks for (or {KEY_VARIABLE})")
    parser.add_argument("--check", action="store_true", help="look the recording system over, with no server")
    parser.add_argument(
        "-o",
        dest="option",
        action="append",
        default=[],
        type=_option,
        metavar="KEY=VALUE",
        help="an option of the source, such as -o layer=conv3",
    )
    parser.add_argument(
        "--patience", type=float, default=inf, metavar="SECONDS", help="give up after this much silence of the server"
    )
    return parser


def _option(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"an option is written KEY=VALUE, got {text!r}")
    return key, value


def _address(text: str) -> str:
    # zmq would take a wrong one too, and wait for ever.
    if not re.fullmatch(r"tcp://\S+:\d+|ipc://\S+", text):
        raise argparse.ArgumentTypeError(f"an address is written tcp://SERVER:PORT, got {text!r}")
    return text


if __name__ == "__main__":
    main()
