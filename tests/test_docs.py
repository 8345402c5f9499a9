"""The pages that come from the code say what the code says."""

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any, get_args

import pytest
import zmq
from pages import DOCS, PAGES, fresh

from protocol import codec, peer
from protocol.messages import PROTOCOL_VERSION, Hello, Message, Void, Welcome
from server.config import parse_config


@pytest.mark.parametrize("page", PAGES)
def test_the_page_is_up_to_date(page: str) -> None:
    assert (DOCS / page).read_text("utf-8") == fresh(page), f"docs/{page} is stale: run python tests/pages.py"


@pytest.mark.parametrize(
    "example", re.findall(r"```toml\n(.*?)```", (DOCS / "config.md").read_text("utf-8"), re.DOTALL)
)
def test_the_examples_of_the_configuration_page_are_valid(example: str) -> None:
    parse_config(example, "docs/config.md")


def test_every_void_and_every_kind_of_message_is_on_the_protocol_page() -> None:
    page = (DOCS / "protocol.md").read_text("utf-8")
    assert all(f"| `{cause}` |" in page for cause in Void)
    assert all(page.count(f"### {kind.__name__}\n") == 1 for kind in get_args(Message))
    assert f"This is **version {PROTOCOL_VERSION}**" in page


def test_the_limits_on_the_protocol_page_are_those_of_the_codec() -> None:
    page = (DOCS / "protocol.md").read_text("utf-8")
    assert f"| header | {codec.MAX_HEADER_BYTES >> 20} MiB |" in page
    assert f"| one array | {codec.MAX_ARRAY_BYTES >> 20} MiB, {codec.MAX_DIMENSIONS} axes |" in page
    assert f"| text | {codec.MAX_TEXT:,} bytes, UTF-8 |" in page
    assert f"{codec.MAX_DEPTH} deep" in page
    assert f"**{peer.SERVER_LOST_S:g} s**" in page
    assert f"every **{peer.HEARTBEAT_S:g} s**" in page


def test_the_client_on_the_protocol_page_is_welcomed() -> None:
    [client] = re.findall(r"```python\n(.*?)```", (DOCS / "protocol.md").read_text("utf-8"), re.DOTALL)
    said: dict[str, Any] = {}
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket, ThreadPoolExecutor() as pool:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        done = pool.submit(exec, client.replace(":5670", f":{port}"), said)
        assert socket.poll(10_000), "it says nothing"
        identity, *frames = socket.recv_multipart()
        assert isinstance(codec.decode(frames), Hello)
        socket.send_multipart([identity, *codec.encode(Welcome("s1", "test", {}))])
        done.result(timeout=10)
    assert said["welcome"]["fields"]["session_id"] == "s1"
