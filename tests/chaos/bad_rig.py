"""A rig whose processes are killed, stopped and cut off at moments drawn by a seed."""

import os
import random
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.rig import Rig, a_free_address

LONG = os.environ.get("XDREAM_CHAOS") == "long"
"""Set XDREAM_CHAOS=long for as many faults as one would want to have seen before a recording day."""
PATIENCE_S = 3600 if LONG else 300
DISTURBED = ("server", "server", "client", "adapter", "page")
"""Who is struck: the server most often."""


class BadRig(Rig):
    """A rig that knows its processes by name, and how long each fault kept the session from going on."""

    def __init__(self, folder: Path, generations: int, proxy: tuple[str, ...] | None = None) -> None:
        super().__init__(folder, generations)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.recovered_s: dict[str, list[float]] = {}
        self._proxy = proxy
        if proxy is not None:
            self.peers_address = a_free_address()

    def begin(self) -> None:
        """Start everything."""
        if self._proxy is not None:
            self.running["proxy"] = self.start("tests.chaos.proxy", self.peers_address, self.address, *self._proxy)
        for name in ("server", "client", "adapter"):
            self.restart(name)

    def restart(self, name: str) -> None:
        """Start a process again, as a person would."""
        known = {"server": self.server, "client": self.client, "adapter": self.adapter, "page": self.page}
        self.running[name] = known[name]()

    def page(self) -> subprocess.Popen[bytes]:
        """Start the status page, at any port."""
        return self.start("server", "status", str(self.file.parent), "--port", "0", "--server", self.address)

    def strike(self, chance: random.Random) -> bool:
        """Kill or stop someone after one to fifty more measurements; return False where the session ends before."""
        measured = self.n_measured()
        target = measured + chance.randint(1, 50)
        if not self.reach(target) or self.running["server"].poll() is not None:
            return False
        name = chance.choice([name for name in DISTURBED if name in self.running])
        struck = chance.choice(("killed", "killed", "stopped"))
        before, began_s = self.n_measured(), time.monotonic()
        if struck == "killed":
            self.running[name].kill()
            self.running[name].wait()
            self.restart(name)
        else:
            self.pause(name, chance.uniform(0.05, 2.5))
        assert self.n_measured() >= before, f"{before - self.n_measured()} acknowledged are gone: {name} was {struck}"
        if self.reach(before + 1):
            self.recovered_s.setdefault(f"{name} {struck}", []).append(time.monotonic() - began_s)
        return True

    def pause(self, name: str, seconds: float) -> None:
        """Stop a process as a debugger or a swapping machine would, and let it go on."""
        self.running[name].send_signal(signal.SIGSTOP)
        self.let_pass(seconds)
        self.running[name].send_signal(signal.SIGCONT)

    def let_pass(self, seconds: float) -> None:
        """Let the others go on for so long."""
        over_s = time.monotonic() + seconds
        while (left_s := over_s - time.monotonic()) > 0:
            with suppress(subprocess.TimeoutExpired):
                self.running["client"].wait(timeout=left_s)

    def reach(self, n_measured: int) -> bool:
        """Wait for so many measurements; return False where the session ends before."""
        return self.wait(self.running["server"], lambda: self.n_measured() >= n_measured)

    def end(self) -> None:
        """Wait for the session to end well; a server that was killed with its last word is started once more."""
        self.finish(self.running["server"], PATIENCE_S)

    def counted_twice(self) -> list[tuple[object, ...]]:
        """Return the slots that were measured more than once."""
        slots = "SELECT evolution, generation, slot FROM presentations JOIN responses USING (presentation_id)"
        return self.query(f"{slots} WHERE measured GROUP BY 1, 2, 3 HAVING COUNT(*) > 1")

    def recovery(self) -> str:
        """Return in words how long it took until something was measured again."""
        return "\n".join(
            f"{what}: {len(s)} times, median {statistics.median(s):.2f} s, longest {max(s):.2f} s"
            for what, s in sorted(self.recovered_s.items())
        )


@contextmanager
def a_bad_rig(folder: Path, generations: int, proxy: tuple[str, ...] | None = None) -> Iterator[BadRig]:
    folder.mkdir(parents=True, exist_ok=True)
    rig = BadRig(folder, generations, proxy)
    try:
        yield rig
    finally:
        rig.close()
