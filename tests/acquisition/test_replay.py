"""Live and replay agree to the bit: a raw tap through the same code, and a finished session by its ids."""

import sqlite3
import struct
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from bench import Bench, judge
from made_up_rig import BASELINE_S, RESPONSE_S, Faults
from systems import SYSTEMS

from adapters.bridge import BridgeWire
from adapters.check import report
from adapters.replay import Replay
from adapters.rules import Rules
from adapters.source import SourceError
from adapters.tap import REQUEST, Tap, open_tap, read_tap
from adapters.tap_replay import answer_again
from protocol.messages import Onsets, Responses

SCHEMA = Path(__file__).parents[2] / "server" / "schema.sql"
CONFIG = "[session]\nname = 's'\n[acquisition]\nresponse_window_ms = [50, 200]\nbaseline_window_ms = [-50, 0]\n"


def same(first: Responses, second: Responses) -> bool:
    return all(np.array_equal(getattr(first, field.name), getattr(second, field.name)) for field in fields(Responses))


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_tap_answers_again_to_the_bit(name: str, tmp_path: Path) -> None:
    system = SYSTEMS[name]
    rig = system.make_rig(n_trials=6, faults=Faults(missing=0.05, void=0.1))
    tap = open_tap(str(tmp_path / "day.tap"), name)
    bench = Bench(system.wire(rig, Rules()), Rules(), tap)
    live = bench.run(rig, system.speak(rig))
    bench.source.close()
    again = answer_again(tmp_path / "day.tap", system.wire(rig, Rules()), Rules())
    assert judge(rig, live).right > 10
    assert len(again) == len(live)
    assert all(same(first, second) for first, second in zip(live, again, strict=True))


def test_a_tap_never_overwrites_and_leaves_room_on_the_disk(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "old.tap").write_bytes(b"precious")
    with pytest.raises(SourceError, match="never overwrites"):
        open_tap(str(tmp_path / "old.tap"), "bridge")
    tap = Tap(tmp_path / "new.tap", "bridge", least_free_bytes=1 << 62)
    tap.write(0.0, 0, (b"data",))
    assert "nearly full" in caplog.text
    tap.write(0.0, 0, (b"data",))
    assert list(read_tap(tmp_path / "new.tap")) == []


def test_a_tap_that_a_crash_cut_off_is_read_up_to_there(tmp_path: Path) -> None:
    tap = Tap(tmp_path / "a.tap", "bridge", least_free_bytes=0)
    tap.write(1.0, 0, (b"whole", b""))
    tap.write(2.0, 1, (b"cut off",))
    tap.close()
    data = (tmp_path / "a.tap").read_bytes()
    (tmp_path / "b.tap").write_bytes(data[:-3])
    [chunk] = read_tap(tmp_path / "b.tap")
    assert (chunk.at_s, chunk.port, chunk.frames) == (1.0, 0, (b"whole", b""))
    with pytest.raises(SourceError, match="is no tap"):
        list(read_tap(Path(__file__)))


def test_a_tap_that_is_damaged_is_refused_or_read_up_to_there(tmp_path: Path) -> None:
    tap = Tap(tmp_path / "a.tap", "bridge", least_free_bytes=0)
    tap.write(1.0, 0, (b"whole",))
    tap.close()
    data = (tmp_path / "a.tap").read_bytes()
    (tmp_path / "b.tap").write_bytes(data + struct.pack("<dhI", 2.0, 0, 0xFFFFFFFF))
    assert [chunk.frames for chunk in read_tap(tmp_path / "b.tap")] == [(b"whole",)]
    (tmp_path / "c.tap").write_bytes(data + struct.pack("<dhII", 2.0, REQUEST, 1, 3) + b"???")
    with pytest.raises(SourceError, match=r"c\.tap is damaged: what the server said cannot be read"):
        answer_again(tmp_path / "c.tap", BridgeWire(), Rules())


