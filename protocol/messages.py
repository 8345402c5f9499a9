"""Every message of the conversation, as frozen dataclasses whose fields carry shapes and units.

display and acquisition speak first (Hello) and are answered (Welcome or Farewell). The server sends images
(StimulusBatch) and what to show of them (Trial); the display reports each trial (TrialReport); the server asks
for the spikes after those onsets (Onsets) and the acquisition side answers (Responses). Reports, responses and
controls are kept by their sender until the server says that they are on disk (Acknowledge).
"""

from dataclasses import dataclass, field
from enum import StrEnum
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocol.arrays import Ids, Images, ShapeError, check, no_ids

PROTOCOL_VERSION = 1


class Role(StrEnum):
    """What a peer is to the server."""

    DISPLAY = "display"
    ACQUISITION = "acquisition"
    OPERATOR = "operator"


class Void(StrEnum):
    """Why a presentation does not count."""

    FIXATION = "fixation_broken"
    FRAME = "frame_dropped"
    NOT_SHOWN = "not_shown"
    IMAGE_MISSING = "image_missing"
    OPERATOR = "stopped_by_operator"
    DISPLAY_LOST = "display_lost"
    NOT_MEASURED = "not_measured"


@dataclass(frozen=True, slots=True, eq=False)
class Hello:
    """A peer introduces itself, at its start and again whenever the server was away."""

    role: str
    name: str
    """What runs there, for people: "psychopy", "open_ephys", "simulator"."""
    instance: str
    """Random, one a process: tells a reconnect from a restart."""
    protocol_version: int = PROTOCOL_VERSION
    software: str = ""
    channels: tuple[str, ...] = ()
    """Acquisition: the channels or units it can count spikes of, in the order of Responses' columns."""
    wants_images: bool = False
    """Acquisition: a simulator has to see what the animal would see."""
    trials: Ids = field(default_factory=no_ids)
    """Display: [n] trials that it still holds, shown or not, and that need not be sent again."""

    def __post_init__(self) -> None:
        check("Hello.trials", self.trials, "int64", (None,))


@dataclass(frozen=True, slots=True, eq=False)
class Welcome:
    """The server lets a peer in, and tells it all settings it needs."""

    session_id: str
    software: str
    settings: dict[str, Any]
    """Tables of plain values; times in seconds (`_s`), sizes in degrees (`_deg`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Farewell:
    """One side ends the conversation and says why in a sentence."""

    reason: str
    final: bool = True
    """True: do not come back by yourself. False: the server goes away for a while."""


@dataclass(frozen=True, slots=True, eq=False)
class Heartbeat:
    """I am alive; sent twice a second by both sides."""

    sent_s: float
    """On the sender's monotonic clock."""
    echo_s: float = nan
    """`sent_s` of the last heartbeat from the other side, so that it can take the round trip."""
    data_age_s: float = nan
    """Acquisition: age of the newest sample from the recording system."""


