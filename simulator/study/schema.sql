CREATE TABLE IF NOT EXISTS studies (
    name TEXT PRIMARY KEY,
    study TEXT NOT NULL,        -- its tables as JSON, every default written out
    software TEXT NOT NULL,
    begun_at TEXT NOT NULL      -- ISO 8601, UTC
);
CREATE TABLE IF NOT EXISTS targets (
    network TEXT NOT NULL,      -- what determines its answers, as JSON
    layer TEXT NOT NULL,
    unit TEXT NOT NULL,
    images TEXT NOT NULL,       -- the reference set's digest
    height_px INTEGER NOT NULL,
    width_px INTEGER NOT NULL,
    budget INTEGER NOT NULL,    -- images whose expected best this is
    best REAL NOT NULL,
    expected_best REAL NOT NULL,
    median REAL NOT NULL,
    n_images INTEGER NOT NULL,
    ranked TEXT NOT NULL,       -- numbers of the best, middle and worst images, as JSON
    best_image BLOB NOT NULL,   -- PNG
    PRIMARY KEY (network, layer, unit, images, height_px, width_px, budget)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS experiments (
    hash TEXT PRIMARY KEY,
    experiment TEXT NOT NULL,   -- all that determines the result, as JSON: the hash is its SHA-256
    evolved REAL NOT NULL,
    chosen REAL NOT NULL,
    recommended REAL NOT NULL,
    shown INTEGER NOT NULL,
    code BLOB NOT NULL,         -- float32
    image BLOB NOT NULL,        -- PNG
    best BLOB NOT NULL,         -- float32, one a generation
    mean BLOB NOT NULL,
    presentations BLOB NOT NULL,
    cpu_s REAL NOT NULL,
    finished_at TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS planned (
    study TEXT NOT NULL,
    hash TEXT NOT NULL,
    network TEXT NOT NULL,      -- labels
    layer TEXT NOT NULL,
    generator TEXT NOT NULL,
    optimizer TEXT NOT NULL,
    initial TEXT NOT NULL,
    qualitative INTEGER NOT NULL,
    best_reference REAL NOT NULL,
    expected_best REAL NOT NULL,
    PRIMARY KEY (study, hash, network, layer, generator, optimizer, initial)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lines (
    first TEXT NOT NULL,        -- hashes of two searches of one unit that differ in their seed
    second TEXT NOT NULL,
    positions BLOB NOT NULL,    -- float32, 0 = the first's optimum, 1 = the second's
    activations BLOB NOT NULL,
    PRIMARY KEY (first, second, positions)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seen (       -- of reference sets that not all images have been shown of; gone when they have
    scan TEXT NOT NULL,         -- SHA-256 of what determines it: network, units, set, size
    start INTEGER NOT NULL,     -- the first image's number
    activations BLOB NOT NULL,  -- float32 [n_images, n_units]
    unreadable TEXT NOT NULL,   -- why, by the image's number, as JSON
    PRIMARY KEY (scan, start)
);
CREATE TABLE IF NOT EXISTS unreadable ( -- pictures of reference sets that were left out
    images TEXT NOT NULL,       -- the set's digest
    picture TEXT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (images, picture)
) WITHOUT ROWID;
