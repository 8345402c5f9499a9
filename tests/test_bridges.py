"""What docs/bridge.md shows for closed systems is understood, with stand-ins in the place of the vendors' libraries."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace as Some
from typing import Any

import msgpack
import pytest

from adapters.bridge import BridgeWire
from adapters.events import Chunk, Edge, Spikes, Watermark

PAGE = (Path(__file__).parent.parent / "docs" / "bridge.md").read_text("utf-8")
TEMPLATE, *READS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
LATE = 1024


def ripple() -> dict[str, Any]:
    """A Ripple processor with a spike on its second electrode and a rise of the first SMA input."""
    packets = {0: [], 1: [Some(timestamp=900)]}
    return {
        "_open": lambda use_tcp: None,
        "time": lambda: 1000,
        "spk_data": lambda electrode, most: (len(packets[electrode]), packets[electrode]),
        "digin": lambda most: (1, [Some(timestamp=950, reason=2, sma1=1, sma2=0, sma3=0, sma4=0)]),
    }


def plexon() -> dict[str, Any]:
    """An OmniPlex with a spike on its second channel, a rise of line 3, and 10 ms of a continuous channel."""
    blocks = Some(
        num_data_blocks=3, source_num_or_type=[6, 9, 8], channel=[2, 3, 1],
        timestamp=[0.0225, 0.02375, 0.015], waveform=[[], [], [0] * 10],
    )  # fmt: skip
    sources = {6: ("SPK", 1, 16, 1), 8: ("FP", 5, 16, 1), 9: ("Single-bit events", 4, 32, 1)}
    client = Some(
        connected=True, last_result=0, connect=lambda: None, opx_wait=lambda ms: None, get_new_data=lambda: blocks,
        get_global_parameters=lambda: Some(source_ids=list(sources)), get_source_info=sources.__getitem__,
        get_cont_source_info=lambda name: (name, 1000, 1.0),
    )  # fmt: skip
    constants = {"SPIKE_TYPE": 1, "EVENT_TYPE": 4, "CONTINUOUS_TYPE": 5, "OPX_ERROR_NOERROR": 0}
    return {"PyOPXClientAPI": lambda: client, **constants}


SYSTEMS = {"xipppy": (ripple, 0, (900, 950)), "pyopxclient": (plexon, 3, (900, 950))}


def bridge(code: str, library: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the page's program with the `read` of one system in it."""
    monkeypatch.setitem(sys.modules, library, Some(**SYSTEMS[library][0]()))  # type: ignore[arg-type]
    module: dict[str, Any] = {"__name__": "bridge"}
    exec(compile(TEMPLATE, "template", "exec"), module)
    exec(compile(code, library, "exec"), module)
    return module


@pytest.mark.parametrize(("library", "code"), list(zip(SYSTEMS, READS, strict=True)), ids=list(SYSTEMS))
def test_what_a_closed_system_says_is_passed_on(library: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, line, (spike, edge) = SYSTEMS[library]
    module = bridge(code, library, monkeypatch)
    spikes, edges, now = module["read"]()
    assert (spikes, edges, now) == ([(spike, 1)], [(edge, line, 1)], 1000)

    wire = BridgeWire()
    hello = {"type": "hello", "channels": ["1", "2"], "ticks_per_s": [module["TICKS_PER_S"], 1], "tick": 0}
    data = {
        "type": "data", "n": 1, "spikes": [[spike], [1]], "edges": edges, "watermark": now - module["LONGEST_DELAY"],
    }  # fmt: skip
    events = [each for message in (hello, data) for each in wire.take(Chunk(0.0, (msgpack.packb(message),)))]
    assert [type(each) for each in events[1:]] == [Spikes, Edge, Watermark]
    assert not wire.troubles


def test_a_buffer_that_ran_over_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    module = bridge(READS[0], "xipppy", monkeypatch)
    monkeypatch.setattr(
        sys.modules["xipppy"], "spk_data", lambda electrode, most: (LATE + 1, [Some(timestamp=1)] * LATE)
    )
    with pytest.raises(module["VendorLost"]):
        module["read"]()
    module = bridge(READS[1], "pyopxclient", monkeypatch)
    monkeypatch.setattr(module["client"], "last_result", -7)
    with pytest.raises(module["VendorLost"]):
        module["read"]()
