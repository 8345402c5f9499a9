"""The recording systems that a simulated recording can speak as: where each speaks, and how its channels are called."""

import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from adapters.source import SourceError
from protocol.plugins import nearest

HOST = "127.0.0.1"
PATIENCE_S = "60"
"""Of adapters that ask the recording something first: the simulated one begins beside them."""
FAST = 20.0
"""How many times faster than real time at most: what a wire needs to arrive must be little beside a trial."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What its adapter must be told, and how its channels are named."""

    ports: tuple[str, ...] = ("port",)
    """Options that name a port."""
    options: dict[str, str] = field(default_factory=dict)
    channel: str = r"[^,]+"
    """What a channel's name must match."""
    example: str = "any name without a comma"
    numbered: str = ""
    """What the n-th channel is called, where it cannot have a unit's name."""
    recording: dict[str, str] = field(default_factory=dict)
    """What the recording is told besides;"""
    fast: dict[str, str] = field(default_factory=dict)
    """and instead, in simulated time."""
    speed: float = FAST
    """How many times faster than real time it is then at most."""


NUMBERED = Wire(channel=r"[1-9]\d*", example="a number from 1, such as 7", numbered="{}")
SORTED = replace(NUMBERED, channel=r"[1-9]\d*(:\d+)?", example="a number from 1, such as 7, or one of its units, 7:1")
WIRES = {
    "bridge": Wire(),
    "open_ephys": Wire(("port", "http_port")),
    "intan_rhx": Wire(
        ("waveform_port", "spike_port", "command_port"),
        {"wait_s": PATIENCE_S},
        r"[A-Z]-\d{3}",
        "a native name, such as A-007",
        "A-{:03}",
    ),
    "blackrock": replace(NUMBERED, options={"host": HOST}),
    "plexnet": NUMBERED,
    "spikeglx": Wire(
        options={"wait_s": PATIENCE_S},
        channel=r"\d|[1-9]\d|[12]\d\d|3[0-7]\d|38[0-3]",
        example="a number from 0 to 383, such as 12",
        numbered="{}",
    ),
    # Each sample is a message: in simulated time there must be fewer.
    "trodes": replace(
        SORTED, options={"wait_s": PATIENCE_S}, recording={"rate_hz": "30000"}, fast={"rate_hz": "5000"}, speed=10.0
    ),
    # Datagrams that come too fast are lost.
    "tdt": replace(
        SORTED,
        ports=("port", "synapse_port"),
        options={"host": HOST, "synapse_host": HOST, "bin_samples": "24"},
        speed=5.0,
    ),
    # Streams of their own for spikes, markers and watermark: how far they may come apart is real time.
    "lsl": replace(NUMBERED, ports=(), options={"onset": "ttl"}, speed=5.0),
}


def find_wire(system: str) -> Wire:
    """Return the wire of that name; raise SourceError for an unknown one."""
    if system not in WIRES:
        raise SourceError(
            f"no recording system {system!r} can be simulated.{nearest(system, WIRES)} Known: {', '.join(WIRES)}."
        )
    return WIRES[system]


def adapter_options(system: str, channels: Sequence[str]) -> dict[str, str]:
    """Return what the system's adapter is told, with free ports of this machine."""
    wire = find_wire(system)
    check_channels(system, channels)
    ports = free_ports(len(wire.ports) or 1)
    named = dict(zip(wire.ports, map(str, ports), strict=False))
    if system == "bridge":
        named = {"address": f"tcp://{HOST}:{ports[0]}"}
    if system == "lsl":
        named = {name.lower(): f"{name}{ports[0]}" for name in ("Spikes", "Markers", "Watermark")}
    return {**wire.options, **named, "channels": ",".join(channels)}


def recording_options(system: str, fast: bool) -> dict[str, str]:
    """Return what the recording is told beside what its adapter is told."""
    wire = find_wire(system)
    return {**wire.recording, **wire.fast} if fast else wire.recording


def check_channels(system: str, channels: Sequence[str]) -> None:
    """Raise SourceError unless the system can have channels of these names."""
    wire = find_wire(system)
    wrong = [name for name in channels if not re.fullmatch(wire.channel, name)]
    if wrong:
        raise SourceError(
            f"{system} has no channel {wrong[0]!r}: there a channel is {wire.example}. Write such names in the "
            "evolution's channels; they stand for the simulated units, in their order."
        )


def name_channels(system: str, units: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """Return what the units are called on the wire: as the evolutions name them, or else by their own names.

    Names that are no unit's stand for the first units, in their order. Raise SourceError for too many.
    """
    pattern, numbered = find_wire(system).channel, find_wire(system).numbered
    fits = not numbered or all(re.fullmatch(pattern, name) for name in units)
    if set(wanted) <= set(units) and (wanted or fits):
        return tuple(units)
    if len(wanted) > len(units):
        raise SourceError(
            f"the evolutions name {len(wanted)} channels ({', '.join(wanted)}) and {len(units)} units are simulated "
            f"({', '.join(units)}). Name as many in [simulator], units."
        )
    many = range(1, len(units) + len(wanted) + 1)
    others = [numbered.format(n) for n in many] if numbered else units[len(wanted) :]
    return (*wanted, *(name for name in others if name not in wanted))[: len(units)]


def free_ports(n: int) -> list[int]:
    """Return ports of this machine that nobody has."""
    probes = [socket.create_server((HOST, 0)) for _ in range(n)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports
