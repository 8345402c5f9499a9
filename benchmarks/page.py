"""What the status page costs, and how soon it shows what is on disk: `python -m benchmarks.page`.

A dry run in real time is watched by nobody, then by many viewers one of whom never reads what he is sent. Two figures
come out: the loop's dead time (from a generation's last response to the next trial) with and without viewers, and how
long after its commit a response is in a viewer's hands.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from rich.console import Console

from benchmarks.figures import durations, print_table
from server.status import process
from server.status.records import open_records

CONFIG = """
[session]
name = "bench"
[server]
address = "{address}"
[evolution]
name = "pixels"
channels = ["pixel/0"]
generations = {generations}
optimizer = {{ name = "genetic", population = 20 }}
generator = {{ name = "raw_pixel", size = 32 }}
[references]
count = 5
[display]
on_ms = 17
off_ms = 17
inter_trial_ms = 34
fixation_ms = 17
"""
DEAD_TIMES = """
    SELECT (SELECT MIN(t.sent_at) FROM presentations p JOIN trials t USING (trial)
            WHERE p.generation = g.generation + 1)
        - (SELECT MAX(r.received_at) FROM presentations p JOIN responses r USING (presentation_id)
            WHERE p.generation = g.generation)
    FROM generations g WHERE g.scored_at IS NOT NULL
"""


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> None:
    """Measure both, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--viewers", type=int, default=50, help="who read along; one more stalls")
    parser.add_argument("--generations", type=int, default=40, help="of each of three sessions")
    options = parser.parse_args(arguments)
    alone_s, _ = watched_session(options.generations, None)
    unseen_s, _ = watched_session(options.generations, 0)
    seen_s, delays_s = watched_session(options.generations, options.viewers)
    crowd = f"{options.viewers} viewers and one who stalls"
    rows = [
        durations("dead time, page with no viewer", unseen_s, "no page", alone_s),
        durations(f"dead time, page with {crowd}", seen_s, "no page", alone_s),
        durations(f"response recorded -> at a viewer, {crowd}", delays_s, "dead time meanwhile", seen_s),
    ]
    print_table(console or Console(width=160), "The status page, p50 / p99", rows)


def watched_session(generations: int, viewers: int | None) -> tuple[list[float], list[float]]:
    """Run a session with so many viewers (None: without a page), and return dead times and delays in seconds."""
    with tempfile.TemporaryDirectory() as folder, peers(Path(folder), generations) as (server, file, address):
        delays_s: list[float] = []
        if viewers is None:
            server.wait()
        else:
            with process.beside(file, address, port=None) as page:
                page.wait()
                watch(page.url, file, viewers, delays_s)
                server.wait()
        with open_records(file) as records:
            dead_s = [row[0] for row in records.rows(DEAD_TIMES) if row[0] is not None]
    return dead_s[2:], delays_s


def watch(url: str, file: Path, viewers: int, delays_s: list[float]) -> None:
    """Open so many streams, the first of which takes the time, and one that is never read."""
    path = f"{url.split('/#', maxsplit=1)[0]}/api/sessions/{file.stem}/live"
    for number in range(viewers):
        threading.Thread(target=read, args=(path, file if number == 0 else None, delays_s), daemon=True).start()
    if viewers:
        host, port = path.split("/")[2].split(":")
        stalled = socket.create_connection((host, int(port)))
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        stalled.sendall(f"GET /api/sessions/{file.stem}/live HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        STALLED.append(stalled)


STALLED: list[socket.socket] = []
"""Connections that nobody reads, kept open."""


def read(path: str, file: Path | None, delays_s: list[float]) -> None:
    """Read a stream to its end; note how old the newest response is when an event with more of them arrives."""
    measured = 0
    with suppress(OSError, ValueError), urllib.request.urlopen(path) as stream:
        for line in stream:
            if file is None or not line.startswith(b'data: {"cursor'):
                continue
            arrived = time.time()
            told = json.loads(line[6:])["standing"]["measured"]
            if measured and told > measured:
                delays_s.append(arrived - committed_at(file, told))
            measured = told


def committed_at(file: Path, measured: int) -> float:
    """Return when the response was recorded that makes it so many."""
    with open_records(file) as records:
        query = "SELECT received_at FROM responses WHERE measured ORDER BY received_at LIMIT 1 OFFSET ?"
        return float(records.value(query, measured - 1))


@contextmanager
def peers(folder: Path, generations: int) -> Iterator[tuple["subprocess.Popen[bytes]", Path, str]]:
    """Start a server, a display and a neuron, and end them."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    config, file = folder / "bench.toml", folder / "bench.xdream"
    config.write_text(CONFIG.format(address=address, generations=generations))
    commands = [
        ["server", "run", str(config), "--session", str(file), "--quiet"],
        ["stimulus_client.client", address, "--display", "headless"],
        ["adapters.serve", "tests.neurons:PixelNeuron", address],
    ]
    root = Path(__file__).parent.parent
    quiet, environment = subprocess.DEVNULL, os.environ | {"PYTHONPATH": str(root)}
    started = [
        subprocess.Popen([sys.executable, "-m", *command], cwd=root, env=environment, stdout=quiet, stderr=quiet)
        for command in commands
    ]
    try:
        while not file.exists() and started[0].poll() is None:
            with suppress(subprocess.TimeoutExpired):
                started[0].wait(0.05)
        yield started[0], file, address
    finally:
        for each in started:
            each.kill()
            each.wait()


if __name__ == "__main__":
    main()