@dataclass(frozen=True, slots=True, eq=False)
class StimulusBatch:
    """Images, each with the id that every later message names it by."""

    stimulus_ids: Ids
    """[n_images] unique in the session."""
    images: Images
    """[n_images, height_px, width_px, 3] uint8 RGB."""

    def __post_init__(self) -> None:
        check("StimulusBatch.stimulus_ids", self.stimulus_ids, "int64", (None,))
        check("StimulusBatch.images", self.images, "uint8", (len(self.stimulus_ids), None, None, 3))


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What to show during one fixation, in this order."""

    trial: int
    presentation_ids: Ids
    """[n_presentations] one a showing, never used twice."""
    stimulus_ids: Ids
    """[n_presentations] the image to show."""

    def __post_init__(self) -> None:
        check("Trial.presentation_ids", self.presentation_ids, "int64", (None,))
        check("Trial.stimulus_ids", self.stimulus_ids, "int64", (len(self.presentation_ids),))


@dataclass(frozen=True, slots=True, eq=False)
class Recall:
    """Give back the trials not yet begun, reported as not shown; `now`: break off the current one as well."""

    now: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """These images will not be shown again: forget them."""

    stimulus_ids: Ids

    def __post_init__(self) -> None:
        check("Release.stimulus_ids", self.stimulus_ids, "int64", (None,))


@dataclass(frozen=True, slots=True, eq=False)
class TrialReport:
    """What was truly shown in one trial. Kept by the display until acknowledged."""

    trial: int
    outcome: str
    """In words for people: "complete", "fixation broken", ..."""
    presentation_ids: Ids
    """[n_presentations]"""
    onsets_s: NDArray[np.float64]
    """[n_presentations] first frame on screen, on the display's clock; NaN = never on screen."""
    offsets_s: NDArray[np.float64]
    """[n_presentations] first frame without it; NaN = never on screen."""
    frames_expected: NDArray[np.int32]
    """[n_presentations] frames it should have stayed on."""
    frames_shown: NDArray[np.int32]
    """[n_presentations] frames it stayed on, by the flips' times."""
    voids: tuple[str, ...]
    """[n_presentations] a `Void`, or "" where the showing counts."""
    n_frames: int = 0
    """Frames of the trial, from the eye's arrival at the fixation point to the empty screen."""
    n_long_frames: int = 0
    """How many of them took more than one refresh."""
    longest_frame_s: float = nan
    """How long the longest of them took; NaN = nothing was shown."""
    reward_onsets_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """[n_pulses] reward pulses since the last report, on the display's clock."""
    reward_durations_s: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    """[n_pulses] how long each was."""

    def __post_init__(self) -> None:
        n = len(self.presentation_ids)
        check("TrialReport.reward_onsets_s", self.reward_onsets_s, "float64", (None,))
        check("TrialReport.reward_durations_s", self.reward_durations_s, "float64", self.reward_onsets_s.shape)
        check("TrialReport.presentation_ids", self.presentation_ids, "int64", (None,))
        check("TrialReport.onsets_s", self.onsets_s, "float64", (n,))
        check("TrialReport.offsets_s", self.offsets_s, "float64", (n,))
        for name in ("onsets_s", "offsets_s"):
            if np.isinf(getattr(self, name)).any():
                raise ShapeError(f"TrialReport.{name} must be finite, or NaN where nothing was on screen")
        if not (np.isfinite(self.reward_onsets_s).all() and np.isfinite(self.reward_durations_s).all()):
            raise ShapeError("TrialReport.reward_onsets_s and reward_durations_s must be finite: when, and how long")
        check("TrialReport.frames_expected", self.frames_expected, "int32", (n,))
        check("TrialReport.frames_shown", self.frames_shown, "int32", (n,))
        if len(self.voids) != n:
            raise ShapeError(f"TrialReport.voids must name {n} presentations, got {len(self.voids)}")


@dataclass(frozen=True, slots=True, eq=False)
class Onsets:
    """The presentations of a trial that counted, sent to the acquisition side: how did the neurons respond?"""

    trial: int
    presentation_ids: Ids
    """[n_presentations]"""
    stimulus_ids: Ids
    """[n_presentations]"""
    onsets_s: NDArray[np.float64]
    """[n_presentations] on the display's clock."""

    def __post_init__(self) -> None:
        n = len(self.presentation_ids)
        check("Onsets.presentation_ids", self.presentation_ids, "int64", (None,))
        check("Onsets.stimulus_ids", self.stimulus_ids, "int64", (n,))
        check("Onsets.onsets_s", self.onsets_s, "float64", (n,))


