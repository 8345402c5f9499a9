"""One message of each kind, small enough to read byte by byte: the examples of docs/protocol.md."""

from math import nan

import numpy as np

from protocol.ids import presentation_id, stimulus_id
from protocol.messages import (
    Acknowledge,
    Condition,
    Control,
    Farewell,
    Heartbeat,
    Hello,
    Message,
    Notice,
    Onsets,
    Recall,
    Release,
    Responses,
    StimulusBatch,
    Trial,
    TrialReport,
    Vitals,
    Void,
    Welcome,
)

STIMULI = np.array([stimulus_id(1, 0, 0), stimulus_id(1, 0, 1)], np.int64)
SHOWINGS = np.array([presentation_id(1, 0, 0, 0), presentation_id(1, 0, 1, 0)], np.int64)
PIXELS = np.arange(12, dtype=np.uint8).reshape(2, 1, 2, 3) * 20

EXAMPLES: tuple[Message, ...] = (
    Hello("display", "psychopy", "5f2c", trials=np.array([7], np.int64)),
    Hello("acquisition", "open_ephys", "90ab", software="xdream 0.1.0", channels=("1", "2")),
    Welcome("s1", "xdream 0.1.0", {"on_s": 0.1, "off_s": 0.1, "images_per_trial": 2, "size_deg": 3.0}),
    Farewell("this session has a display already"),
    Heartbeat(12.5, 10.25),
    StimulusBatch(STIMULI, PIXELS),
    Trial(8, SHOWINGS, STIMULI),
    Recall(now=True),
    Release(STIMULI),
    TrialReport(
        8,
        "fixation broken",
        SHOWINGS,
        onsets_s=np.array([20.0, nan]),
        offsets_s=np.array([20.1, nan]),
        frames_expected=np.array([6, 6], np.int32),
        frames_shown=np.array([6, 0], np.int32),
        voids=("", Void.FIXATION.value),
        n_frames=24,
        n_long_frames=0,
        longest_frame_s=0.0625,
        reward_onsets_s=np.array([18.5]),
        reward_durations_s=np.array([0.125]),
    ),
    Onsets(8, SHOWINGS[:1], STIMULI[:1], np.array([20.0])),
    Responses(
        SHOWINGS[:1],
        measured=np.array([True]),
        spike_counts=np.array([[3, 0]], np.int32),
        baseline_counts=np.array([[1, 0]], np.int32),
        onset_source="photodiode",
        spike_times_s=np.array([0.0625, 0.125], np.float32),
        spike_rows=np.array([0, 0], np.int32),
        spike_channels=np.array([0, 0], np.int32),
        clock_residual_s=0.00025,
        clock_age_s=0.5,
    ),
    Condition({"hot": {"what": "channel 7 fires above 500/s", "consequence": "noise is scored", "do": "mend it"}}),
    Acknowledge(presentation_ids=SHOWINGS[:1]),
    Control("c1", "note", "R. Cajal", {"text": "drank water"}),
    Vitals("running", "", {"display": {"name": "psychopy", "heard_s": 0.25}}, 0.0625, 1, 0),
    Notice("alarm", "No data from the acquisition side - since 2 s - the session waits - look at its cable"),
)
