"""What every display must do; a new one is a name in `DISPLAYS`, and a line here if it needs options to be tested."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from protocol.plugins import PluginError
from stimulus_client.display import DISPLAYS, Display, create_display
from tests.display.xvfb import needs_a_window, open_screen

SETTINGS = {"on_s": 0.1, "off_s": 0.1, "inter_trial_s": 0.4, "fixation_s": 0.3, "size_deg": 3.0, "background": 128}
WAYS: list[tuple[str, dict[str, Any]]] = [
    ("headless", {}),
    ("headless", {"fast": True}),
    ("headless", {"fast": True, "refresh_hz": 119.88}),
    ("psychopy", {"windowed": True}),
    ("psychopy", {"fast": True}),
]


def test_every_display_is_tested_here() -> None:
    assert {name for name, _ in WAYS} == set(DISPLAYS)


@pytest.fixture(
    params=[pytest.param(way, marks=needs_a_window if way[0] == "psychopy" else ()) for way in WAYS],
    ids=[" ".join([way[0], *way[1]]) for way in WAYS],
    scope="module",
)
def display(request: pytest.FixtureRequest) -> Iterator[Display]:
    name, options = request.param
    if name == "psychopy":
        open_screen()
    display = create_display(name, options)
    display.configure(SETTINGS)
    yield display
    display.close()


def an_image(seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (64, 48, 3), np.uint8)


def test_it_says_what_it_is(display: Display) -> None:
    assert display.name
    assert display.refresh_hz > 0
    assert min(display.size_px) > 0


def test_flips_are_refreshes_apart(display: Display) -> None:
    display.load(1, an_image())
    times_s = [display.flip(shown, fixation=True, patch=True) for shown in (None, 1, 1, None, None)]
    refreshes = np.diff(times_s) * display.refresh_hz
    assert (refreshes > 0).all()
    if display.name == "headless":
        assert (np.rint(refreshes) >= 1).all()
        np.testing.assert_allclose(refreshes, np.rint(refreshes), atol=0.1)
    else:  # says when each flip was over, which on a busy machine is some time after the refresh
        assert refreshes.sum() > 2


def test_an_image_can_be_loaded_again(display: Display) -> None:
    display.load(1, an_image(0))
    display.load(1, an_image(1))
    display.flip(1)


def test_an_image_that_it_does_not_have_is_refused(display: Display) -> None:
    display.load(1, an_image())
    display.forget([1, 2])
    for stimulus_id in (1, 2):
        with pytest.raises(KeyError, match=str(stimulus_id)):
            display.flip(stimulus_id)


def test_people_are_told(display: Display) -> None:
    display.tell("info", "running")
    display.tell("alarm", "paused - since 12:00 - nothing is shown - resume when ready")


def test_nobody_presses_a_key_or_moves_the_mouse(display: Display) -> None:
    assert display.pressed() == []
    assert np.isfinite(display.pointer_deg()).all()


def test_settings_of_a_newer_server_do_not_matter(display: Display) -> None:
    display.configure({**SETTINGS, "not_invented_yet": 1})


def test_unknown_names_and_options_are_answered_with_the_known_ones() -> None:
    with pytest.raises(PluginError, match=r"no display named 'hedless'. Did you mean 'headless'\?"):
        create_display("hedless", {})
    with pytest.raises(PluginError, match=r"display 'headless': no parameter 'fats'. Did you mean 'fast'\?"):
        create_display("headless", {"fats": True})
