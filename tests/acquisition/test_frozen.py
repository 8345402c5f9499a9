"""A recording that stands still behind a live socket suspends the session within a second of its last data."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from adapters.bridge import BridgeWire
from adapters.channels import Columns
from adapters.conversation import IDLE_S, Adapter
from adapters.events import Chunk
from adapters.live import LiveSource
from adapters.rules import Rules
from protocol.messages import Heartbeat
from server.actions import State
from server.config import parse_config
from server.welcome import Settings
from tests.acquisition.bench import ListFeed
from tests.builders import a_display
from tests.test_engine import Stage

HELLO = b'{"type": "hello", "channels": ["u1"], "ticks_per_s": [1000, 1], "tick": 0}'


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


def test_a_frozen_stream_is_trouble_within_a_second_by_default(stage: Stage) -> None:
    defaults = parse_config('[session]\nname = "s"\n[evolution]\n', "s.toml").acquisition_settings()
    stage.session.settings = Settings(images_per_trial=6, acquisition=defaults)
    feed, turns = ListFeed([Chunk(0.0, (HELLO,))]), 0
    source = LiveSource(BridgeWire(Columns(["u1"])), feed, Rules(), clock=lambda: turns * IDLE_S)
    with closing(Adapter(stage.router.address, source, source._clock, stage.context)) as adapter:
        stage.say(stage.display, a_display())
        while stage.session.state is not State.RUNNING:
            turns += 1
            feed.chunks.append(Chunk(turns * IDLE_S, (datum(turns),)))
            adapter.step()
            stage.engine.turn()
            assert turns < 100, stage.session.standing.why

        # The amplifier stops; its socket, and the adapter, live on. Each step takes as long as one may.
        for _ in range(round(1 / IDLE_S)):
            turns += 1
            stage.say(stage.display, Heartbeat(0.0))
            adapter.step()
            stage.engine.turn()
        # A second has passed on the recording's clock, which stands from here on: what was said by then decides.
        stage.until(lambda: stage.session.state is not State.RUNNING)
        assert "no fresh data" in stage.session.standing.why


def datum(n: int) -> bytes:
    return f'{{"type": "data", "n": {n}, "watermark": {100 * n}}}'.encode()
