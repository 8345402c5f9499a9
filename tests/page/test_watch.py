"""A dry run watched from its first generation to its last by two people, one of whom presses the buttons."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from conftest import Window

from server.status import process
from tests.rig import Rig, a_rig

DISPLAY = "on_ms = 10\noff_ms = 10\ninter_trial_ms = 10\nfixation_ms = 10"


class Watched:
    """A rig that runs in real time, and its page in a process of its own."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        text = rig.config.read_text().replace(DISPLAY, "on_ms = 34\noff_ms = 17\ninter_trial_ms = 34\nfixation_ms = 17")
        rig.config.write_text(text.replace('["pixel/0"]', '["pixel/0", "pixel/1"]'))
        self.server = rig.server()
        self.adapter = self.start_adapter()
        self.client = rig.start("stimulus_client.client", rig.address, "--display", "headless", "--patience", "30")
        rig.wait(self.server, rig.file.exists)
        self.page = process.start(rig.file, rig.address, port=None)
        self.page.wait()

    def start_adapter(self) -> Any:
        source = "tests.page.spiking:SpikingNeuron"
        return self.rig.start("adapters.serve", source, self.rig.address, "--patience", "30")

    def controls(self) -> list[tuple[str, dict[str, Any]]]:
        rows = self.rig.query("SELECT action, arguments FROM controls ORDER BY rowid")
        return [(action, json.loads(arguments)) for action, arguments in rows]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with a_rig(tmp_path, generations=0) as rig:
        watched = Watched(rig)
        with closing(watched.page):
            yield watched


@pytest.mark.timeout(180)
def test_two_people_watch_a_dry_run_and_one_of_them_acts(browser: Any, watched: Watched) -> None:
    operator, other = Window(browser), Window(browser)
    page = operator.page
    for window in (operator, other):
        window.page.goto(watched.page.url, wait_until="commit")
        state_is(window.page, "running")

    # Generations come by themselves, at both.
    for window in (operator, other):
        window.page.locator(".film .thumb").nth(1).wait_for()

    # Pause, at the end of the trial: nothing goes to the display any more, and both see it.
    press(page, "p")
    said(page, "Pause at the end of the trial: asked at", "done")
    for window in (operator, other):
        state_is(window.page, "paused")
    assert watched.controls()[-1][0] == "pause"

    # A note, a mark and a change go on record once each, with who it was.
    page.locator("#author").fill("JD")
    page.locator("#note").fill("drowsy, gave a break")
    page.keyboard.press("Enter")
    other.page.locator("#log .lines").get_by_text("JD: drowsy, gave a break").wait_for()
    page.locator("#gallery .thumb").first.click()
    page.locator("[data-action=mark]").click()
    page.locator("[data-action=mark]").filter(has_text="Marked").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Change…").click()
    page.get_by_label("Another of genetic").fill("mutation_rate 0.5")
    page.get_by_role("button", name="Change", exact=True).click()
    assert page.locator("#question").is_visible(), "what cannot be read is not passed over"
    page.get_by_label("Another of genetic").fill("mutation_rate = 0.5")
    page.get_by_label("Scored channels").fill("pixel/2")
    page.get_by_role("button", name="Change", exact=True).click()
    said(page, "Change from the next generation on: asked at", "on record")

    # Resume: it runs, and the change holds from the next generation on.
    press(page, "r")
    state_is(other.page, "running")
    other.page.locator("#log .lines").get_by_text("the change holds: evolution 1").wait_for()
    other.page.locator(".curve h2").filter(has_text="pixel/2").wait_for()

    # A change that cannot be is said to be none, with the reason.
    page.get_by_role("button", name="Change…").click()
    page.get_by_label("Scored channels").fill("pixel/99")
    page.get_by_role("button", name="Change", exact=True).click()
    said(
        page,
        "Change from the next generation on: asked at",
        "not done: the change was refused",
        "no channel 'pixel/99'",
    )

    # The recording dies: suspended, with an alarm; it comes back: running.
    watched.adapter.kill()
    state_is(page, "suspended")
    page.locator("#alarms .alarm").filter(has_text="acquisition").wait_for()
    watched.adapter = watched.start_adapter()
    state_is(page, "running")

    # Stop after this generation, once asked back: the session ends, and everybody sees it.
    press(page, "s")
    page.get_by_role("button", name="Stop", exact=True).last.click()
    for window in (operator, other):
        state_is(window.page, "ended")
    watched.rig.finish(watched.server)
    assert [action for action, _ in watched.controls()] == [
        "pause",
        "note",
        "mark",
        "change",
        "resume",
        "change",
        "stop",
    ]
    for window in (operator, other):
        window.context.close()
        assert window.complaints == []


def state_is(page: Any, word: str) -> None:
    page.locator("#state .word").filter(has_text=word).wait_for()


def press(page: Any, key: str) -> None:
    page.locator("#controls button:not(:disabled)").first.wait_for()
    page.locator("h1").first.click()  # away from any field
    for _ in range(3):  # a finger that stays on the key for a moment, as the system repeats it
        page.keyboard.down(key)
    page.keyboard.up(key)


def said(page: Any, *words: str) -> None:
    line = page.locator("#asked")
    for word in words:
        line = line.filter(has_text=word)
    line.wait_for()
