"""The page in a browser, on a finished session and one whose state a test sets: what is there, and for whom."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import Window, served

from adapters.alarms import Alarm, condition
from protocol.messages import Role
from server.status.access import Visitor, add_token, for_host
from server.status.app import create_app
from tests.page import made
from tests.page.made import MadeSession, fade

AXE = Path(__file__).with_name("vendor") / "axe.min.js"
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "device_scale_factor": 2}
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def url(finished: Path) -> Iterator[str]:
    with served(create_app(finished)) as url:
        yield url


def opened(window: Window, url: str, name: str = "made") -> Any:
    page = window.page
    page.goto(f"{url}/#/{name}")
    page.locator("#state .word").filter(has_not_text="…").wait_for()
    return page


def findings(page: Any) -> list[str]:
    """Return the serious findings of axe-core on a page."""
    page.evaluate(AXE.read_text("utf-8") + "; undefined")
    found = page.evaluate("axe.run().then((results) => results.violations)")
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found if each["impact"] in SERIOUS]


def test_a_finished_session_is_all_there(window: Window, url: str) -> None:
    page = opened(window, url)
    assert page.locator("#state .word").text_content() == "ended"
    assert page.locator(".curve").count() == 2
    assert page.locator(".curve canvas").count() == 2
    page.locator("#gallery .thumb").nth(5).wait_for()
    page.locator("#channels tbody tr").nth(5).wait_for()
    page.locator(".psth .bars").wait_for()
    assert page.locator(".best .thumb").count() == 2 * (4 + 3)
    assert page.locator(".times .row").count() == 7
    assert "fixation broken" in page.locator("#accounting").text_content()
    assert page.locator("#controls button").count() == 0, "nothing is left to be asked for"


def test_what_people_wrote_stays_words(window: Window, url: str) -> None:
    page = opened(window, url)
    page.locator("#log .lines").get_by_text("<script>alert(1)</script> drowsy").wait_for()
    assert "monkey <b>A</b>" in page.locator("#title").text_content()


def test_nothing_is_asked_for_elsewhere(window: Window, url: str) -> None:
    page = opened(window, url)
    page.locator(".psth .bars").wait_for()
    assert {urlsplit(each).netloc for each in window.asked} == {urlsplit(url).netloc}


def test_an_image_leads_to_its_score_its_showings_and_its_spikes(window: Window, url: str) -> None:
    page = opened(window, url)
    page.locator("#gallery .thumb").first.click()
    dialog = page.locator("#image-dialog")
    dialog.get_by_text("sha256").wait_for()
    assert dialog.locator("tbody tr").count() >= 1
    dialog.locator(".psth").wait_for()
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")


def test_an_image_that_cannot_be_had_is_said(window: Window, url: str) -> None:
    page = opened(window, url)
    page.route("**/stimuli/*", lambda route: route.fulfill(status=500, body='{"error": "The disk is gone."}'))
    page.locator("#gallery .thumb").first.click()
    page.locator("#image-dialog").get_by_text("cannot be looked at: The disk is gone.").wait_for()
    page.keyboard.press("Escape")


def test_scores_have_the_unit_of_their_scorer(window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorers = ("scorer = { name = 'target', target = [2.0] }", "scorer = { name = 'pareto', squeeze = ['pixel/5'] }")
    first, second, third = made.CONFIG.split("generator = { name", 2)
    monkeypatch.setattr(
        made, "CONFIG", "generator = { name".join([first + scorers[0] + "\n", second + scorers[1] + "\n", third])
    )
    session = MadeSession(tmp_path / "units.xdream").begin().go_on(8)
    with served(create_app(session.file.path)) as url:
        page = opened(window, url, "units")
        target, ranks = (page.locator(".curve .effect").nth(place) for place in range(2))
        target.filter(has_text="best reference image").wait_for()
        ranks.filter(has_text="generations cannot be compared").wait_for()
        assert "sp/s" not in page.locator(".best").text_content() + target.text_content()
        page.locator("#gallery .thumb").first.click()
        score = page.locator("#image-dialog .facts-list dd").first
        score.wait_for()
        assert "sp/s" not in score.text_content()
        page.goto("about:blank")
    session.close()


def test_every_generation_can_be_looked_at(window: Window, url: str) -> None:
    page = opened(window, url)
    page.locator("#gallery .thumb").nth(5).wait_for()
    page.locator(".film .thumb").first.click()
    page.get_by_text("generation 1 of 4").wait_for()
    page.locator('#gallery [data-stimulus^="100001000"]').first.wait_for()


def test_the_list_of_sessions_is_sorted_and_leads_to_each(window: Window, url: str) -> None:
    page = window.page
    page.goto(url)
    page.get_by_role("button", name="Generations").click()
    assert page.locator("th[aria-sort=descending]").text_content().startswith("Generations")
    page.get_by_role("link", name="made").click()
    page.locator("#state .word").filter(has_text="ended").wait_for()


@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("where", ["", "made"])
def test_axe_finds_nothing_serious(browser: Any, url: str, theme: str, where: str) -> None:
    window = Window(browser, bypass_csp=True)
    window.page.add_init_script(f"localStorage.setItem('xdream-theme', '{theme}')")
    if where:
        opened(window, url, where).locator("#channels tbody tr").first.wait_for()
    else:
        window.page.goto(url)
        window.page.locator(".sessions tbody tr").wait_for()
    assert findings(window.page) == []
    window.context.close()


def test_axe_finds_nothing_serious_in_an_alarm_and_an_image(browser: Any, running: MadeSession) -> None:
    running.go_on(8)
    running.suspend()
    window = Window(browser, bypass_csp=True)
    with served(create_app(running.file.path)) as url:
        page = opened(window, url, "running")
        page.locator("#gallery .thumb").first.click()
        page.locator("#image-dialog").get_by_text("sha256").wait_for()
        assert findings(page) == []
        window.context.close()


def test_an_alarm_is_seen_as_what_since_consequence_do(window: Window, running: MadeSession) -> None:
    running.go_on(3)
    with served(create_app(running.file.path)) as url:
        page = opened(window, url, "running")
        running.suspend()
        page.locator("#state .word").filter(has_text="suspended").wait_for()
        alarm = page.locator("#alarms .alarm").filter(has_text="no fresh data")
        text = alarm.text_content()
        assert all(title in text for title in ("WHAT", "SINCE", "CONSEQUENCE", "DO"))
        running.clear()
        alarm.wait_for(state="detached")
        window.page.goto("about:blank")


def test_a_session_that_is_held_back_can_be_started_before_everybody_is_there(window: Window, tmp_path: Path) -> None:
    session = MadeSession(tmp_path / "held.xdream")  # xdream run --hold: nobody has joined yet
    session.ask("pause", "a-wish-to-hold")
    with served(create_app(session.file.path)) as url:
        page = opened(window, url, "held")
        first = page.locator("#controls button").first
        first.filter(has_text="Start").wait_for()
        session.begin().ask("resume", "a-wish-to-start")
        first.filter(has_text="Pause").wait_for()
        session.go_on(2).suspend()
        session.ask("pause", "a-wish-for-a-rest")
        page.locator("#state .word").filter(has_text="suspended").wait_for()
        first.filter(has_text="Resume").wait_for()
        page.goto("about:blank")
    session.close()


def test_the_scored_channel_is_chosen_also_where_the_channels_were_not_known_at_first(
    window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made, "CONFIG", made.CONFIG.replace('["pixel/0"]', '["pixel/4"]'))
    session = MadeSession(tmp_path / "late.xdream")
    with served(create_app(session.file.path)) as url:
        page = opened(window, url, "late")
        session.begin().go_on(8)
        page.locator("#channels tr[aria-selected=true]").filter(has_text="pixel/4").wait_for()
        page.locator("#spikes-note").filter(has_text="pixel/4, generation").wait_for()
        page.goto("about:blank")
    session.close()


def test_a_channel_is_told_of_by_the_images_of_the_evolution_that_scores_it(window: Window, url: str) -> None:
    page = opened(window, url)
    rows = page.locator("#channels tbody tr")
    rows.nth(5).wait_for()
    for channel, evolution in ((0, 1), (1, 2), (2, 2)):
        answer = page.request.get(f"{url}/api/sessions/made/channels?evolution={evolution}").json()
        assert f"{answer[channel]['rate_hz']:.1f}" in rows.nth(channel).locator("td").first.text_content()


def test_a_warning_is_seen_while_it_lasts_and_stays_in_the_log(window: Window, running: MadeSession) -> None:
    silent = Alarm("no spike for 60 s on channel pixel/3", "it adds nothing", "look at its threshold")
    running.go_on(3)
    with served(create_app(running.file.path)) as url:
        page = opened(window, url, "running")
        running.tell(condition({"silent": silent}), Role.ACQUISITION)
        warning = page.locator("#alarms .alarm.warning").filter(has_text=silent.what)
        assert all(part in warning.text_content() for part in (*silent, "WHAT", "SINCE", "CONSEQUENCE", "DO"))
        assert page.locator("#state .word").text_content() == "running", "nothing stops for it"
        line = page.locator("#log .lines li").filter(has_text=silent.what)
        assert "still so" in line.text_content()
        running.tell(condition({}), Role.ACQUISITION)
        warning.wait_for(state="detached")
        line.filter(has_text="over after").wait_for()
        window.page.goto("about:blank")


def test_each_generation_says_its_contrast_and_how_far_out_its_codes_lie(window: Window, url: str) -> None:
    page = opened(window, url)
    page.locator(".film .thumb").first.click()
    page.get_by_text("generation 1 of 4").wait_for()
    [contrast, norm] = [page.locator(".figure").nth(place) for place in range(2)]
    assert "Contrast (rms)" in contrast.text_content()
    assert "Code norm" in norm.text_content()
    assert contrast.locator(".sparkline line").count() == 1, "where this generation stands among all"


def test_a_phone_shows_it_without_scrolling_sideways(browser: Any, url: str) -> None:
    window = Window(browser, **PHONE)
    page = opened(window, url)
    page.locator("#gallery .thumb").first.wait_for()
    page.locator(".psth").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("#state .word").is_visible()
    window.context.close()
    assert window.complaints == []


def test_what_was_at_the_display_of_a_server_that_is_gone_is_not_told_as_if_it_were_there(
    window: Window, running: MadeSession
) -> None:
    running.go_on(3)
    assert running.session.traffic.out, "trials are on their way"
    for file in running.file.path.parent.glob(f"{running.file.path.name}*"):
        os.utime(file, (0, running.now_s))
    with served(create_app(running.file.path)) as url:
        page = opened(window, url, "running")
        page.locator("#state .word").filter(has_text="unattended").wait_for()
        page.locator("#now").filter(has_text="no server runs this session").wait_for()
        assert page.locator("#now .thumb").count() == 0
        page.goto("about:blank")


def test_a_button_that_cannot_be_pressed_does_not_look_as_if_it_could(window: Window, running: MadeSession) -> None:
    running.go_on(3)
    with served(create_app(running.file.path)) as url:
        page = opened(window, url, "running")
        backgrounds = (
            "[...document.querySelectorAll('#controls button')].map((each) => getComputedStyle(each).backgroundColor)"
        )
        page.locator("#controls button:disabled").first.wait_for()
        assert set(page.evaluate(backgrounds)) == {"rgba(0, 0, 0, 0)"}, "no server runs it, so there is nobody to ask"
        page.goto("about:blank")


def test_a_screen_on_the_wall_is_read_from_across_the_room(browser: Any, url: str) -> None:
    window = Window(browser, viewport={"width": 3840, "height": 2160})
    page = opened(window, url)
    page.locator(".psth").wait_for()
    assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('#links .value')).fontSize)") > 20
    assert page.locator(".psth").first.bounding_box()["height"] < 1000
    assert page.evaluate("document.documentElement.scrollWidth") <= 3840
    window.context.close()
    assert window.complaints == []


def test_the_keyboard_reaches_everything(window: Window, url: str) -> None:
    page = opened(window, url)
    page.locator("#gallery .thumb").first.wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip", "first comes the way past the header"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("g")
    page.keyboard.press("ArrowLeft")
    page.get_by_text("generation 3 of 4").wait_for()
    page.keyboard.press("D")
    assert page.evaluate("document.documentElement.dataset.theme") == "light", "a slider is nothing to write in"
    page.keyboard.press("d")
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('#gallery') !== null"):
            break
    page.keyboard.press("Enter")
    page.locator("#image-dialog").get_by_text("sha256").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.get_by_text("Stop after this generation").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_the_keyboard_stays_where_it_is_when_what_is_there_is_told_anew(window: Window, running: MadeSession) -> None:
    running.go_on(5)
    with served(create_app(running.file.path)) as url:
        page = opened(window, url, "running")
        page.locator("#channels tbody button").nth(2).press("Enter")
        page.locator("#channels tr[aria-selected=true]").filter(has_text="pixel/2").wait_for()
        assert page.evaluate("document.activeElement.textContent.trim()").startswith("pixel/2")
        page.goto(f"{url}/#/")
        link = page.get_by_role("link", name="running")
        link.focus()
        told = page.locator(".sessions tbody tr").text_content()
        running.go_on(10)
        page.locator(".sessions tbody tr").filter(has_not_text=told).wait_for()
        assert page.evaluate("document.activeElement.textContent") == "running"
        page.goto("about:blank")


def test_a_stranger_comes_in_with_a_token_and_a_viewer_has_no_buttons(
    window: Window, running: MadeSession, tmp_path: Path
) -> None:
    file = tmp_path / "access.json"
    token = add_token(file, f"{Visitor.VIEWER}:the screen in the corridor")
    with served(create_app(running.file.path, None, for_host("0.0.0.0", [], file))) as url:
        page = window.page
        page.goto(f"{url}/#/running")
        page.get_by_label("Token").fill("a guess")
        page.keyboard.press("Enter")
        page.get_by_text("This is no token").wait_for()
        page.get_by_label("Token").fill(token)
        page.keyboard.press("Enter")
        page.locator("#state .word").filter(has_not_text="…").wait_for()
        assert page.locator("#controls button").count() == 0
        assert not page.locator("#note").is_visible()
        page.goto("about:blank")


def test_the_page_says_when_its_server_is_gone_and_goes_on_when_it_is_back(
    window: Window, running: MadeSession
) -> None:
    running.go_on(3)
    with served(create_app(running.file.path)) as url:
        page = opened(window, url, "running")
        page.get_by_text("generation 1 of").wait_for()
    page.locator("#page-alarm").get_by_text("this page has lost its own server").wait_for()
    # What stands there is old, and is not told as if it were new; how old, goes on counting.
    page.locator("#state .word").filter(has_text="unknown").wait_for()
    page.locator("#links .link").filter(has_text="Disk").filter(has_text="unknown").wait_for()
    since = page.locator("#page-alarm .since")
    since.filter(has_not_text=since.text_content()).wait_for()
    running.go_on(12)
    with served(create_app(running.file.path), port=urlsplit(url).port or 0):
        page.locator("#page-alarm .what").wait_for(state="detached")
        page.locator("#state .word").filter(has_not_text="unknown").wait_for()
        newest = running.session.runs[1].last_generation - 1
        page.get_by_text(f"generation {newest} of").wait_for()
        page.goto("about:blank")


def test_the_chart_has_the_curve_with_the_drift_taken_off(window: Window, running: MadeSession) -> None:
    running.go_on(20)
    fade(running)
    with served(create_app(running.file.path)) as url:
        page = opened(window, url, "running")
        page.locator(".legend .key-corrected").first.wait_for()
        label = page.locator(".curve .plot").first.get_attribute("aria-label")
    assert "With the drift taken off, the last is" in label


def test_without_reference_images_there_is_no_such_curve(
    window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made, "CONFIG", made.CONFIG.replace("count = 3", "count = 0"))
    session = MadeSession(tmp_path / "bare.xdream", generations=3).begin()
    session.to_the_end()
    session.close()
    with served(create_app(tmp_path)) as url:
        page = opened(window, url, "bare")
        page.locator(".curve canvas").first.wait_for()
        assert page.locator(".legend .key-corrected").first.is_hidden()
