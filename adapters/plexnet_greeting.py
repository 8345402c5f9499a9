"""What PlexNetLocal must hear before it sends: who we are, which channels, and go. Nothing else is ever sent."""

import socket
import struct

PACKET_BYTES = 512
CONNECT, GET_PARAMETERS, START = 10000, 10100, 10200
SELECT_SPIKES, SELECT_CONTINUOUS = 10400, 10401
SIZES, SERVER_AREA = 10001, 20003
TIMESTAMPS = 0x01 | 0x04
"""Of sorted and of unsorted spikes; no waveforms."""
MAX_PARAMETER_PACKETS = 10_000
TIMEOUT_S = 5.0
HEAD_BYTES = 20


def greet(connection: socket.socket, spike_channels: set[int], continuous_channel: int) -> None:
    """Ask for these channels' timestamps (from 1) and one continuous channel (from 0); raise OSError if refused."""
    connection.settimeout(TIMEOUT_S)
    # Timestamps, no waveforms, continuous data (or there is no clock), of spike channels 1 to 128.
    connection.sendall(words(CONNECT, 1, 0, 1, 1, 128))
    supported = answer(connection, SIZES)
    if not {SELECT_SPIKES, SELECT_CONTINUOUS} <= set(supported[4 : 4 + max(0, min(supported[3], 31))]):
        raise ConnectionError("PlexNetLocal cannot select channels: it is too old")
    connection.sendall(words(GET_PARAMETERS))
    area = answer(connection, SERVER_AREA)
    n_spikes, n_continuous = area[15], area[17]
    if max(spike_channels) > n_spikes or continuous_channel >= n_continuous:
        raise ConnectionError(f"PlexNetLocal has {n_spikes} spike channels and {n_continuous} continuous ones only")
    spikes = bytes(TIMESTAMPS if channel in spike_channels else 0 for channel in range(1, n_spikes + 1))
    continuous = bytes(channel == continuous_channel for channel in range(n_continuous))
    for packet in (*mask(SELECT_SPIKES, spikes), *mask(SELECT_CONTINUOUS, continuous), words(START)):
        connection.sendall(packet)


def words(*values: int) -> bytes:
    """Return a packet that begins with these words."""
    return struct.pack(f"<{len(values)}i", *values).ljust(PACKET_BYTES, b"\0")


def mask(command: int, channels: bytes) -> list[bytes]:
    """Return the packets that say one byte a channel."""
    room = PACKET_BYTES - HEAD_BYTES
    parts = [channels[at : at + room] for at in range(0, len(channels), room)]
    heads = [struct.pack("<5i", command, n, len(parts), len(part), n * room) for n, part in enumerate(parts)]
    return [(head + part).ljust(PACKET_BYTES, b"\0") for head, part in zip(heads, parts, strict=True)]


def answer(connection: socket.socket, wanted: int) -> tuple[int, ...]:
    """Return the words of the next packet of a kind."""
    for _ in range(MAX_PARAMETER_PACKETS):
        packet = b""
        while len(packet) < PACKET_BYTES:
            piece = connection.recv(PACKET_BYTES - len(packet))
            if not piece:
                raise ConnectionError("PlexNetLocal closed the connection")
            packet += piece
        values = struct.unpack("<128i", packet)
        if values[0] == wanted:
            return values
    raise ConnectionError(f"PlexNetLocal did not answer with {wanted}")
