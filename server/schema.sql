-- One session, one file. Times named _at are seconds since 1970 (UTC); onsets are on the display's own clock.
-- Arrays are raw little-endian bytes: codes float32, counts int32 [n_channels], spike times float32, channels int32.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,  -- schema_version, session_id, config, software, ...
    value TEXT NOT NULL
) STRICT;
CREATE TABLE evolutions (
    evolution INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    facts TEXT NOT NULL  -- JSON: the parts, their parameters and the hashes of their weights
) STRICT;
CREATE TABLE generations (
    evolution INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    proposed_at REAL NOT NULL,
    scored_at REAL,
    stored_s REAL,  -- spent committing to disk since a generation was scored last
    PRIMARY KEY (evolution, generation)
) STRICT;
CREATE TABLE snapshots (
    evolution INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    moment TEXT NOT NULL,  -- "asked": this generation's ask is pending; "told": after it, where no other followed
    snapshot BLOB NOT NULL,  -- the optimizer: .npz
    PRIMARY KEY (evolution, generation, moment)
) STRICT;
CREATE TABLE stimuli (
    stimulus_id INTEGER PRIMARY KEY,
    evolution INTEGER NOT NULL,  -- 0 = a reference image
    generation INTEGER NOT NULL,
    place INTEGER NOT NULL,
    name TEXT,  -- reference images: the file
    code BLOB,
    code_norm REAL,
    sha256 TEXT,  -- of the pixels: height x width x 3 bytes
    rms_contrast REAL,  -- standard deviation of the grey value / 255
    png BLOB  -- NULL = proposed and not yet rendered
) STRICT;
CREATE INDEX stimuli_by_generation ON stimuli (evolution, generation, code_norm, rms_contrast);
CREATE TABLE trials (
    trial INTEGER PRIMARY KEY,
    sent_at REAL NOT NULL,
    reported_at REAL,  -- NULL = on its way, or given up
    outcome TEXT
) STRICT;
CREATE TABLE frames (
    trial INTEGER PRIMARY KEY,
    n_frames INTEGER NOT NULL,  -- from the eye's arrival at the fixation point to the empty screen
    n_long_frames INTEGER NOT NULL,  -- that took more than one refresh
    longest_frame_s REAL  -- NULL = nothing was shown
) STRICT;
CREATE TABLE rewards (
    trial INTEGER NOT NULL,  -- that reported it; a pulse given by hand rides with the next report
    at_s REAL NOT NULL,  -- on the display's clock
    duration_s REAL NOT NULL
) STRICT;
CREATE TABLE presentations (
    presentation_id INTEGER PRIMARY KEY,
    trial INTEGER NOT NULL REFERENCES trials,
    place INTEGER NOT NULL,  -- in the trial
    stimulus_id INTEGER NOT NULL REFERENCES stimuli,
    evolution INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    slot INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    void TEXT,  -- why it does not count; NULL = it counts, or nothing is known yet
    onset_s REAL,  -- NULL = not reported, or never on screen
    offset_s REAL,
    frames_expected INTEGER,
    frames_shown INTEGER
) STRICT;
CREATE INDEX presentations_by_generation ON presentations (evolution, generation);
CREATE TABLE responses (
    presentation_id INTEGER PRIMARY KEY REFERENCES presentations,
    received_at REAL NOT NULL,
    measured INTEGER NOT NULL,  -- 0 = missing or in doubt: the counts mean nothing
    spike_counts BLOB NOT NULL,
    baseline_counts BLOB NOT NULL,
    onset_source TEXT NOT NULL,
    reason TEXT NOT NULL,
    spike_times_s BLOB NOT NULL,
    spike_channels BLOB NOT NULL
) STRICT;
CREATE TABLE clocks (  -- how well the display's and the recording's clocks were matched, where they are two
    presentation_id INTEGER PRIMARY KEY REFERENCES responses,
    residual_s REAL,  -- median absolute deviation of onset edges from where the clocks put them
    age_s REAL NOT NULL  -- since an onset was found last
) STRICT;
CREATE TABLE scores (
    evolution INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    stimulus_id INTEGER NOT NULL REFERENCES stimuli,
    score REAL,  -- NULL = not measured
    PRIMARY KEY (evolution, generation, stimulus_id)
) STRICT;
CREATE TABLE seals (  -- of each scored generation: SHA-256 over what its scores rest on and the seal before
    evolution INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    seal TEXT NOT NULL,
    PRIMARY KEY (evolution, generation)
) STRICT;
CREATE TABLE peers (
    joined_at REAL NOT NULL,
    role TEXT NOT NULL,
    name TEXT NOT NULL,
    instance TEXT NOT NULL,
    software TEXT NOT NULL,
    channels TEXT NOT NULL  -- JSON
) STRICT;
CREATE TABLE controls (
    control_id TEXT PRIMARY KEY,
    asked_at REAL NOT NULL,
    action TEXT NOT NULL,
    author TEXT NOT NULL,
    arguments TEXT NOT NULL  -- JSON
) STRICT;
CREATE TABLE changes (  -- what became of each control "change"
    control_id TEXT PRIMARY KEY REFERENCES controls,
    evolution INTEGER NOT NULL,
    generation INTEGER NOT NULL,  -- the first one it holds for; 0 = refused
    at REAL NOT NULL,
    refused TEXT NOT NULL  -- why; empty = it holds
) STRICT;
CREATE TABLE states (at REAL NOT NULL, state TEXT NOT NULL, why TEXT NOT NULL) STRICT;
CREATE TABLE troubles (
    began_at REAL NOT NULL,
    source TEXT NOT NULL,
    what TEXT NOT NULL,
    remedy TEXT NOT NULL,
    cleared_at REAL
) STRICT;
CREATE TABLE alarms (  -- what was wrong without stopping the session
    began_at REAL NOT NULL,
    source TEXT NOT NULL,  -- "acquisition", "display" or "evolution N"
    key TEXT NOT NULL,
    what TEXT NOT NULL,
    consequence TEXT NOT NULL,
    remedy TEXT NOT NULL,
    cleared_at REAL  -- NULL = open, or the session ended with it
) STRICT;
CREATE TABLE late_reports (at REAL NOT NULL, trial INTEGER NOT NULL, outcome TEXT NOT NULL, onsets_s BLOB NOT NULL) STRICT;