@dataclass(frozen=True, slots=True, eq=False)
class Responses:
    """Spikes counted after each onset. Kept by the acquisition side until acknowledged."""

    presentation_ids: Ids
    """[n_presentations]"""
    measured: NDArray[np.bool_]
    """[n_presentations] False: the data are missing or in doubt, whatever the counts say."""
    spike_counts: NDArray[np.int32]
    """[n_presentations, n_channels] spikes in the response window."""
    baseline_counts: NDArray[np.int32]
    """[n_presentations, n_channels] spikes in the baseline window."""
    onset_source: str
    """How the onsets were found: "photodiode", "ttl", "word", "marker", "inferred", "simulated"."""
    spike_times_s: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    """[n_spikes] relative to the onset, where the system gives them."""
    spike_rows: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    """[n_spikes] row of presentation_ids that each spike belongs to."""
    spike_channels: NDArray[np.int32] = field(default_factory=lambda: np.zeros(0, np.int32))
    """[n_spikes] column of spike_counts that each spike belongs to."""
    reason: str = ""
    """Why some are not measured, for people."""
    clock_residual_s: float = nan
    """How far onset edges lie from where the clocks put them (median absolute deviation); NaN = no clocks matched."""
    clock_age_s: float = nan
    """How long before these answers an onset was last found in the recording; NaN = no clocks matched."""

    def __post_init__(self) -> None:
        n = len(self.presentation_ids)
        check("Responses.presentation_ids", self.presentation_ids, "int64", (None,))
        check("Responses.measured", self.measured, "bool", (n,))
        check("Responses.spike_counts", self.spike_counts, "int32", (n, None))
        check("Responses.baseline_counts", self.baseline_counts, "int32", self.spike_counts.shape)
        if n and (self.spike_counts.min(initial=0) < 0 or self.baseline_counts.min(initial=0) < 0):
            raise ShapeError("Responses.spike_counts and baseline_counts must not be negative")
        self._check_spikes(n, self.spike_counts.shape[1])

    def _check_spikes(self, n_presentations: int, n_channels: int) -> None:
        n_spikes = len(self.spike_times_s)
        check("Responses.spike_times_s", self.spike_times_s, "float32", (None,))
        limits = {"spike_rows": n_presentations, "spike_channels": n_channels}
        for name, limit in limits.items():
            column = getattr(self, name)
            check(f"Responses.{name}", column, "int32", (n_spikes,))
            if n_spikes and (column.min() < 0 or column.max() >= limit):
                raise ShapeError(f"Responses.{name} must lie in 0 to {limit - 1}")


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """What is wrong at the sender's end without stopping it: told whole after each Welcome and whenever it changes."""

    alarms: dict[str, Any] = field(default_factory=dict)
    """A map an alarm, by a key of the sender's: its `what`, `consequence` and `do`. One that is left out is over."""


@dataclass(frozen=True, slots=True, eq=False)
class Acknowledge:
    """These are on disk; the sender may forget them."""

    trials: Ids = field(default_factory=no_ids)
    """[n] trials whose TrialReport is safe."""
    presentation_ids: Ids = field(default_factory=no_ids)
    """[n] presentations whose Responses are safe."""
    controls: tuple[str, ...] = ()
    """Ids of Controls that are safe."""

    def __post_init__(self) -> None:
        check("Acknowledge.trials", self.trials, "int64", (None,))
        check("Acknowledge.presentation_ids", self.presentation_ids, "int64", (None,))


@dataclass(frozen=True, slots=True, eq=False)
class Control:
    """A person wants something: pause, resume, stop, note. Saying it twice with one id does it once."""

    control_id: str
    """Random, one a wish."""
    action: str
    """"pause" (at trial end), "pause_now", "resume", "stop" (after this generation), "end" (now),
    "note", "mark" (an image), "change" (scored channels, optimizer parameters, from the next generation on),
    "drill" (passed on to the other peers: those of a dry run let something go wrong, a rig's ignore it)."""
    author: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    """`text` for a note; `stimulus_id`, `text` for a mark; `evolution`, `channels`, `parameters` for a change;
    `what`, `seconds` for a drill."""


@dataclass(frozen=True, slots=True, eq=False)
class Notice:
    """What a person at this peer should read now: WHAT - SINCE - CONSEQUENCE - DO, or how things stand."""

    level: str
    """"info" or "alarm"."""
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class Vitals:
    """How the server and its links are doing, twice a second: what an operator's screen shows."""

    state: str
    """How the session stands: "waiting", "running", "paused", "suspended", "ending", "ended"."""
    why: str
    """Why it stands so; "" when all is well."""
    links: dict[str, Any]
    """A map a role that is here: its `name`, `heard_s` ago, and `data_age_s` where it has data."""
    commit_s: float
    """How long the last commit to disk took."""
    n_waiting: int
    """Jobs that the worker has not begun."""
    n_dropped: int
    """Messages that were none, or made no sense."""


Message = (
    Hello
    | Welcome
    | Farewell
    | Heartbeat
    | StimulusBatch
    | Trial
    | Recall
    | Release
    | TrialReport
    | Onsets
    | Responses
    | Condition
    | Acknowledge
    | Control
    | Notice
    | Vitals
)