def test_a_tap_says_what_made_it_and_one_that_does_not_is_refused_in_words(tmp_path: Path) -> None:
    rig = SYSTEMS["bridge"].make_rig(n_trials=6)
    wired = {"channels": ",".join(f"A-{channel:03}" for channel in range(3)), "line": "0"}
    tap = open_tap(str(tmp_path / "day.tap"), "bridge", wired)
    live = Bench(SYSTEMS["bridge"].wire(rig, Rules()), Rules(), tap).run(rig, SYSTEMS["bridge"].speak(rig))
    assert tap is not None
    tap.close()
    replay = Replay(str(tmp_path / "day.tap"))
    replay.begin({"response_window_s": RESPONSE_S, "baseline_window_s": BASELINE_S})
    answers = asked(replay, *rig.ids.tolist())
    assert judge(rig, answers).right == judge(rig, live).right == 30
    replay.begin({"response_window_s": [0.07, 0.2], "baseline_window_s": BASELINE_S})
    [other] = asked(replay, int(rig.ids[0]))
    assert (other.measured.any(), other.reason) == (False, "was counted in other windows than are asked for")
    head, _, rest = (tmp_path / "day.tap").read_bytes().partition(b"\n")
    for first, sentence in (
        (b'{"format": "xdream-tap-1", "name": "bridge"}', "from before taps kept the adapter's options"),
        (head.replace(b'"bridge"', b'"mine"'), "'mine', which is no adapter of ours"),
        (head.replace(b'"line"', b'"lime"'), "do not make a bridge adapter: no option 'lime'"),
        (head.replace(b"tap-1", b"tap-2"), "a tap of another version"),
    ):
        (tmp_path / "other.tap").write_bytes(first + b"\n" + rest)
        with pytest.raises(SourceError, match=sentence):
            Replay(str(tmp_path / "other.tap"))


@pytest.fixture
def session(tmp_path: Path) -> Path:
    """A finished session of two presentations, the second not measured."""
    path = tmp_path / "s.xdream"
    with sqlite3.connect(path) as file:
        file.executescript(SCHEMA.read_text("utf-8"))
        file.execute("INSERT INTO meta VALUES ('config', ?)", (CONFIG,))
        file.execute("INSERT INTO peers VALUES (1, 'acquisition', 'x', 'i', '', '[\"a\", \"b\"]')")
        counts, none = np.array([3, 1], "<i4").tobytes(), bytes(8)
        times, channels = np.array([0.1, 0.15], "<f4").tobytes(), np.array([0, 1], "<i4").tobytes()
        for presentation, measured, reason in ((100, 1, ""), (200, 0, "1 overlaps lost data")):
            file.execute("INSERT INTO trials VALUES (?, 1, 1, 'complete')", (presentation,))
            file.execute(
                "INSERT INTO stimuli (stimulus_id, evolution, generation, place) VALUES (?, 1, 1, 0)", (presentation,)
            )
            file.execute(
                "INSERT INTO presentations (presentation_id, trial, place, stimulus_id, evolution, generation, slot,"
                " attempt) VALUES (?, ?, 0, ?, 1, 1, 0, 0)", (presentation, presentation, presentation),
            )  # fmt: skip
            file.execute(
                "INSERT INTO responses VALUES (?, 1, ?, ?, ?, 'photodiode', ?, ?, ?)",
                (presentation, measured, counts, none, reason, times, channels),
            )
    file.close()
    return path


def asked(replay: Replay, *presentations: int) -> list[Responses]:
    ids = np.array(presentations, np.int64)
    replay.request(Onsets(1, ids, ids, np.zeros(len(ids))))
    return replay.poll()


def test_a_session_answers_with_what_was_recorded(session: Path) -> None:
    replay = Replay(str(session))
    replay.begin({"response_window_s": [0.05, 0.2], "baseline_window_s": [-0.05, 0.0]})
    assert replay.channels == ("a", "b")
    missing, known = asked(replay, 100, 200, 300)
    assert known.presentation_ids.tolist() == [100, 200]
    assert known.measured.tolist() == [True, False]
    assert known.spike_counts.tolist() == [[3, 1], [3, 1]]
    assert known.spike_times_s.tolist() == pytest.approx([0.1, 0.15, 0.1, 0.15])
    assert (missing.presentation_ids.tolist(), missing.measured.tolist()) == ([300], [False])
    assert missing.reason == "is not in s.xdream"
    replay.close()


def test_check_says_what_a_session_holds(session: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert report("replay", {"file": str(session)}) == 0
    said = capsys.readouterr().out
    assert "2 presentations, 1 of them measured; response window 50 to 200 ms, baseline window -50 to 0 ms" in said
    assert "pass  channels  a, b" in said


def test_a_session_does_not_answer_for_other_windows(session: Path) -> None:
    replay = Replay(str(session))
    replay.begin({"response_window_s": [0.07, 0.2], "baseline_window_s": [-0.05, 0.0]})
    [answer] = asked(replay, 100)
    assert not answer.measured.any()
    assert "other windows" in answer.reason
    replay.close()


def test_what_is_no_session_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no session file"):
        Replay(str(tmp_path / "nothing"))
    (tmp_path / "text").write_text("hello")
    with pytest.raises(SourceError, match="is no session file of XDream's"):
        Replay(str(tmp_path / "text"))
