"""`python -m tests.chaos.stepping MODULE ...`: a program whose wall clock jumps an hour to and fro when read.

So does a machine whose clock is set by hand or by NTP, only less often.
"""

import random
import runpy
import sys
import time

STEP_S = 3600
_wall, _chance = time.time, random.Random(0)


def jumping() -> float:
    """Return the time of day, or an hour more, or an hour less."""
    return _wall() + _chance.choice((-STEP_S, 0, STEP_S))


if __name__ == "__main__":
    time.time = jumping
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
