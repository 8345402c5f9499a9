"""The configuration file: what it gives, and how it answers mistakes."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

import server
from server import build
from server.config import Config, ConfigError, load_config, parse_config

SHORTEST = '[session]\nname = "s1"\n[evolution]\n'


def a_config(text: str = "") -> Config:
    return parse_config(SHORTEST + text, "s1.toml")


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "s1.toml")
    return caught.value.problems


def the_problem(text: str) -> str:
    [problem] = problems(SHORTEST + text)
    return problem


def test_the_shortest_file_has_a_default_for_everything_else() -> None:
    config = a_config()
    [evolution] = config.evolutions
    assert (evolution.optimizer.name, evolution.generator.name, evolution.scorer.name) == (
        "sphere_mirror",
        "embedded",
        "rate",
    )
    assert config.server.address == "tcp://127.0.0.1:5670"
    assert config.text == SHORTEST


def test_milliseconds_in_the_file_are_seconds_in_the_program() -> None:
    config = a_config("[display]\non_ms = 40\noff_ms = 12.5\n[acquisition]\nbaseline_window_ms = [-50, 0]")
    assert (config.display.on_s, config.display.off_s, config.display.fixation_s) == (0.04, 0.0125, 0.3)
    assert config.acquisition.baseline_window_s == (-0.05, 0.0)
    assert config.acquisition.response_window_s == (0.05, 0.2)


def test_the_peers_are_told_plain_values_in_seconds_and_degrees() -> None:
    config = a_config("[display]\nsize_deg = 2\nx_deg = -1.5")
    told = config.display_settings()
    assert (told["on_s"], told["size_deg"], told["x_deg"], told["images_per_trial"]) == (0.1, 2.0, -1.5, 5)
    assert config.acquisition_settings() == {
        "response_window_s": [0.05, 0.2],
        "baseline_window_s": [0.0, 0.05],
        "stale_after_s": 0.9,
    }


def test_parts_take_whatever_parameters_stand_beside_their_name() -> None:
    config = a_config(
        '[evolution.optimizer]\nname = "genetic"\npopulation = 30\n[evolution.generator]\nname = "my.own:Part"'
    )
    [evolution] = config.evolutions
    assert evolution.optimizer.parameters == {"population": 30}
    assert (evolution.generator.name, evolution.generator.parameters) == ("my.own:Part", {})


def test_several_evolutions_are_kept_in_order() -> None:
    text = '[session]\nname = "s1"\n[[evolution]]\nname = "a"\n[[evolution]]\nname = "b"\n'
    weighted = 'channels = ["1", "2"]\ncombine = [1, 3]'
    first, second = parse_config(text + weighted, "s1.toml").evolutions
    assert (first.name, first.combine, second.name, second.combine) == ("a", "mean", "b", (1.0, 3.0))


def test_the_simulator_is_given_its_table_as_it_stands() -> None:
    config = a_config('[simulator]\nlayer = "output"\nunits = [0, 5]\nnoise = true')
    assert config.simulator.parameters == {"layer": "output", "units": [0, 5], "noise": True}


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        a_config().display.on_s = 1.0  # type: ignore[misc]


def test_a_changed_configuration_keeps_its_text() -> None:
    config = a_config().changed(seed=5, generations=2)
    assert (config.session.seed, config.evolutions[0].generations, config.text) == (5, 2, SHORTEST)


def test_the_shipped_dry_run_is_valid_and_fast() -> None:
    config = load_config(Path(server.__file__).parent / "dry_run.toml")
    assert config.display.on_s + config.display.off_s <= 0.05, "it ends within a minute in real time"
    assert config.evolutions[0].optimizer.parameters["population"] == 20


MISTAKES = {
    "[display]\non_mss = 1": "s1.toml, [display]: no key 'on_mss'. Did you mean 'on_ms'? Known: on_ms, off",
    "[display]\non_s = 0.1": "[display]: no key 'on_s'. Did you mean 'on_ms'?",
    "[display]\nrepeats = 2": "[display]: no key 'repeats'. It belongs in [evolution].",
    "[dispaly]\non_ms = 1": "s1.toml: no table 'dispaly'. Did you mean 'display'? Known: session,",
    "on_ms = 1": "[evolution]: no key 'on_ms'. It belongs in [display].",
    "[display]\non_ms = 0.1": "[display]: on_ms must be at least 1, got 0.1.",
    "[display]\noff_ms = -1": "[display]: off_ms must be at least 0, got -1.",
    "[display]\non_ms = inf": "[display]: on_ms must be a finite number, got inf.",
    '[display]\non_ms = "100"': "[display]: on_ms must be a number, got '100'.",
    "[display]\non_ms = true": "[display]: on_ms must be a number, got True.",
    "[display]\nimages_per_trial = 1.5": "[display]: images_per_trial must be a whole number, got 1.5.",
    "[display]\nbackground = 256": "[display]: background must be at most 255, got 256.",
    "[display]\nsize_deg = 0": "[display]: size_deg must be above 0, got 0.",
    "channels = 7": "[evolution]: channels must be a list, got 7.",
    'channels = ["1", 2]': "[evolution]: channels[1] must be text in quotes, got 2.",
    'channels = ["1", "1"]': "[evolution]: channels must not repeat itself, but names '1' 2 times.",
    'combine = "max"': "[evolution]: combine must be \"mean\" or a list of weights, one a channel, got 'max'.",
    'channels = ["1"]\ncombine = [1, 2]': "[evolution]: combine has 2 weights for 1 named channels.",
    'channels = ["1", "2"]\ncombine = [1, -1]': "[evolution]: combine must have weights of a sum above 0, got 0.",
    "generations = -1": "[evolution]: generations must be at least 0, got -1.",
    "max_attempts = 101": "[evolution]: max_attempts must be at most 100, got 101.",
    'optimizer = "genetic"': "[evolution.optimizer]: it must be a table, got 'genetic'.",
    '[evolution.optimizer]\nname = "genetik"': "no optimizer named 'genetik'. Did you mean 'genetic'? Known: ",
    '[evolution.generator]\nname = "rawpixel"': "no generator named 'rawpixel'. Did you mean 'raw_pixel'?",
    "[evolution.generator]\nsince = 2020-01-01": "[evolution.generator]: since must be text, a number, true, false",
    '[evolution.scorer]\nbaseline = "off"': "scorer]: baseline must be 'none', 'trial' or 'generation', got 'off'.",
    '[evolution.scorer]\nbasline = "none"': "[evolution.scorer]: no key 'basline'. Did you mean 'baseline'?",
    "[acquisition]\nresponse_window_ms = [200, 50]": "response_window_ms must start before it ends, got [200, 50].",
    "[acquisition]\nresponse_window_ms = [200]": "[acquisition]: response_window_ms[1] is missing.",
    "[acquisition]\nresponse_window_ms = [1, 2, 3]": "response_window_ms must have at most 2 items, not 3, got",
    "[rehearsal]\nbreak_rate = 20": "[rehearsal]: break_rate must be at most 1, got 20.",
    "[simulator]\nsince = 2020-01-01": "[simulator]: since must be text, a number, true, false or a list of them;",
    "[simulator]\na.b = [2020-01-01]": "[simulator]: a must be text, a number, true, false or a list of them;",
    "[display]\non_ms = 100_000": "[display]: on_ms must be at most 60000, got 100000.",
    "[acquisition]\nresponse_window_ms = [50_000, 200_000]": "response_window_ms must lie within 60000 ms of the onset",
    '[server]\naddress = "localhost:5670"': "[server]: address must be written tcp://HOST:PORT",
    '[server]\naddress = "tcp://rig:70000"': "[server]: address must be written tcp://HOST:PORT",
    '[subject]\nage = "8 years"': "[subject]: age must be an ISO 8601 duration, such as P8Y or",
    '[subject]\nsex = "male"': "[subject]: sex must be '', 'M', 'F', 'U' or 'O', got 'male'.",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_answered_by_one_sentence_that_names_its_place(text: str) -> None:
    problem = the_problem(text)
    assert problem.startswith("s1.toml")
    assert MISTAKES[text] in problem
    assert "\n" not in problem


@pytest.mark.parametrize("name", ["", "a/b", "..", "a b", ".hidden", "dot.", "x" * 101, "nul\x00"])
def test_a_session_is_named_as_a_file_can_be(name: str) -> None:
    escaped = name.replace("\x00", "\\u0000")
    [problem] = problems(f'[evolution]\n[session]\nname = "{escaped}"')
    assert problem.startswith("s1.toml, [session]: name must do as a file's name")


def test_what_is_missing_is_named_with_what_it_needs() -> None:
    assert problems("[evolution]") == ("s1.toml, [session]: this table is missing; it must give name.",)
    assert problems("[evolution]\n[session]\n") == ("s1.toml, [session]: name is missing.",)
    assert problems('[session]\nname = "s1"') == ("s1.toml, [evolution]: this table is missing.",)


def test_all_problems_of_a_file_are_told_at_once() -> None:
    told = problems('[session]\nname = "a/b"\n[evolution]\nrepeats = 0\n[foo]\n')
    assert [re.findall(r"\[(\w+)\]|$", each)[0] for each in told] == ["session", "evolution", ""]


def test_among_several_evolutions_the_wrong_one_is_counted_out() -> None:
    several = '[session]\nname = "s1"\n[[evolution]]\nname = "a"\n[[evolution]]\nname = "b"\n'
    assert problems(several + "repeats = 0")[0].startswith("s1.toml, [[evolution]] 2: repeats must be")
    nested = problems(several + '[evolution.optimizer]\nname = "genetik"')[0]
    assert nested.startswith("s1.toml, [[evolution]] 2, [evolution.optimizer]: no optimizer named")


def test_evolutions_have_names_of_their_own_and_there_are_eight_at_most() -> None:
    start = '[session]\nname = "s1"\n'
    [twins] = problems(start + "[[evolution]]\n" * 2)
    assert twins == "s1.toml, [evolution]: 2 evolutions are named 'evolution'; give each a name of its own."
    [many] = problems(start + "".join(f'[[evolution]]\nname = "e{i}"\n' for i in range(9)))
    assert many == "s1.toml, [evolution]: a session has 1 to 8 evolutions, not 9."


def test_a_file_that_is_not_toml_is_told_where_it_breaks() -> None:
    assert the_problem("generations 5").startswith("s1.toml: not TOML: ")
    assert "line 4" in the_problem("generations 5")


@pytest.mark.parametrize("text", ["session = 1", "evolution = 1", "evolution = [1]", "evolution = []", "display = []"])
def test_what_should_be_a_table_and_is_not_is_told_so(text: str) -> None:
    assert all(re.match(r"s1.toml, \[\w+\]: .+\.$", each) for each in problems(text))


def test_a_file_that_cannot_be_read_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes('[session]\nname = "é"'.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin.toml: not a text file in UTF-8"):
        load_config(tmp_path / "latin.toml")
    with pytest.raises(ConfigError, match=r"none.toml: cannot be read: No such file"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config(tmp_path)


@pytest.mark.parametrize("depth", [100, 5_000])
def test_a_file_of_absurd_depth_is_refused_without_a_crash(depth: int) -> None:
    with pytest.raises(ConfigError):
        parse_config("x = " + "[" * depth + "]" * depth, "s1.toml")


@pytest.mark.parametrize(("population", "repeats"), [(10_001, 1), (1_000, 100)])
def test_a_generation_that_no_ids_can_name_is_refused_before_a_file_is_made(
    tmp_path: Path, population: int, repeats: int
) -> None:
    text = f"""
[session]
name = "large"
[evolution]
repeats = {repeats}
optimizer = {{ name = "random", population = {population} }}
generator = {{ name = "raw_pixel", size = 2 }}
"""
    with pytest.raises(ConfigError, match=r"evolution 'evolution': .* is too large: at most 10000 codes"):
        build.begin(parse_config(text, "large.toml"), build.Changes(), tmp_path / "s.xdream", lambda: 1.0)
    assert not list(tmp_path.iterdir())
