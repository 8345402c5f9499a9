"""A session as others read it: one NWB file, built from the session file at any time."""
