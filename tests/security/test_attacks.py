"""A server that is attacked while a session runs: the session comes out the same, and memory stays bounded."""

import random
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from protocol.codec import decode, encode
from protocol.ids import stimulus_key
from protocol.messages import Control, Farewell, Hello
from server.router import MAX_OPERATORS, Router
from server.stopping import ADVISER
from tests.example_messages import EXAMPLES
from tests.rig import Rig, a_rig, final_rows
from tests.security.attacks import (
    Stranger,
    browse,
    huge_frames,
    is_hung_up_on,
    many_that_say_nothing,
    nasty_headers,
    noise,
    scan,
)

GENERATIONS, WITHOUT_END = 8, 10_000
MAX_GROWTH_BYTES = 64 << 20
"""As much as the largest array that a server takes; it grows by some 10 MB. What is claimed is far more."""
MAX_LOG_BYTES = 100_000
PAGE_BYTES = 4096


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with a_rig(tmp_path_factory.mktemp("quiet"), GENERATIONS) as rig:
        server, *_ = rig.server(), rig.client(), rig.adapter()
        rig.finish(server)
        yield rig


def memory_bytes(pid: int) -> int:
    """Return how much of a process lies in memory."""
    return PAGE_BYTES * int(Path(f"/proc/{pid}/statm").read_text().split()[1])


def finished(rig: Rig) -> dict[str, list[tuple[Any, ...]]]:
    """Return what must be the same, of the generations that every session here goes through."""
    kept = final_rows(rig)
    stimuli = [row for row in kept.pop("stimuli") if stimulus_key(row[0]).generation < GENERATIONS]
    return {"stimuli": stimuli} | {name: [row for row in rows if row[1] < GENERATIONS] for name, rows in kept.items()}


def end(rig: Rig, server: "subprocess.Popen[bytes]") -> None:
    """Let a session without end go through so many generations, and stop it as a person would."""
    scored = "SELECT COALESCE(MAX(generation), 0) FROM scores"
    assert rig.wait(server, lambda: rig.query(scored)[0][0] >= GENERATIONS)
    server.send_signal(signal.SIGINT)
    rig.finish(server)


def attack(address: str) -> None:
    """Throw everything at a port that one can without a key."""
    luck = random.Random(3)
    scan(address)
    browse(address)
    for frame, shaken in huge_frames():
        assert is_hung_up_on(address, frame, shaken)
    with many_that_say_nothing(address), Stranger(address) as stranger:
        for frames in (*nasty_headers(), *noise(luck, 300)):
            stranger.says(*frames)
        replayed = [list(encode(message)) for message in EXAMPLES if not isinstance(message, Hello | Farewell)]
        for _ in range(20):
            for frames in luck.sample(replayed, len(replayed)):
                stranger.says(*frames)
        stranger.says(*encode(Hello("janitor", "\x1b[2J", "i")))
        said: list[str] = []
        while not any("there is no role 'janitor'" in reason for reason in said):
            answer = decode(stranger.hears())
            assert isinstance(answer, Farewell), "a stranger is told to say Hello, or to go, and nothing else"
            said.append(answer.reason)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is looked up in /proc")
def test_a_session_under_attack_comes_out_the_same_and_in_bounded_memory(undisturbed: Rig, tmp_path: Path) -> None:
    with a_rig(tmp_path, WITHOUT_END) as rig:
        server, *_ = rig.server(), rig.client(), rig.adapter()
        assert rig.wait(server, lambda: rig.n_measured() > 10)
        before = memory_bytes(server.pid)
        attack(rig.address)
        assert server.poll() is None, rig.log.read_text()[-2000:]
        grown = memory_bytes(server.pid) - before
        end(rig, server)
        assert grown < MAX_GROWTH_BYTES
        assert finished(rig) == finished(undisturbed)
        authors = {author for (author,) in rig.query("SELECT DISTINCT author FROM controls")}
        assert authors - {ADVISER} == {"Ctrl-C"}, "a stranger's Control is none"
        assert rig.log.stat().st_size < MAX_LOG_BYTES, "the log tells of it, and not a thousand times"


def test_a_rival_display_is_refused_while_the_session_goes_on(tmp_path: Path) -> None:
    with a_rig(tmp_path, WITHOUT_END) as rig:
        server, *_ = rig.server(), rig.client(), rig.adapter()
        assert rig.wait(server, lambda: rig.n_measured() > 10)
        with Stranger(rig.address) as rival:
            rival.says(*encode(Hello("display", "rival", "r1")))
            answer = decode(rival.hears())
            assert isinstance(answer, Farewell) and "display already" in answer.reason
        end(rig, server)
        assert rig.query("SELECT COUNT(*) FROM peers WHERE name = 'rival'") == [(0,)]


class Stopped:
    """A clock that goes when it is told."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def hear(router: Router) -> list[object]:
    """Return what arrives, heartbeats apart, until nothing has for a moment."""
    heard: list[object] = []
    while router.socket.poll(200):
        heard += [message for _, message in router.receive()]
    return heard


def test_operators_without_number_cost_no_memory_without_end() -> None:
    clock = Stopped()
    with closing(Router("tcp://127.0.0.1:*", clock)) as router:
        for crowd in range(3):
            strangers = [Stranger(router.address) for _ in range(MAX_OPERATORS // 2 + 10)]
            for number, stranger in enumerate(strangers):
                stranger.says(*encode(Hello("operator", "crowd", f"{crowd}.{number}")))
            hear(router)
            clock.now_s += 1.0
            assert len(router.links()) <= MAX_OPERATORS
            for stranger in strangers:
                stranger.__exit__()
        clock.now_s += 60
        assert not list(router.newly_lost()), "a page that was killed is no trouble of the session"
        assert not router.links()


def test_hellos_without_end_are_answered_so_often_and_no_more() -> None:
    clock = Stopped()
    with closing(Router("tcp://127.0.0.1:*", clock)) as router, Stranger(router.address) as stranger:
        for n in range(1000):
            stranger.says(*encode(Hello("operator", "eager", f"i{n}")))
        assert len(hear(router)) <= 100
        clock.now_s += 2
        stranger.says(*encode(Hello("operator", "eager", "late")))
        assert len(hear(router)) == 1


def test_one_connection_is_one_peer() -> None:
    with closing(Router("tcp://127.0.0.1:*", Stopped())) as router, Stranger(router.address) as stranger:
        stranger.says(*encode(Hello("operator", "both", "i1")))
        assert len(hear(router)) == 1
        stranger.says(*encode(Hello("display", "both", "i1")))
        assert not hear(router)
        assert [link.role for link in router.links()] == ["operator"]


def test_what_others_write_cannot_paint_the_terminal(caplog: pytest.LogCaptureFixture) -> None:
    with closing(Router("tcp://127.0.0.1:*", Stopped())) as router, Stranger(router.address) as stranger:
        stranger.says(*encode(Hello("display", "\x1b[2J\nxdream: all is well", "i" * 60_000)))
        stranger.says(*encode(Hello("\x1b[2J" * 1000, "x", "i")))
        stranger.says(*encode(Control("\x07" * 100, "end")))
        assert not hear(router)
    assert caplog.text and all(each.isprintable() and len(each) < 500 for each in caplog.messages)
