"""The recorded channels in NWB, and their spikes where the recording system gave their times."""

import numpy as np
from numpy.typing import NDArray
from pynwb import NWBFile

from server.config import Config
from server.export.showings import Showings
from server.export.snapshot import Snapshot

MICROSECOND = 1e-6
"""The server compares spike times with windows in whole ones; the recording's own sampling is not on record."""
Span = tuple[float, float]


def add_channels(nwb: NWBFile, snapshot: Snapshot, config: Config, channels: list[str], simulated: bool) -> None:
    """Add one electrode a channel: the columns of all counts."""
    if not channels:
        return
    joined = "SELECT name, software FROM peers WHERE role = 'acquisition' ORDER BY rowid DESC LIMIT 1"
    [peer] = snapshot.records.rows(joined)
    lab = config.lab
    what = f"{lab.electrodes or 'Electrodes'}, recorded by {lab.amplifier or peer['name']}"
    if simulated:
        what = f"No electrodes: simulated units of {peer['name']}"
    device = nwb.create_device(name="recording", description=f"{what}; read by {peer['software'] or peer['name']}.")
    area = lab.area or "unknown"
    group = nwb.create_electrode_group("channels", description=f"{what}.", location=area, device=device)
    nwb.add_electrode_column("channel_name", "The name that the recording side gives the channel or unit.")
    nwb.add_electrode_column("scored", "Whether an evolution was configured to score it.")
    scored = {name for evolution in config.evolutions for name in evolution.channels or channels}
    for name in channels:
        nwb.add_electrode(group=group, location=area, channel_name=name, scored=name in scored)


def add_spikes(nwb: NWBFile, snapshot: Snapshot, config: Config, showings: Showings, channels: list[str]) -> None:
    """Add one unit a channel with the spikes around the images; none at all if no spike has a time."""
    onsets, spikes = _recorded(snapshot, showings)
    if not sum(len(times) for times, _ in spikes):
        return
    span = _span(config, spikes)
    ends = np.minimum(onsets + span[1], np.append(onsets[1:] + span[0], np.inf))
    observed = _merged(np.stack([onsets + span[0], np.maximum(ends, onsets + span[0])], axis=1))
    times, which = _trains(onsets, ends, spikes)
    for place in range(len(channels)):
        nwb.add_unit(spike_times=times[which == place], obs_intervals=observed, electrodes=[place], id=place)
    nwb.units.add_column("channel_name", "The channel or unit, as the recording side names it.", data=list(channels))
    nwb.units.resolution = MICROSECOND


def _recorded(
    snapshot: Snapshot, showings: Showings
) -> tuple[NDArray[np.float64], list[tuple[NDArray[np.float64], NDArray[np.int32]]]]:
    """Return [n] onsets of measured presentations in order, and the spike times and channels after each."""
    onsets, spikes = [], []
    query = "SELECT spike_times_s, spike_channels FROM responses WHERE presentation_id = ?"
    for row in showings.shown:
        if row["measured"]:
            [[times, channels]] = snapshot.records.rows(query, row["presentation_id"])
            onsets.append(row["start_time"])
            spikes.append((np.frombuffer(times, "<f4").astype(np.float64), np.frombuffer(channels, "<i4")))
    return np.array(onsets, np.float64), spikes


def _span(config: Config, spikes: list[tuple[NDArray[np.float64], NDArray[np.int32]]]) -> Span:
    """Return from when to when around an onset spikes are on record: over both windows, and as far as any was sent."""
    windows = config.acquisition.response_window_s, config.acquisition.baseline_window_s
    times = np.concatenate([times for times, _ in spikes])
    start = min(*(window[0] for window in windows), float(times.min()))
    end = max(*(window[1] for window in windows), float(times.max()))
    return start, end + MICROSECOND


def _trains(
    onsets: NDArray[np.float64],
    ends: NDArray[np.float64],
    spikes: list[tuple[NDArray[np.float64], NDArray[np.int32]]],
) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Return [n_spikes] times in order and their channels.

    Images follow so closely that one spike may be told with two of them: it is taken with the later one.
    """
    absolute = [onset + times for onset, (times, _) in zip(onsets, spikes, strict=True)]
    kept = [times < end for times, end in zip(absolute, ends, strict=True)]
    times = np.concatenate([each[keep] for each, keep in zip(absolute, kept, strict=True)])
    which = np.concatenate([channels[keep] for (_, channels), keep in zip(spikes, kept, strict=True)])
    order = np.argsort(times, kind="stable")
    return times[order], which[order]


def _merged(intervals: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [n, 2] intervals with those that touch made one."""
    breaks = np.flatnonzero(intervals[1:, 0] > intervals[:-1, 1] + MICROSECOND)
    starts = intervals[np.concatenate([[0], breaks + 1]), 0]
    stops = intervals[np.concatenate([breaks, [len(intervals) - 1]]), 1]
    return np.stack([starts, stops], axis=1)
