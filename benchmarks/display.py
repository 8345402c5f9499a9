"""`python -m benchmarks.display`: what one presentation costs the display PC, and what share of a flash that is.

Opens a real window. On a machine without a screen put `xvfb-run -a -s '-screen 0 1280x1024x24'` in front of it: the
processor then does the graphics card's work, and flips wait for no refresh.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console

from benchmarks.figures import Comparison, durations, print_table, spread
from protocol.codec import encode
from protocol.messages import Trial
from stimulus_client.timing import Timing, judged

N_PER_TRIAL = 5
MONITOR = {"width_cm": 52.0, "distance_cm": 57.0}


def main(arguments: Sequence[str] | None = None, console: Console | None = None) -> None:
    """Time loading, drawing, flipping and reporting, and print a table."""
    parser = argparse.ArgumentParser("benchmarks.display", description=__doc__)
    parser.add_argument("--images", type=int, default=400, metavar="N", help="how many are shown (default: 400)")
    parser.add_argument("--size", type=int, default=256, metavar="PX", help="of the images (default: 256)")
    parser.add_argument("--flash", type=float, default=100.0, metavar="MS", help="length of one (default: 100)")
    options = parser.parse_args(arguments)
    rows = compare(options.images, options.size, options.flash / 1000)
    print_table(console or Console(width=160), "One presentation", rows)


def compare(n_images: int, size_px: int, flash_s: float) -> list[Comparison]:
    """Return each part of a presentation's cost beside the flash, and loading beside what a simpler client does."""
    from stimulus_client.psychopy_display import PsychoPyDisplay

    images = np.random.default_rng(0).integers(0, 256, (min(n_images, 40), size_px, size_px, 3), np.uint8)
    display = PsychoPyDisplay(fast=True)
    # As many pixels on screen as in the image, so that nothing is resampled: the commonest case on a rig.
    degrees = float(np.degrees(2 * np.arctan(size_px * 52.0 / display.size_px[0] / 2 / 57.0)))
    display.configure({"size_deg": degrees, "monitor": MONITOR})
    load_s = [_time(lambda n=n: display.load(n % 40, images[n % len(images)])) for n in range(n_images)]
    display.configure({"size_deg": degrees / 2, "monitor": MONITOR})
    resampled_s = [_time(lambda n=n: display.load(n % 40, images[n % len(images)])) for n in range(n_images)]
    draw_s, flip_s = [], []
    for n in range(n_images):
        draw_s.append(_time(lambda n=n: display.draw(n % len(images), fixation=True, patch=True)))
        flip_s.append(_time(display.window.flip))
    new_s = _new_each_time(display, images, n_images)
    display.close()
    report_s = [_time(_report) / N_PER_TRIAL for _ in range(n_images)]
    parts = {
        f"load an image of {size_px} x {size_px}, between trials": load_s,
        "the same, resampled to half its size": resampled_s,
        "draw it with fixation point and patch": draw_s,
        "flip": flip_s,
        "judge and encode its report, between trials": report_s,
        "all of it": np.sum([load_s, draw_s, flip_s, report_s], axis=0).tolist(),
    }
    flash = f"a flash of {1000 * flash_s:g} ms"
    shares = [
        Comparison(what, spread(times_s), flash, f"{1000 * flash_s:.2f} ms", float(np.median(times_s)) / flash_s)
        for what, times_s in parts.items()
    ]
    return [*shares, durations("load, into an ImageStim that is reused", load_s, "a new ImageStim an image", new_s)]


def _new_each_time(display: Any, images: Iterable[Any], n_images: int) -> list[float]:
    """Return how long it takes to make a stimulus for each image, as most scripts do; it also leaks."""
    from psychopy import visual

    pictures = [Image.fromarray(image) for image in images]
    return [
        _time(lambda n=n: visual.ImageStim(display.window, pictures[n % len(pictures)], units="pix"))
        for n in range(min(n_images, 100))
    ]


def _report() -> None:
    timing = Timing(60.0, 6, 6, 18, 24)
    n_frames = 18 + N_PER_TRIAL * 12
    trial = Trial(1, np.arange(N_PER_TRIAL), np.arange(N_PER_TRIAL))
    encode(judged(trial, (np.arange(n_frames + 1) / 60).tolist(), timing, None))


def _time(do: Callable[[], Any]) -> float:
    began_s = time.perf_counter()
    do()
    return time.perf_counter() - began_s


if __name__ == "__main__":
    main()
