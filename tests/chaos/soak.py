"""`python -m tests.chaos.soak`: twelve hours' worth of presentations, as fast as they go; do memory and files grow?

Prints, for each process, resident memory and open files at a fifth of the session and at its end, and fails (exit
status 1) where memory grew by more than 1 % an hour of a twelve-hour day, a file more is open, or something was
measured twice. What a session remembers to advise on (a score for each image) may grow by so much; images, codes and
spikes may not.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.chaos.bad_rig import BadRig, a_bad_rig

WATCHED = ("server", "client", "adapter")
N_A_GENERATION = 50
N_MORE = 100
"""Generations to go at the last look, so that all are still at work."""
N_AN_HOUR = 200_000 / 12
"""Presentations, on a day of twelve hours."""
MOST_AN_HOUR = 0.01
"""Of the memory at a fifth."""
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """Run the session, and print what grew."""
    parser = argparse.ArgumentParser("python -m tests.chaos.soak", description=__doc__)
    parser.add_argument("--presentations", type=int, default=200_000, help="(default: 200000)")
    n = parser.parse_args().presentations
    with tempfile.TemporaryDirectory() as folder, a_bad_rig(Path(folder), n // N_A_GENERATION + N_MORE) as rig:
        config = rig.config.read_text().replace("population = 12", "population = 40").replace("count = 3", "count = 10")
        rig.config.write_text(config.replace("images_per_trial = 5", "images_per_trial = 10"))
        rig.begin()
        began_s = time.monotonic()
        early = look(rig, n // 5)
        late = look(rig, n)
        took_s = time.monotonic() - began_s
        table = Table("process", "MiB at a fifth", "at the end", "an hour", "files at a fifth", "at the end", box=None)
        wrong = [f"{n_twice} measured twice"] if (n_twice := len(rig.counted_twice())) else []
        for name in WATCHED:
            (mib, files), (mib_late, files_late) = early[name], late[name]
            grew = (mib_late / mib - 1) / (0.8 * n / N_AN_HOUR)
            wrong += [f"{name}: memory grew by {grew:.2%} an hour"] if grew > MOST_AN_HOUR else []
            wrong += [f"{name}: {files_late - files} more files are open"] if files_late > files else []
            table.add_row(name, f"{mib:.1f}", f"{mib_late:.1f}", f"{grew:+.2%}", str(files), str(files_late))
        Console().print(table)
        Console().print(
            f"{rig.n_measured():,} presentations measured in {took_s:.0f} s; "
            f"session file {rig.file.stat().st_size / 2**20:.0f} MiB"
        )
        if wrong:
            raise SystemExit("; ".join(wrong))


def look(rig: BadRig, n_measured: int) -> dict[str, tuple[float, int]]:
    """Return MiB of memory and open files of each process once so much was measured."""
    while rig.running["server"].poll() is None and rig.n_measured() < n_measured:
        rig.let_pass(1.0)
    found = {}
    for name in WATCHED:
        process = Path("/proc", str(rig.running[name].pid))
        n_pages = int((process / "statm").read_text().split()[1])
        found[name] = (n_pages * PAGE_BYTES / 2**20, len(list((process / "fd").iterdir())))
    return found


if __name__ == "__main__":
    main()
