"""A rig of real processes on loopback: server, stimulus client and adapter, each killed and started as a test likes."""

import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
DEADLINE_S = 60
CONFIG = """
[session]
name = "rig"
seed = 3
[server]
address = "{address}"
[evolution]
name = "pixels"
channels = ["pixel/0"]
generations = {generations}
optimizer = {{ name = "genetic", population = 12 }}
generator = {{ name = "raw_pixel", size = 4 }}
scorer = {{ name = "rate", baseline = "none" }}
[references]
count = 3
[display]
on_ms = 10
off_ms = 10
inter_trial_ms = 10
fixation_ms = 10
images_per_trial = 5
[rehearsal]
break_rate = 0.1
"""


def a_free_address() -> str:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp://127.0.0.1:{probe.getsockname()[1]}"


class Rig:
    """Processes of one session in one folder."""

    def __init__(self, folder: Path, generations: int) -> None:
        self.address = a_free_address()
        self.peers_address = self.address
        """Where the peers look for the server: there, or at something that stands between."""
        self.config = folder / "rig.toml"
        self.config.write_text(CONFIG.format(address=self.address, generations=generations))
        self.file = folder / "rig.xdream"
        self.log = folder / "rig.log"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
        self._processes.append(process)
        return process

    def server(self) -> subprocess.Popen[bytes]:
        if self.file.exists():
            return self.start("server", "resume", str(self.file), "--no-page")
        return self.start("server", "run", str(self.config), "--session", str(self.file), "--no-page")

    def client(self, seed: int = 0) -> subprocess.Popen[bytes]:
        options = ["--fast", "--break-rate", "0.1", "--seed", str(seed), "--patience", "30"]
        return self.start("stimulus_client.client", self.peers_address, *options)

    def adapter(self) -> subprocess.Popen[bytes]:
        return self.start("adapters.serve", "tests.neurons:PixelNeuron", self.peers_address, "--patience", "30")

    def query(self, query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(f"{self.file.as_uri()}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()

    def n_measured(self) -> int:
        try:
            return int(self.query("SELECT COUNT(*) FROM responses WHERE measured")[0][0])
        except sqlite3.OperationalError:
            return 0

    def states(self) -> list[str]:
        """Return the states the session has been in."""
        try:
            return [state for (state,) in self.query("SELECT state FROM states ORDER BY rowid")]
        except sqlite3.OperationalError:
            return []

    def wait(self, process: subprocess.Popen[bytes], until: Callable[[], bool]) -> bool:
        """Watch a process until a condition holds, and say whether it does, or until the process has ended."""
        for _ in range(DEADLINE_S * 200):
            if until():
                return True
            try:
                process.wait(timeout=0.005)
            except subprocess.TimeoutExpired:
                continue
            return until()
        raise TimeoutError(f"nothing came of it in {DEADLINE_S} s: {self.log.read_text()[-2000:]}")

    def finish(self, server: subprocess.Popen[bytes], within_s: float = DEADLINE_S) -> None:
        assert server.wait(timeout=within_s) == 0, self.log.read_text()[-2000:]

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()


@contextmanager
def a_rig(folder: Path, generations: int) -> Iterator[Rig]:
    folder.mkdir(parents=True, exist_ok=True)
    rig = Rig(folder, generations)
    try:
        yield rig
    finally:
        rig.close()


ROWS = {
    "stimuli": "SELECT stimulus_id, code, sha256 FROM stimuli ORDER BY stimulus_id",
    "scores": "SELECT evolution, generation, stimulus_id, score FROM scores ORDER BY 1, 2, 3",
    "counts": "SELECT p.evolution, p.generation, p.slot, r.spike_counts FROM presentations p"
    " JOIN responses r USING (presentation_id) WHERE r.measured ORDER BY 1, 2, 3",
    "snapshots": "SELECT evolution, generation, moment, snapshot FROM snapshots ORDER BY 1, 2, 3",
}


def final_rows(rig: Rig) -> dict[str, list[tuple[Any, ...]]]:
    """Return what two sessions with the same seed and the same responses must agree on to the bit."""
    return {name: rig.query(query) for name, query in ROWS.items()}
