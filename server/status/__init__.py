"""The status page: what the experimenter sees of a session, and where pause, stop and notes are asked for."""
